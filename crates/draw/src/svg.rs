//! Writing a drawing as SVG.

use std::fmt::Write;

use syncarp_ir::{Model, Plan};

use crate::layout::{Around, Layout, Rect};
use crate::view::{Item, Kind, View};

/// Colours of models, in turn: fill and line.
const MODELS: [(&str, &str); 8] = [
    ("#e3eefb", "#3b76b5"),
    ("#fdeedd", "#c26a12"),
    ("#e4f4e6", "#2f8540"),
    ("#fbe5ea", "#b83a57"),
    ("#eee7f8", "#7450ad"),
    ("#e0f3f3", "#1f8487"),
    ("#f6efe0", "#8a6a2a"),
    ("#eceef1", "#5b6777"),
];
/// Of what several models share.
const SHARED: (&str, &str) = ("#fff5c2", "#a07d00");

const STYLE: &str = "text{font-family:ui-sans-serif,system-ui,sans-serif;fill:#1c232b}\
.l{font-size:13px;font-weight:600;text-anchor:middle}.n{font-size:10.5px;text-anchor:middle;\
fill:#4a5560}.f{font-size:12px;font-weight:600;fill:#4a5560}.e{fill:none;stroke:#8893a0;\
stroke-width:1.2}.e:hover{stroke:#1c232b;stroke-width:2.4}";

pub(crate) fn write(plan: &Plan, view: &View, layout: &Layout) -> String {
    let mut out = String::new();
    let (width, height) = (layout.width, layout.height);
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.1} {height:.1}\" \
         width=\"{width:.0}\" height=\"{height:.0}\"><style>{STYLE}</style>\
         <defs><marker id=\"a\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#8893a0\"/></marker>\
         </defs><rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    );
    for frame in &layout.frames {
        let (title, dash, line) = match frame.what {
            Around::Device(device) => (device.to_string(), "6 4", "#5b6777"),
            Around::Cluster(cluster) => match cluster.model {
                Some(model) => (named(plan, model), "none", colours(Some(model)).1),
                None => ("shared".to_owned(), "none", SHARED.1),
            },
        };
        let Rect {
            x,
            y,
            width,
            height,
        } = frame.rect;
        let (left, top) = (x - width / 2.0, y - height / 2.0);
        let _ = writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             rx=\"8\" fill=\"{line}\" fill-opacity=\"0.05\" stroke=\"{line}\" \
             stroke-dasharray=\"{dash}\"/><text class=\"f\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            left + 8.0,
            top + 15.0,
            escape(&title)
        );
    }
    for (arrow, points) in view.arrows.iter().zip(&layout.arrows) {
        let ty = escape(&arrow.ty);
        let _ = writeln!(
            out,
            "<path class=\"e\" d=\"{}\" marker-end=\"url(#a)\"><title>{ty}</title></path>",
            curve(points)
        );
    }
    for (item, rect) in view.items.iter().zip(&layout.items) {
        write_item(item, *rect, &mut out);
    }
    if view.coarse {
        let _ = writeln!(
            out,
            "<text class=\"f\" x=\"8\" y=\"{:.1}\">drawn by module: too many ops for one each</text>",
            height - 6.0
        );
    }
    out.push_str("</svg>\n");
    out
}

fn named(plan: &Plan, model: Model) -> String {
    match plan.models.get(model.index()) {
        Some(entry) if !entry.name.is_empty() => format!("{model} {}", entry.name),
        _ => model.to_string(),
    }
}

fn colours(model: Option<Model>) -> (&'static str, &'static str) {
    model.map_or(SHARED, |model| MODELS[model.index() % MODELS.len()])
}

fn write_item(item: &Item, rect: Rect, out: &mut String) {
    let (fill, line) = colours(item.cluster.model);
    let Rect {
        x,
        y,
        width,
        height,
    } = rect;
    let (left, top) = (x - width / 2.0, y - height / 2.0);
    let round = match item.kind {
        Kind::Input | Kind::Output => height / 2.0,
        Kind::Op | Kind::Group => 5.0,
    };
    let stroke = if item.models > 1 { 2.2 } else { 1.2 };
    let _ = write!(out, "<g><title>{}</title>", escape(&item.lines.join("\n")));
    if item.kind == Kind::Group {
        // A second sheet behind it: there is more than one.
        let _ = write!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             rx=\"{round:.1}\" fill=\"{fill}\" stroke=\"{line}\"/>",
            left + 4.0,
            top + 4.0
        );
    }
    let _ = write!(
        out,
        "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
         rx=\"{round:.1}\" fill=\"{fill}\" stroke=\"{line}\" stroke-width=\"{stroke}\"/>"
    );
    let mut down = top + 18.0;
    let label = escape(&item.label);
    let _ = write!(
        out,
        "<text class=\"l\" x=\"{x:.1}\" y=\"{down:.1}\">{label}</text>"
    );
    for note in &item.notes {
        down += 15.0;
        let note = escape(note);
        let _ = write!(
            out,
            "<text class=\"n\" x=\"{x:.1}\" y=\"{down:.1}\">{note}</text>"
        );
    }
    out.push_str("</g>\n");
}

/// A smooth line through points: straight to the first half, curved at each point in between.
fn curve(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    let [first, between @ .., last] = points else {
        return path;
    };
    let _ = write!(path, "M{:.1} {:.1}", first.0, first.1);
    for (at, point) in between.iter().enumerate() {
        let next = between.get(at + 1).unwrap_or(last);
        let (x, y) = ((point.0 + next.0) / 2.0, (point.1 + next.1) / 2.0);
        let _ = write!(path, "Q{:.1} {:.1} {x:.1} {y:.1}", point.0, point.1);
    }
    let _ = write!(path, "L{:.1} {:.1}", last.0, last.1);
    path
}

/// A text in XML.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // What XML has no place for.
            c if c.is_control() && c != '\n' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
