//! Projecting a plan on some of its models: what an assembly holds, or what is left of one.

use syncarp_ir::{
    Device, Graph, GraphBuilder, Model, ModelEntry, OutputKey, Plan, Renaming, State, StreamKey,
    append,
};

struct Projection<'a> {
    models: &'a [Option<Model>],
    states: &'a [Option<State>],
}

impl Renaming for Projection<'_> {
    fn model(&self, model: Model) -> Option<Model> {
        self.models[model.index()]
    }
    fn state(&self, state: State) -> State {
        self.states[state.index()].expect("states of kept nodes are kept")
    }
    fn stream(&self, stream: &StreamKey) -> StreamKey {
        stream.clone()
    }
    fn device(&self, device: Device) -> Option<Device> {
        Some(device)
    }
}

/// The plan of some models alone, numbered anew in the given order: their outputs, what those need
/// and the states that they list. A shared input becomes the first present model's.
pub fn project(plan: &Plan, models: &[Model]) -> Plan {
    let mut new_models = vec![None; plan.models.len()];
    for (index, model) in models.iter().enumerate() {
        new_models[model.index()] = Some(Model::new(index));
    }
    let mut out = Plan {
        contents: plan.contents.clone(),
        ..Plan::default()
    };
    let mut states: Vec<Option<State>> = vec![None; plan.states.len()];
    for model in models {
        let entry = plan.model(*model);
        let mut kept = Vec::with_capacity(entry.states.len());
        for (path, state) in &entry.states {
            let new = *states[state.index()].get_or_insert_with(|| {
                let mut entry = plan.state(*state).clone();
                entry.owner = entry.owner.and_then(|m| new_models[m.index()]);
                out.states.push(entry);
                State::new(out.states.len() - 1)
            });
            kept.push((path.clone(), new));
        }
        out.models.push(ModelEntry {
            states: kept,
            ..entry.clone()
        });
    }
    let renaming = Projection {
        models: &new_models,
        states: &states,
    };
    for (name, graph) in &plan.graphs {
        let present = |key: &OutputKey| match key {
            OutputKey::Update(state) => states[state.index()].is_some(),
            other => other
                .model()
                .is_some_and(|m| new_models[m.index()].is_some()),
        };
        let keep = needed(graph, present);
        let mut b = GraphBuilder::over(Graph::empty(graph.registry().clone()));
        let map = append(&mut b, graph, &keep, &renaming);
        for output in graph.outputs().iter().filter(|o| present(&o.key)) {
            let key = output.key.map(
                |m| new_models[m.index()].expect("present outputs have present models"),
                |s| states[s.index()].expect("present updates have present states"),
            );
            let value = map[output.value.index()].expect("what present outputs need is kept");
            b.output(key, value);
        }
        out.graphs.push((name.clone(), b.finish()));
    }
    out
}

fn needed(graph: &Graph, present: impl Fn(&OutputKey) -> bool) -> Vec<bool> {
    let mut keep = vec![false; graph.len()];
    for output in graph.outputs().iter().filter(|o| present(&o.key)) {
        keep[graph.def(output.value).index()] = true;
    }
    for node in graph.nodes().rev() {
        if keep[node.index()] {
            for value in graph.operands(node) {
                keep[graph.def(*value).index()] = true;
            }
        }
    }
    keep
}
