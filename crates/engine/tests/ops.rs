//! Every standard op against what PyTorch computed in float64 (`tests/reference`): results,
//! gradients, gradients against finite differences, and results in f32.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

use syncarp_diag::Source;
use syncarp_engine::kernel::{KernelRegistry, Precision};
use syncarp_engine::{Tensor, evaluate, kernels};
use syncarp_ir::core_ops::{CONSTANT, CUSTOM, INPUT, STATE};
use syncarp_ir::{
    Attrs, Dim, Distribution, GraphBuilder, Initial, Model, OpRegistry, OutputKey, Plan, Rewriter,
    Role, StateEntry, StateKind, StreamKey, TRAIN, TensorType, Value, parse, verify,
};
use syncarp_pass::{Context, PassRegistry};

#[path = "../../../tests/reference/corpus.rs"]
mod corpus;

use corpus::{Case, FAMILIES, Failure, Tensors, cases, close, floats, largest};

/// How far results may lie from PyTorch's, relative to the largest of a tensor.
const OUTPUT: f64 = 1e-10;
/// How far gradients may.
const GRADIENT: f64 = 1e-9;
/// How far gradients may lie from finite differences.
const DIFFERENCE: f64 = 1e-5;
/// What one element is moved by for finite differences.
const STEP: f64 = 1e-5;
/// How many elements of an input are moved.
const MOVED: usize = 12;

/// What cases are run with.
struct Bench {
    ops: Arc<OpRegistry>,
    kernels: KernelRegistry,
    passes: PassRegistry,
}

impl Bench {
    fn new() -> Bench {
        let mut passes = PassRegistry::new();
        syncarp_pass_decompose::register(&mut passes).expect("the registry is empty");
        Bench {
            ops: Arc::new(syncarp_ops::standard()),
            kernels: kernels::standard().expect("every op has one kernel"),
            passes,
        }
    }

    fn has(&self, op: &str) -> bool {
        op == INPUT || op == STATE || self.kernels.has(op)
    }

    /// Takes apart what has no kernel.
    fn decompose(&self, plan: &mut Plan) -> Result<(), Failure> {
        let has = |op: &str| self.has(op);
        let mut cx = Context::new(&[], &has);
        for (_, pass) in self.passes.resolve("decompose")? {
            let _changed = pass.run(plan, &mut cx)?;
        }
        verified(plan)
    }

    fn parse(&self, name: &str, text: &str) -> Result<Plan, Failure> {
        let plan = parse(&Source::new(name, text), &self.ops).map_err(|e| e.to_string())?;
        verified(&plan)?;
        Ok(plan)
    }

    fn evaluate<T: Precision>(&self, plan: &Plan, inputs: &Tensors) -> Result<Tensors, Failure> {
        let results = evaluate::<T>(plan, TRAIN, inputs, &|_| None, &self.kernels)?;
        let named = results.into_iter().map(|(key, tensor)| match key {
            OutputKey::Result(_, name) => Ok((name.to_string(), tensor)),
            key => Err(format!("{key:?} is no result").into()),
        });
        named.collect()
    }

    /// The plan that gives the gradient of every differentiated input, and reads cotangents as
    /// inputs called after their outputs.
    fn gradients(&self, plan: &Plan, case: &Case) -> Result<Plan, Failure> {
        let trains = with_loss(plan, case)?;
        verified(&trains)?;
        let graph = trains.graph(TRAIN).ok_or("no graph")?;
        let mut rw = Rewriter::new(graph);
        for node in graph.nodes() {
            rw.copy(node);
        }
        let live = vec![true; graph.len()];
        let gradients = syncarp_pass_differentiate::backward(&mut rw, &live, &trains)?;
        for (state, gradient) in gradients {
            let name = case.differentiate[state.index()].as_str();
            rw.output(OutputKey::Result(Model::new(0), name.into()), gradient);
        }
        let mut plan = Plan {
            graphs: vec![(TRAIN.into(), rw.finish())],
            ..trains
        };
        self.decompose(&mut plan)?;
        without_states(&plan, case)
    }
}

fn verified(plan: &Plan) -> Result<(), Failure> {
    match verify(plan).first() {
        Some(violation) => Err(violation.to_string().into()),
        None => Ok(()),
    }
}

fn cotangent(output: &str) -> String {
    format!("cotangent of {output}")
}

fn emit_input(b: &mut GraphBuilder, name: &str, ty: &TensorType) -> Result<Value, Failure> {
    let model = Model::new(0);
    b.set_origin(model, name, Role::Forward);
    let dims: &[Dim] = ty
        .dims()
        .ok_or_else(|| format!("the rank of {name} is unknown"))?;
    let dtype = ty
        .dtype
        .ok_or_else(|| format!("the dtype of {name} is unknown"))?;
    let attrs = Attrs::new().with("model", model).with("name", name);
    Ok(b.emit1(INPUT, &[], attrs.with("dtype", dtype).with("dims", dims))?)
}

