//! The compact form: a graph as JSON, its tensors beside it in safetensors.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;
use syncarp_ir::DType;
use syncarp_weights::{FileBytes, StoredTensor};

use super::error::{Fault, shown};
use super::expression::Expression;
use super::path::plain;
use super::program::{Argument, Graph, Input, Names, Node, Origin, Output, Program, Text};
use super::states::{Pairs, StateDef, States};

/// What the field `format` of a document says.
const FORMAT: &str = "compact-graph";
/// The version that is read.
const VERSION: u64 = 1;
/// The most bytes that the list of a safetensors file may take.
const MAX_HEADER: u64 = 100 << 20;

#[derive(Deserialize)]
pub(super) struct Document<'f> {
    #[serde(borrow)]
    format: Text<'f>,
    version: u64,
    #[serde(borrow)]
    inputs: Vec<InputDef<'f>>,
    #[serde(borrow)]
    nodes: Vec<NodeDef<'f>>,
    #[serde(borrow)]
    outputs: Vec<OutputDef<'f>>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct GraphDef<'f> {
    #[serde(borrow)]
    inputs: Vec<InputDef<'f>>,
    #[serde(borrow)]
    nodes: Vec<NodeDef<'f>>,
    #[serde(borrow)]
    outputs: Vec<OutputDef<'f>>,
}

#[derive(Deserialize)]
struct InputDef<'f> {
    #[serde(borrow)]
    kind: Text<'f>,
    #[serde(borrow, default)]
    name: Option<Text<'f>>,
    #[serde(borrow, default)]
    target: Option<Text<'f>>,
    #[serde(borrow, default)]
    dtype: Option<Text<'f>>,
    #[serde(default)]
    shape: Vec<Json>,
    #[serde(default)]
    persistent: Option<bool>,
    #[serde(default)]
    value: Option<Json>,
    #[serde(default)]
    sym: Option<Json>,
}

#[derive(Deserialize)]
struct NodeDef<'f> {
    #[serde(borrow)]
    name: Text<'f>,
    #[serde(borrow)]
    op: Text<'f>,
    #[serde(borrow)]
    args: Pairs<'f, Json>,
    #[serde(borrow)]
    outputs: Vec<Option<ResultDef<'f>>>,
    #[serde(borrow, default)]
    path: Text<'f>,
}

#[derive(Deserialize)]
struct ResultDef<'f> {
    #[serde(borrow)]
    name: Text<'f>,
}

#[derive(Deserialize)]
struct OutputDef<'f> {
    #[serde(borrow)]
    kind: Text<'f>,
    #[serde(borrow, default)]
    target: Option<Text<'f>>,
    value: Json,
}

#[derive(Deserialize)]
struct TensorDef<'f> {
    #[serde(borrow)]
    dtype: Text<'f>,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// Whether a text is a document of this form, by its beginning.
pub(super) fn is_document(text: &str) -> bool {
    let start = text.trim_start().strip_prefix('{').map(str::trim_start);
    let rest = start.and_then(|rest| rest.strip_prefix("\"format\""));
    let value = rest.and_then(|rest| rest.trim_start().strip_prefix(':'));
    value.is_some_and(|value| value.trim_start().starts_with(&format!("\"{FORMAT}\"")))
}

/// Reads a document.
///
/// # Errors
/// It is something else, or of another version.
pub(super) fn read(text: &str) -> Result<Document<'_>, Fault> {
    let wrong = |message: String| Fault::new("document", message);
    let document: Document<'_> =
        serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    if &*document.format != FORMAT {
        return Err(wrong(format!(
            "`format` is `{}`, not `{FORMAT}`",
            shown(&document.format)
        )));
    }
    if document.version != VERSION {
        let found = document.version;
        return Err(wrong(format!(
            "`version` is {found}; version {VERSION} is read here"
        )));
    }
    Ok(document)
}

