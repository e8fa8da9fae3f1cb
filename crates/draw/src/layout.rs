//! Where everything stands: layers from above to below, by the method of Sugiyama.

use std::collections::{BTreeMap, BTreeSet};

use dagre::graph::{Graph, GraphOptions};
use dagre::{EdgeLabel, LayoutOptions, NodeLabel, Ranker};
use syncarp_ir::Device;

use crate::view::{Cluster, Item, View};

/// How wide a letter of the label and of a note is, and how high a line.
const LETTER: f64 = 7.6;
const SMALL_LETTER: f64 = 6.1;
const LINE: f64 = 15.0;
/// Beyond this many boxes, the ranks are those of the longest paths: the better method takes too
/// long.
const SIMPLEX: usize = 120;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rect {
    /// The middle.
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

/// Something around other boxes.
#[derive(Debug)]
pub(crate) struct Frame {
    pub what: Around,
    pub rect: Rect,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Around {
    Device(Device),
    Cluster(Cluster),
}

#[derive(Debug)]
pub(crate) struct Layout {
    pub width: f64,
    pub height: f64,
    pub items: Vec<Rect>,
    /// For each arrow, the points that it goes through.
    pub arrows: Vec<Vec<(f64, f64)>>,
    /// Outer ones first.
    pub frames: Vec<Frame>,
}

impl Layout {
    pub fn of(view: &View) -> Layout {
        let mut graph: Graph<NodeLabel, EdgeLabel> = Graph::with_options(GraphOptions {
            directed: true,
            multigraph: false,
            compound: true,
        });
        let clusters: BTreeSet<Cluster> = view.items.iter().map(|item| item.cluster).collect();
        let framed = clusters.len() > 1 || clusters.iter().any(|c| c.device.is_some());
        let mut arounds: BTreeSet<Around> = BTreeSet::new();
        if framed {
            for cluster in &clusters {
                arounds.extend(cluster.device.map(Around::Device));
                arounds.insert(Around::Cluster(*cluster));
            }
        }
        let names: BTreeMap<Around, String> = arounds
            .iter()
            .enumerate()
            .map(|(i, around)| (*around, format!("c{i:06}")))
            .collect();
        for (around, name) in &names {
            graph.set_node(name.clone(), Some(NodeLabel::default()));
            if let Around::Cluster(cluster) = around
                && let Some(device) = cluster.device
            {
                graph.set_parent(name, names.get(&Around::Device(device)).map(String::as_str));
            }
        }
        let name = |item: usize| format!("i{item:06}");
        for (index, item) in view.items.iter().enumerate() {
            let (width, height) = size(item);
            let label = NodeLabel {
                width,
                height,
                ..NodeLabel::default()
            };
            graph.set_node(name(index), Some(label));
            if framed {
                let around = names.get(&Around::Cluster(item.cluster));
                graph.set_parent(&name(index), around.map(String::as_str));
            }
        }
        for arrow in &view.arrows {
            let (from, to) = (name(arrow.from), name(arrow.to));
            graph.set_edge(from, to, Some(EdgeLabel::default()), None);
        }
        let ranker = match view.items.len() <= SIMPLEX {
            true => Ranker::NetworkSimplex,
            false => Ranker::LongestPath,
        };
        let options = LayoutOptions {
            nodesep: 24.0,
            edgesep: 12.0,
            ranksep: 34.0,
            marginx: 16.0,
            marginy: 16.0,
            ranker,
            ..LayoutOptions::default()
        };
        dagre::layout(&mut graph, Some(options));
        read(view, &graph, &names)
    }
}

fn read(
    view: &View,
    graph: &Graph<NodeLabel, EdgeLabel>,
    names: &BTreeMap<Around, String>,
) -> Layout {
    let rect = |name: &str| {
        let label = graph.node(name);
        Rect {
            x: label.and_then(|l| l.x).unwrap_or(0.0),
            y: label.and_then(|l| l.y).unwrap_or(0.0),
            width: label.map_or(0.0, |l| l.width),
            height: label.map_or(0.0, |l| l.height),
        }
    };
    let items: Vec<Rect> = (0..view.items.len())
        .map(|i| rect(&format!("i{i:06}")))
        .collect();
    let arrows = view.arrows.iter().map(|arrow| {
        let (from, to) = (format!("i{:06}", arrow.from), format!("i{:06}", arrow.to));
        let points = graph.edge(&from, &to, None).map(|edge| &edge.points);
        let points = points.into_iter().flatten().map(|p| (p.x, p.y));
        points.collect()
    });
    let arrows: Vec<Vec<(f64, f64)>> = arrows.collect();
    let frames: Vec<Frame> = names
        .iter()
        .map(|(what, name)| Frame {
            what: *what,
            rect: rect(name),
        })
        .collect();
    let rects = items.iter().chain(frames.iter().map(|frame| &frame.rect));
    let (mut width, mut height) = (120.0f64, 60.0f64);
    for rect in rects {
        width = width.max(rect.x + rect.width / 2.0 + 16.0);
        height = height.max(rect.y + rect.height / 2.0 + 16.0);
    }
    for (x, y) in arrows.iter().flatten() {
        width = width.max(x + 16.0);
        height = height.max(y + 16.0);
    }
    Layout {
        width,
        height,
        items,
        arrows,
        frames,
    }
}

fn size(item: &Item) -> (f64, f64) {
    let letters = |text: &String| text.chars().count() as f64;
    let notes = item.notes.iter().map(|note| letters(note) * SMALL_LETTER);
    let width = notes.fold(letters(&item.label) * LETTER, f64::max) + 22.0;
    let height = LINE * (1 + item.notes.len()) as f64 + 12.0;
    (width.max(56.0), height)
}
