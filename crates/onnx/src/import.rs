//! From a file's graph to a plan: every node is looked up, given its operands and emitted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use syncarp_ir::core_ops::{CONSTANT, INPUT, STATE, STEP_INPUT};
use syncarp_ir::{
    Attrs, ContentHash, DType, Dim, GraphBuilder, Initial, Model, ModelEntry, OpRegistry,
    OutputKey, Plan, Role, StateEntry, StateKind, StreamKey, TRAIN, TensorType, Value,
};

use crate::Given;
use crate::call::{Call, Lowered, Miss};
use crate::error::{Fault, UnsupportedOp, shown};
use crate::file::Files;
use crate::item::{Item, Tensor};
use crate::known::{Elements, Known, MOST, Num};
use crate::ops::Registry;
use crate::proto::{FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto};
use crate::scope::{Scope, plain};
use crate::symbols::Symbols;
use crate::tensor::FileTensor;

/// The one model of the plan.
const MODEL: usize = 0;
/// The newest version of the default domain's ops that is known here.
pub(crate) const NEWEST: i64 = 28;
/// How deep functions and bodies may nest.
const MAX_DEPTH: usize = 48;
/// How many nodes are walked beside those of the file: functions and bodies are walked each time.
const MAX_WALKED: usize = 1_000_000;
/// The most elements of a constant that is written into the graph; more are a state.
const MAX_CONSTANT: u64 = 64;
/// From how many failures on nobody looks which inputs they come from.
const MAX_TRACED: usize = 64;

/// What became of a file.
pub(crate) enum Outcome {
    Whole(Box<Plan>),
    Unsupported(Vec<UnsupportedOp>),
}

/// A tensor of the file, and what it became in the plan.
struct Weight {
    name: String,
    tensor: FileTensor,
    /// Whether it is one of the model's named parameters.
    parameter: bool,
    emitted: Option<Value>,
    known: Option<Option<Rc<Known>>>,
}

/// A plan in the making.
pub(crate) struct Importer<'m> {
    pub b: GraphBuilder,
    plan: Plan,
    files: &'m Files,
    registry: &'m Registry,
    functions: BTreeMap<(&'m str, &'m str, &'m str), &'m FunctionProto>,
    weights: Vec<Weight>,
    /// For each state, the weight that it comes from.
    of_states: Vec<usize>,
    unsupported: Vec<UnsupportedOp>,
    told: BTreeMap<(String, String), usize>,
    /// A mistake of the file's within a body.
    fault: Option<Fault>,
    walked: usize,
    most_walked: usize,
    depth: usize,
    traced: usize,
    names: BTreeSet<String>,
    inputs: HashMap<Value, String>,
    streams: BTreeMap<String, u32>,
    step: Option<Value>,
}

/// Imports a model.
///
/// # Errors
/// The file contradicts itself.
pub(crate) fn import(
    name: &str,
    model: &ModelProto,
    files: &Files,
    ops: &std::sync::Arc<OpRegistry>,
    given: &Given,
) -> Result<Outcome, Fault> {
    let graph = model.graph.as_ref();
    let graph = graph.ok_or_else(|| Fault::new("file", "holds no graph, so is no ONNX model"))?;
    let registry = Registry::standard();
    let scope = Scope::new(&model.opset_import, String::new());
    check_versions(&scope)?;
    let entry = ModelEntry {
        name: name.into(),
        ..ModelEntry::default()
    };
    let mut functions = BTreeMap::new();
    for function in &model.functions {
        let key = (
            plain(&function.domain),
            &*function.name,
            &*function.overload,
        );
        if functions.insert(key, function).is_some() {
            let place = format!("function `{}`", shown(&function.name));
            return Err(Fault::new(place, "is there twice"));
        }
    }
    let in_functions = model.functions.iter().map(|function| function.node.len());
    let importer = Importer {
        b: GraphBuilder::new(ops.clone()),
        plan: Plan {
            models: vec![entry],
            ..Plan::default()
        },
        files,
        registry: &registry,
        functions,
        weights: Vec::new(),
        of_states: Vec::new(),
        unsupported: Vec::new(),
        told: BTreeMap::new(),
        fault: None,
        walked: 0,
        most_walked: MAX_WALKED + graph.node.len() + in_functions.sum::<usize>(),
        depth: 0,
        traced: 0,
        names: BTreeSet::new(),
        inputs: HashMap::new(),
        streams: BTreeMap::new(),
        step: None,
    };
    importer.run(graph, scope, given)
}