/// The states of a document, which lie in a safetensors file.
///
/// # Errors
/// The file is damaged, or lacks a tensor.
pub(super) fn states(document: &Document<'_>, file: &FileBytes) -> Result<States, Fault> {
    let wrong = |message: &str| Fault::new("safetensors", message);
    let failed = |cause: std::io::Error| Fault::new("safetensors", cause.to_string());
    let cut = || wrong("is cut off: it is no whole safetensors file");
    let len = file.part(0, 8).ok_or_else(cut)?.read().map_err(failed)?;
    let len = len.try_into().map(u64::from_le_bytes).map_err(|_| cut())?;
    if len > MAX_HEADER {
        return Err(wrong("its list of tensors has no sensible length"));
    }
    let header = file.part(8, len).ok_or_else(cut)?.read().map_err(failed)?;
    let header: Pairs<'_, &serde_json::value::RawValue> =
        serde_json::from_slice(&header).map_err(|error| wrong(&error.to_string()))?;
    let mut states = States::default();
    let kinds: BTreeMap<&str, &InputDef<'_>> = document
        .inputs
        .iter()
        .filter_map(|input| Some((&**input.target.as_ref()?, input)))
        .collect();
    for (name, raw) in &header.0 {
        if &**name == "__metadata__" {
            continue;
        }
        let at = || format!("safetensors: `{}`", shown(name));
        let def: TensorDef<'_> =
            serde_json::from_str(raw.get()).map_err(|error| Fault::new(at(), error.to_string()))?;
        let dtype = safetensors_dtype(&def.dtype).ok_or_else(|| {
            Fault::new(at(), format!("`{}` is not known here", shown(&def.dtype)))
        })?;
        let (from, to) = def.data_offsets;
        let start = from.checked_add(8 + len);
        let bytes = start.zip(to.checked_sub(from));
        let bytes = bytes.and_then(|(start, len)| file.part(start, len));
        let bytes = bytes.ok_or_else(|| Fault::new(at(), "lies outside the file"))?;
        let tensor = StoredTensor::new(bytes, dtype, def.shape);
        let tensor = tensor.map_err(|message| Fault::new(at(), message))?;
        let input = kinds.get(&**name);
        // What the graph does not read is a parameter or a buffer of an unused part.
        let parameter = input.is_none_or(|input| &*input.kind == "parameter");
        let constant = input
            .is_some_and(|input| &*input.kind == "constant" || input.persistent == Some(false));
        states.add(StateDef {
            names: vec![name.to_string()],
            tensor,
            trainable: parameter && dtype.is_float(),
            saved: !constant,
        })?;
    }
    for (name, of) in &document.aliases {
        let of = states
            .find(of)
            .ok_or_else(|| Fault::new("aliases", format!("no tensor is called `{}`", shown(of))))?;
        states.alias(name, of)?;
        if kinds
            .get(&**name)
            .is_some_and(|input| &*input.kind == "parameter")
        {
            let state = &mut states.list[of];
            (state.trainable, state.saved) = (state.tensor.dtype().is_float(), true);
        }
    }
    Ok(states)
}

/// The program of a document.
///
/// # Errors
/// A value is used that nothing gives, or an argument is none.
pub(super) fn program<'f>(document: Document<'f>) -> Result<Program<'f>, Fault> {
    let mut names = Names::default();
    let mut inputs = Vec::with_capacity(document.inputs.len());
    for (place, def) in document.inputs.into_iter().enumerate() {
        let at = format!("input {place}");
        let name = def.name.clone().filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| Text(format!("unnamed {place}").into()));
        let value = names.define(&name, &at)?;
        let from = origin(def, &names, &at)?;
        inputs.push(Input { value, from });
    }
    let graph_inputs = inputs.iter().map(|input| input.value).collect();
    let nodes = nodes(document.nodes, &mut names)?;
    let mut outputs = Vec::with_capacity(document.outputs.len());
    for (place, def) in document.outputs.into_iter().enumerate() {
        let at = || format!("output {place}");
        let value = argument(&def.value, &names, &at)?;
        outputs.push(match (&*def.kind, def.target) {
            ("user", _) => Output::Result(value),
            ("buffer_mutation", Some(target)) => Output::Mutation(target, value),
            (kind, _) => {
                return Err(Fault::new(
                    at(),
                    format!("`{}` is no kind of output", shown(kind)),
                ));
            }
        });
    }
    let names = names.finish();
    let graph = Graph {
        names,
        inputs: graph_inputs,
        nodes,
        outputs: Vec::new(),
    };
    Ok(Program {
        inputs,
        graph,
        outputs,
    })
}

