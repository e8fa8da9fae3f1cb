//! The journal: the settings and then every event with its time, one JSON document a line.
//!
//! The state follows from the events, so the journal is the state: replaying it is recovery. An
//! event is to be appended before it is acted upon, and counts once its newline is there.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::{Command, Config, ConfigError, Event, ModelId, Scheduler, Time};

const VERSION: u32 = 1;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Header<C> {
    journal: u32,
    config: C,
}

/// Every other line, as it is written.
#[derive(Serialize)]
struct Line<'a> {
    at: Time,
    event: &'a Event,
    /// The names of submitted models: numbers are the driver's, names are what people know.
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    names: &'a [&'a str],
}

/// The same, as it is read.
#[derive(Deserialize)]
struct Entry {
    at: Time,
    event: Event,
    #[serde(default)]
    names: Vec<String>,
}

/// Writes a journal. It does not buffer and does not flush of itself: how much of it may be lost
/// with the machine is for the writer behind it to say.
#[derive(Debug)]
pub struct Journal<W: Write> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> Journal<W> {
    /// Begins a new journal for a scheduler with these settings.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn create(out: W, config: &Config) -> io::Result<Self> {
        let mut journal = Journal::resume(out);
        journal.write(&Header {
            journal: VERSION,
            config,
        })?;
        Ok(journal)
    }

    /// Goes on with a journal whose complete lines the writer stands behind. After a torn line
    /// it has to be cut to [`Recovered::complete_bytes`] first.
    pub fn resume(out: W) -> Self {
        Journal {
            out,
            line: Vec::new(),
        }
    }

    /// Appends an event.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn append(&mut self, at: Time, event: &Event) -> io::Result<()> {
        self.append_named(at, event, &[])
    }

    /// Appends an event with the names of the models that it submits, in their order.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn append_named(&mut self, at: Time, event: &Event, names: &[&str]) -> io::Result<()> {
        self.write(&Line { at, event, names })
    }

    /// Flushes the writer.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// The writer.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// One line with one call, so that it can only be torn at its end.
    fn write(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, value)?;
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }
}

/// What came out of a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovered {
    /// The scheduler as it was. What was being planned or run then is not any more: the driver's
    /// first event has to be [`Event::Restarted`].
    pub scheduler: Scheduler,
    /// The names of the models that were submitted with one.
    pub names: BTreeMap<ModelId, String>,
    /// How many events there were.
    pub events: u64,
    /// The commands of the last event. All earlier ones were carried out before it was written;
    /// of these nobody knows.
    pub last_commands: Vec<Command>,
    /// The length of the complete lines, in bytes.
    pub complete_bytes: u64,
    /// A line at the end that was never completed. Its event was not acted upon.
    pub torn: Option<TornLine>,
}

/// The beginning of a line without its end, as a crash leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the journal is incomplete and was ignored ({bytes} bytes)")]
pub struct TornLine {
    /// Its number, from one.
    pub line: u64,
    /// How much of it there is.
    pub bytes: u64,
}

/// A journal that cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The reader failed.
    #[error("cannot read the journal")]
    Read(#[from] io::Error),
    /// There is not even one complete line, so nothing ever happened.
    #[error("the journal is empty")]
    Empty,
    /// The first line is not a journal's, or the file is another kind of file.
    #[error("the first line is not the header of a journal")]
    Header(#[source] serde_json::Error),
    /// Written by another version of this crate.
    #[error("the journal has format {found}, and only format {VERSION} can be read")]
    Version {
        /// The version that it says.
        found: u32,
    },
    /// The settings in it are not ones that a scheduler could have run with.
    #[error("the journal's settings cannot be used")]
    Config(#[from] ConfigError),
    /// A complete line that is not an event: the file was damaged or edited.
    #[error("line {line} of the journal is not an event")]
    Line {
        /// Its number, from one.
        line: u64,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// The state after a history.
///
/// # Errors
/// Where the settings contradict themselves.
pub fn replay(
    config: Config,
    history: impl IntoIterator<Item = (Time, Event)>,
) -> Result<Scheduler, ConfigError> {
    let mut scheduler = Scheduler::new(config)?;
    let mut commands = Vec::new();
    for (at, event) in history {
        commands.clear();
        scheduler.step(at, event, &mut commands);
    }
    Ok(scheduler)
}

/// The state that a journal leads to.
///
/// # Errors
/// Where the journal cannot be read or is damaged elsewhere than in an incomplete last line.
pub fn recover(mut from: impl BufRead) -> Result<Recovered, JournalError> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    if !line.ends_with(b"\n") {
        return Err(JournalError::Empty);
    }
    let mut recovered = Recovered {
        scheduler: Scheduler::new(header(&line)?)?,
        names: BTreeMap::new(),
        events: 0,
        last_commands: Vec::new(),
        complete_bytes: line.len() as u64,
        torn: None,
    };
    for number in 2.. {
        line.clear();
        from.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        if !line.ends_with(b"\n") {
            recovered.torn = Some(TornLine {
                line: number,
                bytes: line.len() as u64,
            });
            break;
        }
        let entry = serde_json::from_slice(&line);
        let Entry { at, event, names } = entry.map_err(|source| JournalError::Line {
            line: number,
            source,
        })?;
        let submitted = match &event {
            Event::Submit { model } => std::slice::from_ref(model),
            Event::SubmitAll { models } => models,
            _ => &[],
        };
        recovered.names.extend(submitted.iter().copied().zip(names));
        recovered.last_commands.clear();
        recovered
            .scheduler
            .step(at, event, &mut recovered.last_commands);
        recovered.events += 1;
        recovered.complete_bytes += line.len() as u64;
    }
    Ok(recovered)
}

/// The settings in a first line. The version is looked at before them, because another version
/// may have other settings.
fn header(line: &[u8]) -> Result<Config, JournalError> {
    let any: Header<serde_json::Value> =
        serde_json::from_slice(line).map_err(JournalError::Header)?;
    if any.journal != VERSION {
        return Err(JournalError::Version { found: any.journal });
    }
    serde_json::from_value(any.config).map_err(JournalError::Header)
}
