//! Attributes: numbers, lists and names.

use std::sync::Arc;

use super::super::lexer::Token;
use super::Result;
use super::cursor::Parser;
use crate::attr::{Attr, Attrs};
use crate::entity::{Model, State};
use crate::plan::Plan;
use crate::types::DType;

impl Parser<'_> {
    pub(super) fn attrs(&mut self, plan: &Plan) -> Result<Attrs> {
        self.expect("{")?;
        let mut attrs = Attrs::new();
        while !self.is("}") {
            if !attrs.is_empty() {
                self.expect(",")?;
            }
            let (name, span) = self.word("an attribute's name")?;
            self.expect("=")?;
            if attrs.get(name).is_some() {
                return self.error(span, format!("attribute `{name}` is given twice"));
            }
            let value = self.attr(plan)?;
            let name = self.attr_names.entry(name).or_insert_with(|| name.into());
            attrs.set(name.clone(), value);
        }
        self.expect("}")?;
        Ok(attrs)
    }

    fn attr(&mut self, plan: &Plan) -> Result<Attr> {
        const WHAT: &str = "an attribute's value: a number, true, false, a string, a dtype, a \
                            list, dims[...], stream(...), a state or a model";
        match self.token.clone() {
            Token::Str(_) => Ok(Attr::Str(self.string("")?)),
            Token::Punct(b'[') => self.list(),
            Token::Int(_) | Token::Float(_) | Token::Punct(b'-') | Token::Word("inf" | "nan") => {
                self.number()
            }
            Token::Word(word) => {
                if let Some(index) = Self::id_of(word, Model::PREFIX) {
                    if index < plan.models.len() {
                        self.advance()?;
                        return Ok(Attr::Model(Model::new(index)));
                    }
                    return self.expected("a model of this plan");
                }
                if Self::id_of(word, State::PREFIX).is_some() {
                    return Ok(Attr::State(self.state(plan)?));
                }
                if let Some(dtype) = DType::from_name(word) {
                    self.advance()?;
                    return Ok(Attr::DType(dtype));
                }
                match word {
                    "true" | "false" => {
                        self.advance()?;
                        Ok(Attr::Bool(word == "true"))
                    }
                    "stream" => {
                        self.advance()?;
                        Ok(Attr::Stream(self.stream()?))
                    }
                    "dims" => {
                        self.advance()?;
                        let dims = self.dims()?;
                        Ok(Attr::Dims(dims.into_iter().collect()))
                    }
                    "floats" | "strs" => {
                        self.advance()?;
                        self.expect("[")?;
                        self.expect("]")?;
                        Ok(if word == "floats" {
                            Attr::Floats([].into())
                        } else {
                            Attr::Strs([].into())
                        })
                    }
                    _ => self.expected(WHAT),
                }
            }
            _ => self.expected(WHAT),
        }
    }

    fn number(&mut self) -> Result<Attr> {
        let negative = self.eat("-")?;
        let sign = if negative { -1.0 } else { 1.0 };
        match self.token {
            Token::Int(v) => {
                let value = i128::from(v) * if negative { -1 } else { 1 };
                let Ok(value) = i64::try_from(value) else {
                    return self.expected("an integer of 64 bits");
                };
                self.advance()?;
                Ok(Attr::Int(value))
            }
            Token::Float(v) => {
                self.advance()?;
                Ok(Attr::Float(sign * v))
            }
            Token::Word("inf") => {
                self.advance()?;
                Ok(Attr::Float(sign * f64::INFINITY))
            }
            Token::Word("nan") if !negative => {
                self.advance()?;
                if self.eat("(")? {
                    let bits = self.int("the bits of the NaN")?;
                    self.expect(")")?;
                    return Ok(Attr::Float(f64::from_bits(bits)));
                }
                Ok(Attr::Float(f64::NAN))
            }
            _ => self.expected("a number"),
        }
    }

    pub(super) fn float(&mut self) -> Result<f64> {
        Ok(match self.number()? {
            Attr::Int(v) => v as f64,
            Attr::Float(v) => v,
            _ => unreachable!("`number` reads ints and floats"),
        })
    }

    fn list(&mut self) -> Result<Attr> {
        self.expect("[")?;
        let mut ints = Vec::new();
        let mut floats = Vec::new();
        let mut all_ints = true;
        let mut strs: Vec<Arc<str>> = Vec::new();
        while !self.is("]") {
            if !floats.is_empty() || !strs.is_empty() {
                self.expect(",")?;
            }
            if matches!(self.token, Token::Str(_)) && floats.is_empty() {
                strs.push(self.string("")?);
                continue;
            }
            if !strs.is_empty() {
                return self.expected("a string, like the others in this list");
            }
            match self.number()? {
                Attr::Int(v) => {
                    ints.push(v);
                    floats.push(v as f64);
                }
                Attr::Float(v) => {
                    all_ints = false;
                    floats.push(v);
                }
                _ => unreachable!("`number` reads ints and floats"),
            }
        }
        self.expect("]")?;
        Ok(if !strs.is_empty() {
            Attr::Strs(strs.into())
        } else if all_ints {
            Attr::Ints(ints.into())
        } else {
            Attr::Floats(floats.into())
        })
    }
}
