//! Which values share memory. PyTorch's functions may change a tensor in place, and a view of it:
//! every tensor is kept as its base and the way from there, so that a write to one is a new value of
//! the base, and the others are read anew.

use std::rc::Rc;

use syncarp_ir::{Attrs, DType, Dim, OpId, State, Value};

use crate::draft::Draft;

/// How long the way from a base to a view may be.
const MAX_STEPS: usize = 64;

/// All memory of a program.
#[derive(Default)]
pub(super) struct Memory {
    cells: Vec<Cell>,
}

/// A base: memory of its own.
struct Cell {
    /// What it holds now; none as long as its state has not been read.
    value: Option<Value>,
    /// How often it was written.
    version: u32,
    state: Option<(State, Rc<str>)>,
}

/// A tensor: a base, or a view of one.
#[derive(Clone)]
pub(super) struct Tensor {
    cell: usize,
    view: Option<Rc<Step>>,
    /// What was read last, of which version.
    read: Option<(u32, Value)>,
}

/// One step of the way from a base to a view: an op of the IR that only moves elements about.
struct Step {
    before: Option<Rc<Step>>,
    op: OpId,
    attrs: Attrs,
    /// How many steps there are up to this one.
    count: usize,
    /// Whether elements lie one after the other as in a tensor of its own.
    dense: bool,
}

impl Memory {
    /// A tensor in memory of its own.
    pub fn fresh(&mut self, value: Value) -> Tensor {
        self.cells.push(Cell {
            value: Some(value),
            version: 0,
            state: None,
        });
        Tensor {
            cell: self.cells.len() - 1,
            view: None,
            read: Some((0, value)),
        }
    }

    /// A tensor that is a state; it is read when it is needed.
    pub fn state(&mut self, state: State, path: &str) -> Tensor {
        self.cells.push(Cell {
            value: None,
            version: 0,
            state: Some((state, path.into())),
        });
        Tensor {
            cell: self.cells.len() - 1,
            view: None,
            read: None,
        }
    }

    /// What a tensor holds now.
    pub fn read(&mut self, draft: &mut Draft<'_>, tensor: &mut Tensor) -> Result<Value, String> {
        let cell = &mut self.cells[tensor.cell];
        if let Some((version, value)) = tensor.read
            && version == cell.version
        {
            return Ok(value);
        }
        let base = cell.base(draft)?;
        let version = cell.version;
        let value = match &tensor.view {
            None => base,
            Some(last) => {
                let mut value = base;
                for step in steps(last)? {
                    value = step.apply(draft, value)?;
                }
                value
            }
        };
        tensor.read = Some((version, value));
        Ok(value)
    }

    /// A view of a tensor, if a value was made of the tensor's by moving elements about alone; the
    /// tensor itself where it is its value.
    pub fn view(&self, draft: &Draft<'_>, of: &Tensor, value: Value) -> Option<Tensor> {
        let (version, base) = of.read?;
        let graph = draft.b.graph();
        let mut nodes = Vec::new();
        let mut at = value;
        while at != base {
            let node = graph.def(at);
            let [operand] = graph.operands(node) else {
                return None;
            };
            if !MOVES.contains(&graph.op_name(node)) || nodes.len() > 8 {
                return None;
            }
            nodes.push(node);
            at = *operand;
        }
        let mut view = of.view.clone();
        for node in nodes.into_iter().rev() {
            let dims = graph.ty(graph.operands(node)[0]).dims().unwrap_or_default();
            let before = view.as_ref().is_none_or(|step| step.dense);
            let count = view.as_ref().map_or(0, |step| step.count) + 1;
            let attrs = graph.attrs(node).clone();
            view = Some(Rc::new(Step {
                before: view,
                op: graph.op_id(node),
                count,
                dense: before && keeps_density(graph.op_name(node), &attrs, dims),
                attrs,
            }));
        }
        Some(Tensor {
            cell: of.cell,
            view,
            read: Some((version, value)),
        })
    }

    /// Whether a tensor's elements lie one after the other, row-major.
    pub fn is_dense(tensor: &Tensor) -> bool {
        tensor.view.as_ref().is_none_or(|step| step.dense)
    }

