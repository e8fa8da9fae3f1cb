//! The graph in an archive of `torch.export.save`: `models/model.json`.
//!
//! The schema is PyTorch's `torch/_export/serde/schema.py`. Fields that are not known here are
//! passed over; what a later version says in other words, by its major number, is refused.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use syncarp_ir::DType;

use super::error::{Fault, shown};
use super::expression::Expression;
use super::path::module_path;
use super::program::{Argument, Graph, Input, Names, Node, Origin, Output, Program, Text};

/// The major versions of the schema that are read.
const MAJOR: std::ops::RangeInclusive<u64> = 5..=8;
/// Where the graph lies in an archive.
pub(super) const ENTRY: &str = "models/model.json";

#[derive(Deserialize)]
struct ModelDef<'f> {
    #[serde(borrow)]
    graph_module: GraphModuleDef<'f>,
    schema_version: VersionDef,
}

#[derive(Deserialize)]
struct VersionOnly {
    schema_version: VersionDef,
}

#[derive(Deserialize)]
struct VersionDef {
    major: u64,
    #[serde(default)]
    minor: u64,
}

#[derive(Deserialize)]
struct GraphModuleDef<'f> {
    #[serde(borrow)]
    graph: GraphDef<'f>,
    #[serde(borrow)]
    signature: SignatureDef<'f>,
}

#[derive(Deserialize)]
struct GraphDef<'f> {
    #[serde(borrow)]
    inputs: Vec<ArgDef<'f>>,
    #[serde(borrow)]
    outputs: Vec<ArgDef<'f>>,
    #[serde(borrow)]
    nodes: Vec<NodeDef<'f>>,
    #[serde(borrow, default)]
    tensor_values: HashMap<Text<'f>, &'f RawValue>,
    #[serde(borrow, default)]
    sym_int_values: HashMap<Text<'f>, &'f RawValue>,
}

#[derive(Deserialize)]
struct SignatureDef<'f> {
    #[serde(borrow)]
    input_specs: Vec<OneField<'f, SpecDef<'f>>>,
    #[serde(borrow)]
    output_specs: Vec<OneField<'f, SpecDef<'f>>>,
}

/// One input or output; which fields it has depends on its kind.
#[derive(Deserialize)]
struct SpecDef<'f> {
    #[serde(borrow, default)]
    arg: Option<&'f RawValue>,
    #[serde(borrow, default)]
    parameter_name: Option<Text<'f>>,
    #[serde(borrow, default)]
    buffer_name: Option<Text<'f>>,
    #[serde(borrow, default)]
    tensor_constant_name: Option<Text<'f>>,
    #[serde(borrow, default)]
    value: Option<ArgDef<'f>>,
}

#[derive(Deserialize)]
struct NodeDef<'f> {
    #[serde(borrow)]
    target: Text<'f>,
    #[serde(borrow)]
    inputs: Vec<NamedArgDef<'f>>,
    #[serde(borrow)]
    outputs: Vec<ArgDef<'f>>,
    #[serde(borrow, default)]
    metadata: MetadataDef<'f>,
    #[serde(borrow, default)]
    name: Option<Text<'f>>,
}

#[derive(Deserialize, Default)]
struct MetadataDef<'f> {
    #[serde(borrow, default)]
    nn_module_stack: Option<Text<'f>>,
}

#[derive(Deserialize)]
struct NamedArgDef<'f> {
    #[serde(borrow)]
    name: Text<'f>,
    #[serde(borrow)]
    arg: ArgDef<'f>,
}

#[derive(Deserialize)]
struct NameDef<'f> {
    #[serde(borrow)]
    name: Text<'f>,
}

#[derive(Deserialize)]
struct SubgraphDef<'f> {
    #[serde(borrow)]
    graph: GraphDef<'f>,
}

#[derive(Deserialize)]
struct DeviceDef<'f> {
    #[serde(borrow, rename = "type")]
    kind: Text<'f>,
}

