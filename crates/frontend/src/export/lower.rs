//! From a program to a model graph: every node is a call of a function of ATen's, or arithmetic on
//! sizes, or a graph that is put in its place.

use std::collections::{BTreeMap, BTreeSet};

use syncarp_ir::{Content, DType, Dim, Initial, State, StateEntry, StateKind, TensorType, Value};

use super::error::{Fault, UnsupportedOp, shown};
use super::expression::{Expression, Symbols};
use super::memory::{Memory, Tensor};
use super::number;
use super::program::{Argument, Graph, Node, Origin, Output, Program};
use super::states::States;
use crate::aten::{Arg, Call, Functions, Named};
use crate::draft::Draft;

/// What stands before the path of a state that a state dict does not hold: a constant, or a buffer
/// that is not persistent. Such a state is frozen and is no part of a checkpoint.
pub const NOT_SAVED: &str = "constant:";

/// How deep graphs may be given to operators of graphs.
const MAX_DEPTH: usize = 32;
/// The most nodes that a program becomes.
const MAX_NODES: usize = 1 << 20;
/// The most results of a model.
const MAX_RESULTS: usize = 1024;

/// What a name of the program stands for.
#[derive(Clone)]
enum Slot {
    /// Nothing yet.
    Empty,
    Tensor(Tensor),
    /// A number, a truth value.
    Plain(Arg),
    /// What it comes from could not be taken over.
    Lost,
}

/// Why a node gave nothing.
enum Miss {
    /// It takes something that is lost already; that has been told.
    Lost,
    /// Why, and what to do.
    Because(String),
}

impl From<String> for Miss {
    fn from(reason: String) -> Self {
        Miss::Because(reason)
    }
}

/// What became of a program.
pub(super) enum Lowered {
    /// All of it is in the draft; the results by name.
    Whole(Vec<(String, Value)>),
    /// What is not supported.
    Unsupported(Vec<UnsupportedOp>),
}

/// Lowers a program into a draft.
///
/// # Errors
/// The program contradicts itself.
pub(super) fn lower(
    draft: &mut Draft<'_>,
    program: &Program<'_>,
    states: &States,
) -> Result<Lowered, Fault> {
    let functions = Functions::standard();
    let mut lowerer = Lowerer {
        draft,
        functions: &functions,
        memory: Memory::default(),
        states: Vec::new(),
        symbols: Symbols::new(),
        unsupported: Vec::new(),
        told: BTreeMap::new(),
        no_gradient: false,
        depth: 0,
        moving: Vec::new(),
    };
    lowerer.add_states(states)?;
    lowerer.name_symbols(program);
    let inputs = lowerer.inputs(program, states)?;
    let mut slots = lowerer.frame(&program.graph, inputs);
    lowerer.nodes(&program.graph, &mut slots);
    if lowerer.draft.b.graph().len() > MAX_NODES {
        let message = format!("the program becomes more than {MAX_NODES} nodes");
        return Err(Fault::new("nodes", message));
    }
    let results = lowerer.outputs(program, states, &mut slots)?;
    lowerer.updates();
    match lowerer.unsupported.is_empty() {
        true if results.is_empty() => Err(Fault::new("outputs", "the program gives nothing back")),
        true => Ok(Lowered::Whole(results)),
        false => Ok(Lowered::Unsupported(lowerer.unsupported)),
    }
}

struct Lowerer<'l, 'a> {
    draft: &'l mut Draft<'a>,
    functions: &'l Functions,
    memory: Memory,
    /// The tensor of each state.
    states: Vec<Tensor>,
    symbols: Symbols,
    unsupported: Vec<UnsupportedOp>,
    /// For each op and reason, its place among the unsupported.
    told: BTreeMap<(String, String), usize>,
    /// Whether what is computed now gets no gradient.
    no_gradient: bool,
    depth: usize,
    /// For each value so far, whether it depends on a trainable state.
    moving: Vec<bool>,
}