    /// Puts a value into a tensor's memory.
    pub fn write(
        &mut self,
        draft: &mut Draft<'_>,
        tensor: &mut Tensor,
        value: Value,
    ) -> Result<(), String> {
        let cell = &mut self.cells[tensor.cell];
        let mut whole = value;
        if let Some(last) = &tensor.view {
            let steps = steps(last)?;
            // What each step was made of.
            let mut sources = vec![cell.base(draft)?];
            for step in &steps[..steps.len() - 1] {
                let source = sources[sources.len() - 1];
                sources.push(step.apply(draft, source)?);
            }
            for (step, source) in steps.iter().zip(sources).rev() {
                whole = step.put(draft, source, whole)?;
            }
        }
        cell.value = Some(whole);
        cell.version = cell.version.checked_add(1).ok_or("is written too often")?;
        tensor.read = Some((cell.version, value));
        Ok(())
    }

    /// States that were written, with what they hold now.
    pub fn written_states(&self) -> impl Iterator<Item = (State, &str, Value)> {
        self.cells.iter().filter_map(|cell| {
            let (state, path) = cell.state.as_ref()?;
            (cell.version > 0).then_some((*state, &**path, cell.value?))
        })
    }
}

impl Cell {
    fn base(&mut self, draft: &mut Draft<'_>) -> Result<Value, String> {
        if let Some(value) = self.value {
            return Ok(value);
        }
        let (state, path) = self.state.as_ref().ok_or("holds nothing")?;
        let value = draft
            .read(path, *state)
            .map_err(|error| error.to_string())?;
        self.value = Some(value);
        Ok(value)
    }
}

/// The ops that move elements about.
const MOVES: &[&str] = &[
    "reshape",
    "flatten",
    "squeeze",
    "unsqueeze",
    "transpose",
    "slice",
    "expand",
    "stop_gradient",
];

/// The way from a base, first step first.
fn steps(last: &Rc<Step>) -> Result<Vec<Rc<Step>>, String> {
    if last.count > MAX_STEPS {
        return Err(format!("is a view of a view, {} deep", last.count));
    }
    let mut steps = vec![last.clone()];
    while let Some(before) = steps.last().and_then(|step| step.before.clone()) {
        steps.push(before);
    }
    steps.reverse();
    Ok(steps)
}

fn keeps_density(op: &str, attrs: &Attrs, dims: &[Dim]) -> bool {
    match op {
        "transpose" => {
            let order = attrs.ints("permutation").unwrap_or_default();
            order
                .iter()
                .enumerate()
                .all(|(at, axis)| at as i64 == *axis)
        }
        "slice" => {
            let axis = attrs.int("axis").unwrap_or(0);
            let axis = syncarp_ir::normalize_axis(axis, dims.len()).unwrap_or(dims.len());
            let step = attrs.int("step").unwrap_or(1);
            step == 1 && dims.iter().take(axis).all(|dim| *dim == Dim::Known(1))
        }
        "expand" => attrs.dims("dims") == Some(dims),
        _ => true,
    }
}

