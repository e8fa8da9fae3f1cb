//! Random schedules: submissions over time, stops, answers good and bad, engines that fail, repeat
//! themselves, lie and report by place, crashes and shutdowns. The oracle checks every step; at
//! the end everything has to come to an end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use syncarp_runtime::{recover, replay};

use crate::actions::{Action, Dice, config};
use crate::play::Play;
use crate::recovery::journal;
use crate::seen::Seen;

/// How many schedules a run of the tests goes through, unless the environment says otherwise.
const SCHEDULES: u64 = 100_000;

/// The environment variable that says how many schedules to go through instead.
const SCHEDULES_VARIABLE: &str = "SYNCARP_SCHEDULES";

/// The environment variable that names one schedule by its seed, to go through that alone.
const SCHEDULE_VARIABLE: &str = "SYNCARP_SCHEDULE";

/// One schedule in so many goes through the text of its journal; all are replayed.
const WRITTEN: u64 = 16;

/// A schedule as the numbers that decide about it.
#[derive(Debug, Clone)]
struct Schedule {
    config: u64,
    actions: Vec<u64>,
}

impl Schedule {
    fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let config = dice.number();
        let count = dice.below(120);
        let actions = (0..count).map(|_| dice.number()).collect();
        Schedule { config, actions }
    }

    /// Goes through it; panics where something is wrong.
    fn play(&self, written: bool) -> Seen {
        let config = config(self.config);
        let mut play = Play::new(config.clone());
        for &number in &self.actions {
            play.act(Action::of(number));
        }
        play.drain();
        let Play { script, seen, .. } = play;
        assert_eq!(script.oracle.finished, 1, "it never came to an end");
        assert_eq!(script.scheduler.counts().live(), 0);
        let free = script.scheduler.free_devices().count();
        assert_eq!(free, config.devices.len(), "a device was lost");
        let again = if written {
            let recovered = recover(journal(&script).as_slice()).expect("a whole journal");
            recovered.scheduler
        } else {
            replay(config, script.history).expect("the settings are right")
        };
        assert!(again == script.scheduler, "replaying leads elsewhere");
        let suppressed = script.scheduler.statistics().suppressed;
        Seen { suppressed, ..seen }
    }

    fn fails(&self) -> Option<String> {
        let panic = catch_unwind(AssertUnwindSafe(|| self.play(true))).err()?;
        let text = panic.downcast_ref::<String>().cloned();
        Some(text.unwrap_or_else(|| panic.downcast_ref::<&str>().unwrap_or(&"?").to_string()))
    }

    /// Leaves out what does not matter to the failure.
    fn shrink(mut self) -> Self {
        loop {
            let before = self.actions.len();
            for at in (0..before).rev() {
                let mut fewer = self.clone();
                fewer.actions.remove(at);
                if fewer.fails().is_some() {
                    self = fewer;
                }
            }
            if self.actions.len() == before {
                return self;
            }
        }
    }
}

/// Goes through a schedule; says how to do so again where something is wrong.
fn check(seed: u64) -> Seen {
    let schedule = Schedule::of(seed);
    let played = catch_unwind(|| schedule.play(seed.is_multiple_of(WRITTEN)));
    played.unwrap_or_else(|_| {
        let short = schedule.shrink();
        let why = short.fails().unwrap_or_default();
        let actions: Vec<Action> = short.actions.iter().copied().map(Action::of).collect();
        let config = config(short.config);
        panic!(
            "schedule {seed} fails; {SCHEDULE_VARIABLE}={seed} goes through it alone\n\
             {why}\nwithout what does not matter it is: {config:?}\n{actions:#?}"
        )
    })
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().expect("the variable is a number"))
}

#[test]
fn whatever_happens_every_model_ends_once_and_no_device_is_lost() {
    if let Some(seed) = variable(SCHEDULE_VARIABLE) {
        check(seed);
        return;
    }
    let schedules = variable(SCHEDULES_VARIABLE).unwrap_or(SCHEDULES);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let part = |thread: u64| {
        let mut seen = Seen::default();
        let seeds = (thread..schedules).step_by(threads as usize);
        seeds.for_each(|seed| seen.add(check(seed)));
        seen
    };
    let mut seen = Seen::default();
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || part(thread)))
            .collect();
        for thread in running {
            match thread.join() {
                Ok(part) => seen.add(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    let dull: Vec<u64> = seen.fields().into_iter().map(|n| *n).collect();
    let enough = schedules / 4;
    assert!(
        dull.iter().all(|&count| count >= enough),
        "dull schedules: {seen:#?}"
    );
}
