//! Writing drawings as a page.

use std::fmt::Write;

use crate::svg::escape;

const STYLE: &str = "body{margin:0;font-family:ui-sans-serif,system-ui,sans-serif;color:#1c232b}\
header{display:flex;gap:12px;align-items:center;padding:8px 14px;border-bottom:1px solid #ccd3da}\
h1{font-size:16px;margin:0}button{font:inherit;border:1px solid #ccd3da;background:#fff;\
border-radius:6px;padding:3px 10px;cursor:pointer}button[aria-pressed=true]{background:#e3eefb}\
input{font:inherit;padding:3px 8px;margin-left:auto}main{position:absolute;inset:48px 0 0 0;\
overflow:hidden;cursor:grab}.graph{display:none;transform-origin:0 0}.graph.on{display:block}\
g.miss{opacity:.15}";

/// One graph at a time, moved by dragging, zoomed by the wheel; what is typed dims all else.
const SCRIPT: &str = "const main=document.querySelector('main'),\
graphs=[...document.querySelectorAll('.graph')],buttons=[...document.querySelectorAll('button')];\
let x=0,y=0,k=1;const place=()=>graphs.forEach(g=>g.style.transform=`translate(${x}px,${y}px) \
scale(${k})`);const fit=()=>{const g=graphs.find(g=>g.classList.contains('on'));if(!g)return;\
const s=g.querySelector('svg').viewBox.baseVal;k=Math.min(1,main.clientWidth/s.width);x=(main.\
clientWidth-s.width*k)/2;y=0;place()};buttons.forEach((b,i)=>b.onclick=()=>{graphs.forEach((g,j)=>\
g.classList.toggle('on',i===j));buttons.forEach((c,j)=>c.setAttribute('aria-pressed',i===j));fit()\
});main.addEventListener('wheel',e=>{e.preventDefault();const r=main.getBoundingClientRect(),\
mx=e.clientX-r.left,my=e.clientY-r.top,f=Math.exp(-e.deltaY/500);x=mx-(mx-x)*f;y=my-(my-y)*f;\
k*=f;place()},{passive:false});let from=null;main.onpointerdown=e=>{from=[e.clientX-x,e.clientY-y]\
};window.onpointermove=e=>{if(from){x=e.clientX-from[0];y=e.clientY-from[1];place()}};\
window.onpointerup=()=>from=null;document.querySelector('input').oninput=e=>{const t=e.target.\
value.toLowerCase();document.querySelectorAll('.graph g').forEach(g=>g.classList.toggle('miss',\
!g.textContent.toLowerCase().includes(t)))};buttons[0]?.click();";

pub(crate) fn write(title: &str, graphs: &[(&str, String)]) -> String {
    let mut out = String::new();
    let title = escape(title);
    let _ = writeln!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><header><h1>{title}</h1>"
    );
    for (name, _) in graphs {
        let _ = writeln!(out, "<button type=\"button\">{}</button>", escape(name));
    }
    out.push_str("<input type=\"search\" placeholder=\"find an op or a path\"></header><main>\n");
    for (_, svg) in graphs {
        let _ = writeln!(out, "<div class=\"graph\">{svg}</div>");
    }
    let _ = writeln!(out, "</main><script>{SCRIPT}</script></body></html>");
    out
}
