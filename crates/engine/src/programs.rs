//! The programs of a segment, with what goes in and what comes out of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use syncarp_data::{DataStream, Dataset};
use syncarp_evaluator::Metric;
use syncarp_ir::core_ops::STEP_INPUT;
use syncarp_ir::{Bindings, EVAL, Graph, Model, Node, OutputKey, Plan, STEP, TensorData};

use crate::error::EngineError;
use crate::kernel::{Class, KernelRegistry, Precision, Slot};
use crate::link::{Runnable, Workspace};
use crate::program::compile;
use crate::real::Real;
use crate::state::States;
use crate::train::Trainee;

/// Where a program's input comes from.
pub(crate) enum Source {
    /// A column of the data set, by name.
    Column(Arc<str>),
    /// The number of the step.
    Step,
    /// A coefficient of a model: the model's place and the coefficient's.
    Coefficient(usize, usize),
}

/// One linked program's place in the list, with what goes in and comes out.
pub(crate) struct Ready {
    pub program: usize,
    pub inputs: Vec<(Source, Slot)>,
    /// For each model, where its loss is, for either parity.
    pub losses: Vec<[Slot; 2]>,
    /// For each model, for each metric, where its statistics are, for either parity.
    pub metrics: Vec<Vec<Vec<[Slot; 2]>>>,
}

/// All programs of a segment: by batch size, for training and for evaluating.
pub(crate) struct Programs<T> {
    pub runnables: Vec<Runnable<T>>,
    pub steps: BTreeMap<usize, Ready>,
    pub evals: BTreeMap<usize, Ready>,
    _workspace: Workspace,
}

impl<T: Precision> Programs<T> {
    /// Compiles and links the programs of a plan for every batch size that occurs.
    pub(crate) fn new(
        plan: &Plan,
        data: &DataStream,
        kernels: &KernelRegistry,
        threads: &[usize],
        trainees: &[Trainee],
        states: &mut States,
    ) -> Result<Self, EngineError> {
        let graph = |name: &str| {
            plan.graph(name)
                .ok_or_else(|| EngineError::NoGraph(name.to_owned()))
        };
        let (step, eval) = (graph(STEP)?, graph(EVAL)?);
        let mut eval_sizes: Vec<usize> =
            data.eval_batch_sizes(data.validation().unwrap_or(data.train()));
        eval_sizes.extend(
            data.test()
                .map(|t| data.eval_batch_sizes(t))
                .unwrap_or_default(),
        );
        eval_sizes.sort_unstable();
        eval_sizes.dedup();
        let wanted = data.batch_sizes().into_iter().map(|n| (step, n, true));
        let wanted: Vec<_> = wanted
            .chain(eval_sizes.iter().map(|n| (eval, *n, false)))
            .collect();
        let mut compiled = Vec::new();
        for (graph, size, _) in &wanted {
            let bindings = Bindings::from([("n".into(), *size as u64)]);
            compiled.push(compile::<T>(graph, &bindings, kernels, threads)?);
        }
        let mut workspace = Workspace::new(compiled.iter());
        let mut programs = Programs {
            runnables: Vec::new(),
            steps: BTreeMap::new(),
            evals: BTreeMap::new(),
            _workspace: Workspace::new(std::iter::empty::<&crate::program::Program<T>>()),
        };
        for ((graph, size, is_step), program) in wanted.into_iter().zip(compiled) {
            let runnable = Runnable::new(graph, program, states, &mut workspace);
            let index = programs.runnables.len();
            let ready = Ready::new(graph, &runnable, index, trainees)?;
            programs.runnables.push(runnable);
            let table = if is_step {
                &mut programs.steps
            } else {
                &mut programs.evals
            };
            table.insert(size, ready);
        }
        programs._workspace = workspace;
        Ok(programs)
    }
}

