//! Parses a plan. Every error names a line and a column and says what was expected.

mod attrs;
mod cursor;
mod dims;
mod example;
mod graph;
mod names;
mod recent;

pub use example::Example;

use std::ops::Range;
use std::sync::Arc;

use syncarp_diag::{Located, Source};

use self::cursor::Parser;
use super::lexer::Token;
use crate::entity::{Data, Model, State};
use crate::plan::{ContentHash, Initial, ModelEntry, Plan, StateEntry, StateKind};
use crate::registry::OpRegistry;
use crate::stream::{Distribution, StreamKey};

type Result<T> = std::result::Result<T, Located>;

/// Reads a plan.
///
/// # Errors
/// The first mistake, with its place: of spelling, of types, or of ids that lead nowhere.
pub fn parse(source: &Source, registry: &Arc<OpRegistry>) -> Result<Plan> {
    Parser::new(source, registry)?.plan()
}

impl Parser<'_> {
    fn plan(&mut self) -> Result<Plan> {
        self.expect_word("syncarp")?;
        let span = self.span.clone();
        if self.int("the version of the text form, 1")? != 1 {
            return self.error(span, "this program reads version 1 of the text form");
        }
        let mut plan = Plan::default();
        let mut states: Vec<Option<StateEntry>> = Vec::new();
        let mut mentions: Vec<(usize, Range<usize>)> = Vec::new();
        while self.is_word("model") {
            self.model_entry(&mut plan, &mut states, &mut mentions)?;
        }
        for (index, span) in mentions {
            if states.get(index).is_none_or(Option::is_none) {
                return self.error(span, format!("state s{index} is never given a type"));
            }
        }
        for (index, state) in states.into_iter().enumerate() {
            match state {
                Some(state) => plan.states.push(state),
                None => {
                    let span = self.span.clone();
                    return self.error(span, format!("no model has state s{index}; ids are dense"));
                }
            }
        }
        while !matches!(self.token, Token::End) {
            if !self.is_word("graph") {
                return self.expected("`graph` or the end of the text");
            }
            self.graph(&mut plan)?;
        }
        Ok(plan)
    }

    fn model_entry(
        &mut self,
        plan: &mut Plan,
        states: &mut Vec<Option<StateEntry>>,
        mentions: &mut Vec<(usize, Range<usize>)>,
    ) -> Result<()> {
        self.advance()?;
        let (index, span) = self.id(Model::PREFIX, "a model")?;
        let next = plan.models.len();
        if index != next {
            return self.error(
                span,
                format!("models are numbered in order: expected m{next}"),
            );
        }
        let name = self.string("the model's name in quotes")?;
        let mut entry = ModelEntry {
            name,
            data: None,
            states: Vec::new(),
        };
        if self.is_word("data") {
            self.advance()?;
            entry.data = Some(Data::new(self.id(Data::PREFIX, "a data stream")?.0));
        }
        self.expect("{")?;
        while !self.eat("}")? {
            let path = self.string("a state's path in quotes, or `}`")?;
            self.expect("=")?;
            let (state, span) = self.id(State::PREFIX, "a state")?;
            if state >= self.source.text.len() {
                return self.error(span, "state ids are dense; this one is far too large");
            }
            entry.states.push((path, State::new(state)));
            if self.eat(":")? {
                let declared = self.state_entry(Model::new(index))?;
                if states.len() <= state {
                    states.resize(state + 1, None);
                }
                if states[state].replace(declared).is_some() {
                    return self.error(span, format!("state s{state} is declared twice"));
                }
            } else {
                mentions.push((state, span));
            }
        }
        plan.models.push(entry);
        Ok(())
    }

    fn state_entry(&mut self, model: Model) -> Result<StateEntry> {
        let ty = self.ty()?;
        let kinds: Vec<_> = StateKind::ALL.iter().map(|k| k.name()).collect();
        let kinds = format!("one of {}", kinds.join(", "));
        let (word, span) = self.word(&kinds)?;
        let Some(kind) = StateKind::from_name(word) else {
            return self.error(span, format!("expected {kinds}, found `{word}`"));
        };
        let (word, span) = self.word("`init` or `content`")?;
        self.expect("(")?;
        let initial = match word {
            "init" => {
                let distribution = self.distribution()?;
                self.expect(",")?;
                self.expect_word("stream")?;
                Initial::Init(distribution, self.stream()?)
            }
            "content" => Initial::Content(ContentHash(self.string("a content hash in quotes")?)),
            _ => {
                return self.error(
                    span,
                    format!("expected `init` or `content`, found `{word}`"),
                );
            }
        };
        self.expect(")")?;
        let owner = (kind != StateKind::Frozen).then_some(model);
        Ok(StateEntry {
            ty,
            kind,
            owner,
            initial,
        })
    }

    fn distribution(&mut self) -> Result<Distribution> {
        let (name, span) = self.word("a distribution")?;
        self.expect("(")?;
        let mut numbers = Vec::new();
        while !self.is(")") {
            if !numbers.is_empty() {
                self.expect(",")?;
            }
            numbers.push(self.float()?);
            if numbers.len() > 2 {
                break;
            }
        }
        self.expect(")")?;
        match (name, numbers.as_slice()) {
            ("constant", [a]) => Ok(Distribution::Constant(*a)),
            ("uniform", [a, b]) => Ok(Distribution::Uniform(*a, *b)),
            ("normal", [a, b]) => Ok(Distribution::Normal(*a, *b)),
            _ => self.error(
                span,
                "expected constant(value), uniform(low, high) or normal(mean, deviation)",
            ),
        }
    }

    /// `stream` was read; its arguments follow.
    fn stream(&mut self) -> Result<StreamKey> {
        self.expect("(")?;
        let seed = if self.is_word("_") {
            self.advance()?;
            None
        } else {
            Some(self.int("a seed, or _ for the evaluator's")?)
        };
        self.expect(",")?;
        let path = self.string("the stream's path in quotes")?;
        self.expect(",")?;
        let span = self.span.clone();
        let occurrence = self.int("the occurrence")?;
        let Ok(occurrence) = u32::try_from(occurrence) else {
            return self.error(span, "an occurrence has 32 bits");
        };
        self.expect(")")?;
        Ok(StreamKey {
            seed,
            path,
            occurrence,
        })
    }
}
