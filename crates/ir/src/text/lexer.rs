//! Cuts the text into tokens, each with its place.

use std::borrow::Cow;
use std::ops::Range;

use syncarp_diag::{Located, Source};

/// A token; words, and strings without escapes, borrow from the text.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token<'a> {
    Word(&'a str),
    Int(u64),
    Float(f64),
    Str(Cow<'a, str>),
    /// A sign by its first byte; only `//` has two.
    Punct(u8),
    End,
}

impl Token<'_> {
    pub(super) fn describe(&self) -> String {
        match self {
            Token::Word(w) => format!("`{w}`"),
            Token::Int(v) => format!("`{v}`"),
            Token::Float(v) => format!("`{v:?}`"),
            Token::Str(s) => format!("{s:?}"),
            Token::Punct(b'/') => "`//`".to_owned(),
            Token::Punct(p) => format!("`{}`", char::from(*p)),
            Token::End => "the end of the text".to_owned(),
        }
    }
}

pub(super) struct Lexer<'a> {
    source: &'a Source,
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        Lexer {
            source,
            text: &source.text,
            at: 0,
        }
    }

    /// The whole text.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// Goes on elsewhere: at the end of a piece of text whose meaning is known.
    pub(super) fn go_on_at(&mut self, at: usize) {
        self.at = at;
    }

    fn skip_blanks(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                b';' => {
                    let rest = &bytes[self.at..];
                    self.at += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                }
                _ => break,
            }
        }
    }

    fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        self.at += rest.iter().position(|b| !keep(*b)).unwrap_or(rest.len());
        &self.text[start..self.at]
    }

    pub(super) fn next(&mut self) -> Result<(Token<'a>, Range<usize>), Located> {
        self.skip_blanks();
        let start = self.at;
        let Some(first) = self.text.as_bytes().get(start).copied() else {
            return Ok((Token::End, start..start));
        };
        let token = match first {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => Token::Word(
                self.take_while(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.'),
            ),
            b'0'..=b'9' => self.number(start)?,
            b'"' => self.string(start)?,
            b'/' if self.text[start..].starts_with("//") => {
                self.at += 2;
                Token::Punct(b'/')
            }
            b'{' | b'}' | b'[' | b']' | b'(' | b')' | b',' | b'=' | b':' | b'@' | b'*' | b'+'
            | b'-' | b'?' => {
                self.at += 1;
                Token::Punct(first)
            }
            _ => {
                let c = self.text[start..].chars().next().unwrap_or('\u{fffd}');
                let span = start..start + c.len_utf8();
                return Err(Located::new(self.source, span, format!("unexpected {c:?}")));
            }
        };
        Ok((token, start..self.at))
    }

    fn number(&mut self, start: usize) -> Result<Token<'a>, Located> {
        let bytes = self.text.as_bytes();
        self.take_while(|b| b.is_ascii_digit());
        let mut float = false;
        if bytes.get(self.at) == Some(&b'.')
            && bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit)
        {
            float = true;
            self.at += 1;
            self.take_while(|b| b.is_ascii_digit());
        }
        if matches!(bytes.get(self.at), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(self.at + 1), Some(b'-' | b'+')));
            if bytes
                .get(self.at + 1 + sign)
                .is_some_and(u8::is_ascii_digit)
            {
                float = true;
                self.at += 1 + sign;
                self.take_while(|b| b.is_ascii_digit());
            }
        }
        let text = &self.text[start..self.at];
        let parsed = if float {
            text.parse().ok().map(Token::Float)
        } else {
            text.parse().ok().map(Token::Int)
        };
        parsed.ok_or_else(|| {
            Located::new(self.source, start..self.at, "the number is too large")
                .with_help("integers have 64 bits; write a float with a point, such as 1.0e30")
        })
    }

    fn string(&mut self, start: usize) -> Result<Token<'a>, Located> {
        let rest = &self.text.as_bytes()[start + 1..];
        let stop = rest.iter().position(|b| matches!(b, b'"' | b'\\' | b'\n'));
        if let Some(length) = stop.filter(|at| rest[*at] == b'"') {
            self.at = start + 1 + length + 1;
            return Ok(Token::Str(Cow::Borrowed(
                &self.text[start + 1..start + 1 + length],
            )));
        }
        self.escaped(start)
    }

    fn escaped(&mut self, start: usize) -> Result<Token<'a>, Located> {
        let mut out = String::new();
        let mut chars = self.text[start + 1..].char_indices();
        let fail = |at: usize, message: &str| {
            Err(Located::new(self.source, start..start + 1 + at, message))
        };
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.at = start + 1 + i + 1;
                    return Ok(Token::Str(Cow::Owned(out)));
                }
                '\n' => return fail(i, "the string does not end on its line"),
                '\\' => match chars.next() {
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, 't')) => out.push('\t'),
                    Some((_, 'r')) => out.push('\r'),
                    Some((_, '\\')) => out.push('\\'),
                    Some((_, '"')) => out.push('"'),
                    Some((_, 'u')) => {
                        let hex: String = chars.by_ref().take(8).map(|(_, c)| c).collect();
                        let code = hex.strip_prefix('{').and_then(|h| h.strip_suffix('}'));
                        let code = code.and_then(|h| u32::from_str_radix(h, 16).ok());
                        match code.and_then(char::from_u32) {
                            Some(c) => out.push(c),
                            None => return fail(i, "expected \\u{......} with six hex digits"),
                        }
                    }
                    _ => {
                        return fail(
                            i,
                            "unknown escape; there are \\n \\t \\r \\\\ \\\" \\u{......}",
                        );
                    }
                },
                c => out.push(c),
            }
        }
        fail(self.text.len() - start - 1, "the string does not end")
    }
}

/// Writes a string as the lexer reads it.
pub(super) fn quote(text: &str, out: &mut String) {
    out.push('"');
    let plain = |b: u8| (b' '..0x7f).contains(&b) && b != b'"' && b != b'\\';
    if text.bytes().all(plain) {
        out.push_str(text);
        out.push('"');
        return;
    }
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                use std::fmt::Write;
                let _ = write!(out, "\\u{{{:06x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