/// The plan with differentiated inputs made trainable states, and a loss: the sum of all outputs,
/// each multiplied by its cotangent.
fn with_loss(plan: &Plan, case: &Case) -> Result<Plan, Failure> {
    let model = Model::new(0);
    let mut trains = Plan {
        graphs: Vec::new(),
        ..plan.clone()
    };
    let graph = plan.graph(TRAIN).ok_or("no graph")?;
    let state_op = graph.registry().find(STATE).ok_or("no op reads states")?;
    let mut types: BTreeMap<&str, TensorType> = BTreeMap::new();
    for node in graph.nodes().filter(|n| graph.op_name(*n) == INPUT) {
        let name = graph
            .attrs(node)
            .str("name")
            .ok_or("an input without a name")?;
        types.insert(name, graph.ty(graph.result(node, 0)).clone());
    }
    let mut states = BTreeMap::new();
    for name in &case.differentiate {
        let ty = types
            .get(name.as_str())
            .ok_or_else(|| format!("there is no input {name}"))?;
        let entry = StateEntry {
            ty: ty.clone(),
            kind: StateKind::Trainable,
            owner: Some(model),
            initial: Initial::Init(
                Distribution::Constant(0.0),
                StreamKey {
                    seed: Some(0),
                    path: name.as_str().into(),
                    occurrence: 0,
                },
            ),
        };
        states.insert(name.as_str(), trains.add_state(model, name, entry));
    }
    let mut rw = Rewriter::new(graph);
    for node in graph.nodes() {
        let state = graph
            .attrs(node)
            .str("name")
            .and_then(|name| states.get(&**name));
        match state {
            Some(state) if graph.op_name(node) == INPUT => {
                let ty = trains.state(*state).ty.clone();
                let attrs = Attrs::new().with("of", *state);
                let read = rw.at(node).emit_id(state_op, &[], attrs, Some(&[ty]))?;
                rw.stand_for(node, &read);
            }
            _ => {
                rw.copy(node);
            }
        }
    }
    let mut loss: Option<Value> = None;
    for output in graph.outputs() {
        let OutputKey::Result(_, name) = &output.key else {
            continue;
        };
        if !case.cotangents.contains_key(&**name) {
            continue;
        }
        let value = rw.get(output.value);
        let b = rw.builder();
        let ty = b.ty(value).clone();
        let weight = emit_input(b, &cotangent(name), &ty)?;
        let product = b.emit1("mul", &[value, weight], Attrs::new())?;
        let sum = b.emit1("sum", &[product], Attrs::new())?;
        loss = Some(match loss {
            Some(loss) => b.emit1("add", &[loss, sum], Attrs::new())?,
            None => sum,
        });
    }
    rw.output(
        OutputKey::Loss(model),
        loss.ok_or("no output has a cotangent")?,
    );
    trains.set_graph(TRAIN, rw.finish());
    Ok(trains)
}

/// The plan with states read as inputs again, so that it is evaluated like any other.
fn without_states(plan: &Plan, case: &Case) -> Result<Plan, Failure> {
    let graph = plan.graph(TRAIN).ok_or("no graph")?;
    let mut rw = Rewriter::new(graph);
    for node in graph.nodes() {
        match graph.attrs(node).state("of") {
            Some(state) if graph.op_name(node) == STATE => {
                let ty = &plan.state(state).ty;
                let name = &case.differentiate[state.index()];
                rw.at(node);
                let value = emit_input(rw.builder(), name, ty)?;
                rw.stand_for(node, &[value]);
            }
            _ => {
                rw.copy(node);
            }
        }
    }
    rw.copy_outputs();
    let mut plan = Plan {
        graphs: vec![(TRAIN.into(), rw.finish())],
        ..plan.clone()
    };
    plan.states.clear();
    plan.models
        .iter_mut()
        .for_each(|model| model.states.clear());
    verified(&plan)?;
    Ok(plan)
}

fn outputs(kind: &str, got: &Tensors, case: &Case, tolerance: f64) -> Result<(), Failure> {
    for (name, want) in &case.outputs {
        let got = got
            .get(name)
            .ok_or_else(|| format!("there is no result {name}"))?;
        close(&format!("{kind} {name}"), got, want, tolerance)?;
    }
    Ok(())
}

/// Zeros where the sweep found that an input moves nothing, as PyTorch has it.
fn compare_gradients(
    kind: &str,
    got: &Tensors,
    case: &Case,
    tolerance: f64,
) -> Result<(), Failure> {
    for name in &case.differentiate {
        let want = case
            .gradients
            .get(name)
            .ok_or_else(|| format!("no gradient of {name}"))?;
        let zeros = Tensor::float(&want.dims, vec![0.0; floats(want).len()]);
        let got = got.get(name).unwrap_or(&zeros);
        close(&format!("{kind} of {name}"), got, want, tolerance)?;
    }
    Ok(())
}

