//! One application of an op: types and attributes.

use std::sync::Arc;

use syncarp_diag::Source;

use super::super::lexer::Token;
use super::Result;
use super::cursor::Parser;
use crate::attr::Attrs;
use crate::plan::{ModelEntry, Plan};
use crate::registry::OpRegistry;
use crate::types::TensorType;

/// What an op is applied to: see [`crate::Op::example`].
#[derive(Clone, PartialEq, Debug)]
pub struct Example {
    /// The operands' types.
    pub operands: Vec<TensorType>,
    /// The attributes.
    pub attrs: Attrs,
}

impl Example {
    /// Reads types by commas and then attributes in braces, each of which may be missing:
    /// `f32[2, 3], i64[2] {axis=1}`. There is a model `m0`.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn parse(text: &str) -> Result<Example> {
        let source = Source::new("example", text);
        let mut parser = Parser::new(&source, &Arc::new(OpRegistry::default()))?;
        let mut operands = Vec::new();
        while !parser.is("{") && !matches!(parser.token, Token::End) {
            if !operands.is_empty() {
                parser.expect(",")?;
            }
            operands.push(parser.ty()?);
        }
        let mut attrs = Attrs::new();
        if parser.is("{") {
            let mut plan = Plan::default();
            plan.models.push(ModelEntry::default());
            attrs = parser.attrs(&plan)?;
        }
        match parser.token {
            Token::End => Ok(Example { operands, attrs }),
            _ => parser.expected("the end of the example"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_attributes_are_read() {
        let example = Example::parse("f32[2, 3], ?[*] {axis=-1, keep=true}").unwrap();
        let types: Vec<String> = example.operands.iter().map(ToString::to_string).collect();
        assert_eq!(types, ["f32[2, 3]", "?[*]"]);
        assert_eq!(example.attrs.int("axis"), Some(-1));
        assert!(Example::parse("").unwrap().operands.is_empty());
        for wrong in ["f32[2] i64[2]", "f32[2],", "{axis=1} f32[2]", "{axis=1"] {
            assert!(Example::parse(wrong).is_err(), "{wrong}");
        }
    }
}
