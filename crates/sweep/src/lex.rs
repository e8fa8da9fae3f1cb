//! The expressions inside `${...}`: their words.

use std::fmt;
use std::ops::Range;

use crate::expr::ExprError;
use crate::value::Value;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Constant(Value),
    Word(String),
    Sign(&'static str),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Constant(value) => f.write_str(&value.describe()),
            Token::Word(word) => write!(f, "`{word}`"),
            Token::Sign(sign) => write!(f, "`{sign}`"),
        }
    }
}

/// Signs, longer ones before their beginnings.
const SIGNS: [&str; 18] = [
    "==", "!=", "<=", ">=", "**", "//", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",",
];

/// Whether a name can be written as a variable in an expression.
pub(crate) fn is_name(text: &str) -> bool {
    let start = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    start && text.bytes().all(is_word)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The tokens of an expression and where they are.
pub(crate) fn lex(text: &str) -> Result<Vec<(Token, Range<usize>)>, ExprError> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        let rest = &text[at..];
        let (token, length) = if byte.is_ascii_whitespace() {
            at += 1;
            continue;
        } else if byte == b'\'' || byte == b'"' {
            quoted(rest, byte, at)?
        } else if byte.is_ascii_digit()
            || (byte == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit))
        {
            number(rest, at)?
        } else if is_word(byte) {
            let length = rest.bytes().take_while(|b| is_word(*b)).count();
            (Token::Word(rest[..length].to_owned()), length)
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (Token::Sign(sign), sign.len())
        } else {
            let wrong = rest.chars().next().unwrap_or(' ');
            let message = format!("`{}` has no meaning in an expression", wrong.escape_debug());
            return Err(ExprError::new(at..at + wrong.len_utf8(), message));
        };
        tokens.push((token, at..at + length));
        at += length;
    }
    Ok(tokens)
}

fn quoted(rest: &str, quote: u8, at: usize) -> Result<(Token, usize), ExprError> {
    match rest.bytes().skip(1).position(|byte| byte == quote) {
        Some(length) => {
            let text = rest[1..=length].to_owned();
            Ok((Token::Constant(Value::Str(text)), length + 2))
        }
        None => Err(ExprError::new(
            at..at + rest.len(),
            "a text without its closing quote",
        )),
    }
}

fn number(rest: &str, at: usize) -> Result<(Token, usize), ExprError> {
    let bytes = rest.as_bytes();
    let digits = |from: usize| {
        from + bytes[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit() || **b == b'_')
            .count()
    };
    let mut end = digits(0);
    let mut float = false;
    if bytes.get(end) == Some(&b'.') {
        float = true;
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        float = true;
        end += 1;
        end += usize::from(matches!(bytes.get(end), Some(b'+' | b'-')));
        end = digits(end);
    }
    // Letters that follow belong to a slip such as `3x`, which reads better as one mistake.
    end += bytes[end..].iter().take_while(|b| is_word(**b)).count();
    let text = rest[..end].replace('_', "");
    let value = if float {
        text.parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .map(Value::Float)
    } else {
        text.parse().ok().map(Value::Int)
    };
    match value {
        Some(value) => Ok((Token::Constant(value), end)),
        None => Err(
            ExprError::new(at..at + end, format!("`{}` is no number", &rest[..end]))
                .with_help("whole numbers go up to 9223372036854775807"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        lex(text)
            .unwrap()
            .iter()
            .map(|(token, _)| token.to_string())
            .collect()
    }

    #[test]
    fn signs_are_taken_longest_first() {
        assert_eq!(
            texts("a//b**c<=d"),
            ["`a`", "`//`", "`b`", "`**`", "`c`", "`<=`", "`d`"]
        );
    }

    #[test]
    fn numbers() {
        let found = texts("1 1_000 .5 1e-3 2.");
        assert_eq!(
            found,
            [
                "the integer 1",
                "the integer 1000",
                "the float 0.5",
                "the float 0.001",
                "the float 2.0"
            ]
        );
        for wrong in ["99999999999999999999", "3x", "1e", "1e999", "1.2.3x"] {
            assert!(lex(wrong).is_err() || texts(wrong).len() > 1, "{wrong}");
        }
        assert_eq!(lex("3x").unwrap_err().message, "`3x` is no number");
        assert_eq!(lex("1e999").unwrap_err().message, "`1e999` is no number");
    }

    #[test]
    fn texts_and_strays() {
        assert_eq!(
            texts("'a b' \"c\""),
            ["the string \"a b\"", "the string \"c\""]
        );
        assert_eq!(lex("'a").unwrap_err().at, 0..2);
        assert_eq!(lex("a € b").unwrap_err().at, 2..5);
        assert_eq!(lex("''").unwrap()[0].1, 0..2);
    }
}