impl Ready {
    fn new<T: Real>(
        graph: &Graph,
        runnable: &Runnable<T>,
        program: usize,
        trainees: &[Trainee],
    ) -> Result<Self, EngineError> {
        let source = |node: Node| -> Source {
            let attrs = graph.attrs(node);
            let name = attrs.str("name").cloned().unwrap_or_default();
            if attrs.bool("coefficient") == Some(true) {
                let model = attrs.model("model").map_or(0, |m| m.index());
                let names = trainees[model].evaluator.coefficient_names();
                let at = names.iter().position(|n| **n == *name).unwrap_or(0);
                return Source::Coefficient(model, at);
            }
            if &*name == STEP_INPUT {
                Source::Step
            } else {
                Source::Column(name)
            }
        };
        let inputs = runnable
            .inputs()
            .iter()
            .map(|(n, slot)| (source(*n), *slot))
            .collect();
        let both = |key: &OutputKey| -> Option<[Slot; 2]> {
            let value = graph.output(key)?;
            Some([runnable.slot(value, 0)?, runnable.slot(value, 1)?])
        };
        let mut losses = Vec::new();
        let mut metrics = Vec::new();
        for (i, trainee) in trainees.iter().enumerate() {
            let model = Model::new(i);
            let loss = both(&OutputKey::Loss(model));
            losses.push(loss.ok_or_else(|| EngineError::NoGraph(format!("loss of {model}")))?);
            let statistics = |metric: &Arc<dyn Metric>| -> Vec<[Slot; 2]> {
                let name = |i: usize| format!("{}.{i}", metric.name()).into();
                (0..metric.width())
                    .map_while(|i| both(&OutputKey::Metric(model, name(i))))
                    .collect()
            };
            metrics.push(trainee.evaluator.metrics.iter().map(statistics).collect());
        }
        Ok(Ready {
            program,
            inputs,
            losses,
            metrics,
        })
    }
}

/// Writes an input's elements into its slot.
///
/// # Safety
/// Nobody may read or write the slot meanwhile.
pub(crate) unsafe fn write_input<T: Real>(
    slot: Slot,
    data: &TensorData,
    input: &str,
) -> Result<(), EngineError> {
    let len = match data {
        TensorData::Float(v) => v.len(),
        TensorData::Int(v) => v.len(),
    };
    let error = |message: String| EngineError::Input {
        input: input.to_owned(),
        message,
    };
    if len != slot.len {
        return Err(error(format!(
            "has {len} elements, the model takes {}",
            slot.len
        )));
    }
    // SAFETY: the slot has `len` elements of its class; the caller promised the rest.
    unsafe {
        match (data, slot.class) {
            (TensorData::Float(v), Class::Real) => {
                let out = std::slice::from_raw_parts_mut(slot.ptr.cast::<T>(), len);
                out.iter_mut()
                    .zip(v)
                    .for_each(|(o, x)| *o = T::from_f64(*x));
            }
            (TensorData::Int(v), Class::Real) => {
                let out = std::slice::from_raw_parts_mut(slot.ptr.cast::<T>(), len);
                out.iter_mut()
                    .zip(v)
                    .for_each(|(o, x)| *o = T::from_f64(*x as f64));
            }
            (TensorData::Int(v), Class::Int) => {
                std::slice::from_raw_parts_mut(slot.ptr.cast::<i64>(), len).copy_from_slice(v);
            }
            (TensorData::Int(v), Class::Bool) => {
                let out = std::slice::from_raw_parts_mut(slot.ptr, len);
                out.iter_mut()
                    .zip(v)
                    .for_each(|(o, x)| *o = u8::from(*x != 0));
            }
            (TensorData::Float(_), _) => {
                return Err(error("holds floats, the model takes integers".to_owned()));
            }
        }
    }
    Ok(())
}

/// The number in a scalar slot.
pub(crate) fn scalar<T: Real>(slot: Slot) -> f64 {
    // SAFETY: between runs nobody writes, and outputs live until the next run.
    unsafe { (*slot.ptr.cast::<T>()).to_f64() }
}

/// Copies rows of a column into an input's slot.
pub(crate) fn fill<T: Real>(
    part: &Dataset,
    name: &str,
    rows: &[u32],
    slot: Slot,
) -> Result<(), EngineError> {
    let missing = || EngineError::Input {
        input: name.to_owned(),
        message: "is no column of the data".to_owned(),
    };
    let column = part.column(name).ok_or_else(missing)?;
    // SAFETY: between runs nobody reads or writes inputs but this thread, and the slot has `len`
    // elements of its class.
    unsafe {
        match slot.class {
            Class::Real if size_of::<T>() == 4 => {
                let out = std::slice::from_raw_parts_mut(slot.ptr.cast::<f32>(), slot.len);
                column.gather_f32(rows, out)?;
            }
            Class::Real => {
                let out = std::slice::from_raw_parts_mut(slot.ptr.cast::<f64>(), slot.len);
                column.gather_f64(rows, out)?;
            }
            Class::Int => {
                let out = std::slice::from_raw_parts_mut(slot.ptr.cast::<i64>(), slot.len);
                column.gather_i64(rows, out)?;
            }
            Class::Bool => return Err(missing()),
        }
    }
    Ok(())
}