/// The loss that the gradients are those of.
fn loss(bench: &Bench, plan: &Plan, case: &Case, inputs: &Tensors) -> Result<f64, Failure> {
    let outputs = bench.evaluate::<f64>(plan, inputs)?;
    let mut sum = 0.0;
    for (name, weights) in &case.cotangents {
        let values = floats(&outputs[name]);
        sum += values
            .iter()
            .zip(floats(weights))
            .map(|(x, w)| x * w)
            .sum::<f64>();
    }
    Ok(sum)
}

fn differences(bench: &Bench, plan: &Plan, case: &Case, got: &Tensors) -> Result<(), Failure> {
    for name in &case.differentiate {
        let start = floats(&case.inputs[name]);
        let gradient = got.get(name).map_or_else(|| vec![0.0; start.len()], floats);
        let bound = DIFFERENCE * largest(&gradient).max(1.0);
        for place in (0..start.len()).step_by(start.len().div_ceil(MOVED).max(1)) {
            let at = |x: f64| {
                let mut values = start.clone();
                values[place] = x;
                let mut inputs = case.inputs.clone();
                let dims = inputs[name].dims.clone();
                inputs.insert(name.clone(), Tensor::float(&dims, values));
                loss(bench, plan, case, &inputs)
            };
            let (low, high) = (start[place] - STEP, start[place] + STEP);
            let slope = (at(high)? - at(low)?) / (high - low);
            if (slope - gradient[place]).abs() > bound {
                let message = format!(
                    "d/d{name}[{place}] is {:e}, the slope {slope:e}",
                    gradient[place]
                );
                return Err(message.into());
            }
        }
    }
    Ok(())
}

fn check(bench: &Bench, case: &Case) -> Result<(), Failure> {
    let mut plan = bench.parse(&case.name, &case.text)?;
    // Differentiation meets the ops that were written where the engine has kernels for them.
    bench.decompose(&mut plan)?;
    let got = bench.evaluate::<f64>(&plan, &case.inputs)?;
    outputs("result", &got, case, OUTPUT)?;
    let got = bench.evaluate::<f32>(&plan, &case.inputs)?;
    outputs("f32 result", &got, case, case.single)?;
    if case.differentiate.is_empty() {
        return Ok(());
    }
    let backward = bench.gradients(&plan, case)?;
    let mut inputs = case.inputs.clone();
    for (name, tensor) in &case.cotangents {
        inputs.insert(cotangent(name), tensor.clone());
    }
    let got = bench.evaluate::<f64>(&backward, &inputs)?;
    compare_gradients("gradient", &got, case, GRADIENT)?;
    if !case.kinks {
        differences(bench, &plan, case, &got)?;
    }
    // Gradients must not overflow in f32 either where PyTorch's are finite.
    let got = bench.evaluate::<f32>(&backward, &inputs)?;
    compare_gradients("f32 gradient", &got, case, 10.0 * case.single)
}

fn check_family(family: &str) {
    let bench = Bench::new();
    let cases = cases(family);
    assert!(!cases.is_empty(), "{family} has no cases");
    let mut report = String::new();
    let mut failed = 0;
    for case in &cases {
        if let Err(error) = check(&bench, case) {
            failed += 1;
            let _ = writeln!(report, "{}\n    {error}", case.name);
        }
    }
    assert!(
        failed == 0,
        "{failed} of {} cases of {family} failed:\n{report}",
        cases.len()
    );
}

macro_rules! families {
    ($($family:ident),*) => {$(
        #[test]
        fn $family() {
            check_family(stringify!($family));
        }
    )*};
}

families!(
    activation,
    convolve,
    elementwise,
    indexing,
    losses,
    normalize,
    optimize,
    pool,
    product,
    random,
    reduce,
    shape
);

/// Ops that only gradients and updates are made of need no gradient and no case of their own.
fn backward_only(op: &str) -> bool {
    let suffix = ["_grad", "_grad_input", "_grad_weight"]
        .iter()
        .any(|s| op.ends_with(s));
    suffix || matches!(op, "sgd" | "sgd_momentum" | "adam")
}

