//! Progress on standard error: lines that move on a terminal, plain ones elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::record::{Record, State};

/// How often moving lines are drawn anew.
const REDRAW: Duration = Duration::from_millis(100);
/// How often plain lines tell about an assembly.
const PLAIN: Duration = Duration::from_secs(1);

/// Shows how far a run is.
pub(crate) struct Show {
    start: Instant,
    drawn: Option<Instant>,
    view: View,
}

enum View {
    Plain { told: Vec<(u32, Instant)> },
    Moving(Moving),
}

/// Lines that move: some for models, one for all that do not fit, a bar for each assembly.
struct Moving {
    all: MultiProgress,
    models: Vec<ProgressBar>,
    rest: ProgressBar,
    bars: Vec<(u32, ProgressBar)>,
}

impl Show {
    /// Begins to show a run of so many models.
    pub fn new(models: usize) -> Self {
        let view = match std::io::stderr().is_terminal() {
            true => View::Moving(Moving::new(models)),
            false => View::Plain { told: Vec::new() },
        };
        Show {
            start: Instant::now(),
            drawn: None,
            view,
        }
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        let seconds = self.start.elapsed().as_secs_f64();
        let text = format!("[{seconds:7.1} s] {text}");
        match &self.view {
            // Without standard error there is nobody to tell.
            View::Plain { .. } => drop(writeln!(std::io::stderr(), "{text}")),
            View::Moving(moving) => drop(moving.all.println(text)),
        }
    }

    /// An assembly starts.
    pub fn assembly(&mut self, number: u32, models: usize, devices: &[String]) {
        if let View::Moving(moving) = &mut self.view {
            moving.assembly(number, models);
        } else {
            let devices = devices.join(", ");
            let models = crate::output::models(models);
            self.line(&format!("assembly {number}: {models} on {devices}"));
        }
    }

    /// An assembly got further.
    pub fn progress(&mut self, number: u32, step: u64, steps: u64) {
        if let View::Moving(moving) = &mut self.view
            && let Some((_, bar)) = moving.bars.iter().find(|(n, _)| *n == number)
        {
            bar.set_length(steps.max(step));
            bar.set_position(step);
        }
    }

    /// A model's metrics of an epoch are known.
    pub fn epoch(&mut self, records: &[Record], at: usize) {
        match &mut self.view {
            View::Moving(_) => self.draw(records, false),
            View::Plain { told } => {
                let record = &records[at];
                let number = record.assembly.unwrap_or(0);
                let now = Instant::now();
                let last = told.iter_mut().find(|(n, _)| *n == number);
                match last {
                    Some((_, at)) if now.duration_since(*at) < PLAIN => return,
                    Some((_, at)) => *at = now,
                    None => told.push((number, now)),
                }
                let (epoch, of) = (record.epochs, record.of);
                let running = |r: &&Record| r.assembly == Some(number) && r.state == State::Running;
                let models = records.iter().filter(running).count();
                self.line(&format!(
                    "assembly {number}: epoch {epoch} of {of}, {models} models"
                ));
            }
        }
    }

    /// A model ended.
    pub fn ended(&mut self, records: &[Record], at: usize) {
        match &mut self.view {
            View::Moving(_) => self.draw(records, false),
            View::Plain { .. } => {
                let record = &records[at];
                let cause = record
                    .cause
                    .as_ref()
                    .map_or_else(String::new, |c| format!(" ({c})"));
                let state = record.state.name();
                self.line(&format!(
                    "{}: {state}{cause}, {}",
                    record.name,
                    numbers(record)
                ));
            }
        }
    }

    fn draw(&mut self, records: &[Record], at_once: bool) {
        let View::Moving(moving) = &self.view else {
            return;
        };
        let now = Instant::now();
        if !at_once && self.drawn.is_some_and(|at| now.duration_since(at) < REDRAW) {
            return;
        }
        self.drawn = Some(now);
        moving.draw(records);
    }

    /// Ends the showing; moving lines go away, since a table follows.
    pub fn end(mut self, records: &[Record]) {
        self.draw(records, true);
        if let View::Moving(moving) = &self.view {
            // A terminal that is gone needs no cleaning.
            let _ = moving.all.clear();
        }
    }
}

impl Moving {
    fn new(models: usize) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let (rows, _) = console::Term::stderr().size();
        // Some rows are left for bars, the line about the rest and the shell's prompt.
        let lines = models.min(usize::from(rows).saturating_sub(6).max(1));
        let line = || {
            let bar = all.add(ProgressBar::no_length());
            bar.set_style(ProgressStyle::with_template("{msg}").expect("a plain template"));
            bar
        };
        let models = (0..lines).map(|_| line()).collect();
        let rest = line();
        Moving {
            all,
            models,
            rest,
            bars: Vec::new(),
        }
    }

    fn assembly(&mut self, number: u32, models: usize) {
        let bar = self.all.add(ProgressBar::new(1));
        let template = "{prefix} [{bar:40}] {pos}/{len} steps, {per_sec}, {eta} left";
        let style = ProgressStyle::with_template(template).expect("a valid template");
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(format!("assembly {number}, {models} models"));
        self.bars.push((number, bar));
    }

    fn draw(&self, records: &[Record]) {
        let width = records
            .iter()
            .map(|r| r.name.chars().count())
            .max()
            .unwrap_or(0);
        let shown = shown(records, self.models.len());
        for (bar, at) in self.models.iter().zip(&shown) {
            let record = &records[*at];
            let state = record.state.name();
            let name = &record.name;
            bar.set_message(format!("{name:width$}  {state:8}  {}", numbers(record)));
        }
        if shown.len() < records.len() {
            let count = |state| crate::folder::count(records, state);
            self.rest.set_message(format!(
                "{} models: {} waiting, {} running, {} finished, {} failed",
                records.len(),
                count(State::Waiting),
                count(State::Running),
                count(State::Finished),
                count(State::Failed),
            ));
        }
    }
}

/// The places of the records that so many lines can show: all, or else the running ones first,
/// then those that wait, then the ended ones, each in their own order.
fn shown(records: &[Record], lines: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..records.len()).collect();
    if records.len() > lines {
        places.sort_by_key(|at| match records[*at].state {
            State::Running => 0,
            State::Waiting => 1,
            State::Finished | State::Failed | State::Stopped => 2,
        });
        places.truncate(lines);
    }
    places
}

/// Epoch and metrics in a few words.
fn numbers(record: &Record) -> String {
    let mut text = format!("epoch {} of {}", record.epochs, record.of);
    let metrics = record
        .metrics
        .iter()
        .filter(|(name, _)| name != "train_loss");
    for (name, value) in metrics {
        text += &format!(", {name} {value:.4}");
    }
    text
}