impl Step {
    fn name(&self, draft: &Draft<'_>) -> &'static str {
        draft.b.graph().registry().op(self.op).name()
    }

    /// The step from a value.
    fn apply(&self, draft: &mut Draft<'_>, value: Value) -> Result<Value, String> {
        let made = draft.b.emit_id(self.op, &[value], self.attrs.clone(), None);
        Ok(made.map_err(|error| error.to_string())?[0])
    }

    /// What the step was made of, with what it gave replaced.
    fn put(&self, draft: &mut Draft<'_>, source: Value, new: Value) -> Result<Value, String> {
        let dims = draft
            .b
            .ty(source)
            .dims()
            .ok_or("has no known shape")?
            .to_vec();
        match self.name(draft) {
            "stop_gradient" => Ok(new),
            "transpose" => {
                let order = self.attrs.ints("permutation").unwrap_or_default();
                let mut back = vec![0i64; order.len()];
                for (at, axis) in order.iter().enumerate() {
                    back[*axis as usize] = at as i64;
                }
                emit(
                    draft,
                    "transpose",
                    &[new],
                    Attrs::new().with("permutation", back),
                )
            }
            "slice" => self.put_slice(draft, source, new, &dims),
            "expand" if self.attrs.dims("dims") == Some(&dims) => Ok(new),
            "expand" => Err("is written through an expansion, whose elements are one".to_owned()),
            _ => emit(draft, "reshape", &[new], Attrs::new().with("dims", dims)),
        }
    }

    fn put_slice(
        &self,
        draft: &mut Draft<'_>,
        source: Value,
        new: Value,
        dims: &[Dim],
    ) -> Result<Value, String> {
        let int = |name: &str| self.attrs.int(name);
        let axis = syncarp_ir::normalize_axis(int("axis").unwrap_or(0), dims.len());
        let axis = axis.map_err(|error| error.message)?;
        let (start, end, step) = (
            int("start").unwrap_or(0),
            int("end"),
            int("step").unwrap_or(1),
        );
        if step != 1 {
            return put_every(draft, source, new, dims, axis, (start, step));
        }
        let along = |start: i64, end: Option<i64>| {
            let attrs = Attrs::new().with("axis", axis as i64).with("start", start);
            end.map_or(attrs.clone(), |end| attrs.with("end", end))
        };
        let mut parts = Vec::new();
        if start != 0 {
            parts.push(emit(draft, "slice", &[source], along(0, Some(start)))?);
        }
        parts.push(new);
        let size = dims[axis].known().and_then(|size| i64::try_from(size).ok());
        if let Some(end) = end.filter(|end| Some(*end) != size) {
            parts.push(emit(draft, "slice", &[source], along(end, None))?);
        }
        match parts[..] {
            [whole] => Ok(whole),
            _ => emit(
                draft,
                "concat",
                &parts,
                Attrs::new().with("axis", axis as i64),
            ),
        }
    }
}

/// Puts every so many-th place of an axis.
fn put_every(
    draft: &mut Draft<'_>,
    source: Value,
    new: Value,
    dims: &[Dim],
    axis: usize,
    (start, step): (i64, i64),
) -> Result<Value, String> {
    const MOST: i64 = 1 << 16;
    let size = dims[axis].known().and_then(|size| i64::try_from(size).ok());
    let size = size.filter(|size| *size <= MOST);
    let size = size.ok_or("is written at every so many-th place of an axis of unknown size")?;
    let count = draft
        .b
        .ty(new)
        .dims()
        .and_then(|dims| dims.get(axis)?.known());
    let count = count
        .and_then(|count| i64::try_from(count).ok())
        .unwrap_or(0);
    if count == 0 {
        return Ok(source);
    }
    let start = if start < 0 { start + size } else { start };
    let taken = |at: i64| at >= start && (at - start) % step == 0 && (at - start) / step < count;
    let from: Vec<i64> = (0..size)
        .map(|at| ((at - start) / step).clamp(0, count - 1))
        .collect();
    let which: Vec<i64> = (0..size).map(|at| i64::from(taken(at))).collect();
    let list = |dtype: DType, numbers: Vec<i64>, dims: Vec<Dim>| {
        let attrs = Attrs::new().with("dtype", dtype).with("value", numbers);
        attrs.with("dims", dims)
    };
    draft.write_down(2 * size.unsigned_abs())?;
    let line = vec![Dim::Known(size.unsigned_abs())];
    let mut column = vec![Dim::Known(1); dims.len() - axis];
    column[0] = line[0].clone();
    let index = emit(draft, "constant", &[], list(DType::I64, from, line))?;
    let spread = Attrs::new().with("axis", axis as i64);
    let spread = emit(draft, "gather", &[new, index], spread)?;
    let which = emit(draft, "constant", &[], list(DType::I64, which, column))?;
    let which = emit(
        draft,
        "cast",
        &[which],
        Attrs::new().with("to", DType::Bool),
    )?;
    emit(draft, "where", &[which, spread, source], Attrs::new())
}

fn emit(
    draft: &mut Draft<'_>,
    op: &str,
    operands: &[Value],
    attrs: Attrs,
) -> Result<Value, String> {
    let made = draft.b.emit1(op, operands, attrs);
    made.map_err(|error| error.to_string())
}