#[derive(Deserialize)]
struct ExprDef<'f> {
    #[serde(borrow)]
    expr_str: Text<'f>,
}

#[derive(Deserialize)]
pub(super) struct TensorMeta<'f> {
    pub dtype: u64,
    #[serde(borrow)]
    sizes: Vec<OneField<'f, &'f RawValue>>,
    #[serde(borrow, default)]
    strides: Vec<OneField<'f, &'f RawValue>>,
    #[serde(borrow, default)]
    storage_offset: Option<OneField<'f, &'f RawValue>>,
    #[serde(default)]
    pub requires_grad: bool,
}

/// An object of one field: its name says what the value is.
struct OneField<'f, T> {
    tag: Text<'f>,
    value: T,
}

impl<'de: 'f, 'f, T: Deserialize<'de>> Deserialize<'de> for OneField<'f, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One<'f, T>(std::marker::PhantomData<(&'f (), T)>);
        impl<'de: 'f, 'f, T: Deserialize<'de>> Visitor<'de> for One<'f, T> {
            type Value = OneField<'f, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of one field")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (tag, value) = map
                    .next_entry::<Text<'f>, T>()?
                    .ok_or_else(|| serde::de::Error::custom("an empty object"))?;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(OneField { tag, value })
            }
        }
        deserializer.deserialize_map(One(std::marker::PhantomData))
    }
}

/// A number that JSON may have no word for.
#[derive(Deserialize)]
#[serde(untagged)]
enum FloatDef<'f> {
    Number(f64),
    #[serde(borrow)]
    Word(Text<'f>),
}

impl FloatDef<'_> {
    fn number(&self) -> Option<f64> {
        match self {
            FloatDef::Number(number) => Some(*number),
            FloatDef::Word(word) => match &**word {
                "Infinity" | "inf" => Some(f64::INFINITY),
                "-Infinity" | "-inf" => Some(f64::NEG_INFINITY),
                "NaN" | "nan" => Some(f64::NAN),
                _ => None,
            },
        }
    }
}