fn origin<'f>(def: InputDef<'f>, names: &Names<'f>, at: &str) -> Result<Origin<'f>, Fault> {
    let wrong = |message: String| Fault::new(at, message);
    match (&*def.kind, def.target, def.dtype) {
        ("parameter" | "buffer" | "constant", Some(target), _) => Ok(Origin::State(target)),
        ("user", _, Some(dtype)) => {
            let dtype = torch_dtype(&dtype)
                .ok_or_else(|| wrong(format!("`{}` is not known here", shown(&dtype))))?;
            let dims = def.shape.iter().map(size).collect::<Result<_, _>>();
            Ok(Origin::Tensor {
                dtype,
                dims: dims.map_err(wrong)?,
            })
        }
        ("user", _, None) => match (&def.value, &def.sym) {
            (Some(value), _) => Ok(Origin::Fixed(argument(value, names, &|| at.to_owned())?)),
            (None, Some(sym)) => Ok(Origin::Number(size(sym).map_err(wrong)?)),
            (None, None) => Ok(Origin::Fixed(Argument::None)),
        },
        (kind, ..) => Err(wrong(format!(
            "`{}` is no input that can be read",
            shown(kind)
        ))),
    }
}

fn size(json: &Json) -> Result<Expression, String> {
    match json {
        Json::Number(number) => match number.as_i64() {
            Some(number) => Ok(Expression::Int(number)),
            None => Err(format!("{number} is no size")),
        },
        Json::String(text) => Expression::parse(text),
        _ => Err("a size is a number or an expression".to_owned()),
    }
}

fn nodes<'f>(defs: Vec<NodeDef<'f>>, names: &mut Names<'f>) -> Result<Vec<Node<'f>>, Fault> {
    let mut nodes = Vec::with_capacity(defs.len());
    for def in defs {
        let at = || format!("node `{}`", shown(&def.name));
        let mut args = Vec::with_capacity(def.args.0.len());
        for (name, json) in def.args.0 {
            args.push((name, argument(&json, names, &at)?));
        }
        let mut outputs = Vec::with_capacity(def.outputs.len());
        for output in &def.outputs {
            let value = output
                .as_ref()
                .map(|output| names.define(&output.name, &at()));
            outputs.push(value.transpose()?);
        }
        nodes.push(Node {
            path: plain(def.path),
            name: def.name,
            op: def.op,
            args,
            outputs,
        });
    }
    Ok(nodes)
}

/// A tagged value.
fn argument<'f>(
    json: &Json,
    names: &Names<'f>,
    at: &dyn Fn() -> String,
) -> Result<Argument<'f>, Fault> {
    let wrong = |message: &str| Fault::new(at(), message);
    let object = json.as_object().filter(|object| object.len() == 1);
    let tagged = object.and_then(|object| object.iter().next());
    let (tag, value) = tagged.ok_or_else(|| wrong("an argument is an object of one field"))?;
    let named = |json: &Json| match json {
        Json::String(name) => names
            .find(&Text(name.clone().into()), at)
            .map(Argument::Value),
        Json::Null => Ok(Argument::None),
        Json::Number(number) => number
            .as_i64()
            .map(Argument::Int)
            .ok_or_else(|| wrong("a size is a whole number")),
        _ => Err(wrong("a value is given by its name")),
    };
    let int = |json: &Json| json.as_i64().map(Argument::Int);
    let float = |json: &Json| match json {
        Json::String(word) => match word.as_str() {
            "inf" => Some(Argument::Float(f64::INFINITY)),
            "-inf" => Some(Argument::Float(f64::NEG_INFINITY)),
            "nan" => Some(Argument::Float(f64::NAN)),
            _ => None,
        },
        json => json.as_f64().map(Argument::Float),
    };
    let bool = |json: &Json| json.as_bool().map(Argument::Bool);
    let text = |json: &Json| json.as_str().map(|text| Text(text.to_owned().into()));
    let items = || {
        value
            .as_array()
            .ok_or_else(|| wrong("this argument is a list"))
    };
    let list = |each: &dyn Fn(&Json) -> Option<Argument<'f>>| {
        let items = items()?.iter().map(each).collect::<Option<Vec<_>>>();
        let items = items.ok_or_else(|| wrong("an item of a list is of another kind"))?;
        Ok(Argument::List(items))
    };
    let one = |found: Option<Argument<'f>>| {
        found.ok_or_else(|| wrong(&format!("this is no `{}`", shown(tag))))
    };
    match tag.as_str() {
        "none" => Ok(Argument::None),
        "tensor" | "sym" => named(value),
        "tensors" | "syms" => {
            let items = items()?.iter().map(named);
            Ok(Argument::List(items.collect::<Result<_, _>>()?))
        }
        "int" => one(int(value)),
        "float" => one(float(value)),
        "bool" => one(bool(value)),
        "string" => one(text(value).map(Argument::Str)),
        "ints" => list(&int),
        "floats" => list(&float),
        "bools" => list(&bool),
        "dtype" => one(text(value).map(|name| match torch_dtype(&name) {
            Some(dtype) => Argument::DType(dtype),
            None => Argument::NoDType(format!("`{}` is not known here", shown(&name))),
        })),
        "memory_format" | "layout" | "device" => one(text(value).map(Argument::Other)),
        "graph" => Ok(Argument::Graph(Box::new(subgraph(value, at)?))),
        "list" => {
            let items = items()?.iter().map(|item| argument(item, names, at));
            Ok(Argument::List(items.collect::<Result<_, _>>()?))
        }
        other => Ok(Argument::Unknown(Text(shown(other).into()))),
    }
}

