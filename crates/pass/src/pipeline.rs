//! Pipelines as text: `dedup-input,cse,dce`, options in braces: `share{iters=8,limit=2}`.

use std::fmt;
use std::ops::Range;

use thiserror::Error;

use crate::options::PassOptions;

/// One pass of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The pass's name.
    pub name: String,
    /// Its options.
    pub options: PassOptions,
    /// Where in the text it stands.
    pub span: Range<usize>,
}

/// A list of passes to run in order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Pipeline {
    /// The passes.
    pub stages: Vec<Stage>,
}

/// A mistake in a pipeline's text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct PipelineParseError {
    /// The bytes of the text that it concerns.
    pub span: Range<usize>,
    /// What is wrong and what was expected.
    pub message: String,
}

impl Pipeline {
    /// Reads a pipeline.
    ///
    /// # Errors
    /// Where the text is not one.
    pub fn parse(text: &str) -> Result<Self, PipelineParseError> {
        let mut stages = Vec::new();
        let mut at = 0;
        let error = |span: Range<usize>, message: &str| {
            Err(PipelineParseError {
                span,
                message: message.to_owned(),
            })
        };
        if text.trim().is_empty() {
            return Ok(Pipeline::default());
        }
        loop {
            at += text[at..].len() - text[at..].trim_start().len();
            let rest = &text[at..];
            let end = rest.find([',', '{', '}']).unwrap_or(rest.len());
            let name = rest[..end].trim_end();
            let span = at..at + name.len();
            if name.is_empty() {
                return error(at..at + 1, "expected the name of a pass");
            }
            if let Some(bad) = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
                let found = name[bad..].chars().next().map_or(1, char::len_utf8);
                let from = at + bad;
                return error(
                    from..from + found,
                    "a pass's name has letters, digits and `-`",
                );
            }
            at += end;
            let mut options = PassOptions::default();
            if text[at..].starts_with('{') {
                let Some(close) = text[at..].find('}') else {
                    return error(at..at + 1, "this brace is never closed");
                };
                let inside = &text[at + 1..at + close];
                for part in inside.split(',').filter(|p| !p.trim().is_empty()) {
                    let Some((key, value)) = part.split_once('=') else {
                        return error(at..at + close + 1, "an option is written name=value");
                    };
                    let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
                    if options.get(&key).is_some() {
                        return error(at..at + close + 1, "an option is given twice");
                    }
                    options.0.push((key, value));
                }
                at += close + 1;
                at += text[at..].len() - text[at..].trim_start().len();
            }
            stages.push(Stage {
                name: name.to_owned(),
                options,
                span,
            });
            match text[at..].chars().next() {
                None => return Ok(Pipeline { stages }),
                Some(',') => at += 1,
                Some(c) => return error(at..at + c.len_utf8(), "expected `,` and another pass"),
            }
        }
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, stage) in self.stages.iter().enumerate() {
            if i > 0 {
                write!(f, ",")?;
            }
            write!(f, "{}", stage.name)?;
            if !stage.options.0.is_empty() {
                let options: Vec<_> = stage
                    .options
                    .0
                    .iter()
                    .map(|(k, v)| format!("{k}={v}"))
                    .collect();
                write!(f, "{{{}}}", options.join(","))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_survives_printing() {
        for text in [
            "",
            "dedup-input,cse,dce",
            "share{iters=8,limit=2},dce",
            "a{x=1}",
        ] {
            let pipeline = Pipeline::parse(text).unwrap();
            assert_eq!(pipeline.to_string(), text);
        }
        let spaced = Pipeline::parse(" a { x = 1 } , b ").unwrap();
        assert_eq!(spaced.to_string(), "a{x=1},b");
    }

    #[test]
    fn mistakes_have_a_place() {
        for (text, at) in [
            ("a,,b", 2),
            ("a{x", 1),
            ("a b", 1),
            ("a{x}", 1),
            (",", 0),
            ("ä", 0),
        ] {
            assert_eq!(Pipeline::parse(text).unwrap_err().span.start, at, "{text}");
        }
    }
}
