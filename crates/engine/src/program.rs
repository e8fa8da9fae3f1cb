//! Programs: a graph with bound sizes, its kernels prepared and every value given a place.
//!
//! Memory is planned from liveness: what only one strand sees lives in its thread's own memory and
//! is reused as soon as it is dead; what crosses strands lives from level to level.

use syncarp_ir::core_ops::{INPUT, STATE};
use syncarp_ir::{Bindings, Graph, Node, OutputKey, State, Value};

use crate::error::EngineError;
use crate::kernel::{Arg, Class, KernelError, KernelRegistry, Precision, Prepared, Spec};
use crate::memory::{Offsets, padded};
use crate::schedule::{Schedule, schedule};
use crate::state::element_size;

/// Where a value lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere: nothing reads it and nothing writes it.
    Nowhere,
    /// In the memory of constants.
    Constant(usize),
    /// In the memory that inputs are written to.
    Input(usize),
    /// A state's value of now.
    Now(State),
    /// A state's next value.
    Next(State),
    /// In the memory that all threads see.
    Shared(usize),
    /// In a thread's own memory.
    Own(usize, usize),
}

/// One kernel call.
pub(crate) struct Call<T> {
    pub node: Node,
    pub kernel: Prepared<T>,
}

/// A graph ready to be linked to memory.
pub(crate) struct Program<T> {
    pub places: Vec<Place>,
    pub args: Vec<Arg>,
    /// Calls that run once.
    pub once: Vec<Call<T>>,
    /// For each level, for each thread, the calls in order.
    pub levels: Vec<Vec<Vec<Call<T>>>>,
    /// Updates whose value is not computed in place: copied after the last level.
    pub moves: Vec<(State, Value)>,
    pub inputs: Vec<(Node, Value)>,
    pub constant_bytes: usize,
    pub input_bytes: usize,
    pub shared_bytes: usize,
    /// Bytes of own memory for each thread, scratch included.
    pub own_bytes: Vec<usize>,
    pub scratch_at: Vec<usize>,
    pub scratch_len: usize,
}

/// Compiles a graph for these sizes and threads.
pub(crate) fn compile<T: Precision>(
    graph: &Graph,
    bindings: &Bindings,
    kernels: &KernelRegistry,
    threads: &[usize],
) -> Result<Program<T>, EngineError> {
    let args = bind(graph, bindings)?;
    check_aliases(graph, &args, kernels)?;
    let plan = schedule(graph, bindings, threads);
    let count = threads.iter().sum();
    let mut layout = Layout::new::<T>(graph, &args, kernels, &plan, count);
    layout.run();
    let Layout {
        places,
        moves,
        constants,
        inputs,
        shared,
        mut own,
        ..
    } = layout;
    let prepare = |node: Node| -> Result<Call<T>, EngineError> {
        let operands: Vec<Arg> = graph
            .operands(node)
            .iter()
            .map(|v| args[v.index()].clone())
            .collect();
        let results: Vec<Arg> = graph
            .results(node)
            .map(|v| args[v.index()].clone())
            .collect();
        let spec = Spec {
            attrs: graph.attrs(node),
            operands: &operands,
            results: &results,
        };
        let kernel = kernels.prepare::<T>(graph.op_name(node), &spec);
        let kernel = kernel.map_err(|error| EngineError::Kernel {
            path: path(graph, node),
            error,
        })?;
        Ok(Call { node, kernel })
    };
    let runs = |node: &Node| !kernels.is_alias(graph.op_name(*node));
    let once = plan
        .once
        .iter()
        .copied()
        .filter(runs)
        .map(prepare)
        .collect::<Result<Vec<_>, _>>()?;
    let mut levels: Vec<Vec<Vec<Call<T>>>> = Vec::new();
    levels.resize_with(plan.levels, || {
        let mut threads = Vec::new();
        threads.resize_with(count, Vec::new);
        threads
    });
    for strand in &plan.strands {
        for node in strand.nodes.iter().copied().filter(runs) {
            levels[strand.level][strand.thread].push(prepare(node)?);
        }
    }
    let all = levels.iter().flatten().flatten().chain(&once);
    let scratch_len = all.map(|c| c.kernel.scratch).max().unwrap_or(0);
    let scratch_at: Vec<usize> = own
        .iter_mut()
        .map(|o| o.take(scratch_len * size_of::<T>()))
        .collect();
    Ok(Program {
        places,
        once,
        levels,
        moves,
        inputs: graph
            .nodes()
            .filter(|n| graph.op_name(*n) == INPUT)
            .map(|n| (n, graph.result(n, 0)))
            .collect(),
        constant_bytes: constants.top(),
        input_bytes: inputs.top(),
        shared_bytes: shared.top(),
        own_bytes: own.iter().map(Offsets::top).collect(),
        scratch_at,
        scratch_len,
        args,
    })
}

