//! The expressions inside `${...}`: their grammar.
//!
//! ```text
//! expression := or ("if" or "else" expression)?
//! or         := and ("or" and)*
//! and        := not ("and" not)*
//! not        := "not" not | compare
//! compare    := sum (("==" | "!=" | "<" | "<=" | ">" | ">=") sum)?
//! sum        := product (("+" | "-") product)*
//! product    := sign (("*" | "/" | "//" | "%") sign)*
//! sign       := ("-" | "+") sign | power
//! power      := item ("**" sign)?
//! item       := atom ("[" expression "]")*
//! atom       := number | 'text' | "true" | "false" | name
//!             | ("min" | "max" | "len" | "int") "(" expression ("," expression)* ")"
//!             | "(" expression ")"
//! ```
//!
//! Names are resolved to slots while parsing, so evaluating looks nothing up by name.

use std::ops::Range;

use crate::lex::{Token, lex};
use crate::value::Value;

/// The most operations in one expression. It bounds how deep evaluating recurses.
const MAX_NODES: usize = 300;

/// How deep the grammar may recurse.
const MAX_DEPTH: usize = 48;

/// Words that have a meaning in expressions and so name no setting.
pub(crate) const RESERVED: [&str; 12] = [
    "if", "else", "and", "or", "not", "true", "false", "min", "max", "len", "int", "index",
];

/// What is wrong with an expression, at bytes of its own text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExprError {
    pub at: Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

impl ExprError {
    pub fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        ExprError {
            at,
            message: message.into(),
            help: None,
        }
    }

    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// An operation and where it is written in the expression's text.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub op: Op,
    pub at: Range<usize>,
}

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Constant(Value),
    Variable(usize),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Compare(Comparison, Box<[Node; 2]>),
    Arithmetic(Arithmetic, Box<[Node; 2]>),
    /// Condition, value if so, value if not.
    If(Box<[Node; 3]>),
    Item(Box<[Node; 2]>),
    Call(Function, Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Modulo,
    Power,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Min,
    Max,
    Len,
    Int,
}

/// What the names in an expression stand for.
pub(crate) trait Names {
    /// The slot of a name, which counts as used from now on.
    fn slot(&mut self, name: &str) -> Option<usize>;
    /// Help for a name without a slot.
    fn help(&self, name: &str) -> String;
}

/// Parses the text between `${` and `}`.
pub(crate) fn parse(text: &str, names: &mut dyn Names) -> Result<Node, ExprError> {
    let tokens = lex(text)?;
    let mut parser = Parser {
        tokens,
        next: 0,
        end: text.len(),
        nodes: 0,
        depth: 0,
        names,
    };
    if parser.tokens.is_empty() {
        return Err(ExprError::new(
            0..text.len(),
            "there is no expression inside `${}`",
        ));
    }
    let node = parser.expression()?;
    match parser.peek() {
        None => Ok(node),
        Some(token) => {
            let message = format!("expected the end of the expression, found {token}");
            Err(ExprError::new(parser.here(), message))
        }
    }
}

struct Parser<'n> {
    tokens: Vec<(Token, Range<usize>)>,
    next: usize,
    end: usize,
    nodes: usize,
    depth: usize,
    names: &'n mut dyn Names,
}