impl Lowerer<'_, '_> {
    /// Enters all states into the plan, in their order.
    fn add_states(&mut self, states: &States) -> Result<(), Fault> {
        let hashes = states.hashes()?;
        for (def, hash) in states.list.iter().zip(hashes) {
            let dims = def.tensor.dims();
            let ty = TensorType::fixed(def.tensor.dtype(), dims);
            let kind = match def.trainable && def.tensor.dtype().is_float() {
                true => StateKind::Trainable,
                false => StateKind::Frozen,
            };
            let entry = StateEntry {
                ty,
                kind,
                owner: (kind != StateKind::Frozen).then_some(Draft::model()),
                initial: Initial::Content(hash.clone()),
            };
            let path = |name: &str| match def.saved {
                true => name.to_owned(),
                false => format!("{NOT_SAVED}{name}"),
            };
            let first = path(&def.names[0]);
            let state = self.draft.plan.add_state(Draft::model(), &first, entry);
            for name in &def.names[1..] {
                let model = &mut self.draft.plan.models[crate::draft::MODEL];
                model.states.push((path(name).into(), state));
            }
            let contents = &mut self.draft.plan.contents;
            let stored = || Content::stored(def.tensor.clone());
            contents.entry(hash).or_insert_with(stored);
            let tensor = self.memory.state(state, &first);
            self.states.push(tensor);
        }
        Ok(())
    }

