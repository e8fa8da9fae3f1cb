//! Pieces of text that were read before. Layers and models repeat attributes and types word by
//! word, so that what they say is mostly known.

use rustc_hash::FxHashMap;

use super::Result;
use super::cursor::Parser;
use crate::builder::GraphBuilder;
use crate::entity::{AttrsId, TypeId};
use crate::plan::Plan;

/// The longest piece that is remembered, in bytes.
const LONGEST: usize = 256;
/// How many pieces are remembered at once.
const MOST: usize = 4096;

/// Pieces of a graph's text, and what they say in that graph.
#[derive(Default)]
pub(super) struct Recent<'a> {
    attrs: FxHashMap<&'a str, AttrsId>,
    types: FxHashMap<&'a str, TypeId>,
}

impl<'a> Parser<'a> {
    /// Attributes in braces.
    pub(super) fn known_attrs(
        &mut self,
        plan: &Plan,
        builder: &mut GraphBuilder,
        recent: &mut Recent<'a>,
    ) -> Result<AttrsId> {
        let piece = self.piece(b'}');
        if let Some(id) = piece.and_then(|piece| recent.attrs.get(piece)) {
            self.skip(piece)?;
            return Ok(*id);
        }
        let start = self.span.start;
        let attrs = self.attrs(plan)?;
        let id = builder.intern_attrs(attrs);
        self.remember(start, piece, id, &mut recent.attrs);
        Ok(id)
    }

    /// A type.
    pub(super) fn known_type(
        &mut self,
        builder: &mut GraphBuilder,
        recent: &mut Recent<'a>,
    ) -> Result<TypeId> {
        let piece = self.piece(b']');
        if let Some(id) = piece.and_then(|piece| recent.types.get(piece)) {
            self.skip(piece)?;
            return Ok(*id);
        }
        let start = self.span.start;
        let ty = self.ty()?;
        let id = builder.intern_type(ty);
        self.remember(start, piece, id, &mut recent.types);
        Ok(id)
    }

    /// The text from the next token to the next byte like this one.
    fn piece(&self, end: u8) -> Option<&'a str> {
        let text: &'a str = self.lexer.text();
        let rest = &text.as_bytes()[self.span.start..];
        let length = rest.iter().take(LONGEST).position(|b| *b == end)?;
        text.get(self.span.start..=self.span.start + length)
    }

    /// Goes on behind a piece.
    fn skip(&mut self, piece: Option<&str>) -> Result<()> {
        let length = piece.map_or(0, str::len);
        self.lexer.go_on_at(self.span.start + length);
        self.advance()?;
        Ok(())
    }

    /// Remembers what a piece that begins here says, if it was read to its end and no further: then
    /// the same text always says the same.
    fn remember<T>(
        &self,
        start: usize,
        piece: Option<&'a str>,
        id: T,
        pieces: &mut FxHashMap<&'a str, T>,
    ) {
        let Some(piece) = piece.filter(|piece| start + piece.len() == self.end) else {
            return;
        };
        if pieces.len() == MOST {
            pieces.clear();
        }
        pieces.insert(piece, id);
    }
}
