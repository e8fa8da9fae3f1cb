//! The scheduler under simulated time, with a planner and engines that do as they are told.

mod actions;
mod cost;
mod oracle;
mod play;
mod recovery;
mod rules;
mod rules_of_engines;
mod schedules;
mod script;
mod seed_defects;
mod seen;