    /// Gives every symbol a name here: the first dim of the first input is the batch, `n`.
    fn name_symbols(&mut self, program: &Program<'_>) {
        let dims = |from: &Origin<'_>| match from {
            Origin::Tensor { dims, .. } => dims.clone(),
            Origin::Number(size) => vec![size.clone()],
            _ => Vec::new(),
        };
        let sizes: Vec<Expression> = program
            .inputs
            .iter()
            .flat_map(|input| dims(&input.from))
            .collect();
        let tensors = program.inputs.iter().filter_map(|input| match &input.from {
            Origin::Tensor { dims, .. } => Some(dims),
            _ => None,
        });
        let batch = tensors.map(|dims| dims.first()).next().flatten();
        let mut taken = BTreeSet::new();
        if let Some(Expression::Symbol(name)) = batch {
            self.symbols.insert(name.clone(), Dim::symbol("n"));
            taken.insert("n".to_owned());
        }
        let mut found = Vec::new();
        sizes.iter().for_each(|size| size.symbols(&mut found));
        for name in found {
            if self.symbols.contains_key(&name) {
                continue;
            }
            let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
            let mut spelled: String = name.chars().map(plain).take(64).collect();
            if !spelled.starts_with(|c: char| c.is_ascii_alphabetic()) {
                spelled.insert(0, 's');
            }
            while !taken.insert(spelled.clone()) {
                spelled.push('_');
            }
            self.symbols.insert(name, Dim::symbol(spelled));
        }
    }

    fn dims(&self, dims: &[Expression], at: &str) -> Result<Vec<Dim>, Fault> {
        let dims = dims.iter().map(|size| {
            size.dim(&self.symbols)
                .ok_or_else(|| Fault::new(at, "a size is no expression that can be said here"))
        });
        dims.collect()
    }

    fn inputs(&mut self, program: &Program<'_>, states: &States) -> Result<Vec<Slot>, Fault> {
        let mut slots = Vec::with_capacity(program.inputs.len());
        for input in &program.inputs {
            let name = &program.graph.names[input.value];
            let at = format!("input `{}`", shown(name));
            slots.push(match &input.from {
                Origin::State(target) => {
                    let state = states.find(target).ok_or_else(|| {
                        let message = format!("no tensor `{}` lies in the file", shown(target));
                        Fault::new(&*at, message)
                    })?;
                    Slot::Tensor(self.states[state].clone())
                }
                Origin::Tensor { dtype, dims } => {
                    let dims = self.dims(dims, &at)?;
                    let name = match &**name {
                        // That one counts the steps.
                        syncarp_ir::core_ops::STEP_INPUT => "step_input",
                        name => name,
                    };
                    let value = self.draft.input_of(name, &TensorType::new(*dtype, dims));
                    let value = value.map_err(|error| Fault::new(&*at, error.to_string()))?;
                    Slot::Tensor(self.memory.fresh(value))
                }
                Origin::Fixed(argument) => match self.plain(argument, &mut []) {
                    Ok(arg) => Slot::Plain(arg),
                    Err(_) => return Err(Fault::new(at, "is no number")),
                },
                Origin::Number(_) => {
                    let message = "a number that is an argument has to be fixed when exporting";
                    return Err(Fault::new(at, message));
                }
            });
        }
        Ok(slots)
    }

    /// The slots of a graph, its inputs filled.
    fn frame(&self, graph: &Graph<'_>, inputs: Vec<Slot>) -> Vec<Slot> {
        let mut slots = vec![Slot::Empty; graph.names.len()];
        for (value, slot) in graph.inputs.iter().zip(inputs) {
            slots[*value] = slot;
        }
        slots
    }

    /// Lowers all nodes of a graph, noting those that cannot be.
    fn nodes(&mut self, graph: &Graph<'_>, slots: &mut [Slot]) {
        for node in &graph.nodes {
            if self.draft.b.graph().len() > MAX_NODES {
                return;
            }
            if let Err(miss) = self.node(node, slots) {
                if let Miss::Because(reason) = miss {
                    self.tell(node, reason);
                }
                for value in node.outputs.iter().flatten() {
                    slots[*value] = Slot::Lost;
                }
            }
        }
    }

    fn tell(&mut self, node: &Node<'_>, reason: String) {
        let key = (node.op.to_string(), reason);
        let place = match self.told.get(&key) {
            Some(place) => *place,
            None => {
                self.unsupported.push(UnsupportedOp {
                    op: shown(&key.0),
                    reason: key.1.clone(),
                    count: 0,
                    nodes: Vec::new(),
                });
                self.told.insert(key, self.unsupported.len() - 1);
                self.unsupported.len() - 1
            }
        };
        self.unsupported[place].add(&node.name, &node.path);
    }

    fn node(&mut self, node: &Node<'_>, slots: &mut [Slot]) -> Result<(), Miss> {
        let op: &str = &node.op;
        if let Some(name) = op.strip_prefix("aten.") {
            return self.aten(node, name, slots);
        }
        if let Some(name) = op.strip_prefix("higher_order.")
            && node
                .args
                .iter()
                .any(|(_, arg)| matches!(arg, Argument::Graph(_)))
        {
            return self.higher_order(node, name, slots);
        }
        let args = node.args.iter().map(|(_, arg)| self.plain(arg, slots));
        let args = args.collect::<Result<Vec<Arg>, Miss>>()?;
        match number::evaluate(op, &args) {
            Some(made) => self.give(node, slots, made?),
            None => Err(Miss::Because(unknown(op))),
        }
    }

    /// An argument, tensors as what they hold now.
    fn plain(&mut self, argument: &Argument<'_>, slots: &mut [Slot]) -> Result<Arg, Miss> {
        Ok(match argument {
            Argument::None => Arg::None,
            Argument::Value(value) => match &mut slots[*value] {
                Slot::Tensor(tensor) => Arg::Tensor(self.memory.read(self.draft, tensor)?),
                Slot::Plain(arg) => arg.clone(),
                Slot::Lost | Slot::Empty => return Err(Miss::Lost),
            },
            Argument::Int(number) => Arg::Int(*number),
            Argument::Float(number) => Arg::Float(*number),
            Argument::Bool(flag) => Arg::Bool(*flag),
            Argument::Str(text) | Argument::Other(text) => Arg::Str((**text).into()),
            Argument::DType(dtype) => Arg::Int(crate::aten::scalar_code(*dtype)),
            Argument::NoDType(why) => return Err(Miss::Because(why.clone())),
            Argument::List(items) => {
                let items = items.iter().map(|item| self.plain(item, slots));
                Arg::list(items.collect::<Result<_, _>>()?)?
            }
            Argument::Graph(_) => return Err(Miss::Because("is given a graph".to_owned())),
            Argument::Unknown(tag) => {
                let reason = format!(
                    "has an argument of a kind that is not read here, `{}`",
                    shown(tag)
                );
                return Err(Miss::Because(reason));
            }
        })
    }

    /// A call of a function of ATen's.
    fn aten(&mut self, node: &Node<'_>, name: &str, slots: &mut [Slot]) -> Result<(), Miss> {
        let named = Named::aten(name);
        if is_assertion(named.name) {
            node.outputs
                .iter()
                .flatten()
                .for_each(|value| slots[*value] = Slot::Plain(Arg::None));
            return Ok(());
        }
        let Some(function) = self.functions.find(&named) else {
            return Err(Miss::Because(unknown(&node.op)));
        };
        let mut args = Vec::with_capacity(node.args.len());
        for (name, argument) in &node.args {
            args.push((&**name, self.plain(argument, slots)?));
        }
        let call = Call::new(self.draft, &node.path, function, &named, &[], &args)?;
        let (mut given, written) = call.run()?;
        for (name, value) in written {
            let value = self.without_gradient(&node.path, value)?;
            self.write(node, name, value, slots)?;
        }
        if stops_gradient(named.name) || self.no_gradient {
            given = self.all_without_gradient(&node.path, given)?;
        }
        let works_in_place = named.name.ends_with('_') && !named.name.ends_with("__");
        if works_in_place {
            let Arg::Tensor(value) = given else {
                return Err(Miss::Because("changes what is no tensor".to_owned()));
            };
            let (first, _) = node
                .args
                .first()
                .ok_or_else(|| "changes nothing".to_owned())?;
            let first: &str = first;
            let target = self.write(node, first, value, slots)?;
            if let [Some(output), ..] = node.outputs[..] {
                slots[output] = Slot::Tensor(target);
            }
            return Ok(());
        }
        match may_be_view(named.name) {
            true => self.give_view(node, slots, given),
            false => self.give(node, slots, given),
        }
    }

    /// Changes the tensor that is the argument of this name, and gives it back.
    fn write(
        &mut self,
        node: &Node<'_>,
        name: &str,
        value: Value,
        slots: &mut [Slot],
    ) -> Result<Tensor, Miss> {
        let target = node.args.iter().find(|(n, _)| **n == *name);
        let Some((_, Argument::Value(target))) = target else {
            return Err(Miss::Because(format!(
                "changes `{name}`, which is not given"
            )));
        };
        let Slot::Tensor(tensor) = &mut slots[*target] else {
            return Err(Miss::Lost);
        };
        let before = self.memory.read(self.draft, tensor)?;
        let (old, new) = (
            self.draft.b.ty(before).clone(),
            self.draft.b.ty(value).clone(),
        );
        if old.shape != new.shape {
            let reason = format!("changes a tensor of type {old} to one of {new}");
            return Err(Miss::Because(reason));
        }
        let value = match (old.dtype, new.dtype) {
            (Some(a), Some(b)) if a != b => {
                let attrs = syncarp_ir::Attrs::new().with("to", a);
                let cast = self
                    .draft
                    .at(&node.path, |draft| draft.b.emit1("cast", &[value], attrs));
                cast.map_err(|error| error.to_string())?
            }
            _ => value,
        };
        let memory = &mut self.memory;
        self.draft
            .at(&node.path, |draft| memory.write(draft, tensor, value))?;
        Ok(tensor.clone())
    }

    /// Gives a node's results their names.
    fn give(&mut self, node: &Node<'_>, slots: &mut [Slot], given: Arg) -> Result<(), Miss> {
        let memory = &mut self.memory;
        let mut slot = |arg: &Arg| match arg {
            Arg::Tensor(value) => Slot::Tensor(memory.fresh(*value)),
            arg => Slot::Plain(arg.clone()),
        };
        results(node, &given, |output, arg| slots[output] = slot(arg))
    }

    /// The same of a function that may give views of its first argument, or that itself.
    fn give_view(&mut self, node: &Node<'_>, slots: &mut [Slot], given: Arg) -> Result<(), Miss> {
        let of = match node.args.first() {
            Some((_, Argument::Value(value))) => match &slots[*value] {
                Slot::Tensor(tensor) => Some(tensor.clone()),
                _ => None,
            },
            _ => None,
        };
        // What is only a view where memory allows, is a copy elsewhere.
        let named = Named::aten(node.op.strip_prefix("aten.").unwrap_or_default());
        let copies = matches!(named.name, "contiguous" | "reshape" | "flatten");
        let of = of.filter(|of| !copies || Memory::is_dense(of));
        let (memory, draft) = (&mut self.memory, &*self.draft);
        let mut slot = |arg: &Arg| match arg {
            Arg::Tensor(value) => {
                let view = of.as_ref().and_then(|of| memory.view(draft, of, *value));
                Slot::Tensor(view.unwrap_or_else(|| memory.fresh(*value)))
            }
            arg => Slot::Plain(arg.clone()),
        };
        results(node, &given, |output, arg| slots[output] = slot(arg))
    }

    /// An operator that is given a graph.
    fn higher_order(
        &mut self,
        node: &Node<'_>,
        name: &str,
        slots: &mut [Slot],
    ) -> Result<(), Miss> {
        let at = node
            .args
            .iter()
            .position(|(_, arg)| matches!(arg, Argument::Graph(_)));
        let Some((at, Argument::Graph(graph))) = at.map(|at| (at, &node.args[at].1)) else {
            return Err(Miss::Because(unknown(&node.op)));
        };
        let before: Vec<&Argument<'_>> = node.args[..at].iter().map(|(_, arg)| arg).collect();
        let no_gradient = match (name, &before[..]) {
            ("wrap_with_set_grad_enabled", [Argument::Bool(enabled)]) => !enabled,
            // Whether and to which type it casts; what that changes is not followed.
            ("wrap_with_autocast", [_, _, Argument::Bool(false), ..]) => self.no_gradient,
            ("wrap_with_autocast", _) => {
                let reason = "casts what is computed within, which is not followed here: export \
                              the model without torch.autocast";
                return Err(Miss::Because(reason.to_owned()));
            }
            _ => return Err(Miss::Because(unknown(&node.op))),
        };
        if self.depth >= MAX_DEPTH {
            return Err(Miss::Because(format!("nests more than {MAX_DEPTH} deep")));
        }
        let mut inputs = Vec::with_capacity(graph.inputs.len());
        for (_, arg) in &node.args[at + 1..] {
            inputs.push(match arg {
                Argument::Value(value) => slots[*value].clone(),
                arg => Slot::Plain(self.plain(arg, slots)?),
            });
        }
        if inputs.len() != graph.inputs.len() {
            let (a, b) = (graph.inputs.len(), inputs.len());
            return Err(Miss::Because(format!(
                "gives {b} values to a graph of {a} inputs"
            )));
        }
        let mut inner = self.frame(graph, inputs);
        let outside = std::mem::replace(&mut self.no_gradient, no_gradient);
        self.depth += 1;
        self.nodes(graph, &mut inner);
        self.depth -= 1;
        self.no_gradient = outside;
        let mut given = Vec::new();
        for output in &graph.outputs {
            match output {
                Argument::Value(value) => given.push(inner[*value].clone()),
                Argument::List(items) => {
                    for item in items {
                        given.push(match item {
                            Argument::Value(value) => inner[*value].clone(),
                            item => Slot::Plain(self.plain(item, &mut inner)?),
                        });
                    }
                }
                output => given.push(Slot::Plain(self.plain(output, &mut inner)?)),
            }
        }
        for (output, slot) in node.outputs.iter().zip(given) {
            if let Some(output) = output {
                slots[*output] = slot;
            }
        }
        Ok(())
    }

    /// The same value, which no gradient passes, where one would otherwise.
    fn without_gradient(&mut self, path: &str, value: Value) -> Result<Value, String> {
        match self.no_gradient {
            true => self.stopped(path, value),
            false => Ok(value),
        }
    }

    fn all_without_gradient(&mut self, path: &str, given: Arg) -> Result<Arg, String> {
        match given {
            Arg::Tensor(value) => self.stopped(path, value).map(Arg::Tensor),
            Arg::List(_) => {
                let items = given.items().unwrap_or_default().to_vec().into_iter();
                let items = items.map(|item| self.all_without_gradient(path, item));
                Arg::list(items.collect::<Result<_, _>>()?)
            }
            other => Ok(other),
        }
    }

    fn stopped(&mut self, path: &str, value: Value) -> Result<Value, String> {
        if !self.moves(value) {
            return Ok(value);
        }
        let stopped = self.draft.at(path, |draft| {
            draft
                .b
                .emit1("stop_gradient", &[value], syncarp_ir::Attrs::new())
        });
        stopped.map_err(|error| error.to_string())
    }

    /// Whether a value depends on a trainable state by a way that gradients go.
    fn moves(&mut self, value: Value) -> bool {
        let graph = self.draft.b.graph();
        let mut moving = std::mem::take(&mut self.moving);
        while moving.len() <= value.index() {
            let at = Value::new(moving.len());
            let node = graph.def(at);
            let state = graph.attrs(node).state("of");
            let own = state.is_some_and(|s| self.draft.plan.state(s).kind == StateKind::Trainable);
            let below = !graph.op(node).is_constant()
                && graph
                    .operands(node)
                    .iter()
                    .any(|operand| moving[operand.index()]);
            let float = graph.ty(at).dtype.is_none_or(DType::is_float);
            moving.push(float && (own || below));
        }
        let found = moving[value.index()];
        self.moving = moving;
        found
    }

    /// The results by name: `output`, or of several `output.0`, `output.1`, ...; and what states
    /// become.
    fn outputs(
        &mut self,
        program: &Program<'_>,
        states: &States,
        slots: &mut [Slot],
    ) -> Result<Vec<(String, Value)>, Fault> {
        let count = program
            .outputs
            .iter()
            .filter(|output| matches!(output, Output::Result(_)))
            .count();
        let mut results = Vec::new();
        let mut place = 0;
        for output in &program.outputs {
            match output {
                Output::Result(argument) => {
                    let name = match count {
                        1 => "output".to_owned(),
                        _ => format!("output.{place}"),
                    };
                    place += 1;
                    self.result(&name, argument, slots, &mut results)?;
                }
                Output::Mutation(target, argument) => {
                    let at = format!("output for `{}`", shown(target));
                    let state = states.find(target);
                    let state = state.ok_or_else(|| Fault::new(&*at, "there is no such state"))?;
                    if let Ok(Arg::Tensor(value)) = self.plain(argument, slots) {
                        let tensor = &mut self.states[state];
                        let ty = &self.draft.plan.state(State::new(state)).ty;
                        if self.draft.b.ty(value) != ty {
                            let message = format!("is {}, the state {ty}", self.draft.b.ty(value));
                            return Err(Fault::new(at, message));
                        }
                        let written = self.memory.write(self.draft, tensor, value);
                        written.map_err(|message| Fault::new(at, message))?;
                    }
                }
                Output::Ignored => {}
            }
        }
        if results.len() > MAX_RESULTS {
            let message = format!("there are more than {MAX_RESULTS} results");
            return Err(Fault::new("outputs", message));
        }
        Ok(results)
    }

    fn result(
        &mut self,
        name: &str,
        argument: &Argument<'_>,
        slots: &mut [Slot],
        results: &mut Vec<(String, Value)>,
    ) -> Result<(), Fault> {
        if let Argument::List(items) = argument {
            for (place, item) in items.iter().enumerate() {
                self.result(&format!("{name}.{place}"), item, slots, results)?;
            }
            return Ok(());
        }
        let wrong = |message: String| Fault::new(name, message);
        let arg = match self.plain(argument, slots) {
            Ok(arg) => arg,
            // What it comes from has been told.
            Err(_) => return Ok(()),
        };
        let value = match arg {
            Arg::Tensor(value) => value,
            Arg::None => return Ok(()),
            number => {
                let made = crate::aten::number_tensor(self.draft, &number);
                made.map_err(wrong)?
            }
        };
        results.push((name.to_owned(), value));
        Ok(())
    }

    /// States that were changed in place become buffers with an update.
    fn updates(&mut self) {
        let written: Vec<(State, String, Value)> = self
            .memory
            .written_states()
            .map(|(state, path, value)| (state, path.to_owned(), value))
            .collect();
        for (state, path, value) in written {
            let entry = &mut self.draft.plan.states[state.index()];
            if entry.kind == StateKind::Trainable {
                self.unsupported.push(UnsupportedOp {
                    op: "a parameter that is changed in place".to_owned(),
                    reason: "parameters are changed by the optimizer alone: make it a buffer"
                        .to_owned(),
                    count: 1,
                    nodes: vec![(shown(&path), String::new())],
                });
                continue;
            }
            entry.kind = StateKind::Buffer;
            entry.owner = Some(Draft::model());
            self.draft.update(state, value);
        }
    }
}

