//! Equations of `einsum`: which letter names which dims.

use std::collections::BTreeMap;

use syncarp_ir::{Dim, TypeError};

/// What names a dim: a letter, or that it is so many from the right of those that dots stand for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Label {
    Letter(u8),
    Dots(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Letter(u8),
    Dots,
}

/// An equation that has been read.
pub(super) struct Equation {
    operands: Vec<Vec<Token>>,
    output: Vec<Token>,
}

/// The dims of all labels.
pub(super) type Sizes = BTreeMap<Label, Dim>;

fn wrong(message: String) -> TypeError {
    TypeError::new(format!("`equation`: {message}"))
}

fn tokens(term: &str) -> Result<Vec<Token>, TypeError> {
    let mut tokens = Vec::new();
    let mut rest = term.as_bytes();
    while let [first, after @ ..] = rest {
        match first {
            b' ' => rest = after,
            letter if letter.is_ascii_alphabetic() => {
                tokens.push(Token::Letter(*letter));
                rest = after;
            }
            b'.' if rest.starts_with(b"...") => {
                if tokens.contains(&Token::Dots) {
                    return Err(wrong(format!("`{term}` has dots twice")));
                }
                tokens.push(Token::Dots);
                rest = &rest[3..];
            }
            _ => {
                let message = format!("expected letters and `...`, found `{term}`");
                return Err(wrong(message));
            }
        }
    }
    Ok(tokens)
}

impl Equation {
    /// Reads an equation for so many operands.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read(text: &str, count: usize) -> Result<Equation, TypeError> {
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text, None),
        };
        let operands = left.split(',').map(tokens).collect::<Result<Vec<_>, _>>()?;
        if operands.len() != count {
            let given = operands.len();
            return Err(wrong(format!(
                "names {given} operands, but there are {count}"
            )));
        }
        let mut uses = [0u32; 256];
        let mut dots = false;
        for token in operands.iter().flatten() {
            match token {
                Token::Letter(letter) => uses[usize::from(*letter)] += 1,
                Token::Dots => dots = true,
            }
        }
        let output = match right {
            Some(right) => {
                let output = tokens(right)?;
                let mut seen = [false; 256];
                for token in &output {
                    match token {
                        Token::Dots if !dots => {
                            let message = "the result has dots, but no operand has";
                            return Err(wrong(message.to_owned()));
                        }
                        Token::Dots => {}
                        Token::Letter(letter) => {
                            let (at, shown) = (usize::from(*letter), char::from(*letter));
                            if uses[at] == 0 {
                                let message = format!("no operand has `{shown}`");
                                return Err(wrong(message));
                            }
                            if std::mem::replace(&mut seen[at], true) {
                                let message = format!("the result has `{shown}` twice");
                                return Err(wrong(message));
                            }
                        }
                    }
                }
                output
            }
            // What occurs once, in the order of the alphabet.
            None => {
                let once = (0..=255u8).filter(|l| uses[usize::from(*l)] == 1);
                let dots = dots.then_some(Token::Dots);
                dots.into_iter().chain(once.map(Token::Letter)).collect()
            }
        };
        Ok(Equation { operands, output })
    }

    /// The labels of an operand's dims.
    ///
    /// # Errors
    /// Where it has too few or too many dims.
    pub fn labels(&self, operand: usize, rank: usize) -> Result<Vec<Label>, TypeError> {
        let tokens = &self.operands[operand];
        let dots = tokens.contains(&Token::Dots);
        let letters = tokens.len() - usize::from(dots);
        if letters > rank || (!dots && letters < rank) {
            return Err(wrong(format!(
                "names {letters} dims of operand {operand}, which has {rank}"
            )));
        }
        let mut labels = Vec::with_capacity(rank);
        for token in tokens {
            match token {
                Token::Letter(letter) => labels.push(Label::Letter(*letter)),
                Token::Dots => labels.extend((0..rank - letters).rev().map(Label::Dots)),
            }
        }
        Ok(labels)
    }

    /// The size of every label: dims that one label names are equal, or 1 and repeated.
    ///
    /// # Errors
    /// Where they are not.
    pub fn sizes(&self, operands: &[&[Dim]]) -> Result<Sizes, TypeError> {
        let one = Dim::Known(1);
        let mut sizes = Sizes::new();
        for (index, dims) in operands.iter().enumerate() {
            let labels = self.labels(index, dims.len())?;
            let mut own = Sizes::new();
            for (label, dim) in labels.into_iter().zip(*dims) {
                match own.insert(label, dim.clone()) {
                    Some(other) if other != *dim => {
                        let message = format!("one label names dims {other} and {dim} of operand");
                        return Err(wrong(format!("{message} {index}")));
                    }
                    _ => {}
                }
            }
            for (label, dim) in own {
                let all = sizes.entry(label).or_insert_with(|| dim.clone());
                if *all == one {
                    *all = dim;
                } else if dim != one && *all != dim {
                    let message = format!("one label names dims {all} and {dim}");
                    return Err(wrong(message));
                }
            }
        }
        Ok(sizes)
    }

    /// The labels of the result's dims.
    pub fn output(&self, sizes: &Sizes) -> Vec<Label> {
        let dots = sizes.keys().filter(|l| matches!(l, Label::Dots(_))).count();
        let mut labels = Vec::new();
        for token in &self.output {
            match token {
                Token::Letter(letter) => labels.push(Label::Letter(*letter)),
                Token::Dots => labels.extend((0..dots).rev().map(Label::Dots)),
            }
        }
        labels
    }
}