fn check_versions(scope: &Scope<'_, '_>) -> Result<(), Fault> {
    let known = 1..=NEWEST;
    match scope.version("") {
        Some(version) if !known.contains(&version) => Err(Fault::new(
            "opset_import",
            format!("asks for version {version} of the ops; 7 to {NEWEST} are known here"),
        )),
        _ => Ok(()),
    }
}

impl<'m> Importer<'m> {
    fn run(
        mut self,
        graph: &'m GraphProto,
        mut scope: Scope<'_, 'm>,
        given: &Given,
    ) -> Result<Outcome, Fault> {
        self.initializers(graph, &mut scope)?;
        self.inputs(graph, &mut scope, given)?;
        self.nodes(&graph.node, &mut scope)?;
        self.outputs(graph, &scope)?;
        if !self.unsupported.is_empty() {
            return Ok(Outcome::Unsupported(self.unsupported));
        }
        self.fill_states()?;
        let graph = live(&self.b.finish());
        self.plan.set_graph(TRAIN, graph);
        Ok(Outcome::Whole(Box::new(self.plan)))
    }

    /// Enters a graph's initialisers, without reading them.
    pub fn initializers(
        &mut self,
        graph: &'m GraphProto,
        scope: &mut Scope<'_, 'm>,
    ) -> Result<(), Fault> {
        for proto in &graph.initializer {
            let place = || format!("initialiser `{}`", shown(&proto.name));
            let item = match self.tensor_of(proto, &proto.name, true) {
                Ok(tensor) => Item::Tensor(tensor),
                Err(message) if message.contains("not supported") => {
                    self.tell("initialiser", message, BTreeSet::new(), &proto.name);
                    Item::Lost
                }
                Err(message) => return Err(Fault::new(place(), message)),
            };
            if proto.name.is_empty() || !scope.set(&proto.name, item) {
                return Err(Fault::new(place(), "is there twice, or has no name"));
            }
        }
        for sparse in &graph.sparse_initializer {
            let name = sparse.values.as_ref().map_or("", |values| &values.name);
            let reason = "sparse tensors are not supported; store it dense".to_owned();
            self.tell("initialiser", reason, BTreeSet::new(), name);
            scope.set(name, Item::Lost);
        }
        Ok(())
    }

    /// A tensor of the file. Its elements stay there.
    pub fn tensor_of(
        &mut self,
        proto: &'m TensorProto,
        name: &str,
        parameter: bool,
    ) -> Result<Tensor, String> {
        let tensor = FileTensor::new(proto, self.files)?;
        self.weights.push(Weight {
            name: name.to_owned(),
            tensor,
            parameter,
            emitted: None,
            known: None,
        });
        Ok(Tensor::Weight(self.weights.len() - 1))
    }

    fn inputs(
        &mut self,
        graph: &'m GraphProto,
        scope: &mut Scope<'_, 'm>,
        given: &Given,
    ) -> Result<(), Fault> {
        let mut symbols = Symbols::default();
        for input in &graph.input {
            // Older files list initialisers among the inputs.
            if scope.get(&input.name).is_some() {
                continue;
            }
            let place = || format!("input `{}`", shown(&input.name));
            if input.name == STEP_INPUT {
                let message = format!("`{STEP_INPUT}` is the number of the step here; rename it");
                return Err(Fault::new(place(), message));
            }
            let said = match crate::symbols::type_of(input, &mut symbols) {
                Ok(ty) => ty,
                Err(message) => {
                    self.tell("input", message, BTreeSet::new(), &input.name);
                    scope.set(&input.name, Item::Lost);
                    continue;
                }
            };
            let item = match given.values.get(&input.name) {
                Some((ty, data)) => {
                    let known = Known::of(ty, data).filter(|known| known.count() as u64 <= MOST);
                    known.map(|known| (ty, Item::from(known)))
                }
                None => None,
            };
            let item = match item {
                Some((ty, item)) => {
                    fits(&said, ty).map_err(|message| Fault::new(place(), message))?;
                    item
                }
                None => {
                    let values = given.values.get(&input.name).map(|(ty, _)| ty);
                    let ty = match given.types.get(&input.name).or(values) {
                        Some(ty) => {
                            let ty = fits(&said, ty);
                            ty.map_err(|message| Fault::new(place(), message))?
                        }
                        None => said,
                    };
                    let value = self.input(&input.name, &ty);
                    let value = value.map_err(|message| Fault::new(place(), message))?;
                    self.inputs.insert(value, input.name.clone());
                    Item::from(value)
                }
            };
            scope.set(&input.name, item);
        }
        Ok(())
    }

