//! Projecting a plan on some of its models: what an assembly holds, or what is left of one.

use syncarp_ir::{
    Appender, Graph, GraphBuilder, Initial, Model, ModelEntry, Output, OutputKey, Plan, Renaming,
    State, StateEntry, StreamKey,
};

use crate::needs::Needs;

/// The plan of some models alone, numbered anew in the given order: their outputs, what those need
/// and the states that they list. A shared input becomes the first present model's.
pub fn project(plan: &Plan, models: &[Model]) -> Plan {
    split(plan, &[models]).remove(0)
}

/// The projections of a plan on several groups of models that have none in common, one plan each.
/// That takes no longer than reading the plan once and writing the projections.
///
/// # Panics
/// If a model is in two groups, or twice in one.
pub fn split(plan: &Plan, groups: &[&[Model]]) -> Vec<Plan> {
    let place = Place::new(plan, groups);
    let mut graphs: Vec<Parts<'_>> = plan
        .graphs
        .iter()
        .map(|(_, graph)| Parts::new(graph, &place, groups.len()))
        .collect();
    let mut states: Vec<Option<State>> = vec![None; plan.states.len()];
    let mut projections = Vec::with_capacity(groups.len());
    for (group, models) in groups.iter().enumerate() {
        let mut out = Plan::default();
        let mut kept: Vec<State> = Vec::new();
        for model in *models {
            let listed = &plan.model(*model).states;
            let mut own = Vec::with_capacity(listed.len());
            for (path, state) in listed {
                let new = *states[state.index()].get_or_insert_with(|| {
                    kept.push(*state);
                    place.keep_state(plan, *state, group, &mut out)
                });
                own.push((path.clone(), new));
            }
            let entry = plan.model(*model);
            out.models.push(ModelEntry {
                name: entry.name.clone(),
                data: entry.data,
                states: own,
            });
        }
        let renaming = Projection {
            place: &place,
            group,
            states: &states,
        };
        for ((name, _), parts) in plan.graphs.iter().zip(&mut graphs) {
            out.graphs.push((name.clone(), parts.part(&renaming)));
        }
        projections.push(out);
        for state in kept {
            states[state.index()] = None;
        }
    }
    projections
}

/// Where the models of a plan went: to which group, and as which model there.
struct Place {
    models: Vec<Option<(usize, Model)>>,
    /// For every state with an owner that lists it, the owner's group.
    states: Vec<Option<usize>>,
}

impl Place {
    fn new(plan: &Plan, groups: &[&[Model]]) -> Self {
        let mut place = Place {
            models: vec![None; plan.models.len()],
            states: vec![None; plan.states.len()],
        };
        for (group, models) in groups.iter().enumerate() {
            for (index, model) in models.iter().enumerate() {
                let old = place.models[model.index()].replace((group, Model::new(index)));
                assert!(old.is_none(), "{model} is in two groups");
                for (_, state) in &plan.model(*model).states {
                    if plan.state(*state).owner == Some(*model) {
                        place.states[state.index()] = Some(group);
                    }
                }
            }
        }
        place
    }

    fn model(&self, model: Model, group: usize) -> Option<Model> {
        let (of, new) = self.models[model.index()]?;
        (of == group).then_some(new)
    }

    /// The group that an output belongs to, if to one.
    fn output(&self, key: &OutputKey) -> Option<usize> {
        match key {
            OutputKey::Update(state) => self.states[state.index()],
            other => Some(self.models[other.model()?.index()]?.0),
        }
    }

    /// Enters a state in a projection.
    fn keep_state(&self, plan: &Plan, state: State, group: usize, out: &mut Plan) -> State {
        let entry = plan.state(state);
        if let Initial::Content(hash) = &entry.initial
            && let Some(data) = plan.contents.get(hash)
        {
            out.contents.insert(hash.clone(), data.clone());
        }
        out.states.push(StateEntry {
            owner: entry.owner.and_then(|m| self.model(m, group)),
            ..entry.clone()
        });
        State::new(out.states.len() - 1)
    }
}

struct Projection<'a> {
    place: &'a Place,
    group: usize,
    states: &'a [Option<State>],
}

impl Renaming for Projection<'_> {
    fn model(&self, model: Model) -> Option<Model> {
        self.place.model(model, self.group)
    }
    fn state(&self, state: State) -> State {
        self.states[state.index()].expect("states of kept nodes are kept")
    }
    fn stream(&self, stream: &StreamKey) -> StreamKey {
        stream.clone()
    }
}

/// One graph of the plan, to be taken apart.
struct Parts<'g> {
    graph: &'g Graph,
    appender: Appender<'g>,
    needs: Needs,
    /// For each group, its outputs.
    outputs: Vec<Vec<&'g Output>>,
}

impl<'g> Parts<'g> {
    fn new(graph: &'g Graph, place: &Place, groups: usize) -> Self {
        let mut outputs = vec![Vec::new(); groups];
        for output in graph.outputs() {
            if let Some(group) = place.output(&output.key) {
                outputs[group].push(output);
            }
        }
        Parts {
            graph,
            appender: Appender::new(graph),
            needs: Needs::new(graph, &outputs),
            outputs,
        }
    }

    fn part(&mut self, renaming: &Projection<'_>) -> Graph {
        let empty = Graph::empty(self.graph.registry().clone());
        let mut b = GraphBuilder::over(empty);
        let nodes = self.needs.of(renaming.group);
        self.appender
            .append(&mut b, nodes.iter().copied(), renaming);
        for output in &self.outputs[renaming.group] {
            let key = output.key.map(
                |m| {
                    renaming
                        .model(m)
                        .expect("present outputs have present models")
                },
                |s| renaming.state(s),
            );
            let value = self.appender.get(output.value);
            b.output(key, value.expect("what present outputs need is kept"));
        }
        b.finish()
    }
}