/// Hands each result of a node to its name.
fn results(node: &Node<'_>, given: &Arg, mut put: impl FnMut(usize, &Arg)) -> Result<(), Miss> {
    match (given.items(), &node.outputs[..]) {
        (Some(items), outputs) => {
            if items.len() < outputs.len() {
                let reason = format!("gives {} results here, not {}", items.len(), outputs.len());
                return Err(Miss::Because(reason));
            }
            for (output, item) in outputs.iter().zip(items) {
                if let Some(output) = output {
                    put(*output, item);
                }
            }
        }
        (None, [Some(output)]) => put(*output, given),
        (None, [] | [None]) => {}
        (None, outputs) => {
            let reason = format!("gives one result here, not {}", outputs.len());
            return Err(Miss::Because(reason));
        }
    }
    Ok(())
}

fn unknown(op: &str) -> String {
    match op.starts_with("aten.") {
        true => "is not known here: write the model without it, or decompose the program \
                 (`ExportedProgram.run_decompositions`) if that takes it apart"
            .to_owned(),
        false => "is not known here: write the model without it".to_owned(),
    }
}

/// Functions that only check something.
fn is_assertion(name: &str) -> bool {
    name.starts_with("_assert")
        || name.starts_with("sym_constrain")
        || name == "_functional_assert_async"
}

