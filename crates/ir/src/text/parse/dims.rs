//! Types and dims.

use std::ops::Range;

use super::super::lexer::Token;
use super::Result;
use super::cursor::Parser;
use crate::dim::Dim;
use crate::types::{DType, Shape, TensorType};

/// How deep parentheses may nest.
const MAX_NESTING: usize = 16;

impl Parser<'_> {
    pub(super) fn ty(&mut self) -> Result<TensorType> {
        let dtype = if self.eat("?")? {
            None
        } else {
            let (word, span) = self.word("a type such as f32[n, 10]")?;
            let Some(dtype) = DType::from_name(word) else {
                return self.error(span, format!("no dtype is called `{word}`"));
            };
            Some(dtype)
        };
        if !self.is("[") {
            return self.expected("`[` and a shape");
        }
        let (_, span) = self.advance()?;
        if self.eat("*")? {
            self.expect("]")?;
            return Ok(TensorType { dtype, shape: None });
        }
        let shape = self.dims_until_bracket(span)?;
        Ok(TensorType {
            dtype,
            shape: Some(shape),
        })
    }

    pub(super) fn dims(&mut self) -> Result<Shape> {
        let span = self.span.clone();
        self.expect("[")?;
        self.dims_until_bracket(span)
    }

    fn dims_until_bracket(&mut self, open: Range<usize>) -> Result<Shape> {
        let mut shape = Shape::new();
        while !self.is("]") {
            if !shape.is_empty() {
                self.expect(",")?;
            }
            shape.push(self.dim(0)?);
            if shape.len() > 64 {
                return self.error(open, "a shape has at most 64 dims");
            }
        }
        self.expect("]")?;
        Ok(shape)
    }

    fn dim(&mut self, depth: usize) -> Result<Dim> {
        let start = self.span.start;
        let negative = self.eat("-")?;
        let mut sum = self.dim_product(depth)?;
        if negative {
            sum = self.dim_result(Dim::Known(0).minus(&sum), start)?;
        }
        loop {
            sum = if self.eat("+")? {
                let other = self.dim_product(depth)?;
                self.dim_result(sum.plus(&other), start)?
            } else if self.eat("-")? {
                let other = self.dim_product(depth)?;
                self.dim_result(sum.minus(&other), start)?
            } else {
                return Ok(sum);
            };
        }
    }

    fn dim_product(&mut self, depth: usize) -> Result<Dim> {
        let start = self.span.start;
        let mut product = self.dim_atom(depth)?;
        loop {
            product = if self.eat("*")? {
                let other = self.dim_atom(depth)?;
                self.dim_result(product.times(&other), start)?
            } else if self.eat("//")? {
                let other = self.dim_atom(depth)?;
                self.dim_result(product.floor_div(&other), start)?
            } else {
                return Ok(product);
            };
        }
    }

    fn dim_atom(&mut self, depth: usize) -> Result<Dim> {
        if depth > MAX_NESTING {
            return self.error(self.span.clone(), "parentheses nest too deep");
        }
        match self.token {
            Token::Int(v) => {
                self.advance()?;
                Ok(Dim::Known(v))
            }
            Token::Word(name) => {
                self.advance()?;
                Ok(Dim::symbol(name))
            }
            Token::Punct(b'(') => {
                self.advance()?;
                let dim = self.dim(depth + 1)?;
                self.expect(")")?;
                Ok(dim)
            }
            _ => self.expected("a dim: a number, a symbol or an expression"),
        }
    }

    fn dim_result(&self, dim: Option<Dim>, start: usize) -> Result<Dim> {
        match dim {
            Some(dim) => Ok(dim),
            None => self.error(start..self.span.start, "this dim has no value"),
        }
    }
}