/// An argument as it stands in the file.
enum ArgDef<'f> {
    None,
    Name(Text<'f>),
    /// Missing ones stand as none.
    Names(Vec<Option<Text<'f>>>),
    Int(i64),
    Float(f64),
    Bool(bool),
    Str(Text<'f>),
    ScalarType(u64),
    Other(Text<'f>),
    List(Vec<ArgDef<'f>>),
    Graph(Box<GraphDef<'f>>),
    Unknown(Text<'f>),
}

impl<'de: 'f, 'f> Deserialize<'de> for ArgDef<'f> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tagged<'f>(std::marker::PhantomData<&'f ()>);
        impl<'de: 'f, 'f> Visitor<'de> for Tagged<'f> {
            type Value = ArgDef<'f>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an argument: an object of one field such as `as_tensor`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let tag = map.next_key::<Text<'f>>()?;
                let tag = tag.ok_or_else(|| serde::de::Error::custom("an empty argument"))?;
                let arg = tagged(&tag, &mut map)?;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(arg)
            }
        }
        deserializer.deserialize_map(Tagged(std::marker::PhantomData))
    }
}

/// The argument behind a tag.
fn tagged<'de: 'f, 'f, A: MapAccess<'de>>(
    tag: &Text<'f>,
    map: &mut A,
) -> Result<ArgDef<'f>, A::Error> {
    fn list<'f, T>(items: Vec<T>, each: impl FnMut(T) -> ArgDef<'f>) -> ArgDef<'f> {
        ArgDef::List(items.into_iter().map(each).collect())
    }
    Ok(match &**tag {
        "as_none" => {
            map.next_value::<IgnoredAny>()?;
            ArgDef::None
        }
        "as_tensor" | "as_token" => ArgDef::Name(map.next_value::<NameDef<'f>>()?.name),
        "as_tensors" => {
            let names = map.next_value::<Vec<NameDef<'f>>>()?;
            ArgDef::Names(names.into_iter().map(|name| Some(name.name)).collect())
        }
        "as_optional_tensor" => map.next_value()?,
        "as_optional_tensors" => {
            let items = map.next_value::<Vec<ArgDef<'f>>>()?;
            let names = items.into_iter().map(|item| match item {
                ArgDef::Name(name) => Some(name),
                _ => None,
            });
            ArgDef::Names(names.collect())
        }
        "as_name" => ArgDef::Name(map.next_value()?),
        "as_int" => ArgDef::Int(map.next_value()?),
        "as_ints" => list(map.next_value()?, ArgDef::Int),
        "as_sym_int" | "as_sym_bool" | "as_sym_float" => map.next_value()?,
        "as_sym_ints" | "as_sym_bools" | "as_sym_floats" => ArgDef::List(map.next_value()?),
        "as_float" => {
            let number = map.next_value::<FloatDef<'f>>()?.number();
            ArgDef::Float(number.ok_or_else(|| serde::de::Error::custom("this is no number"))?)
        }
        "as_floats" => {
            let numbers = map.next_value::<Vec<FloatDef<'f>>>()?;
            let numbers: Option<Vec<f64>> = numbers.iter().map(FloatDef::number).collect();
            let numbers = numbers.ok_or_else(|| serde::de::Error::custom("this is no number"))?;
            list(numbers, ArgDef::Float)
        }
        "as_bool" => ArgDef::Bool(map.next_value()?),
        "as_bools" => list(map.next_value()?, ArgDef::Bool),
        "as_string" => ArgDef::Str(map.next_value()?),
        "as_strings" => list(map.next_value()?, ArgDef::Str),
        "as_scalar_type" => ArgDef::ScalarType(map.next_value()?),
        "as_device" => ArgDef::Other(map.next_value::<DeviceDef<'f>>()?.kind),
        "as_layout" | "as_memory_format" => {
            map.next_value::<IgnoredAny>()?;
            ArgDef::Other(tag.clone())
        }
        "as_int_lists" => {
            let lists = map.next_value::<Vec<Vec<i64>>>()?;
            list(lists, |items| list(items, ArgDef::Int))
        }
        "as_graph" => ArgDef::Graph(Box::new(map.next_value::<SubgraphDef<'f>>()?.graph)),
        _ => {
            map.next_value::<IgnoredAny>()?;
            ArgDef::Unknown(tag.clone())
        }
    })
}

/// Reads `models/model.json`.
///
/// # Errors
/// It is something else, or of a version that is not read here.
pub(super) fn read(text: &str) -> Result<Program<'_>, Fault> {
    let json = |error: serde_json::Error| Fault::new(ENTRY, error.to_string());
    let model = match serde_json::from_str::<ModelDef<'_>>(text) {
        Ok(model) => model,
        // What does not read may be of another version, which is the better thing to say.
        Err(error) => {
            if let Ok(other) = serde_json::from_str::<VersionOnly>(text) {
                check_version(&other.schema_version)?;
            }
            return Err(json(error));
        }
    };
    check_version(&model.schema_version)?;
    let GraphModuleDef { graph, signature } = model.graph_module;
    program(graph, signature)
}

fn check_version(version: &VersionDef) -> Result<(), Fault> {
    if MAJOR.contains(&version.major) {
        return Ok(());
    }
    let (major, minor) = (version.major, version.minor);
    let message = format!(
        "the schema is of version {major}.{minor}; versions {} to {} are read here: export again \
         with a release of PyTorch that writes one of them, or convert the archive by compact.py",
        MAJOR.start(),
        MAJOR.end()
    );
    Err(Fault::new(ENTRY, message))
}

fn program<'f>(graph: GraphDef<'f>, signature: SignatureDef<'f>) -> Result<Program<'f>, Fault> {
    let place = |what: &str, at: usize| format!("{ENTRY}: {what} {at}");
    if graph.inputs.len() != signature.input_specs.len() {
        let (a, b) = (graph.inputs.len(), signature.input_specs.len());
        let message = format!("the graph has {a} inputs, the signature {b}");
        return Err(Fault::new(ENTRY, message));
    }
    let mut reader = Reader::default();
    let mut inputs = Vec::with_capacity(graph.inputs.len());
    for (at, (arg, spec)) in graph.inputs.iter().zip(signature.input_specs).enumerate() {
        let at = place("input", at);
        let OneField { tag, value: spec } = spec;
        let name = match arg {
            ArgDef::Name(name) => name.clone(),
            // A number that was fixed has no name.
            _ => Text::default(),
        };
        let state = match &*tag {
            "parameter" => spec.parameter_name,
            "buffer" => spec.buffer_name,
            "tensor_constant" => spec.tensor_constant_name,
            "user_input" | "constant_input" => None,
            other => {
                let message = format!("inputs of kind `{}` are not read here", shown(other));
                return Err(Fault::new(at, message));
            }
        };
        let from = match (state, &*tag) {
            (Some(name), _) => Origin::State(name),
            (None, "constant_input") => {
                Origin::Fixed(reader.argument(spec.value.unwrap_or(ArgDef::None), &at)?)
            }
            (None, "user_input") => user_input(&graph, arg, spec.arg, &at)?,
            (None, _) => return Err(Fault::new(at, "a state without a name")),
        };
        let value = match name.is_empty() {
            true => reader.unnamed(),
            false => reader.names.define(&name, &at)?,
        };
        inputs.push(Input { value, from });
    }
    let graph_inputs = inputs.iter().map(|input| input.value).collect();
    let nodes = reader.nodes(graph.nodes)?;
    let mut outputs = Vec::with_capacity(signature.output_specs.len());
    for (at, (arg, spec)) in graph
        .outputs
        .into_iter()
        .zip(signature.output_specs)
        .enumerate()
    {
        let at = place("output", at);
        let argument = reader.argument(arg, &at)?;
        let OneField { tag, value: spec } = spec;
        outputs.push(match (&*tag, spec.buffer_name, spec.parameter_name) {
            ("user_output" | "loss_output", ..) => Output::Result(argument),
            ("buffer_mutation", Some(name), _) | ("parameter_mutation", _, Some(name)) => {
                Output::Mutation(name, argument)
            }
            ("user_input_mutation" | "token", ..) => Output::Ignored,
            (other, ..) => {
                let message = format!("outputs of kind `{}` are not read here", shown(other));
                return Err(Fault::new(at, message));
            }
        });
    }
    let graph = Graph {
        names: reader.names.finish(),
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

/// An argument of the model.
fn user_input<'f>(
    graph: &GraphDef<'f>,
    arg: &ArgDef<'f>,
    spec: Option<&'f RawValue>,
    at: &str,
) -> Result<Origin<'f>, Fault> {
    let wrong = |message: String| Fault::new(at, message);
    let ArgDef::Name(name) = arg else {
        let arg = spec.map(|raw| serde_json::from_str::<ArgDef<'f>>(raw.get()));
        return Ok(Origin::Fixed(match arg {
            Some(Ok(arg)) => Reader::default().argument(arg, at)?,
            _ => Argument::None,
        }));
    };
    if let Some(raw) = graph.tensor_values.get(name) {
        let meta: TensorMeta<'_> = serde_json::from_str(raw.get())
            .map_err(|error| wrong(format!("`{}`: {error}", shown(name))))?;
        let dtype = scalar_type(meta.dtype).map_err(|error| wrong(error.to_owned()))?;
        let dims = meta.dims().map_err(wrong)?;
        return Ok(Origin::Tensor { dtype, dims });
    }
    if let Some(raw) = graph.sym_int_values.get(name) {
        let size = serde_json::from_str::<OneField<'_, &RawValue>>(raw.get());
        let size = size.map_err(|error| wrong(error.to_string()))?;
        return Ok(Origin::Number(size.expression().map_err(wrong)?));
    }
    Err(wrong(format!("nothing says what `{}` is", shown(name))))
}

impl TensorMeta<'_> {
    /// The dims.
    pub fn dims(&self) -> Result<Vec<Expression>, String> {
        self.sizes.iter().map(OneField::expression).collect()
    }

    /// Dims, strides and offset, all of them numbers.
    pub fn layout(&self) -> Result<(Vec<u64>, Vec<u64>, u64), String> {
        let numbers = |sizes: &[OneField<'_, &RawValue>]| {
            let numbers = sizes.iter().map(OneField::number);
            numbers.collect::<Result<Vec<u64>, String>>()
        };
        let offset = match &self.storage_offset {
            Some(offset) => offset.number()?,
            None => 0,
        };
        Ok((numbers(&self.sizes)?, numbers(&self.strides)?, offset))
    }
}

impl OneField<'_, &RawValue> {
    /// A size: `as_int` or `as_expr`.
    fn expression(&self) -> Result<Expression, String> {
        let raw = self.value.get();
        match &*self.tag {
            "as_int" => match serde_json::from_str(raw) {
                Ok(number) => Ok(Expression::Int(number)),
                Err(_) => Err("a size is no whole number".to_owned()),
            },
            "as_expr" => match serde_json::from_str::<ExprDef<'_>>(raw) {
                Ok(def) => Expression::parse(&def.expr_str),
                Err(error) => Err(format!("a size does not read: {error}")),
            },
            other => Err(format!("a size is `{}`", shown(other))),
        }
    }

    fn number(&self) -> Result<u64, String> {
        let number = match &*self.tag {
            "as_int" => serde_json::from_str(self.value.get()).ok(),
            _ => None,
        };
        number.ok_or_else(|| {
            "a state's dims, strides and offset are numbers of at least 0".to_owned()
        })
    }
}