    fn input(&mut self, name: &str, ty: &TensorType) -> Result<Value, String> {
        let mut attrs = Attrs::new()
            .with("model", Model::new(MODEL))
            .with("name", name);
        if let Some(dtype) = ty.dtype {
            attrs.set("dtype", dtype);
        }
        if let Some(dims) = ty.dims() {
            attrs.set("dims", dims);
        }
        self.at("");
        self.b
            .emit1(INPUT, &[], attrs)
            .map_err(|error| error.to_string())
    }

    /// Marks the nodes to come.
    fn at(&mut self, path: &str) {
        self.b.set_origin(Model::new(MODEL), path, Role::Forward);
    }

    /// The number of the step, made once.
    pub fn step(&mut self) -> Result<Value, String> {
        if let Some(value) = self.step {
            return Ok(value);
        }
        let before = self.b.context();
        let value = self.input(STEP_INPUT, &TensorType::scalar(DType::I64))?;
        self.b.set_context(before);
        self.step = Some(value);
        Ok(value)
    }

    /// The next random stream of a place.
    pub fn stream(&mut self, path: &str) -> StreamKey {
        let next = self.streams.entry(path.to_owned()).or_insert(0);
        *next += 1;
        StreamKey::unbound(path, *next - 1)
    }

    /// Walks nodes in their order.
    ///
    /// # Errors
    /// A node contradicts the file.
    pub fn nodes(
        &mut self,
        nodes: &'m [NodeProto],
        scope: &mut Scope<'_, 'm>,
    ) -> Result<(), Fault> {
        for node in nodes {
            self.walked += 1;
            let path = format!("{}{}", scope.path, title(node));
            if self.walked > self.most_walked {
                let message = "functions and loops come to too many nodes";
                return Err(Fault::new(at_node(&path), message));
            }
            let operands =
                operands(node, scope).map_err(|message| Fault::new(at_node(&path), message))?;
            let results = match operands {
                Some(operands) => self.node(node, operands, scope, &path)?,
                None => Vec::new(),
            };
            for (at, name) in node.output.iter().enumerate() {
                if name.is_empty() {
                    continue;
                }
                let item = results.get(at).cloned().unwrap_or(Item::Lost);
                if !scope.set(name, item) {
                    let message = format!("gives `{}`, which is there already", shown(name));
                    return Err(Fault::new(at_node(&path), message));
                }
            }
        }
        Ok(())
    }

    /// The results of a node; none where it cannot be taken over, which is told.
    fn node(
        &mut self,
        node: &'m NodeProto,
        operands: Vec<Option<Item>>,
        scope: &Scope<'_, 'm>,
        path: &str,
    ) -> Result<Vec<Item>, Fault> {
        let domain = plain(&node.domain);
        let key = (domain, &*node.op_type, &*node.overload);
        let before = self.b.context();
        self.at(path);
        let results = match self.functions.get(&key).copied() {
            Some(function) => self.function(function, node, operands, scope, path),
            None => self.op(node, operands, scope, path),
        };
        self.b.set_context(before);
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let (reason, wanted) = match results {
            Ok(results) => {
                let asked = node.output.iter().rposition(|name| !name.is_empty());
                if asked.is_none_or(|last| last < results.len()) {
                    return Ok(results);
                }
                let message = format!("gives {} results here", results.len());
                (message, BTreeSet::new())
            }
            Err(Miss::Because(reason)) => (reason, BTreeSet::new()),
            Err(Miss::Unknown(reason, value)) => (reason, self.sources(value)),
        };
        let op = match domain {
            "" => node.op_type.clone(),
            domain => format!("{domain}.{}", node.op_type),
        };
        self.tell(&op, reason, wanted, path);
        Ok(Vec::new())
    }