/// Where a node comes from, for messages.
pub(crate) fn path(graph: &Graph, node: Node) -> String {
    let provenance = graph.provenance();
    let origins = provenance.set(graph.provenance_id(node)).iter();
    let paths: Vec<_> = origins
        .take(3)
        .map(|o| format!("{} {:?}", o.model, provenance.path(o.path)))
        .collect();
    format!("{} ({})", paths.join(", "), graph.op_name(node))
}

fn bind(graph: &Graph, bindings: &Bindings) -> Result<Vec<Arg>, EngineError> {
    let bound: Vec<Option<Arg>> = graph
        .types()
        .iter()
        .map(|ty| {
            let bound = ty.bind(bindings)?;
            Some(Arg {
                dtype: bound.dtype?,
                dims: bound.numbers()?.to_vec(),
            })
        })
        .collect();
    (0..graph.value_count())
        .map(|i| {
            let value = Value::new(i);
            let arg = bound[graph.type_id(value).index()].clone();
            arg.ok_or_else(|| EngineError::Unbound {
                what: format!(
                    "{value}, {}: {}",
                    path(graph, graph.def(value)),
                    graph.ty(value)
                ),
            })
        })
        .collect()
}

/// An alias has its operand's memory, so both must have as many elements once sizes are bound.
fn check_aliases(graph: &Graph, args: &[Arg], kernels: &KernelRegistry) -> Result<(), EngineError> {
    for node in graph
        .nodes()
        .filter(|n| kernels.is_alias(graph.op_name(*n)))
    {
        let (from, to) = (graph.operands(node)[0], graph.result(node, 0));
        let (from, to) = (&args[from.index()], &args[to.index()]);
        if from.len() != to.len() || Class::of(from.dtype) != Class::of(to.dtype) {
            let message = format!("{:?} elements cannot become {:?}", from.dims, to.dims);
            let error = KernelError(message);
            return Err(EngineError::Kernel {
                path: path(graph, node),
                error,
            });
        }
    }
    Ok(())
}

struct Layout<'a> {
    graph: &'a Graph,
    args: &'a [Arg],
    kernels: &'a KernelRegistry,
    plan: &'a Schedule,
    real_size: usize,
    /// For every value, the value whose place it has: itself but for aliases.
    root: Vec<Value>,
    /// For every root: the strand that alone uses it, if one does, and where in the order of the
    /// strand it is used last; else the level of its last use.
    last: Vec<usize>,
    private: Vec<bool>,
    places: Vec<Place>,
    moves: Vec<(State, Value)>,
    constants: Offsets,
    inputs: Offsets,
    shared: Offsets,
    own: Vec<Offsets>,
}

impl<'a> Layout<'a> {
    fn new<T: Precision>(
        graph: &'a Graph,
        args: &'a [Arg],
        kernels: &'a KernelRegistry,
        plan: &'a Schedule,
        threads: usize,
    ) -> Self {
        let count = graph.value_count();
        Layout {
            graph,
            args,
            kernels,
            plan,
            real_size: element_size::<T>(Class::Real),
            root: (0..count).map(Value::new).collect(),
            last: vec![0; count],
            private: vec![true; count],
            places: vec![Place::Nowhere; count],
            moves: Vec::new(),
            constants: Offsets::default(),
            inputs: Offsets::default(),
            shared: Offsets::default(),
            own: (0..threads).map(|_| Offsets::default()).collect(),
        }
    }

    fn bytes(&self, value: Value) -> usize {
        let arg = &self.args[value.index()];
        let size = match Class::of(arg.dtype) {
            Class::Real => self.real_size,
            Class::Int => 8,
            Class::Bool => 1,
        };
        arg.len() * size
    }

    fn run(&mut self) {
        self.sources();
        self.uses();
        self.updates();
        self.crossing();
        self.within();
        for index in 0..self.places.len() {
            self.places[index] = self.places[self.root[index].index()];
        }
    }

    /// Inputs, states and what runs once have places of their own; aliases have none.
    fn sources(&mut self) {
        for node in self.graph.nodes() {
            let op = self.graph.op_name(node);
            if self.kernels.is_alias(op) {
                let of = self.graph.operands(node)[0];
                self.root[self.graph.result(node, 0).index()] = self.root[of.index()];
            } else if op == INPUT {
                let value = self.graph.result(node, 0);
                self.places[value.index()] = Place::Input(self.inputs.take(self.bytes(value)));
            } else if op == STATE
                && let Some(state) = self.graph.attrs(node).state("of")
            {
                self.places[self.graph.result(node, 0).index()] = Place::Now(state);
            }
        }
        for node in &self.plan.once {
            for value in self.graph.results(*node) {
                if self.root[value.index()] == value {
                    let at = self.constants.take(self.bytes(value));
                    self.places[value.index()] = Place::Constant(at);
                }
            }
        }
    }

