//! Clipping and optimizer updates.

use rustc_hash::FxHashMap;
use syncarp_evaluator::{CLIP_NORM, Evaluator};
use syncarp_ir::core_ops::{INPUT, STATE};
use syncarp_ir::{
    Attrs, BuildError, DType, Dim, Distribution, GraphBuilder, Initial, Model, OutputKey, Plan,
    Rewriter, Role, State, StateEntry, StateKind, StreamKey, Value,
};
use syncarp_pass::{Context, PassError};

/// Emits, model by model, the clipping of its gradients and the update of each of its parameters.
pub(crate) fn update(
    rw: &mut Rewriter<'_>,
    plan: &mut Plan,
    gradients: &[(State, Value)],
    cx: &Context<'_>,
) -> Result<(), PassError> {
    let mut by_model: Vec<Vec<(State, Value)>> = vec![Vec::new(); plan.models.len()];
    for (state, gradient) in gradients {
        let owner = plan.state(*state).owner;
        let owner = owner.ok_or_else(|| PassError::Unready(format!("{state} has no owner")))?;
        by_model[owner.index()].push((*state, *gradient));
    }
    for (index, gradients) in by_model.into_iter().enumerate() {
        if gradients.is_empty() {
            continue;
        }
        let model = Model::new(index);
        let evaluator = cx.evaluator(model).ok_or_else(|| {
            let name = &plan.model(model).name;
            PassError::Unready(format!("model {name:?} has no evaluator"))
        })?;
        Updates {
            rw,
            plan,
            model,
            evaluator,
        }
        .emit(gradients)?;
    }
    Ok(())
}

struct Updates<'r, 'g> {
    rw: &'r mut Rewriter<'g>,
    plan: &'r mut Plan,
    model: Model,
    evaluator: &'r Evaluator,
}

impl Updates<'_, '_> {
    fn emit(mut self, mut gradients: Vec<(State, Value)>) -> Result<(), PassError> {
        let dtype = self
            .plan
            .state(gradients[0].0)
            .ty
            .dtype
            .unwrap_or(DType::F32);
        let device = {
            let graph = self.rw.builder().graph();
            graph.device(graph.def(gradients[0].1))
        };
        let mut context = self.rw.builder().context();
        context.device = device;
        self.rw.builder().set_context(context);
        self.rw
            .builder()
            .set_origin(self.model, "optimizer", Role::Optimizer);
        let names = self.evaluator.coefficient_names();
        let coefficients: Vec<Value> = names
            .iter()
            .map(|name| coefficient(self.rw.builder(), self.model, name, dtype))
            .collect::<Result<_, _>>()?;
        if let Some(at) = names.iter().position(|n| *n == CLIP_NORM) {
            clip(self.rw.builder(), &mut gradients, coefficients[at], dtype)?;
        }
        let own = &coefficients[..self.evaluator.optimizer.coefficients().len()];
        let paths = self.paths();
        for (state, gradient) in gradients {
            let path = paths
                .get(&state)
                .cloned()
                .unwrap_or_else(|| state.to_string());
            self.parameter(state, &path, gradient, own)?;
        }
        Ok(())
    }

    fn paths(&self) -> FxHashMap<State, String> {
        let states = &self.plan.model(self.model).states;
        states
            .iter()
            .map(|(path, state)| (*state, path.to_string()))
            .collect()
    }

    fn parameter(
        &mut self,
        state: State,
        path: &str,
        gradient: Value,
        coefficients: &[Value],
    ) -> Result<(), PassError> {
        let ty = self.plan.state(state).ty.clone();
        self.rw
            .builder()
            .set_origin(self.model, path, Role::Optimizer);
        let parameter = read(self.rw.builder(), state, &ty)?;
        let mut slots = Vec::new();
        for slot in self.evaluator.optimizer.slots() {
            let path = format!("{path}/{slot}");
            let entry = StateEntry {
                ty: ty.clone(),
                kind: StateKind::Slot,
                owner: Some(self.model),
                initial: Initial::Init(
                    Distribution::Constant(0.0),
                    StreamKey {
                        seed: Some(0),
                        path: path.as_str().into(),
                        occurrence: 0,
                    },
                ),
            };
            let slot = self.plan.add_state(self.model, &path, entry);
            slots.push((slot, read(self.rw.builder(), slot, &ty)?));
        }
        let values: Vec<Value> = slots.iter().map(|(_, value)| *value).collect();
        let next = self.evaluator.optimizer.emit(
            self.rw.builder(),
            parameter,
            gradient,
            &values,
            coefficients,
        )?;
        let states = std::iter::once(state).chain(slots.iter().map(|(s, _)| *s));
        for (state, value) in states.zip(next) {
            self.rw.output(OutputKey::Update(state), value);
        }
        Ok(())
    }
}

fn read(
    b: &mut GraphBuilder,
    state: State,
    ty: &syncarp_ir::TensorType,
) -> Result<Value, BuildError> {
    let op = b.graph().registry().find(STATE);
    let op = op.ok_or_else(|| BuildError::UnknownOp {
        op: STATE.to_owned(),
    })?;
    let attrs = Attrs::new().with("of", state);
    Ok(b.emit_id(op, &[], attrs, Some(std::slice::from_ref(ty)))?[0])
}

fn coefficient(
    b: &mut GraphBuilder,
    model: Model,
    name: &str,
    dtype: DType,
) -> Result<Value, BuildError> {
    let attrs = Attrs::new()
        .with("model", model)
        .with("name", name)
        .with("dtype", dtype);
    let attrs = attrs
        .with("dims", Vec::<Dim>::new())
        .with("coefficient", true);
    b.emit1(INPUT, &[], attrs)
}

/// Scales all gradients by min(1, norm / (their norm + 1e-6)), as PyTorch's `clip_grad_norm_`.
fn clip(
    b: &mut GraphBuilder,
    gradients: &mut [(State, Value)],
    norm: Value,
    dtype: DType,
) -> Result<(), BuildError> {
    let mut call = |op: &str, operands: &[Value]| b.emit1(op, operands, Attrs::new());
    let mut total: Option<Value> = None;
    for (_, gradient) in gradients.iter() {
        let square = call("sum_squares", &[*gradient])?;
        total = Some(match total {
            None => square,
            Some(total) => call("add", &[total, square])?,
        });
    }
    let Some(total) = total else { return Ok(()) };
    let root = call("sqrt", &[total])?;
    let small = b.constant(dtype, 1e-6)?;
    let one = b.constant(dtype, 1.0)?;
    let mut call = |op: &str, operands: &[Value]| b.emit1(op, operands, Attrs::new());
    let below = call("add", &[root, small])?;
    let ratio = call("div", &[norm, below])?;
    let factor = call("minimum", &[ratio, one])?;
    for (_, gradient) in gradients {
        *gradient = call("mul", &[*gradient, factor])?;
    }
    Ok(())
}
