//! Graphs: nodes, where they come from and where they run, and outputs.

use std::ops::Range;

use rustc_hash::FxHashMap;
use syncarp_diag::Located;

use super::super::lexer::Token;
use super::Result;
use super::cursor::Parser;
use crate::attr::Attrs;
use crate::builder::{Context, GraphBuilder};
use crate::core_ops::STATE;
use crate::entity::{Device, Value};
use crate::graph::OutputKey;
use crate::plan::Plan;
use crate::provenance::{Origin, Role};
use crate::spell::nearest;
use crate::types::TensorType;

impl<'a> Parser<'a> {
    pub(super) fn graph(&mut self, plan: &mut Plan) -> Result<()> {
        self.advance()?;
        let span = self.span.clone();
        let name = self.string("the graph's name in quotes")?;
        if plan.graph(&name).is_some() {
            return self.error(span, format!("there are two graphs {name:?}"));
        }
        self.expect("{")?;
        let mut builder = GraphBuilder::new(self.registry.clone());
        let default = builder.context();
        let mut names: FxHashMap<&'a str, Value> = FxHashMap::default();
        let mut ended = false;
        while !self.eat("}")? {
            let (first, span) = self.word("a node, an output or `}`")?;
            let named = self.is("=") || self.is(",");
            let key = match first {
                _ if named => None,
                "result" => {
                    let model = self.model(plan)?;
                    Some(OutputKey::Result(
                        model,
                        self.string("the result's name in quotes")?,
                    ))
                }
                "loss" => Some(OutputKey::Loss(self.model(plan)?)),
                "metric" => {
                    let model = self.model(plan)?;
                    Some(OutputKey::Metric(
                        model,
                        self.string("the metric's name in quotes")?,
                    ))
                }
                "update" => Some(OutputKey::Update(self.state(plan)?)),
                _ => None,
            };
            if let Some(key) = key {
                self.expect("=")?;
                let (word, span) = self.word("a value")?;
                let Some(value) = names.get(word) else {
                    return self.error(span, format!("no value is called `{word}`"));
                };
                builder.output(key, *value);
                ended = true;
                continue;
            }
            if ended {
                return self.error(span, "nodes come before outputs");
            }
            builder.set_context(default);
            self.node(plan, &mut builder, &mut names, (first, span))?;
        }
        plan.graphs.push((name, builder.finish()));
        Ok(())
    }

    fn node(
        &mut self,
        plan: &Plan,
        builder: &mut GraphBuilder,
        names: &mut FxHashMap<&'a str, Value>,
        first: (&'a str, Range<usize>),
    ) -> Result<()> {
        let mut results = Vec::new();
        let mut op = first;
        if self.is(",") || self.is("=") {
            results.push(op);
            while self.eat(",")? {
                results.push(self.word("a name for a result")?);
            }
            self.expect("=")?;
            op = self.word("an op")?;
        }
        let (op, op_span) = op;
        let Some(id) = self.registry.find(op) else {
            let near = nearest(op, self.registry.iter().map(|(_, op)| op.name()));
            let error = Located::new(self.source, op_span, format!("no op is called `{op}`"));
            return Err(match near {
                Some(near) => error.with_help(format!("did you mean `{near}`?")),
                None => error,
            });
        };
        let mut operands = Vec::new();
        while let Token::Word(word) = self.token {
            if operands.is_empty() && word == "on" && !names.contains_key("on") {
                break;
            }
            let Some(value) = names.get(word) else {
                let span = self.span.clone();
                return self.error(span, format!("no value is called `{word}` before here"));
            };
            operands.push(*value);
            self.advance()?;
            if !self.eat(",")? {
                break;
            }
        }
        let attrs = if self.is("{") {
            self.attrs(plan)?
        } else {
            Attrs::new()
        };
        let mut stated: Option<Vec<TensorType>> = None;
        if self.eat(":")? {
            let types = stated.insert(vec![self.ty()?]);
            while self.eat(",")? {
                types.push(self.ty()?);
            }
        }
        if op == STATE
            && let Some(state) = attrs.state("of")
        {
            let ty = &plan.state(state).ty;
            let stated = stated.get_or_insert_with(|| vec![ty.clone()]);
            if stated[0].meet(ty).is_none() {
                return self.error(op_span, format!("{state} is {ty}, not {}", stated[0]));
            }
            stated[0] = ty.clone();
        }
        self.placement(plan, builder)?;
        let values = match builder.emit_id(id, &operands, attrs, stated.as_deref()) {
            Ok(values) => values,
            Err(error) => return self.error(op_span, error.to_string()),
        };
        if values.len() != results.len() {
            let (want, got) = (values.len(), results.len());
            return self.error(
                op_span,
                format!("`{op}` has {want} results, {got} are named"),
            );
        }
        for ((name, span), value) in results.into_iter().zip(values) {
            if names.insert(name, value).is_some() {
                return self.error(span, format!("two values are called `{name}`"));
            }
        }
        Ok(())
    }

    /// The device and the provenance of a node, where they are written.
    fn placement(&mut self, plan: &Plan, builder: &mut GraphBuilder) -> Result<()> {
        let mut context: Context = builder.context();
        if self.is_word("on") {
            self.advance()?;
            context.device = Some(if self.is_word(Device::HOST_NAME) {
                self.advance()?;
                Device::HOST
            } else {
                let (index, _) = self.id(Device::PREFIX, "`host` or a device")?;
                Device::new(index)
            });
        }
        if self.eat("@")? {
            let mut set = Vec::new();
            loop {
                let model = self.model(plan)?;
                let path = if matches!(self.token, Token::Str(_)) {
                    self.string("")?
                } else {
                    "".into()
                };
                let mut role = Role::Forward;
                if self.eat("(")? {
                    let (word, span) = self.word("a role")?;
                    let Some(known) = Role::from_name(word) else {
                        let names: Vec<_> = Role::ALL.iter().map(|r| r.name()).collect();
                        let names = names.join(", ");
                        return self.error(span, format!("expected a role, one of {names}"));
                    };
                    role = known;
                    self.expect(")")?;
                }
                let path = builder.provenance_mut().intern_path(&path);
                set.push(Origin { model, path, role });
                if !self.eat(",")? {
                    break;
                }
            }
            set.sort_unstable();
            set.dedup();
            context.provenance = builder.provenance_mut().intern_sorted(&set);
        }
        builder.set_context(context);
        Ok(())
    }
}
