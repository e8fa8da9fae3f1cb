//! What may happen in a random schedule, and how one number decides that it does.

use syncarp_runtime::Config;

use crate::script::{concurrency, devices, hasty, per_device};

/// Something that happens. Numbers choose among what there is at that time.
#[derive(Debug, Clone)]
pub enum Action {
    Submit,
    /// So many models at one moment.
    SubmitTogether(u32),
    SubmitAgain(u32),
    Close,
    Shutdown,
    Restart,
    /// The process ends, and another reads the journal.
    Crash,
    Stop(u32),
    StopUnknown,
    /// So many microseconds go by.
    Pass(u32),
    /// Time goes by until the scheduler's alarm.
    Wake,
    /// A good answer: so many models an assembly and so many devices an assembly.
    Answer(u32, u32),
    /// An answer that finds no room.
    AnswerNothing,
    /// An answer with made-up numbers.
    AnswerWildly(Vec<(Vec<u32>, Vec<u32>)>, Vec<u32>),
    AnswerOutOfTurn(u32),
    PlanFails(Option<u32>),
    Started(u32),
    /// Every model of an assembly goes on by an epoch.
    Train(u32),
    /// The same, reported by place. Numbers choose the entries.
    TrainByPlace(u32, Vec<u32>),
    /// A report of the wrong shape: too short, too long, or no list.
    Misreport(u32, u32),
    Checkpoint(u32),
    /// A result: a good one, one that is not finite, one that is not a number.
    Result(u32, u32),
    ModelEnds(u32, bool),
    AssemblyBreaks(u32),
    /// Whether or not every model of it has ended.
    AssemblyEnds(u32),
    /// Something that an engine said before, again.
    Repeat(u32),
    /// Something about any model by any assembly.
    Wild(u32, u32, u32),
}

/// Random numbers that follow from one (SplitMix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u32) -> u32 {
        (self.number() % u64::from(limit)) as u32
    }

    fn which(&mut self) -> u32 {
        self.below(1000)
    }

    fn list(&mut self, longest: u32, limit: u32) -> Vec<u32> {
        (0..self.below(longest + 1))
            .map(|_| self.below(limit))
            .collect()
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }
}

/// An action, and how likely it is beside the others.
type Entry = (u32, fn(&mut Dice) -> Action);

const ACTIONS: &[Entry] = {
    use Action::*;
    &[
        (16, |_| Submit),
        (4, |d| SubmitTogether(d.below(5))),
        (1, |d| SubmitAgain(d.which())),
        (1, |d| match d.below(10) {
            0 => Shutdown,
            1..4 => Close,
            _ => Wake,
        }),
        (1, |_| Restart),
        (1, |_| Crash),
        (3, |d| Stop(d.which())),
        (1, |_| StopUnknown),
        (6, |d| Pass(d.below(7_000_000))),
        (4, |_| Wake),
        (16, |d| Answer(1 + d.below(3), 1 + d.below(2))),
        (2, |_| AnswerNothing),
        (2, |d| {
            let count = d.below(4);
            let assemblies = (0..count).map(|_| (d.list(3, 8), d.list(3, 8)));
            let assemblies = assemblies.collect();
            AnswerWildly(assemblies, d.list(3, 8))
        }),
        (1, |d| AnswerOutOfTurn(d.below(9))),
        (2, |d| PlanFails(d.chance(50).then(|| d.which()))),
        (6, |d| Started(d.which())),
        (12, |d| Train(d.which())),
        (9, |d| {
            let assembly = d.which();
            TrainByPlace(assembly, (0..8).map(|_| d.below(40)).collect())
        }),
        (3, |d| Misreport(d.which(), d.below(4))),
        (4, |d| Checkpoint(d.which())),
        (4, |d| Result(d.which(), d.below(6))),
        (12, |d| ModelEnds(d.which(), d.chance(50))),
        (5, |d| AssemblyBreaks(d.which())),
        (8, |d| AssemblyEnds(d.which())),
        (5, |d| Repeat(d.which())),
        (3, |d| Wild(d.below(8), d.below(24), d.below(9))),
    ]
};

impl Action {
    /// The action that a number stands for.
    pub fn of(number: u64) -> Self {
        let mut dice = Dice::new(number);
        let total = ACTIONS.iter().map(|(weight, _)| weight).sum();
        let mut roll = dice.below(total);
        for (weight, make) in ACTIONS {
            if roll < *weight {
                return make(&mut dice);
            }
            roll -= weight;
        }
        unreachable!("a roll is below the sum of the weights")
    }
}

/// The settings that a number stands for.
pub fn config(number: u64) -> Config {
    let mut dice = Dice::new(number);
    let count = if dice.chance(5) { 0 } else { 1 + dice.below(4) };
    let mut config = if dice.chance(50) {
        devices(count)
    } else {
        hasty(count)
    };
    if dice.chance(40) {
        config = concurrency(1 + dice.below(3), config);
    }
    if dice.chance(40) {
        config = per_device(1 + dice.below(3), config);
    }
    config
}