#[test]
fn every_op_runs_and_is_recorded() {
    let bench = Bench::new();
    let mut recorded = BTreeSet::new();
    let mut differentiated = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut stuck = BTreeSet::new();
    for case in FAMILIES.iter().flat_map(|family| cases(family)) {
        recorded.insert(case.op.clone());
        if !case.differentiate.is_empty() {
            differentiated.insert(case.op.clone());
        }
        // What is wrong with a case is its own test's to say.
        let Ok(mut plan) = bench.parse(&case.name, &case.text) else {
            continue;
        };
        collect(&plan, &mut seen);
        if bench.decompose(&mut plan).is_err() {
            continue;
        }
        collect(&plan, &mut stuck);
        if !case.differentiate.is_empty()
            && let Ok(backward) = bench.gradients(&plan, &case)
        {
            collect(&backward, &mut stuck);
        }
    }
    seen.extend(stuck.iter().cloned());
    stuck.retain(|op| !bench.has(op));
    let mut report = String::new();
    for (id, op) in bench.ops.iter() {
        let name = bench.ops.op(id).name();
        if [INPUT, STATE, CONSTANT, CUSTOM].contains(&name) {
            continue;
        }
        let runs = bench.has(name) || (seen.contains(name) && !stuck.contains(name));
        let mut say = |what: &str| {
            let _ = writeln!(report, "{name} {what}");
        };
        if !runs {
            say("has no kernel, and no case shows that it is taken apart into ops that have one");
        }
        if backward_only(name) {
            continue;
        }
        if !recorded.contains(name) {
            say("has no recorded case");
        } else if !op.is_constant() && !differentiated.contains(name) {
            say("has a gradient, but no recorded case of it");
        }
    }
    assert!(
        bench.has(CONSTANT),
        "there is no kernel that fills constants"
    );
    assert!(report.is_empty(), "ops that are not covered:\n{report}");
}

fn collect(plan: &Plan, into: &mut BTreeSet<String>) {
    for (_, graph) in &plan.graphs {
        into.extend(graph.nodes().map(|n| graph.op_name(n).to_owned()));
    }
}

/// PyTorch draws other numbers than we do, so of dropout it is its laws that are checked.
#[test]
fn dropout_keeps_its_laws() {
    const COUNT: usize = 20_000;
    const P: f64 = 0.25;
    let bench = Bench::new();
    let text = format!(
        "syncarp 1\nmodel m0 \"case\" data d0 {{}}\ngraph \"train\" {{\n\
         x = input {{model=m0, name=\"x\", dtype=f64, dims=dims[n]}}\n\
         step = input {{model=m0, name=\"step\", dtype=i64, dims=dims[]}}\n\
         p = constant {{dtype=f64, value={P:?}}}\n\
         y, mask = dropout x, p, step {{stream=stream(7, \"drop\", 0)}}\n\
         result m0 \"y\" = y\n\
         result m0 \"mask\" = mask\n}}\n"
    );
    let mut plan = bench.parse("dropout", &text).expect("the graph is right");
    bench
        .decompose(&mut plan)
        .expect("what it is made of types");
    let x: Vec<f64> = (0..COUNT).map(|i| 1.0 + i as f64 / COUNT as f64).collect();
    let at = |step: i64| {
        let mut inputs = Tensors::new();
        inputs.insert("x".to_owned(), Tensor::float(&[COUNT], x.clone()));
        inputs.insert("step".to_owned(), Tensor::int(&[], vec![step]));
        bench.evaluate::<f64>(&plan, &inputs).expect("dropout runs")
    };
    let first = at(1);
    let (y, mask) = (floats(&first["y"]), floats(&first["mask"]));
    let scale = 1.0 / (1.0 - P);
    assert!(mask.iter().all(|m| *m == 0.0 || (m - scale).abs() < 1e-12));
    assert!(y.iter().zip(&x).zip(&mask).all(|((y, x), m)| *y == x * m));
    let kept = mask.iter().filter(|m| **m > 0.0).count() as f64 / COUNT as f64;
    // Five standard deviations of a binomial share.
    let bound = 5.0 * (P * (1.0 - P) / COUNT as f64).sqrt();
    assert!(
        (kept - (1.0 - P)).abs() < bound,
        "{kept} of the elements are kept"
    );
    assert_eq!(first, at(1), "a step's draw is always the same");
    assert_ne!(first["mask"], at(2)["mask"], "steps draw anew");
}

/// No integer passes through a float on its way in or out.
#[test]
fn integers_keep_all_their_digits() {
    let bench = Bench::new();
    let text = "syncarp 1\nmodel m0 \"case\" data d0 {}\ngraph \"train\" {\n\
                x = input {model=m0, name=\"x\", dtype=u64, dims=dims[n]}\n\
                one = constant {dtype=u64, value=1}\n\
                y = add x, one\n\
                result m0 \"y\" = y\n}\n";
    let plan = bench.parse("digits", text).expect("the graph is right");
    let x = vec![(1 << 53) + 1, i64::MAX, -1];
    let inputs = Tensors::from([("x".to_owned(), Tensor::int(&[3], x))]);
    let got = bench.evaluate::<f32>(&plan, &inputs).expect("it runs");
    assert_eq!(
        got["y"],
        Tensor::int(&[3], vec![(1 << 53) + 2, i64::MIN, 0])
    );
}
