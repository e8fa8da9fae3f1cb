//! The walk: every node once, in order, so that what a rule sees before a node is final.

use smallvec::SmallVec;
use syncarp_ir::{Attrs, Graph, Node, OpId, Plan, Rewriter, TRAIN, TypeId, Value, core_ops};
use syncarp_pass::{Context, PassError};

use crate::index::Index;
use crate::rule::{Become, New, Site};
use crate::sums::Sums;

/// How often one node may be rewritten. Every rule makes something simpler, so that this is far off.
const ROUNDS: usize = 64;

/// A graph being walked.
pub(crate) struct Walk<'w, 'g> {
    index: &'w Index,
    rw: Rewriter<'g>,
    /// Only of graphs that are yet to be differentiated.
    sums: Option<Sums<'g>>,
    /// How often each rule was applied.
    applied: &'w mut [u64],
    /// Whether the framework has said that no more may be done.
    stopped: bool,
}

/// What becomes of an old node.
struct Candidate {
    op: OpId,
    operands: SmallVec<[Value; 4]>,
    /// None as long as they are the old node's.
    attrs: Option<Attrs>,
    types: SmallVec<[TypeId; 2]>,
}

impl<'w, 'g> Walk<'w, 'g> {
    /// A walk over a plan's graph of this name.
    pub(crate) fn new(
        index: &'w Index,
        plan: &'g Plan,
        name: &str,
        graph: &'g Graph,
        applied: &'w mut [u64],
    ) -> Self {
        let sums = (name == TRAIN).then(|| Sums::new(graph, plan)).flatten();
        Walk {
            index,
            rw: Rewriter::new(graph),
            sums,
            applied,
            stopped: false,
        }
    }

    /// The rewritten graph; none where it stays as it is.
    ///
    /// # Errors
    /// Where a rule's node does not type, which is a bug of the rule.
    pub(crate) fn run(mut self, cx: &mut Context<'_>) -> Result<Option<Graph>, PassError> {
        let mut changed = false;
        for node in self.rw.old().nodes() {
            let rewritten = self.has_rules(node) && self.rewrite(node, cx)?;
            changed |= rewritten;
            if !rewritten {
                let values = self.rw.copy(node);
                self.emitted(node, &values);
            }
        }
        if !changed {
            return Ok(None);
        }
        self.rw.copy_outputs();
        Ok(Some(self.rw.finish()))
    }

    fn has_rules(&self, node: Node) -> bool {
        !self.stopped && !self.index.of(self.rw.old().op_id(node)).is_empty()
    }

    fn emitted(&mut self, node: Node, values: &[Value]) {
        if let Some(sums) = &mut self.sums {
            sums.emitted(self.rw.graph(), node, values);
        }
    }

    /// Rewrites a node until no rule fits; false where none did.
    fn rewrite(&mut self, node: Node, cx: &mut Context<'_>) -> Result<bool, PassError> {
        let old = self.rw.old();
        let mut now = Candidate {
            op: old.op_id(node),
            operands: self.rw.operands(node),
            attrs: None,
            types: SmallVec::new(),
        };
        old.results(node)
            .for_each(|v| now.types.push(old.type_id(v)));
        let mut rewritten = false;
        for _ in 0..ROUNDS {
            let Some((rule, become_)) = self.find(node, &now) else {
                break;
            };
            if !cx.may_rewrite() {
                self.stopped = true;
                break;
            }
            self.applied[rule] += 1;
            rewritten = true;
            match become_ {
                Become::Attrs(attrs) => now.attrs = Some(attrs),
                Become::Node {
                    op,
                    operands,
                    attrs,
                } => {
                    let operands: SmallVec<[Value; 4]> = self.emit_new(node, &operands)?;
                    if let Some(sums) = &mut self.sums {
                        sums.moved(self.rw.graph(), &now.operands, &operands);
                    }
                    let id = old.registry().find(op);
                    now.op = id.expect("a rule's op was looked up when it was found to fit");
                    now.operands = operands;
                    now.attrs = Some(attrs);
                }
                Become::Values(news) => {
                    let values: SmallVec<[Value; 4]> = self.emit_new(node, &news)?;
                    self.rw.replace(node, &values)?;
                    if let Some(sums) = &mut self.sums {
                        sums.replaced(self.rw.graph(), node, &now.operands, &values);
                    }
                    return Ok(true);
                }
            }
        }
        if rewritten {
            let attrs = now.attrs.unwrap_or_else(|| old.attrs(node).clone());
            let values = self.rw.respell(node, now.op, &now.operands, attrs)?;
            self.emitted(node, &values);
        }
        Ok(rewritten)
    }

    /// The first rule that fits what became of a node so far, and what it says.
    fn find(&self, node: Node, now: &Candidate) -> Option<(usize, Become)> {
        let old = self.rw.old();
        let site = Site {
            graph: self.rw.graph(),
            op: now.op,
            operands: &now.operands,
            attrs: now.attrs.as_ref().unwrap_or_else(|| old.attrs(node)),
            types: &now.types,
        };
        self.index.of(now.op).iter().find_map(|place| {
            let rule = self.index.rules[*place];
            let new = (rule.apply)(&site)?;
            let fits = self.is_there(&site, node, &new)
                && self
                    .sums
                    .as_ref()
                    .is_none_or(|sums| sums.allow(&site, node, rule, &new));
            fits.then_some((*place, new))
        })
    }

    /// Whether a node's device has the values that a rule names, and the program its op.
    fn is_there(&self, site: &Site<'_>, node: Node, new: &Become) -> bool {
        let device = self.rw.old().device(node);
        let (op, news): (_, &[New]) = match new {
            Become::Attrs(_) => return true,
            Become::Values(news) => (None, news),
            Become::Node { op, operands, .. } => (Some(*op), operands),
        };
        // What was an operand may still be one; what replaces the node must lie where it lay.
        let replaces = op.is_none();
        let mut values = news.iter().filter_map(|new| match new {
            New::Value(value) => Some(*value),
            New::Constant(..) => None,
        });
        let near = |v: Value| site.graph.device(site.graph.def(v)) == device;
        values.all(|v| near(v) || !replaces && site.operands.contains(&v))
            && op.is_none_or(|op| site.graph.registry().find(op).is_some())
    }

    /// The values that a rule names; constants are emitted at the node's place.
    fn emit_new(&mut self, node: Node, news: &[New]) -> Result<SmallVec<[Value; 4]>, PassError> {
        let values = news.iter().map(|new| match new {
            New::Value(value) => Ok(*value),
            New::Constant(constant) => {
                let (ty, value) = &**constant;
                let mut attrs = Attrs::new().with("value", value.clone());
                if let Some(dtype) = ty.dtype {
                    attrs.set("dtype", dtype);
                }
                if let Some(dims) = ty.dims().filter(|dims| !dims.is_empty()) {
                    attrs.set("dims", dims);
                }
                Ok(self.rw.at(node).emit1(core_ops::CONSTANT, &[], attrs)?)
            }
        });
        values.collect()
    }
}
