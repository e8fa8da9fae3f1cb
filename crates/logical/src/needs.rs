//! Which groups of models need which nodes: a graph is walked once, however many groups there are.

use syncarp_ir::{Graph, Node, Output};

/// Who needs a node.
#[derive(Clone, Copy)]
enum Need {
    Nobody,
    One(usize),
    /// The groups of a row of the bit sets.
    Several(usize),
}

/// For each group, the nodes that its outputs need, in the graph's order.
pub(crate) struct Needs {
    nodes: Vec<Vec<Node>>,
}

impl Needs {
    pub(crate) fn new(graph: &Graph, outputs: &[Vec<&Output>]) -> Self {
        let mut walk = Walk {
            needs: vec![Need::Nobody; graph.len()],
            bits: Vec::new(),
            words: outputs.len().div_ceil(64),
        };
        for (group, outputs) in outputs.iter().enumerate() {
            for output in outputs {
                walk.add(graph.def(output.value), Need::One(group));
            }
        }
        for node in graph.nodes().rev() {
            let need = walk.needs[node.index()];
            for value in graph.operands(node) {
                walk.add(graph.def(*value), need);
            }
        }
        let mut nodes = vec![Vec::new(); outputs.len()];
        for node in graph.nodes() {
            match walk.needs[node.index()] {
                Need::Nobody => {}
                Need::One(group) => nodes[group].push(node),
                Need::Several(row) => {
                    for (word, bits) in walk.row(row).iter().enumerate() {
                        let mut bits = *bits;
                        while bits != 0 {
                            nodes[word * 64 + bits.trailing_zeros() as usize].push(node);
                            bits &= bits - 1;
                        }
                    }
                }
            }
        }
        Needs { nodes }
    }

    /// The nodes of a group.
    pub(crate) fn of(&self, group: usize) -> &[Node] {
        &self.nodes[group]
    }
}

struct Walk {
    needs: Vec<Need>,
    /// Bit sets of groups, a row of words each.
    bits: Vec<u64>,
    words: usize,
}

impl Walk {
    fn row(&self, row: usize) -> &[u64] {
        &self.bits[row * self.words..][..self.words]
    }

    fn add(&mut self, node: Node, by: Need) {
        let row = match (self.needs[node.index()], by) {
            (_, Need::Nobody) => return,
            (Need::Nobody, Need::One(_)) => {
                self.needs[node.index()] = by;
                return;
            }
            (Need::One(a), Need::One(b)) if a == b => return,
            // A node that several need has a row of its own.
            (Need::Several(row), _) => row,
            (before, _) => {
                let row = self.bits.len() / self.words;
                self.bits.resize(self.bits.len() + self.words, 0);
                self.needs[node.index()] = Need::Several(row);
                if let Need::One(group) = before {
                    self.set(row, group);
                }
                row
            }
        };
        match by {
            Need::Nobody => {}
            Need::One(group) => self.set(row, group),
            Need::Several(other) => {
                for word in 0..self.words {
                    self.bits[row * self.words + word] |= self.bits[other * self.words + word];
                }
            }
        }
    }

    fn set(&mut self, row: usize, group: usize) {
        self.bits[row * self.words + group / 64] |= 1 << (group % 64);
    }
}