type Parsed = Result<Node, ExprError>;

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(token, _)| token)
    }

    /// Where the next token is, or the end of the text.
    fn here(&self) -> Range<usize> {
        self.tokens
            .get(self.next)
            .map_or(self.end..self.end, |(_, at)| at.clone())
    }

    fn take(&mut self, wanted: &Token) -> bool {
        let found = self.peek() == Some(wanted);
        self.next += usize::from(found);
        found
    }

    fn take_sign(&mut self, sign: &'static str) -> bool {
        self.take(&Token::Sign(sign))
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(name)) if name == word);
        self.next += usize::from(found);
        found
    }

    fn expect_sign(&mut self, sign: &'static str) -> Result<(), ExprError> {
        if self.take_sign(sign) {
            return Ok(());
        }
        Err(self.unexpected(&format!("`{sign}`")))
    }

    fn unexpected(&self, wanted: &str) -> ExprError {
        let found = self
            .peek()
            .map_or_else(|| "the end".to_owned(), Token::to_string);
        ExprError::new(self.here(), format!("expected {wanted}, found {found}"))
    }

    fn node(&mut self, op: Op, at: Range<usize>) -> Parsed {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let message = format!("an expression of more than {MAX_NODES} operations");
            return Err(ExprError::new(at, message));
        }
        Ok(Node { op, at })
    }

    fn pair(&mut self, make: impl FnOnce(Box<[Node; 2]>) -> Op, left: Node, right: Node) -> Parsed {
        let at = left.at.start..right.at.end;
        self.node(make(Box::new([left, right])), at)
    }

    /// Runs a rule that may come back to itself, one level deeper.
    fn deeper(&mut self, rule: impl FnOnce(&mut Self) -> Parsed) -> Parsed {
        if self.depth >= MAX_DEPTH {
            let message = format!("an expression nests deeper than {MAX_DEPTH}");
            return Err(ExprError::new(self.here(), message));
        }
        self.depth += 1;
        let node = rule(self);
        self.depth -= 1;
        node
    }

    fn expression(&mut self) -> Parsed {
        self.deeper(|parser| {
            let value = parser.or()?;
            if !parser.take_word("if") {
                return Ok(value);
            }
            let condition = parser.or()?;
            if !parser.take_word("else") {
                return Err(parser.unexpected("`else`"));
            }
            let otherwise = parser.expression()?;
            let at = value.at.start..otherwise.at.end;
            parser.node(Op::If(Box::new([condition, value, otherwise])), at)
        })
    }

    fn or(&mut self) -> Parsed {
        let mut left = self.and()?;
        while self.take_word("or") {
            let right = self.and()?;
            left = self.pair(Op::Or, left, right)?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed {
        let mut left = self.not()?;
        while self.take_word("and") {
            let right = self.not()?;
            left = self.pair(Op::And, left, right)?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Parsed {
        let start = self.here().start;
        if !self.take_word("not") {
            return self.compare();
        }
        let of = self.deeper(Parser::not)?;
        let at = start..of.at.end;
        self.node(Op::Not(Box::new(of)), at)
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let comparison = match self.peek() {
            Some(Token::Sign("==")) => Comparison::Equal,
            Some(Token::Sign("!=")) => Comparison::NotEqual,
            Some(Token::Sign("<")) => Comparison::Less,
            Some(Token::Sign("<=")) => Comparison::LessEqual,
            Some(Token::Sign(">")) => Comparison::Greater,
            Some(Token::Sign(">=")) => Comparison::GreaterEqual,
            _ => return None,
        };
        self.next += 1;
        Some(comparison)
    }

    fn compare(&mut self) -> Parsed {
        let left = self.sum()?;
        let Some(comparison) = self.comparison() else {
            return Ok(left);
        };
        let right = self.sum()?;
        let again = self.here();
        if self.comparison().is_some() {
            return Err(ExprError::new(again, "comparisons do not chain")
                .with_help("join two comparisons with `and`"));
        }
        self.pair(|sides| Op::Compare(comparison, sides), left, right)
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        loop {
            let arithmetic = match self.peek() {
                Some(Token::Sign("+")) => Arithmetic::Add,
                Some(Token::Sign("-")) => Arithmetic::Subtract,
                _ => return Ok(left),
            };
            self.next += 1;
            let right = self.product()?;
            left = self.pair(|sides| Op::Arithmetic(arithmetic, sides), left, right)?;
        }
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.sign()?;
        loop {
            let arithmetic = match self.peek() {
                Some(Token::Sign("*")) => Arithmetic::Multiply,
                Some(Token::Sign("/")) => Arithmetic::Divide,
                Some(Token::Sign("//")) => Arithmetic::FloorDivide,
                Some(Token::Sign("%")) => Arithmetic::Modulo,
                _ => return Ok(left),
            };
            self.next += 1;
            let right = self.sign()?;
            left = self.pair(|sides| Op::Arithmetic(arithmetic, sides), left, right)?;
        }
    }

    fn sign(&mut self) -> Parsed {
        let start = self.here().start;
        if self.take_sign("+") {
            return self.deeper(Parser::sign);
        }
        if !self.take_sign("-") {
            return self.power();
        }
        let of = self.deeper(Parser::sign)?;
        let at = start..of.at.end;
        self.node(Op::Negate(Box::new(of)), at)
    }

    fn power(&mut self) -> Parsed {
        let base = self.item()?;
        if !self.take_sign("**") {
            return Ok(base);
        }
        let exponent = self.deeper(Parser::sign)?;
        self.pair(
            |sides| Op::Arithmetic(Arithmetic::Power, sides),
            base,
            exponent,
        )
    }

    fn item(&mut self) -> Parsed {
        let mut of = self.atom()?;
        while self.take_sign("[") {
            let index = self.expression()?;
            let at = of.at.start..self.here().end;
            self.expect_sign("]")?;
            of = self.node(Op::Item(Box::new([of, index])), at)?;
        }
        Ok(of)
    }

    fn atom(&mut self) -> Parsed {
        let at = self.here();
        let Some(token) = self.peek().cloned() else {
            return Err(self.unexpected("a value"));
        };
        match token {
            Token::Constant(value) => {
                self.next += 1;
                self.node(Op::Constant(value), at)
            }
            Token::Sign("(") => {
                self.next += 1;
                let inner = self.expression()?;
                let at = at.start..self.here().end;
                self.expect_sign(")")?;
                Ok(Node { at, ..inner })
            }
            Token::Word(word) => self.word(&word, at),
            Token::Sign(_) => Err(self.unexpected("a value")),
        }
    }

    fn word(&mut self, word: &str, at: Range<usize>) -> Parsed {
        let function = match word {
            "min" => Function::Min,
            "max" => Function::Max,
            "len" => Function::Len,
            "int" => Function::Int,
            "true" | "false" => {
                self.next += 1;
                return self.node(Op::Constant(Value::Bool(word == "true")), at);
            }
            "if" | "else" | "and" | "or" | "not" => return Err(self.unexpected("a value")),
            _ => {
                let Some(slot) = self.names.slot(word) else {
                    let error = ExprError::new(at, format!("unknown variable `{word}`"));
                    return Err(error.with_help(self.names.help(word)));
                };
                self.next += 1;
                return self.node(Op::Variable(slot), at);
            }
        };
        self.next += 1;
        self.expect_sign("(")?;
        let mut arguments = vec![self.expression()?];
        while self.take_sign(",") {
            arguments.push(self.expression()?);
        }
        let at = at.start..self.here().end;
        self.expect_sign(")")?;
        if matches!(function, Function::Len | Function::Int) && arguments.len() != 1 {
            return Err(ExprError::new(at, format!("`{word}` takes one value")));
        }
        self.node(Op::Call(function, arguments), at)
    }
}