/// A graph that an operator is given; its names are its own.
fn subgraph<'f>(json: &Json, at: &dyn Fn() -> String) -> Result<Graph<'f>, Fault> {
    // What is read of a tree of JSON borrows nothing of the file.
    let text = json.to_string();
    let def: GraphDef<'_> =
        serde_json::from_str(&text).map_err(|error| Fault::new(at(), error.to_string()))?;
    let def = owned(def);
    let mut names = Names::default();
    let mut inputs = Vec::with_capacity(def.inputs.len());
    for (place, input) in def.inputs.into_iter().enumerate() {
        let name = input
            .name
            .unwrap_or_else(|| Text(format!("unnamed {place}").into()));
        inputs.push(names.define(&name, "a graph within")?);
    }
    let nodes = nodes(def.nodes, &mut names)?;
    let outputs = def
        .outputs
        .iter()
        .map(|output| argument(&output.value, &names, at));
    let outputs = outputs.collect::<Result<_, _>>()?;
    Ok(Graph {
        names: names.finish(),
        inputs,
        nodes,
        outputs,
    })
}

/// The same, of its own.
fn owned<'f>(def: GraphDef<'_>) -> GraphDef<'f> {
    let text = |text: Text<'_>| Text(std::borrow::Cow::Owned(text.0.into_owned()));
    let inputs = def.inputs.into_iter().map(|input| InputDef {
        kind: text(input.kind),
        name: input.name.map(text),
        target: input.target.map(text),
        dtype: input.dtype.map(text),
        shape: input.shape,
        persistent: input.persistent,
        value: input.value,
        sym: input.sym,
    });
    let nodes = def.nodes.into_iter().map(|node| NodeDef {
        name: text(node.name),
        op: text(node.op),
        args: Pairs(
            node.args
                .0
                .into_iter()
                .map(|(name, arg)| (text(name), arg))
                .collect(),
        ),
        outputs: node
            .outputs
            .into_iter()
            .map(|output| {
                output.map(|output| ResultDef {
                    name: text(output.name),
                })
            })
            .collect(),
        path: text(node.path),
    });
    let outputs = def.outputs.into_iter().map(|output| OutputDef {
        kind: text(output.kind),
        target: output.target.map(text),
        value: output.value,
    });
    GraphDef {
        inputs: inputs.collect(),
        nodes: nodes.collect(),
        outputs: outputs.collect(),
    }
}

/// The element type that PyTorch calls so.
fn torch_dtype(name: &str) -> Option<DType> {
    DType::from_name(match name {
        "float16" => "f16",
        "bfloat16" => "bf16",
        "float32" => "f32",
        "float64" => "f64",
        "uint8" => "u8",
        "int8" => "i8",
        "int16" => "i16",
        "uint16" => "u16",
        "int32" => "i32",
        "uint32" => "u32",
        "int64" => "i64",
        "uint64" => "u64",
        "bool" => "bool",
        _ => return None,
    })
}

/// The element type that safetensors call so.
fn safetensors_dtype(name: &str) -> Option<DType> {
    DType::from_name(&name.to_ascii_lowercase())
}
