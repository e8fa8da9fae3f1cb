//! The recordings, read as views.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value as Json;

use crate::view::{Inner, Seen, View};

/// The folder of the recordings.
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/goldens/nni"))
}

pub fn read(name: &str) -> Json {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path:?}: {e}"))
}

/// A recorded scenario.
pub struct Scenario {
    pub id: String,
    pub devices: Vec<String>,
    /// A letter for each model; equal letters, equal evaluators.
    pub evaluators: String,
    /// Whether `dedup-input` ran.
    pub dedup: bool,
    /// Each group as models and their devices.
    pub groups: Vec<Vec<(usize, String)>>,
    /// For each group, NNI's assembly or its error.
    pub assembled: Vec<Result<Json, String>>,
    pub logical: Option<Json>,
}

/// All scenarios of a file.
pub fn scenarios(file: &str) -> Vec<Scenario> {
    let scenario = |json: &Json| Scenario {
        id: string(&json["id"]),
        devices: list(&json["devices"]).iter().map(string).collect(),
        evaluators: string(&json["evaluators"]),
        dedup: json["dedup"] != "none",
        groups: list(&json["groups"]).iter().map(group).collect(),
        assembled: list(&json["assembled"]).iter().map(assembled).collect(),
        logical: json.get("logical").cloned(),
    };
    list(&read(file)).iter().map(scenario).collect()
}

/// The files of scenarios of mnist, in order of their names.
pub fn mnist_files() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("mnist_")).collect();
    names.sort();
    names
}

fn group(json: &Json) -> Vec<(usize, String)> {
    let member = |pair: &Json| (pair[0].as_u64().unwrap() as usize, string(&pair[1]));
    list(json).iter().map(member).collect()
}

fn assembled(json: &Json) -> Result<Json, String> {
    match json.get("error") {
        Some(_) => Err(string(&json["message"])),
        None => Ok(json.clone()),
    }
}

pub fn list(json: &Json) -> &[Json] {
    json.as_array()
        .unwrap_or_else(|| panic!("a list, not {json}"))
}

pub fn string(json: &Json) -> String {
    json.as_str()
        .unwrap_or_else(|| panic!("a text, not {json}"))
        .to_owned()
}

/// An assembly as recorded.
pub fn assembly_view(json: &Json) -> View {
    let mut view = nodes_and_edges(json, "nodes");
    for node in list(&json["nodes"]) {
        let copy = view.nodes.get_mut(&string(&node["name"]));
        if let (Some(to), Some(copy)) = (node.get("to"), copy) {
            copy.to = Some(string(to));
        }
    }
    if let Some(slots) = json.get("output_slots") {
        for (slot, name) in slots.as_object().unwrap() {
            let given = (
                string(name),
                0,
                "_outputs".to_owned(),
                slot.parse().unwrap(),
            );
            assert!(view.edges.contains(&given), "{given:?}");
        }
    }
    if let Some(copies) = json.get("todevice") {
        let copies: BTreeSet<String> = list(copies).iter().map(string).collect();
        let seen = view.nodes.iter().filter(|(_, node)| node.op == "to_device");
        assert_eq!(copies, seen.map(|(name, _)| name.clone()).collect());
    }
    if let Some(cells) = json.get("subgraphs") {
        for (name, cell) in cells.as_object().unwrap() {
            let inner = nodes_and_edges(cell, "nodes");
            let inner = Inner {
                nodes: inner.nodes,
                edges: inner.edges,
            };
            view.cells.insert(name.clone(), inner);
        }
    }
    view
}

/// A logical graph as recorded.
pub fn logical_view(json: &Json) -> View {
    nodes_and_edges(json, "hidden_nodes")
}

/// Nodes and edges of a recorded graph. Constants, and lists of such, are left out: here they are
/// attributes or operands of who reads them.
fn nodes_and_edges(json: &Json, nodes: &str) -> View {
    let mut view = View::default();
    let mut plain: BTreeSet<String> = BTreeSet::new();
    for node in list(&json[nodes]) {
        let (name, kind) = (string(&node["name"]), string(&node["op"]));
        if kind.starts_with("prim::") {
            plain.insert(name);
            continue;
        }
        let mut params = BTreeMap::new();
        for (name, value) in node
            .get("params")
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
        {
            params.insert(name.clone(), value.as_i64().unwrap());
        }
        let models = node.get("origin_models").map(list).unwrap_or_default();
        let seen = Seen {
            op: op(&kind).to_owned(),
            params,
            placement: node
                .get("placement")
                .and_then(Json::as_str)
                .map(str::to_owned),
            to: None,
            models: models
                .iter()
                .map(|id| id.as_u64().unwrap() as usize)
                .collect(),
        };
        assert!(
            view.nodes.insert(name, seen).is_none(),
            "a node is there twice"
        );
    }
    for edge in list(&json["edges"]) {
        let slot = |json: &Json| json.as_u64().unwrap_or(0) as usize;
        let (head, tail) = (string(&edge[0]), string(&edge[2]));
        if !plain.contains(&head) && !plain.contains(&tail) {
            let edge = (head, slot(&edge[1]), tail, slot(&edge[3]));
            assert!(view.edges.insert(edge), "an edge is there twice");
        }
    }
    view
}

/// What an operation of NNI's is called here.
fn op(kind: &str) -> &str {
    let name = kind.rsplit(['.', ':']).next().unwrap_or(kind);
    match name {
        "Conv2d" => "conv2d",
        "MaxPool2d" => "max_pool2d",
        "AdaptiveAvgPool2d" => "adaptive_avg_pool2d",
        "Linear" => "linear",
        "Softmax" => "softmax",
        "Flatten" => "flatten",
        "ReLU" => "relu",
        "BatchNorm2d" => "batch_norm_train",
        "ToDevice" => "to_device",
        other => other,
    }
}