    fn op(
        &mut self,
        node: &'m NodeProto,
        operands: Vec<Option<Item>>,
        scope: &Scope<'_, 'm>,
        path: &str,
    ) -> Lowered {
        let domain = plain(&node.domain);
        let op = match domain {
            "" => self.registry.find(&node.op_type).copied(),
            _ => None,
        };
        let Some(op) = op else {
            let names = self.registry.names();
            let near = match domain {
                "" => syncarp_ir::nearest(&node.op_type, names.iter().copied()),
                _ => None,
            };
            let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            let from = if domain.is_empty() {
                ""
            } else {
                " of this domain"
            };
            return Err(format!(
                "there is no such op{from} here; export it as a function of others, or cut the \
                 model before it{near}"
            )
            .into());
        };
        let version = scope
            .version("")
            .ok_or("the file does not say which opset it asks for")?;
        let mut call = Call {
            im: self,
            node,
            scope,
            version,
            operands,
            path,
        };
        if let Some(fold) = op.fold {
            let all = (0..call.operands.len()).map(|index| call.foldable(index));
            let known: Option<Vec<Rc<Known>>> = all.collect();
            let folded = known.and_then(|known| fold(&call, &known));
            if let Some(folded) = folded.filter(|folded| folded.count() as u64 <= MOST) {
                return Ok(vec![folded.into()]);
            }
        }
        (op.lower)(&mut call)
    }

    /// Walks a function's nodes in the place of a node that calls it.
    fn function(
        &mut self,
        function: &'m FunctionProto,
        node: &'m NodeProto,
        operands: Vec<Option<Item>>,
        scope: &Scope<'_, 'm>,
        path: &str,
    ) -> Lowered {
        if operands.len() > function.input.len() {
            let (given, takes) = (operands.len(), function.input.len());
            return Err(format!("gets {given} operands, the function takes {takes}").into());
        }
        let mut inner = Scope::new(&function.opset_import, format!("{path}/"));
        for (at, name) in function.input.iter().enumerate() {
            let operand = operands.get(at).cloned().flatten();
            inner.set(name, operand.unwrap_or(Item::Nothing));
        }
        for attr in &function.attribute_proto {
            inner.bound.insert(&attr.name, attr);
        }
        for attr in &node.attribute {
            let given = match attr.ref_attr_name.as_str() {
                "" => Some(attr),
                bound => scope.bound.get(bound).copied(),
            };
            if let Some(given) = given {
                inner.bound.insert(&attr.name, given);
            }
        }
        self.enter(|im| im.nodes(&function.node, &mut inner))?;
        let results = function.output.iter().map(|name| {
            let item = inner.get(name).cloned();
            item.ok_or_else(|| Miss::Because(format!("the function gives no `{}`", shown(name))))
        });
        results.collect()
    }

