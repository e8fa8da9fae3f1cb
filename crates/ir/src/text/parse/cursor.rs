//! The parser's place in the text: looking at tokens, taking them, and saying what was expected.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use syncarp_diag::{Located, Source};

use super::super::lexer::{Lexer, Token};
use super::Result;
use crate::entity::{Model, State};
use crate::plan::Plan;
use crate::registry::OpRegistry;

/// How many entries an id may skip over: ids in a text are dense up to order.
const MAX_ID: u64 = 100_000_000;

/// A place in the text, with the token that stands there.
pub(super) struct Parser<'a> {
    pub(super) source: &'a Source,
    pub(super) lexer: Lexer<'a>,
    pub(super) token: Token<'a>,
    pub(super) span: Range<usize>,
    /// Where the token before it ended.
    pub(super) end: usize,
    pub(super) registry: Arc<OpRegistry>,
    /// Names of attributes, each kept once.
    pub(super) attr_names: FxHashMap<&'a str, Arc<str>>,
}

impl<'a> Parser<'a> {
    /// A parser at the first token.
    pub(super) fn new(source: &'a Source, registry: &Arc<OpRegistry>) -> Result<Self> {
        let mut lexer = Lexer::new(source);
        let (token, span) = lexer.next()?;
        Ok(Parser {
            source,
            lexer,
            token,
            span,
            end: 0,
            registry: registry.clone(),
            attr_names: FxHashMap::default(),
        })
    }

    pub(super) fn error<T>(&self, span: Range<usize>, message: impl Into<String>) -> Result<T> {
        Err(Located::new(self.source, span, message))
    }

    pub(super) fn expected<T>(&self, what: &str) -> Result<T> {
        self.error(
            self.span.clone(),
            format!("expected {what}, found {}", self.token.describe()),
        )
    }

    pub(super) fn advance(&mut self) -> Result<(Token<'a>, Range<usize>)> {
        let (token, span) = self.lexer.next()?;
        self.end = self.span.end;
        let old = std::mem::replace(&mut self.token, token);
        Ok((old, std::mem::replace(&mut self.span, span)))
    }

    /// Whether a sign is next: signs are told apart by their first byte.
    pub(super) fn is(&self, punct: &str) -> bool {
        matches!(self.token, Token::Punct(p) if p == punct.as_bytes()[0])
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.token, Token::Word(w) if w == word)
    }

    pub(super) fn eat(&mut self, punct: &str) -> Result<bool> {
        let found = self.is(punct);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, punct: &str) -> Result<()> {
        if self.eat(punct)? {
            Ok(())
        } else {
            self.expected(&format!("`{punct}`"))
        }
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.is_word(word) {
            self.advance()?;
            return Ok(());
        }
        self.expected(&format!("`{word}`"))
    }

    pub(super) fn word(&mut self, what: &str) -> Result<(&'a str, Range<usize>)> {
        match self.token {
            Token::Word(w) => {
                let (_, span) = self.advance()?;
                Ok((w, span))
            }
            _ => self.expected(what),
        }
    }

    pub(super) fn string(&mut self, what: &str) -> Result<Arc<str>> {
        Ok(self.text(what)?.into())
    }

    /// A string that is not kept.
    pub(super) fn text(&mut self, what: &str) -> Result<Cow<'a, str>> {
        match self.advance()? {
            (Token::Str(s), _) => Ok(s),
            (token, span) => {
                self.error(span, format!("expected {what}, found {}", token.describe()))
            }
        }
    }

    pub(super) fn int(&mut self, what: &str) -> Result<u64> {
        match self.token {
            Token::Int(v) => {
                self.advance()?;
                Ok(v)
            }
            _ => self.expected(what),
        }
    }

    /// The number of an id such as `m3`.
    pub(super) fn id_of(word: &str, prefix: &str) -> Option<usize> {
        let digits = word.strip_prefix(prefix)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits
            .parse::<u64>()
            .ok()
            .filter(|v| *v < MAX_ID)
            .map(|v| v as usize)
    }

    pub(super) fn id(&mut self, prefix: &str, what: &str) -> Result<(usize, Range<usize>)> {
        if let Token::Word(w) = self.token
            && let Some(index) = Self::id_of(w, prefix)
        {
            let (_, span) = self.advance()?;
            return Ok((index, span));
        }
        self.expected(&format!("{what} such as {prefix}0"))
    }

    pub(super) fn model(&mut self, plan: &Plan) -> Result<Model> {
        let (index, span) = self.id(Model::PREFIX, "a model")?;
        if index >= plan.models.len() {
            return self.error(span, format!("there is no model m{index}"));
        }
        Ok(Model::new(index))
    }

    pub(super) fn state(&mut self, plan: &Plan) -> Result<State> {
        let (index, span) = self.id(State::PREFIX, "a state")?;
        if index >= plan.states.len() {
            return self.error(span, format!("there is no state s{index}"));
        }
        Ok(State::new(index))
    }
}