    /// Whether a value's root is computed by a strand, and by which.
    fn strand(&self, value: Value) -> Option<usize> {
        self.plan.strand_of[self.graph.def(value).index()]
    }

    /// Finds out who uses what last.
    fn uses(&mut self) {
        for node in self.graph.nodes() {
            let Some(user) = self.plan.strand_of[node.index()] else {
                continue;
            };
            for value in self.graph.operands(node) {
                let root = self.root[value.index()];
                if self.strand(root) != Some(user) {
                    self.private[root.index()] = false;
                }
            }
        }
        for output in self.graph.outputs() {
            self.private[self.root[output.value.index()].index()] = false;
        }
        for node in self.graph.nodes() {
            let Some(user) = self.plan.strand_of[node.index()] else {
                continue;
            };
            let level = self.plan.strands[user].level;
            let results = self.graph.results(node);
            for value in self.graph.operands(node).iter().copied().chain(results) {
                let root = self.root[value.index()].index();
                let at = if self.private[root] {
                    node.index()
                } else {
                    level
                };
                self.last[root] = self.last[root].max(at);
            }
        }
        for output in self.graph.outputs() {
            self.last[self.root[output.value.index()].index()] = self.plan.levels;
        }
    }

    /// A value that becomes a state's next value is computed in its place where it can be.
    fn updates(&mut self) {
        for output in self.graph.outputs() {
            let OutputKey::Update(state) = output.key else {
                continue;
            };
            let value = output.value;
            let computed = self.strand(value).is_some() && self.root[value.index()] == value;
            if computed && self.places[value.index()] == Place::Nowhere {
                self.places[value.index()] = Place::Next(state);
            } else {
                self.moves.push((state, value));
            }
        }
    }

    /// Places values that cross strands, level by level.
    fn crossing(&mut self) {
        let mut born: Vec<Vec<Value>> = vec![Vec::new(); self.plan.levels];
        let mut dying: Vec<Vec<(usize, usize)>> = vec![Vec::new(); self.plan.levels + 1];
        for index in 0..self.places.len() {
            let value = Value::new(index);
            let is_root = self.root[index] == value;
            if let Some(strand) = self.strand(value)
                && is_root
                && !self.private[index]
                && self.places[index] == Place::Nowhere
            {
                born[self.plan.strands[strand].level].push(value);
            }
        }
        for (level, values) in born.into_iter().enumerate() {
            for value in values {
                let bytes = self.bytes(value);
                let at = self.shared.take(bytes);
                self.places[value.index()] = Place::Shared(at);
                dying[self.last[value.index()]].push((at, bytes));
            }
            for (at, bytes) in std::mem::take(&mut dying[level]) {
                self.shared.give_back(at, bytes);
            }
        }
    }

    /// Places what one strand alone sees. Strands of one thread run one after another, so they all
    /// begin with all of the thread's memory free.
    fn within(&mut self) {
        let plan = self.plan;
        for strand in &plan.strands {
            let mut offsets = Offsets::default();
            let mut top = 0;
            for node in &strand.nodes {
                for value in self.graph.results(*node) {
                    let index = value.index();
                    if self.root[index] == value && self.places[index] == Place::Nowhere {
                        let at = offsets.take(self.bytes(value));
                        self.places[index] = Place::Own(strand.thread, at);
                    }
                }
                top = top.max(offsets.top());
                // Results that nothing uses die here as well.
                let results: Vec<Value> = self.graph.results(*node).collect();
                let mut dead: Vec<Value> = self
                    .graph
                    .operands(*node)
                    .iter()
                    .chain(&results)
                    .map(|v| self.root[v.index()])
                    .filter(|r| self.last[r.index()] == node.index() && self.private[r.index()])
                    .collect();
                dead.sort_unstable();
                dead.dedup();
                for value in dead {
                    if let Place::Own(_, at) = self.places[value.index()] {
                        offsets.give_back(at, self.bytes(value));
                    }
                }
            }
            let own = &mut self.own[strand.thread];
            let have = own.top();
            if top > have {
                own.take(padded(top) - have);
            }
        }
    }
}

impl From<EngineError> for KernelError {
    fn from(error: EngineError) -> KernelError {
        KernelError(error.to_string())
    }
}
