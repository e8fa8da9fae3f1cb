//! A team of threads that run programs level by level.
//!
//! The thread that calls [`Team::run`] is the first of the team. Between runs the others wait: at
//! first awake, since the next step follows within microseconds, then asleep for short times.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::error::EngineError;
use crate::link::Runnable;
use crate::real::Real;

/// How often a waiting thread looks before it lets others run.
const SPINS: u32 = 2_000;
/// How often it lets others run before it sleeps.
const YIELDS: u32 = 2_000;

struct Shared<'p, T> {
    programs: &'p [Runnable<T>],
    /// Counts runs; a worker begins when it grows.
    generation: AtomicUsize,
    /// Program and parity of the run, as program * 2 + parity.
    what: AtomicUsize,
    /// Arrivals at barriers, counted on without end.
    arrived: AtomicUsize,
    stop: AtomicBool,
    panicked: AtomicBool,
    threads: usize,
}

fn wait_until(done: impl Fn() -> bool) {
    let mut looks = 0u32;
    while !done() {
        looks = looks.saturating_add(1);
        if looks < SPINS {
            std::hint::spin_loop();
        } else if looks < SPINS + YIELDS {
            std::thread::yield_now();
        } else {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

impl<T: Real> Shared<'_, T> {
    /// One thread's part of one run.
    fn work(&self, thread: usize, barriers: &mut usize) {
        let what = self.what.load(Ordering::Acquire);
        let (program, parity) = (&self.programs[what / 2], what % 2);
        for level in 0..program.levels() {
            let run = || program.run_level(level, thread, parity);
            if catch_unwind(AssertUnwindSafe(run)).is_err() {
                self.panicked.store(true, Ordering::Release);
            }
            if self.threads > 1 {
                *barriers += self.threads;
                self.arrived.fetch_add(1, Ordering::AcqRel);
                let target = *barriers;
                wait_until(|| {
                    // The count wraps after more barriers than there will ever be.
                    self.arrived.load(Ordering::Acquire) >= target
                });
            }
        }
    }
}

/// The team, while it exists.
pub(crate) struct Team<'s, 'p, T> {
    shared: &'s Shared<'p, T>,
    barriers: usize,
}

impl<T: Real> Team<'_, '_, T> {
    /// Runs a program on all threads and returns when it is done.
    pub(crate) fn run(&mut self, program: usize, parity: usize) -> Result<(), EngineError> {
        self.shared
            .what
            .store(program * 2 + parity, Ordering::Release);
        self.shared.generation.fetch_add(1, Ordering::AcqRel);
        self.shared.work(0, &mut self.barriers);
        if self.shared.panicked.load(Ordering::Acquire) {
            return Err(EngineError::Panic);
        }
        self.shared.programs[program].run_moves(parity);
        Ok(())
    }
}

/// Gathers a team of threads around some programs for as long as `body` runs.
pub(crate) fn with_team<T: Real, R>(
    programs: &[Runnable<T>],
    threads: usize,
    body: impl FnOnce(&mut Team<'_, '_, T>) -> R,
) -> R {
    let shared = Shared {
        programs,
        generation: AtomicUsize::new(0),
        what: AtomicUsize::new(0),
        arrived: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
        panicked: AtomicBool::new(false),
        threads,
    };
    std::thread::scope(|scope| {
        for thread in 1..threads {
            let shared = &shared;
            scope.spawn(move || {
                let mut seen = 0;
                let mut barriers = 0;
                loop {
                    wait_until(|| {
                        shared.generation.load(Ordering::Acquire) > seen
                            || shared.stop.load(Ordering::Acquire)
                    });
                    if shared.generation.load(Ordering::Acquire) == seen {
                        return;
                    }
                    seen += 1;
                    shared.work(thread, &mut barriers);
                }
            });
        }
        // The workers must be sent home even if the body panics, or the scope would never end.
        struct Home<'a>(&'a AtomicBool);
        impl Drop for Home<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Release);
            }
        }
        let _home = Home(&shared.stop);
        body(&mut Team {
            shared: &shared,
            barriers: 0,
        })
    })
}
