//! Scheduling: which nodes run one after another on one thread, and what runs side by side.
//!
//! Nodes of one device that stand for one set of models form *strands*. A strand runs in order on
//! one thread; strands of one level touch nothing of each other and run side by side. A level ends
//! before the next begins. Where a strand runs changes no number, since a kernel uses one thread.

use rustc_hash::FxHashMap;
use syncarp_ir::core_ops::{CONSTANT, INPUT, STATE};
use syncarp_ir::{Bindings, Graph, Model, Node};

/// A list of nodes that one thread runs in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strand {
    pub nodes: Vec<Node>,
    pub level: usize,
    pub device: usize,
    pub cost: u64,
    pub thread: usize,
}

/// How a graph is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// Nodes that depend on constants alone: run once, when the program is linked.
    pub once: Vec<Node>,
    /// The strands, in order of level.
    pub strands: Vec<Strand>,
    /// For every node, its strand; none for sources and for what runs once.
    pub strand_of: Vec<Option<usize>>,
    pub levels: usize,
}

/// What a node costs beside its arithmetic: the call and the traffic, in units of a FLOP.
const CALL: u64 = 400;

/// Schedules a graph on devices with so many threads each; threads are numbered device by device.
pub(crate) fn schedule(graph: &Graph, bindings: &Bindings, threads: &[usize]) -> Schedule {
    let mut schedule = Schedule {
        strand_of: vec![None; graph.len()],
        ..Schedule::default()
    };
    let mut once = vec![false; graph.len()];
    // A level and a group (device and set of models) for every node.
    let mut place: Vec<(usize, u32)> = vec![(0, u32::MAX); graph.len()];
    let mut groups: FxHashMap<(usize, Vec<Model>), u32> = FxHashMap::default();
    let mut group_of_set: FxHashMap<(usize, syncarp_ir::ProvenanceId), u32> = FxHashMap::default();
    let mut strands: FxHashMap<(usize, u32), usize> = FxHashMap::default();
    for node in graph.nodes() {
        let index = node.index();
        match graph.op_name(node) {
            CONSTANT => {
                once[index] = true;
                schedule.once.push(node);
                continue;
            }
            INPUT | STATE => continue,
            _ => {}
        }
        let operands = graph.operands(node);
        if !operands.is_empty() && operands.iter().all(|v| once[graph.def(*v).index()]) {
            once[index] = true;
            schedule.once.push(node);
            continue;
        }
        let device = team(graph, node).min(threads.len() - 1);
        let set = graph.provenance_id(node);
        let group = *group_of_set.entry((device, set)).or_insert_with(|| {
            let next = groups.len() as u32;
            *groups
                .entry((device, graph.models(node).collect()))
                .or_insert(next)
        });
        let mut level = 0;
        for value in operands {
            let (other, other_group) = place[graph.def(*value).index()];
            if other_group != u32::MAX {
                level = level.max(other + usize::from(other_group != group));
            }
        }
        place[index] = (level, group);
        schedule.levels = schedule.levels.max(level + 1);
        let at = *strands.entry((level, group)).or_insert_with(|| {
            schedule.strands.push(Strand {
                level,
                device,
                ..Strand::default()
            });
            schedule.strands.len() - 1
        });
        let cost = graph.cost(node, bindings).unwrap_or_default();
        let strand = &mut schedule.strands[at];
        strand.nodes.push(node);
        strand.cost += cost.flops + cost.bytes / 4 + CALL;
        schedule.strand_of[index] = Some(at);
    }
    deal(&mut schedule.strands, threads);
    schedule
}

/// The device whose threads run a node. Nothing runs in the host's memory: what copies from there
/// is run by whom it copies to.
fn team(graph: &Graph, node: Node) -> usize {
    let to = || graph.attrs(node).int("to")?.try_into().ok();
    let device = graph.device(node);
    device.and_then(|d| d.index().or_else(to)).unwrap_or(0)
}

/// Gives each level's strands to the threads of their devices, dearest first to the least loaded
/// (Graham's longest processing time first).
fn deal(strands: &mut [Strand], threads: &[usize]) {
    let first: Vec<usize> = threads
        .iter()
        .scan(0, |sum, t| {
            *sum += t;
            Some(*sum - t)
        })
        .collect();
    let levels = strands.iter().map(|s| s.level + 1).max().unwrap_or(0);
    let mut by_level: Vec<Vec<usize>> = vec![Vec::new(); levels];
    for (i, strand) in strands.iter().enumerate() {
        by_level[strand.level].push(i);
    }
    for level in &mut by_level {
        level.sort_by_key(|i| (std::cmp::Reverse(strands[*i].cost), *i));
        let mut load = vec![0u64; threads.iter().sum()];
        for i in level {
            let device = strands[*i].device;
            let own = first[device]..first[device] + threads[device];
            let thread = own.min_by_key(|t| (load[*t], *t)).unwrap_or(0);
            load[thread] += strands[*i].cost;
            strands[*i].thread = thread;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use syncarp_diag::Source;
    use syncarp_ir::{TRAIN, parse};

    use super::*;

    /// Inputs in the host's memory: each device's threads fetch what they read, in the strand that
    /// reads it, so that no level is waited for.
    #[test]
    fn copies_from_the_host_run_where_they_go() {
        let text = r#"syncarp 1
model m0 "a" {}
model m1 "b" {}
graph "train" {
  x = input {model=m0, name="x", dtype=f32, dims=dims[n, 4]} on host @m0, m1
  x0 = to_device x {to=0} on host @m0
  x1 = to_device x {to=1} on host @m1
  y0 = relu x0 on dev0 @m0
  y1 = relu x1 on dev1 @m1
  result m0 "y" = y0
  result m1 "y" = y1
}
"#;
        let ops = Arc::new(syncarp_ops::standard());
        let plan = parse(&Source::new("t", text), &ops).unwrap();
        let graph = plan.graph(TRAIN).unwrap();
        let schedule = schedule(graph, &Bindings::from([("n".into(), 8)]), &[2, 1]);
        assert_eq!(schedule.levels, 1);
        let strands: Vec<(usize, usize, Vec<usize>)> = schedule
            .strands
            .iter()
            .map(|s| {
                (
                    s.device,
                    s.thread,
                    s.nodes.iter().map(|n| n.index()).collect(),
                )
            })
            .collect();
        assert_eq!(strands, [(0, 0, vec![1, 3]), (1, 2, vec![2, 4])]);
    }
}