/// Functions whose result gets no gradient.
fn stops_gradient(name: &str) -> bool {
    matches!(
        name,
        "detach" | "detach_" | "detach_copy" | "lift_fresh_copy"
    )
}

/// Functions that give their first argument, or views of it, rather than something new.
fn may_be_view(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "adjoint",
        "alias",
        "as_strided",
        "atleast_1d",
        "atleast_2d",
        "atleast_3d",
        "broadcast_to",
        "chunk",
        "contiguous",
        "detach",
        "diagonal",
        "dropout",
        "expand",
        "expand_as",
        "feature_dropout",
        "alpha_dropout",
        "flatten",
        "lift_fresh",
        "mH",
        "mT",
        "matrix_H",
        "moveaxis",
        "movedim",
        "narrow",
        "numpy_T",
        "permute",
        "positive",
        "ravel",
        "real",
        "requires_grad",
        "reshape",
        "reshape_as",
        "resolve_conj",
        "resolve_neg",
        "select",
        "slice",
        "split",
        "split_with_sizes",
        "squeeze",
        "swapaxes",
        "swapdims",
        "t",
        "tensor_split",
        "to",
        "transpose",
        "type_as",
        "unbind",
        "unflatten",
        "unsafe_chunk",
        "unsafe_split",
        "unsqueeze",
        "view",
        "view_as",
    ];
    NAMES.contains(&name)
}
