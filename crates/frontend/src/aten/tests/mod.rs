//! Every function once at least, by the types and ops that come of it.

mod others;
mod tensors;
mod values;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use syncarp_diag::Source;
use syncarp_ir::{DType, Dim, GraphBuilder, TensorType, Value};

use super::arg::Arg;
use super::call::Call;
use super::schema::{Named, Room};
use super::{Functions, Lowered};
use crate::draft::Draft;

/// A graph in the making with some inputs, and functions called in it.
struct Bench<'a> {
    draft: Draft<'a>,
    functions: Functions,
}

fn source() -> Source {
    Source::new("t", "")
}

impl<'a> Bench<'a> {
    fn new(source: &'a Source) -> Self {
        let b = GraphBuilder::new(Arc::new(syncarp_ops::standard()));
        let functions = Functions::standard();
        Bench {
            draft: Draft::new("m", source, b, &[]),
            functions,
        }
    }

    /// An input of this type, such as `f32[n, 3]`; `?` for one of which nothing is known.
    fn input(&mut self, name: &str, ty: &str) -> Value {
        let known = match ty.split_once('[') {
            None => TensorType::unknown(),
            Some((dtype, dims)) => {
                let dims = dims
                    .trim_end_matches(']')
                    .split(", ")
                    .filter(|d| !d.is_empty());
                let dims = dims.map(|d| d.parse().map_or_else(|_| Dim::symbol(d), Dim::Known));
                TensorType::new(DType::from_name(dtype).unwrap(), dims)
            }
        };
        self.draft.input_of(name, &known).unwrap()
    }

    fn call(&mut self, name: &str, args: &[Arg]) -> Lowered {
        self.call_with(name, args, &[])
    }

    fn call_with(&mut self, name: &str, args: &[Arg], keywords: &[(&str, Arg)]) -> Lowered {
        let named = match name.strip_prefix("F.") {
            Some(name) => Named::functional(name),
            None => Named::aten(name),
        };
        let function = self
            .functions
            .find(&named)
            .unwrap_or_else(|| panic!("no {name}"));
        Call::new(&mut self.draft, "p", function, &named, args, keywords)?.lower()
    }

    fn ty(&self, arg: &Arg) -> String {
        match arg {
            Arg::Tensor(value) => self.draft.b.ty(*value).to_string(),
            Arg::List(_) => {
                let items = arg.items().unwrap().iter().map(|item| self.ty(item));
                items.collect::<Vec<_>>().join(" ")
            }
            other => other.to_string(),
        }
    }

    /// The ops so far, but for what comes from outside.
    fn ops(&self) -> Vec<&'static str> {
        let graph = self.draft.b.graph();
        let names = graph.nodes().map(|node| graph.op_name(node));
        names
            .filter(|name| !["input", "constant", "state"].contains(name))
            .collect()
    }
}

fn int(number: i64) -> Arg {
    Arg::Int(number)
}

fn ints(numbers: &[i64]) -> Arg {
    Arg::list(numbers.iter().copied().map(Arg::Int).collect()).unwrap()
}

/// Demands that a function of `x` and more gives these types by these ops, and that without any
/// knowledge of x it either does by the same ops or asks for the shape.
fn gives(name: &str, x: &str, rest: &[Arg], expected: &str, ops: &[&str]) {
    let source = source();
    let mut bench = Bench::new(&source);
    let x = Arg::Tensor(bench.input("x", x));
    let args: Vec<Arg> = std::iter::once(x).chain(rest.iter().cloned()).collect();
    let given = bench
        .call(name, &args)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(bench.ty(&given), expected, "{name}");
    assert_eq!(bench.ops(), ops, "{name}");
    let mut bench = Bench::new(&source);
    let x = Arg::Tensor(bench.input("x", "?"));
    let args: Vec<Arg> = std::iter::once(x).chain(rest.iter().cloned()).collect();
    if let Err(error) = bench.call(name, &args) {
        assert!(
            error.contains("the shape has to be known"),
            "{name} of unknown type: {error}"
        );
    }
}

/// The functions of ATen's that the programs recorded for `tests/torch-export` call.
fn recorded() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let mut folders = vec![root.join("torch-export/fixtures")];
    let models = fs::read_dir(root.join("models/fixtures")).unwrap();
    folders.extend(models.map(|entry| entry.unwrap().path()));
    let mut names = BTreeSet::new();
    for file in folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
    {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "pt2") {
            let bytes = fs::read(path).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            let calls = text.split("torch.ops.aten.").skip(1);
            names.extend(calls.filter_map(|rest| Some(rest.split_once('.')?.0.to_owned())));
        }
    }
    names
}

/// Every function is called by a test here, or by a program that `tests/torch-export` runs.
#[test]
fn no_function_is_without_a_test() {
    let tests = [
        include_str!("values.rs"),
        include_str!("tensors.rs"),
        include_str!("others.rs"),
    ];
    let recorded = recorded();
    let functions = Functions::standard();
    let mut lacking = Vec::new();
    for (room, names) in &functions.by_name {
        for name in names.keys() {
            let called = match room {
                Room::Aten => [
                    format!("\"{name}\""),
                    format!("\"{name}_\""),
                    format!("\"{name}."),
                ],
                Room::Functional => [
                    format!("\"F.{name}\""),
                    format!("\"F.{name}_\""),
                    String::from("-"),
                ],
            };
            let called = |text: &&str| called.iter().any(|c| text.contains(c));
            let runs = *room == Room::Aten
                && (recorded.contains(*name) || recorded.contains(&format!("{name}_")));
            if !runs && !tests.iter().any(called) {
                lacking.push(format!("{room:?} {name}"));
            }
        }
    }
    assert!(lacking.is_empty(), "{}", lacking.join(" "));
}
