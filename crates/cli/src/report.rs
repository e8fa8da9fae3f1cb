//! Errors as people see them: the file, the line, a caret and help.

use std::fmt;
use std::io::Write;
use std::path::Path;

use miette::{Diagnostic, LabeledSpan, MietteHandlerOpts, NamedSource, SourceCode};
use syncarp_diag::{Located, Source};
use syncarp_frontend::FrontendError;
use syncarp_pass::{PassRegistry, PipelineParseError, Stage};
use syncarp_standard::{RegistryError, SubmitError};
use syncarp_sweep::SweepError;

/// How a command ended that could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All went well.
    Done,
    /// A model failed or a check did not hold.
    Wanting,
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Mistakes at places of what the user wrote.
    Located(Vec<Located>),
    /// A mistake of the user's without a place in a text.
    Usage {
        /// What is wrong.
        message: String,
        /// How to mend it.
        help: Option<String>,
    },
    /// The machine, the file system or this program is at fault.
    Work(String),
    /// Nobody reads standard output any more; nothing to complain about.
    ClosedOutput,
}

impl Failure {
    /// A mistake of the user's without a place in a text.
    pub fn usage(message: impl Into<String>) -> Self {
        Failure::Usage {
            message: message.into(),
            help: None,
        }
    }

    /// A failure that the user is not to blame for.
    pub fn work(message: impl Into<String>) -> Self {
        Failure::Work(message.into())
    }

    /// A file that the user named and that cannot be read or written.
    pub fn file(path: &Path, cause: &std::io::Error) -> Self {
        Failure::usage(format!("{}: {cause}", path.display()))
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        match self {
            Failure::Located(_) | Failure::Usage { .. } => 2,
            Failure::Work(_) => 1,
            Failure::ClosedOutput => 0,
        }
    }

    /// Draws it on standard error.
    pub fn show(&self) {
        let shown: Vec<Shown> = match self {
            Failure::Located(mistakes) => mistakes.iter().map(Shown::located).collect(),
            Failure::Usage { message, help } => vec![Shown::plain(message, help.clone())],
            Failure::Work(message) => vec![Shown::plain(message, None)],
            Failure::ClosedOutput => Vec::new(),
        };
        // The hook may be set once only; a second call keeps the first, which is the same.
        let _ = miette::set_hook(Box::new(|_| {
            Box::new(MietteHandlerOpts::new().wrap_lines(false).build())
        }));
        for shown in shown {
            let report = miette::Report::new(shown);
            // Without standard error there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "{report:?}");
        }
    }
}

impl From<Located> for Failure {
    fn from(mistake: Located) -> Self {
        Failure::Located(vec![mistake])
    }
}

impl From<SweepError> for Failure {
    fn from(error: SweepError) -> Self {
        match error {
            SweepError::Invalid { mistakes } => Failure::Located(mistakes),
            SweepError::Read { .. } => Failure::usage(error.to_string()),
        }
    }
}

impl From<FrontendError> for Failure {
    fn from(error: FrontendError) -> Self {
        match error {
            FrontendError::Sweep(place) | FrontendError::Text(place) => place.into(),
            FrontendError::Lowering { .. } => Failure::work(error.to_string()),
            other => Failure::usage(other.to_string()),
        }
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Mistakes(mistakes) => Failure::Located(mistakes),
            SubmitError::Frontend(error) => error.into(),
        }
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Failure::work(error.to_string())
    }
}

/// A mistake in a pipeline given on the command line, with its place there.
pub(crate) fn pipeline_mistake(text: &str, error: &PipelineParseError) -> Failure {
    let source = Source::new("--passes", text);
    Located::new(&source, error.span.clone(), error.message.clone()).into()
}

/// Checks a pipeline before anything is done. `logical` tells that it is to run on the logical
/// graph, before placement.
///
/// # Errors
/// Where the text is no pipeline of known passes, or a pass cannot run there.
pub(crate) fn check_pipeline(
    passes: &PassRegistry,
    text: &str,
    logical: bool,
) -> Result<(), Failure> {
    let resolved = passes
        .resolve(text)
        .map_err(|error| pipeline_mistake(text, &error))?;
    let late = resolved
        .iter()
        .find(|(doc, _)| !matches!(doc.stage, Stage::Logical | Stage::Any));
    match late {
        Some((doc, _)) if logical => {
            let start = text.find(doc.name).unwrap_or(0);
            let message = format!("`{}` runs on the {} stage", doc.name, doc.stage);
            let source = Source::new("--passes", text);
            let mistake = Located::new(&source, start..start + doc.name.len(), message);
            let help = "these passes run on the logical graph; engines run those of later stages";
            Err(mistake.with_help(help).into())
        }
        _ => Ok(()),
    }
}

/// One mistake as miette draws it.
#[derive(Debug)]
struct Shown {
    message: String,
    help: Option<String>,
    place: Option<(NamedSource<String>, LabeledSpan)>,
}

impl Shown {
    fn plain(message: &str, help: Option<String>) -> Self {
        Shown {
            message: message.to_owned(),
            help,
            place: None,
        }
    }

    fn located(mistake: &Located) -> Self {
        let text = mistake.source.text.to_string();
        // A span outside the text would be drawn without the text.
        let start = boundary(&text, mistake.span.start);
        let end = boundary(&text, mistake.span.end.max(mistake.span.start)).max(start);
        let source = NamedSource::new(&*mistake.source.name, text);
        let span = LabeledSpan::new(Some("here".to_owned()), start, end - start);
        Shown {
            message: mistake.message.clone(),
            help: mistake.help.clone(),
            place: Some((source, span)),
        }
    }
}

fn boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown {}

impl Diagnostic for Shown {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help
            .as_ref()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place
            .as_ref()
            .map(|(source, _)| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, span) = self.place.as_ref()?;
        Some(Box::new(std::iter::once(span.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_past_the_end_or_inside_a_character_is_still_drawn() {
        let source = Source::new("a.toml", "é = 1\n");
        for span in [1..1, 1..400, 400..500] {
            let shown = Shown::located(&Located::new(&source, span, "wrong"));
            let drawn = format!("{:?}", miette::Report::new(shown));
            assert!(drawn.contains("a.toml:"), "{drawn}");
        }
    }
}