#[derive(Default)]
struct Reader<'f> {
    names: Names<'f>,
    unnamed: usize,
}

impl<'f> Reader<'f> {
    fn unnamed(&mut self) -> usize {
        loop {
            self.unnamed += 1;
            let name = Text(format!("unnamed {}", self.unnamed).into());
            if let Ok(value) = self.names.define(&name, "") {
                return value;
            }
        }
    }

    fn nodes(&mut self, defs: Vec<NodeDef<'f>>) -> Result<Vec<Node<'f>>, Fault> {
        let mut nodes = Vec::with_capacity(defs.len());
        for def in defs {
            nodes.push(self.node(def)?);
        }
        Ok(nodes)
    }

    fn node(&mut self, def: NodeDef<'f>) -> Result<Node<'f>, Fault> {
        let name = match (&def.name, def.outputs.first()) {
            (Some(name), _) | (None, Some(ArgDef::Name(name))) => name.clone(),
            _ => Text::default(),
        };
        let at = || format!("node `{}`", shown(&name));
        let mut args = Vec::with_capacity(def.inputs.len());
        for (place, input) in def.inputs.into_iter().enumerate() {
            let arg = self.argument_at(input.arg, &at)?;
            // Operators that are given graphs have no names for their arguments.
            let name = match input.name.is_empty() {
                true => Text(place.to_string().into()),
                false => input.name,
            };
            args.push((name, arg));
        }
        let mut outputs = Vec::with_capacity(def.outputs.len());
        for output in def.outputs {
            match output {
                ArgDef::Name(name) => outputs.push(Some(self.names.define(&name, &at())?)),
                ArgDef::Names(names) => {
                    for name in names {
                        let value = name.map(|name| self.names.define(&name, &at()));
                        outputs.push(value.transpose()?);
                    }
                }
                // A list of numbers, each by its name.
                ArgDef::List(items) => {
                    for item in items {
                        let value = match item {
                            ArgDef::Name(name) => Some(self.names.define(&name, &at())?),
                            _ => None,
                        };
                        outputs.push(value);
                    }
                }
                _ => outputs.push(None),
            }
        }
        Ok(Node {
            op: op_name(def.target),
            path: module_path(def.metadata.nn_module_stack),
            name,
            args,
            outputs,
        })
    }

    fn argument(&mut self, def: ArgDef<'f>, at: &str) -> Result<Argument<'f>, Fault> {
        self.argument_at(def, &|| at.to_owned())
    }

    fn argument_at(
        &mut self,
        def: ArgDef<'f>,
        at: &dyn Fn() -> String,
    ) -> Result<Argument<'f>, Fault> {
        Ok(match def {
            ArgDef::None => Argument::None,
            ArgDef::Name(name) => Argument::Value(self.names.find(&name, at)?),
            ArgDef::Names(names) => {
                let items = names.iter().map(|name| match name {
                    Some(name) => self.names.find(name, at).map(Argument::Value),
                    None => Ok(Argument::None),
                });
                Argument::List(items.collect::<Result<_, _>>()?)
            }
            ArgDef::Int(number) => Argument::Int(number),
            ArgDef::Float(number) => Argument::Float(number),
            ArgDef::Bool(flag) => Argument::Bool(flag),
            ArgDef::Str(text) => Argument::Str(text),
            ArgDef::ScalarType(code) => match scalar_type(code) {
                Ok(dtype) => Argument::DType(dtype),
                Err(name) => Argument::NoDType(name.to_owned()),
            },
            ArgDef::Other(text) => Argument::Other(text),
            ArgDef::List(items) => {
                let items = items.into_iter().map(|item| self.argument_at(item, at));
                Argument::List(items.collect::<Result<_, _>>()?)
            }
            ArgDef::Graph(graph) => Argument::Graph(Box::new(subgraph(*graph)?)),
            ArgDef::Unknown(tag) => Argument::Unknown(tag),
        })
    }
}

/// A graph that an operator is given; its names are its own.
fn subgraph(def: GraphDef<'_>) -> Result<Graph<'_>, Fault> {
    let mut reader = Reader::default();
    let mut inputs = Vec::with_capacity(def.inputs.len());
    for arg in &def.inputs {
        inputs.push(match arg {
            ArgDef::Name(name) => reader.names.define(name, "a graph within")?,
            _ => reader.unnamed(),
        });
    }
    let nodes = reader.nodes(def.nodes)?;
    let outputs = def.outputs.into_iter();
    let outputs = outputs.map(|arg| reader.argument(arg, "a graph within"));
    let outputs = outputs.collect::<Result<_, _>>()?;
    Ok(Graph {
        names: reader.names.finish(),
        inputs,
        nodes,
        outputs,
    })
}

/// `torch.ops.aten.conv2d.default` as `aten.conv2d.default`, `_operator.mul` as `operator.mul`.
fn op_name(target: Text<'_>) -> Text<'_> {
    use std::borrow::Cow;
    let strip = |text: &str| -> Option<usize> {
        let rest = text
            .strip_prefix("torch.ops.")
            .or_else(|| text.strip_prefix('_'))?;
        Some(text.len() - rest.len())
    };
    match (strip(&target), target.0) {
        (None, text) => Text(text),
        (Some(from), Cow::Borrowed(text)) => Text(Cow::Borrowed(&text[from..])),
        (Some(from), Cow::Owned(text)) => Text(Cow::Owned(text[from..].to_owned())),
    }
}

/// The element type that the schema numbers so; else what it is called.
pub(super) fn scalar_type(code: u64) -> Result<DType, &'static str> {
    let name = match code {
        1 => "u8",
        2 => "i8",
        3 => "i16",
        4 => "i32",
        5 => "i64",
        6 => "f16",
        7 => "f32",
        8 => "f64",
        9..=11 => return Err("there are no complex numbers here"),
        12 => "bool",
        13 => "bf16",
        28 => "u16",
        29..=33 => return Err("there are no 8-bit floats here"),
        34 => "u32",
        35 => "u64",
        _ => return Err("this element type is not known here"),
    };
    DType::from_name(name).ok_or("this element type is not known here")
}