    /// Walks what is nested, so deep as it may.
    pub fn enter<T>(
        &mut self,
        walk: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Miss> {
        if self.depth >= MAX_DEPTH {
            return Err(
                "functions or bodies are nested too deep, or a function calls itself".into(),
            );
        }
        self.depth += 1;
        let walked = walk(self);
        self.depth -= 1;
        walked.map_err(|fault| {
            let message = fault.message.clone();
            self.fault.get_or_insert(fault);
            Miss::Because(message)
        })
    }

    /// Notes what cannot be taken over.
    fn tell(&mut self, op: &str, reason: String, wanted: BTreeSet<String>, node: &str) {
        let key = (shown(op), reason);
        let at = match self.told.get(&key) {
            Some(at) => *at,
            None => {
                self.unsupported.push(UnsupportedOp {
                    op: key.0.clone(),
                    reason: key.1.clone(),
                    wanted: BTreeSet::new(),
                    count: 0,
                    nodes: Vec::new(),
                });
                self.told.insert(key, self.unsupported.len() - 1);
                self.unsupported.len() - 1
            }
        };
        self.unsupported[at].add(node);
        self.unsupported[at].wanted.extend(wanted);
    }

    /// The inputs that a value is computed from; none where one of them is too large to be known.
    fn sources(&mut self, value: Value) -> BTreeSet<String> {
        self.traced += 1;
        let mut found = BTreeSet::new();
        if self.traced > MAX_TRACED {
            return found;
        }
        let graph = self.b.graph();
        let mut seen = vec![false; graph.len()];
        let mut next = vec![graph.def(value)];
        while let Some(node) = next.pop() {
            if std::mem::replace(&mut seen[node.index()], true) {
                continue;
            }
            next.extend(
                graph
                    .operands(node)
                    .iter()
                    .map(|operand| graph.def(*operand)),
            );
            if graph.op_name(node) != INPUT {
                continue;
            }
            let input = graph.result(node, 0);
            let large = graph.ty(input).elements().is_some_and(|count| count > MOST);
            match self.inputs.get(&input) {
                Some(name) if !large => found.insert(name.clone()),
                _ => return BTreeSet::new(),
            };
        }
        found
    }

    // Tensors.

    /// The type of a tensor, wherever it is.
    pub fn ty(&self, tensor: &Tensor) -> TensorType {
        match tensor {
            Tensor::Value(value) => self.b.ty(*value).clone(),
            Tensor::Known(known) => TensorType::fixed(known.dtype, &known.dims),
            Tensor::Weight(at) => self.weights[*at].tensor.ty(),
        }
    }

    /// A tensor's elements, where they are known here; of the model's parameters only if `all`.
    pub fn known(&mut self, tensor: &Tensor, all: bool) -> Option<Rc<Known>> {
        let at = match tensor {
            Tensor::Value(_) => return None,
            Tensor::Known(known) => return Some(known.clone()),
            Tensor::Weight(at) => *at,
        };
        let weight = &mut self.weights[at];
        let computed =
            !weight.parameter || !weight.tensor.dtype.is_float() || weight.tensor.dims.is_empty();
        if weight.tensor.count() > MOST || !(all || computed) {
            return None;
        }
        let load = || {
            let data = weight.tensor.load().ok()?;
            Known::of(&weight.tensor.ty(), &data).map(Rc::new)
        };
        weight.known.get_or_insert_with(load).clone()
    }

    /// A tensor in the graph.
    pub fn value(&mut self, tensor: &Tensor) -> Result<Value, String> {
        match tensor {
            Tensor::Value(value) => Ok(*value),
            Tensor::Known(known) => self.emit_known(known),
            Tensor::Weight(at) => self.emit_weight(*at),
        }
    }

    fn emit_weight(&mut self, at: usize) -> Result<Value, String> {
        let weight = &self.weights[at];
        if let Some(value) = weight.emitted {
            return Ok(value);
        }
        let small = match weight.parameter {
            // Numbers and sizes are no parameters.
            true => weight.tensor.dims.is_empty() || !weight.tensor.dtype.is_float(),
            false => true,
        };
        let value = if small && weight.tensor.count() <= MAX_CONSTANT {
            let known = self.known(&Tensor::Weight(at), true);
            let known = known.ok_or_else(|| "a constant cannot be read".to_owned())?;
            self.emit_known(&known)?
        } else {
            let (name, ty) = (weight.name.clone(), weight.tensor.ty());
            self.emit_state(at, &name, ty)?
        };
        self.weights[at].emitted = Some(value);
        Ok(value)
    }

    fn emit_state(&mut self, at: usize, name: &str, ty: TensorType) -> Result<Value, String> {
        let mut path = if name.is_empty() { "constant" } else { name }.to_owned();
        for again in 2.. {
            if self.names.insert(path.clone()) {
                break;
            }
            path = format!("{name}.{again}");
        }
        let entry = StateEntry {
            ty: ty.clone(),
            kind: StateKind::Frozen,
            owner: None,
            // Its content is hashed when all are known.
            initial: Initial::Content(ContentHash("".into())),
        };
        let state = self.plan.add_state(Model::new(MODEL), &path, entry);
        self.of_states.push(at);
        let op = self.b.graph().registry().find(STATE);
        let op = op.ok_or_else(|| "there are no states here".to_owned())?;
        let attrs = Attrs::new().with("of", state);
        let before = self.b.context();
        self.at(&path);
        let values = self.b.emit_id(op, &[], attrs, Some(&[ty]));
        self.b.set_context(before);
        Ok(values.map_err(|error| error.to_string())?[0])
    }

    fn emit_known(&mut self, known: &Known) -> Result<Value, String> {
        if let Some(value) = known.emitted.get() {
            return Ok(value);
        }
        let dims: Vec<Dim> = known.dims.iter().copied().map(Dim::Known).collect();
        let attrs = Attrs::new().with("dtype", known.dtype);
        let attrs = if dims.is_empty() {
            attrs
        } else {
            attrs.with("dims", dims.clone())
        };
        let attrs = match &known.elements {
            Elements::Floats(items) => match alike(items, |a, b| a.to_bits() == b.to_bits()) {
                Some(item) => attrs.with("value", *item),
                None => attrs.with("value", items.clone()),
            },
            Elements::Ints(_) => match known.ints() {
                Some(items) => match alike(&items, |a, b| a == b) {
                    Some(item) if known.dtype == DType::Bool => attrs.with("value", *item != 0),
                    Some(item) => attrs.with("value", *item),
                    None => attrs.with("value", items),
                },
                None => return self.emit_sizes(known, &dims),
            },
        };
        let value = self
            .b
            .emit1(CONSTANT, &[], attrs)
            .map_err(|error| error.to_string())?;
        known.emitted.set(Some(value));
        Ok(value)
    }

    /// Numbers of which some are dims that are bound later.
    fn emit_sizes(&mut self, known: &Known, dims: &[Dim]) -> Result<Value, String> {
        let mut emit = |op: &str, operands: &[Value], attrs: Attrs| {
            let made = self.b.emit1(op, operands, attrs);
            made.map_err(|error| error.to_string())
        };
        let mut parts = Vec::new();
        for num in known.nums().unwrap_or_default() {
            let part = match num {
                Num::Int(number) => {
                    let attrs = Attrs::new().with("dtype", known.dtype);
                    emit(CONSTANT, &[], attrs.with("value", *number))?
                }
                Num::Dim(dim) => {
                    // How many elements a tensor has whose elements nobody reads.
                    let attrs = Attrs::new().with("dtype", DType::F64).with("value", 0.0);
                    let long = emit(CONSTANT, &[], attrs.with("dims", vec![dim.clone()]))?;
                    let count = emit("count", &[long], Attrs::new())?;
                    emit("cast", &[count], Attrs::new().with("to", known.dtype))?
                }
            };
            let one = vec![Dim::Known(1)];
            parts.push(emit("reshape", &[part], Attrs::new().with("dims", one))?);
        }
        let value = match parts[..] {
            [one] => one,
            _ => emit("concat", &parts, Attrs::new().with("axis", 0i64))?,
        };
        let value = emit("reshape", &[value], Attrs::new().with("dims", dims))?;
        known.emitted.set(Some(value));
        Ok(value)
    }

    fn outputs(&mut self, graph: &'m GraphProto, scope: &Scope<'_, 'm>) -> Result<(), Fault> {
        let mut taken = BTreeSet::new();
        for output in &graph.output {
            let place = || format!("output `{}`", shown(&output.name));
            let item = scope.get(&output.name);
            let item = item.ok_or_else(|| Fault::new(place(), "is given by no node"))?;
            if !taken.insert(&output.name) {
                return Err(Fault::new(place(), "is there twice"));
            }
            let tensor = match item {
                Item::Tensor(tensor) => tensor,
                Item::Lost => continue,
                Item::Sequence(_) | Item::Nothing => {
                    let reason = "a result is one tensor here; give the elements one by one";
                    self.tell("output", reason.to_owned(), BTreeSet::new(), &output.name);
                    continue;
                }
            };
            self.at("");
            let value = self
                .value(tensor)
                .map_err(|message| Fault::new(place(), message))?;
            let key = OutputKey::Result(Model::new(MODEL), output.name.as_str().into());
            self.b.output(key, value);
        }
        match graph.output.is_empty() {
            true => Err(Fault::new("graph", "gives nothing back")),
            false => Ok(()),
        }
    }

    /// Gives the states their contents.
    fn fill_states(&mut self) -> Result<(), Fault> {
        let tensors = self.of_states.iter().map(|at| &self.weights[*at].tensor);
        let hashes = crate::hashes::of(&tensors.collect::<Vec<_>>());
        for (state, (hash, at)) in hashes.into_iter().zip(&self.of_states).enumerate() {
            let weight = &self.weights[*at];
            let place = || format!("initialiser `{}`", shown(&weight.name));
            let hash = hash.map_err(|message| Fault::new(place(), message))?;
            let content = || weight.tensor.content();
            self.plan
                .contents
                .entry(hash.clone())
                .or_insert_with(content);
            self.plan.states[state].initial = Initial::Content(hash);
        }
        Ok(())
    }
}

/// What a node is called.
fn title(node: &NodeProto) -> String {
    match (node.name.as_str(), node.output.first()) {
        ("", Some(output)) => format!("{}:{}", shown(&node.op_type), shown(output)),
        ("", None) => shown(&node.op_type),
        (name, _) => shown(name),
    }
}

fn at_node(path: &str) -> String {
    format!("node `{}`", shown(path))
}

/// What a node's operands stand for; none where one of them is lost.
fn operands(node: &NodeProto, scope: &Scope<'_, '_>) -> Result<Option<Vec<Option<Item>>>, String> {
    let mut operands = Vec::with_capacity(node.input.len());
    for name in &node.input {
        operands.push(match name.as_str() {
            "" => None,
            name => match scope.get(name) {
                Some(Item::Lost) => return Ok(None),
                Some(Item::Nothing) => None,
                Some(item) => Some(item.clone()),
                None => {
                    let name = shown(name);
                    return Err(format!("reads `{name}`, which nothing before it gives"));
                }
            },
        });
    }
    Ok(Some(operands))
}

/// The element that all are equal to.
fn alike<T>(items: &[T], same: impl Fn(&T, &T) -> bool) -> Option<&T> {
    let first = items.first()?;
    items.iter().all(|item| same(item, first)).then_some(first)
}

/// What is known of an input from both sides: where the file has a symbol, what is given holds.
fn fits(said: &TensorType, given: &TensorType) -> Result<TensorType, String> {
    let wrong = || Err(format!("is {said} in the file, but given as {given}"));
    let dtype = match (said.dtype, given.dtype) {
        (Some(a), Some(b)) if a != b => return wrong(),
        (a, b) => a.or(b),
    };
    let shape = match (said.dims(), given.dims()) {
        (Some(a), Some(b)) => {
            let agree = |(a, b): (&Dim, &Dim)| match (a.known(), b.known()) {
                (Some(a), Some(b)) => a == b,
                _ => true,
            };
            if a.len() != b.len() || !a.iter().zip(b).all(agree) {
                return wrong();
            }
            let meet = |(a, b): (&Dim, &Dim)| if a.known().is_some() { a } else { b }.clone();
            Some(a.iter().zip(b).map(meet).collect())
        }
        (a, b) => a.or(b).map(|dims| dims.iter().cloned().collect()),
    };
    Ok(TensorType { dtype, shape })
}

/// The graph without what no output needs, but with all inputs.
fn live(graph: &syncarp_ir::Graph) -> syncarp_ir::Graph {
    let live = graph.live();
    let mut rw = syncarp_ir::Rewriter::new(graph);
    for node in graph.nodes() {
        if live[node.index()] || graph.op_name(node) == INPUT {
            rw.copy(node);
        }
    }
    rw.copy_outputs();
    rw.finish()
}
