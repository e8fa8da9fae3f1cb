//! The scheduler under simulated time, with a planner and engines that do as they are told.

mod cost;
mod oracle;
mod recovery;
mod rules;
mod rules_of_engines;
mod schedules;
mod script;
