//! Graphs: nodes, where they come from and where they run, and outputs.

use std::ops::Range;

use smallvec::SmallVec;
use syncarp_diag::Located;

use super::super::lexer::Token;
use super::Result;
use super::cursor::Parser;
use super::names::Names;
use super::recent::Recent;
use crate::attr::Attrs;
use crate::builder::{Context, GraphBuilder};
use crate::core_ops::STATE;
use crate::entity::{Device, TypeId, Value};
use crate::graph::OutputKey;
use crate::plan::Plan;
use crate::provenance::{Origin, Role};
use crate::spell::nearest;

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
        let mut names = Names::default();
        let mut recent = Recent::default();
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
                builder.output(key, value);
                ended = true;
                continue;
            }
            if ended {
                return self.error(span, "nodes come before outputs");
            }
            builder.set_context(default);
            self.node(plan, &mut builder, &mut names, &mut recent, (first, span))?;
        }
        plan.graphs.push((name, builder.finish()));
        Ok(())
    }

    fn node(
        &mut self,
        plan: &Plan,
        builder: &mut GraphBuilder,
        names: &mut Names<'a>,
        recent: &mut Recent<'a>,
        first: (&'a str, Range<usize>),
    ) -> Result<()> {
        let mut results: SmallVec<[_; 2]> = SmallVec::new();
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
        let mut operands: SmallVec<[Value; 4]> = SmallVec::new();
        while let Token::Word(word) = self.token {
            if operands.is_empty() && word == "on" && names.get("on").is_none() {
                break;
            }
            let Some(value) = names.get(word) else {
                let span = self.span.clone();
                return self.error(span, format!("no value is called `{word}` before here"));
            };
            operands.push(value);
            self.advance()?;
            if !self.eat(",")? {
                break;
            }
        }
        let attrs = if self.is("{") {
            self.known_attrs(plan, builder, recent)?
        } else {
            builder.intern_attrs(Attrs::new())
        };
        let mut stated: Option<SmallVec<[TypeId; 2]>> = None;
        if self.eat(":")? {
            let types = stated.get_or_insert_default();
            types.push(self.known_type(builder, recent)?);
            while self.eat(",")? {
                types.push(self.known_type(builder, recent)?);
            }
        }
        if op == STATE
            && let Some(state) = builder.graph().attrs_of(attrs).state("of")
        {
            let ty = &plan.state(state).ty;
            let id = builder.intern_type(ty.clone());
            let stated = stated.get_or_insert_with(|| SmallVec::from_slice(&[id]));
            let written = builder.graph().type_of(stated[0]);
            if written.meet(ty).is_none() {
                return self.error(op_span, format!("{state} is {ty}, not {written}"));
            }
            stated[0] = id;
        }
        self.placement(plan, builder)?;
        let values = match builder.emit_interned(id, attrs, &operands, stated.as_deref()) {
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
            if !names.insert(name, value) {
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
            let mut set: SmallVec<[Origin; 4]> = SmallVec::new();
            loop {
                let model = self.model(plan)?;
                let path = if matches!(self.token, Token::Str(_)) {
                    self.text("")?
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
