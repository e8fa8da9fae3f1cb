//! The rules of queueing, planning and ending, each as a script.

use syncarp_runtime::{
    Config, ConfigError, Device, Event, ModelId, ModelState, Point, Scheduler, Time,
};

use crate::script::{Script, concurrency, devices, hasty, per_device, show};

#[test]
fn a_batch_waits_for_company_and_no_longer() {
    let mut s = Script::new(devices(2));
    s.at(0).submit(&[1]).expect(&["wake at 10"]);
    s.at(4).submit(&[2]).expect(&[]);
    s.at(9).tick().expect(&[]);
    s.at(10).tick().expect(&["plan r0: m1 m2 on d0 d1"]);
    s.plan(0, &[(&[1, 2], &[0])], &[])
        .expect(&["start a0: m1#1 m2#1 on d0"]);
    s.at(12).submit(&[3]).expect(&["wake at 22"]);
    s.at(22).tick().expect(&["plan r1: m3 on d1"]);
}

#[test]
fn a_closed_set_does_not_wait() {
    let mut s = Script::new(devices(2));
    s.submit(&[1, 2, 3]).ignore();
    s.close().expect(&["plan r0: m1 m2 m3 on d0 d1"]);
}

#[test]
fn zero_waiting_is_no_waiting() {
    let mut s = Script::new(hasty(2));
    s.submit(&[1]).expect(&["plan r0: m1 on d0 d1"]);
    // Submitting does not wait for planning, and what came meanwhile goes together.
    s.submit(&[2, 3]).expect(&[]);
    s.plan(0, &[(&[1], &[0])], &[])
        .expect(&["start a0: m1#1 on d0", "plan r1: m2 m3 on d1"]);
}

#[test]
fn a_closed_set_from_submission_to_the_end() {
    let mut s = Script::new(devices(2));
    s.submit(&[1, 2, 3]).ignore().close().ignore();
    s.plan(0, &[(&[1, 2], &[0]), (&[3], &[1])], &[]);
    s.expect(&["start a0: m1#1 m2#1 on d0", "start a1: m3#1 on d1"]);
    s.finishes(0, 1).expect(&["m1 done #1"]);
    s.finishes(1, 3).ends(1).expect(&["m3 done #1"]);
    s.finishes(0, 2).expect(&["m2 done #1", "finished"]);
    s.ends(0).expect(&[]);
    assert_eq!(s.scheduler.free_devices().count(), 2);
    assert_eq!(s.scheduler.counts().of(ModelState::Finished), 3);
    assert_eq!(s.scheduler.statistics().warnings, 0);
}

#[test]
fn closing_an_empty_set_finishes_it() {
    let mut s = Script::new(devices(1));
    s.close().expect(&["finished"]);
    s.close().expect(&["warning: submission was closed before"]);
}

#[test]
fn leftovers_stay_first_in_line_and_due() {
    let mut s = Script::new(devices(2));
    s.at(0).submit(&[1, 2, 3]).at(10).tick().ignore();
    s.at(11).submit(&[4]).expect(&[]);
    // Device 1 is still free, so what was left over is offered that at once.
    s.plan(0, &[(&[1, 2], &[0])], &[3]);
    s.expect(&["start a0: m1#1 m2#1 on d0", "plan r1: m3 m4 on d1"]);
    s.plan(1, &[(&[3], &[1])], &[4])
        .expect(&["start a1: m3#1 on d1"]);
    // Model 4 came along with a batch that was due, and does not wait until 21.
    s.at(12).finishes(0, 1).finishes(0, 2).ignore();
    s.ends(0).expect(&["plan r2: m4 on d0"]);
}

#[test]
fn a_refused_model_waits_for_a_device_and_later_ones_may_pass() {
    let mut s = Script::new(hasty(2));
    s.submit(&[1])
        .plan(0, &[(&[1], &[0])], &[])
        .submit(&[2])
        .ignore();
    // Model 2 does not fit on device 1. Asking again would give the same answer.
    s.plan(1, &[], &[2]).expect(&[]);
    s.tick().expect(&[]);
    s.submit(&[3]).expect(&["plan r2: m3 on d1"]);
    s.plan(2, &[(&[3], &[1])], &[]).ignore();
    s.finishes(0, 1)
        .ends(0)
        .expect(&["m1 done #1", "plan r3: m2 on d0"]);
}

#[test]
fn a_refusal_is_void_if_a_device_was_freed_meanwhile() {
    let mut s = Script::new(hasty(2));
    s.submit(&[1])
        .plan(0, &[(&[1], &[0])], &[])
        .submit(&[2])
        .ignore();
    s.finishes(0, 1).ends(0).expect(&["m1 done #1"]);
    s.plan(1, &[], &[2]).expect(&["plan r2: m2 on d0 d1"]);
}

#[test]
fn what_does_not_fit_on_everything_fails_and_lets_the_others_through() {
    let mut s = Script::new(devices(2));
    s.submit(&[1, 2]).close().ignore();
    s.plan(0, &[], &[1, 2]);
    let cause = "the model does not fit on the configured devices, even with all of them free";
    s.expect(&[&format!("m1 failed: {cause}"), "plan r1: m2 on d0 d1"]);
    s.plan(1, &[], &[2])
        .expect(&[&format!("m2 failed: {cause}"), "finished"]);
}

#[test]
fn without_devices_a_model_fails_at_once() {
    let mut s = Script::new(devices(0));
    let cause = "no devices are configured, so the model can never run";
    s.submit(&[1]).expect(&[&format!("m1 failed: {cause}")]);
    assert_eq!(s.scheduler.idle_capacity(), 0);
    s.close().expect(&["finished"]);
}

#[test]
fn concurrency_limits_what_runs_and_not_the_batch() {
    let mut s = Script::new(concurrency(2, hasty(4)));
    s.submit(&[1, 2, 3, 4]).ignore();
    s.plan(0, &[(&[1], &[0])], &[]);
    s.expect(&[
        "start a0: m1#1 on d0",
        "plan r1: m2 m3 m4 on d1 d2 d3, at most 1",
    ]);
    s.plan(1, &[(&[2, 3], &[1, 2])], &[4])
        .expect(&["start a1: m2#1 m3#1 on d1 d2"]);
    assert_eq!(s.scheduler.idle_capacity(), 0);
    // Two retries, and one may run at a time beside assembly 0: retries count.
    s.breaks(1)
        .expect(&["plan r2 alone: m2 on d1 d2 d3, at most 1"]);
    s.plan(2, &[(&[2], &[1])], &[])
        .expect(&["start a2: m2#2 on d1"]);
    s.finishes(0, 1)
        .ends(0)
        .expect(&["m1 done #1", "plan r3 alone: m3 on d0 d2 d3, at most 1"]);
}

#[test]
fn one_assembly_more_than_may_run_goes_back_in_line() {
    let mut s = Script::new(concurrency(1, devices(2)));
    s.submit(&[1, 2]).close().ignore();
    s.plan(0, &[(&[1], &[0]), (&[2], &[1])], &[]).expect(&[
        "start a0: m1#1 on d0",
        "warning: the plan for request 0 is wrong: assembly 1 is one more than may run",
    ]);
    assert_eq!(s.scheduler.state(ModelId(2)), Some(ModelState::Queued));
    s.finishes(0, 1)
        .ends(0)
        .expect(&["m1 done #1", "plan r1: m2 on d0 d1, at most 1"]);
}

#[test]
fn a_batch_is_limited_per_device_offered() {
    let mut s = Script::new(per_device(2, devices(2)));
    s.submit(&[1, 2, 3, 4, 5]).ignore();
    s.close().expect(&["plan r0: m1 m2 m3 m4 on d0 d1"]);
    s.plan(0, &[(&[1, 2, 3], &[0])], &[4]);
    s.expect(&["start a0: m1#1 m2#1 m3#1 on d0", "plan r1: m4 m5 on d1"]);
}

#[test]
fn a_model_that_cannot_be_planned_fails_and_the_others_go_on() {
    let mut s = Script::new(devices(1));
    s.submit(&[1, 2, 3]).close().ignore();
    s.plan_fails(0, Some(2));
    s.expect(&[
        "m2 failed: planning failed: shapes differ",
        "plan r1: m1 m3 on d0",
    ]);
}

#[test]
fn a_plan_that_fails_by_nobodys_fault_is_made_for_each_model_alone() {
    let mut s = Script::new(devices(3));
    s.submit(&[1, 2]).close().ignore();
    s.plan_fails(0, None)
        .expect(&["plan r1 alone: m1 on d0 d1 d2"]);
    s.plan(1, &[(&[1], &[2])], &[]);
    s.expect(&["start a0: m1#1 on d2", "plan r2 alone: m2 on d0 d1"]);
    s.plan_fails(2, None)
        .expect(&["m2 failed: planning failed: shapes differ"]);
    s.finishes(0, 1).ends(0).expect(&["m1 done #1", "finished"]);
}

#[test]
fn models_that_are_planned_singly_keep_their_turn_among_the_retries() {
    let mut s = Script::new(devices(3));
    s.submit(&[1, 2, 3, 4])
        .close()
        .plan(0, &[(&[1, 2], &[0])], &[3, 4])
        .ignore();
    s.breaks(0).expect(&[]);
    // Models 3 and 4 join the retries behind 1 and 2, and may not be planned with them.
    s.plan_fails(1, None)
        .expect(&["plan r2 alone: m1 m2 on d0 d1 d2"]);
    s.plan_fails(2, None)
        .expect(&["plan r3 alone: m1 on d0 d1 d2"]);
    s.plan(3, &[(&[1], &[0])], &[])
        .expect(&["start a1: m1#2 on d0", "plan r4 alone: m2 on d1 d2"]);
    s.plan(4, &[(&[2], &[1])], &[])
        .expect(&["start a2: m2#2 on d1", "plan r5 alone: m3 on d2"]);
}

#[test]
fn a_wrong_plan_uses_no_device_twice_and_loses_no_model() {
    let mut s = Script::new(devices(3));
    s.submit(&[1, 2, 3, 4]).close().ignore();
    s.plan(
        0,
        &[
            (&[1], &[0]),
            (&[2], &[0]),
            (&[1, 3], &[1]),
            (&[], &[1]),
            (&[3], &[]),
        ],
        &[9, 1],
    );
    s.expect(&[
        "start a0: m1#1 on d0",
        "warning: the plan for request 0 is wrong: device 0 was not offered or is used twice",
        "warning: the plan for request 0 is wrong: model 1 was not asked for or occurs twice",
        "warning: the plan for request 0 is wrong: assembly 3 has no models",
        "warning: the plan for request 0 is wrong: assembly 4 has no devices",
        "warning: the plan for request 0 is wrong: model 9 was not asked for or occurs twice",
        "warning: the plan for request 0 is wrong: model 1 was not asked for or occurs twice",
        "plan r1: m2 m3 m4 on d1 d2",
    ]);
    s.plan(1, &[(&[2, 3], &[1, 1])], &[4]).expect(&[
        "warning: the plan for request 1 is wrong: device 1 was not offered or is used twice",
    ]);
    s.finishes(0, 1)
        .ends(0)
        .expect(&["m1 done #1", "plan r2: m2 m3 m4 on d0 d1 d2"]);
    s.plan(2, &[(&[2], &[0])], &[3]).expect(&[
        "start a1: m2#1 on d0",
        "warning: the plan for request 2 is wrong: model 4 is neither placed nor left over",
        "plan r3: m3 m4 on d1 d2",
    ]);
}

#[test]
fn a_planner_that_only_errs_fails_the_models_one_by_one() {
    let mut s = Script::new(devices(1));
    s.submit(&[1, 2]).close().ignore();
    s.plan(0, &[(&[1, 2], &[7])], &[]).expect(&[
        "warning: the plan for request 0 is wrong: device 7 was not offered or is used twice",
        "m1 failed: the planner gave an unusable plan: device 7 was not offered or is used twice",
        "plan r1: m2 on d0",
    ]);
}

#[test]
fn an_answer_counts_once() {
    let mut s = Script::new(devices(2));
    s.submit(&[1])
        .close()
        .plan(0, &[(&[1], &[0])], &[])
        .ignore();
    s.plan(0, &[(&[1], &[1])], &[])
        .expect(&["warning: request 0 is not waiting for an answer"]);
    s.plan_fails(5, None)
        .expect(&["warning: request 5 is not waiting for an answer"]);
}

#[test]
fn a_model_can_be_stopped_wherever_it_is() {
    let mut s = Script::new(hasty(1));
    s.submit(&[1, 2, 3, 4]).ignore();
    // Queued.
    s.stop(2).expect(&["m2 stopped"]);
    // With the planner.
    s.stop(1).expect(&["m1 stopped"]);
    s.plan(0, &[(&[1], &[0])], &[])
        .expect(&["plan r1: m3 m4 on d0"]);
    s.plan(1, &[(&[3, 4], &[0])], &[]).ignore();
    // Running, with another and then alone.
    s.stop(4).expect(&["stop m4 of a0", "m4 stopped"]);
    s.stop(3).expect(&["stop a0", "m3 stopped"]);
    // Ended, or never there.
    s.stop(3)
        .expect(&["warning: model 3 had ended before it was to be stopped"]);
    s.stop(9).expect(&["warning: there is no model 9 to stop"]);
    s.ends(0).close().expect(&["finished"]);
    assert_eq!(s.scheduler.statistics().warnings, 2);
}

#[test]
fn a_model_stopped_during_planning_is_left_out_of_its_assembly() {
    let mut s = Script::new(devices(1));
    s.submit(&[1, 2]).close().ignore();
    s.stop(1).plan(0, &[(&[1, 2], &[0])], &[]);
    s.expect(&["m1 stopped", "start a0: m2#1 without m1 on d0"]);
    // It was alone in effect, so a breakdown is its own.
    s.breaks(0).expect(&[
        "m2 failed: the engine failed with the model alone in its assembly: killed",
        "finished",
    ]);
}

#[test]
fn a_retry_can_be_stopped_in_line() {
    let mut s = Script::new(devices(1));
    s.submit(&[1, 2, 3])
        .close()
        .plan(0, &[(&[1, 2, 3], &[0])], &[])
        .breaks(0)
        .ignore();
    assert_eq!(s.scheduler.state(ModelId(3)), Some(ModelState::Retrying));
    s.stop(3).expect(&["m3 stopped"]);
}

#[test]
fn a_shutdown_ends_every_model_wherever_it_is() {
    let mut s = Script::new(per_device(2, hasty(2)));
    s.submit(&[1])
        .plan(0, &[(&[1], &[0])], &[])
        .submit(&[2, 3, 4])
        .ignore();
    s.send(Event::Shutdown).expect(&[
        "stop a0",
        "m1 stopped",
        "m2 stopped",
        "m3 stopped",
        "m4 stopped",
        "finished",
    ]);
    // The devices come back as the engine and the planner answer; nothing is started.
    s.plan(1, &[(&[2], &[1])], &[]).expect(&[]);
    assert_eq!(s.scheduler.free_devices().count(), 1);
    s.loss(0, 1, 1, Point::Step(1), 0.1).ends(0).expect(&[]);
    assert_eq!(s.scheduler.free_devices().count(), 2);
    s.send(Event::Shutdown)
        .expect(&["warning: the scheduler was shut down before"]);
    s.submit(&[5]);
    s.expect(&["m5 failed: the model was submitted after submission had been closed"]);
}

#[test]
fn a_model_is_submitted_once() {
    let mut s = Script::new(devices(1));
    s.submit(&[1]).ignore();
    let warning = "warning: model 1 was submitted before; the second submission is ignored";
    s.submit(&[1]).expect(&[warning]);
    s.stop(1).submit(&[1]).expect(&["m1 stopped", warning]);
}

#[test]
fn idle_capacity_is_what_nobody_waits_for() {
    let mut s = Script::new(devices(3));
    assert_eq!(s.scheduler.idle_capacity(), 3);
    s.submit(&[1, 2]);
    assert_eq!(s.scheduler.idle_capacity(), 1);
    s.submit(&[3, 4, 5]);
    assert_eq!(s.scheduler.idle_capacity(), 0);
}

#[test]
fn time_does_not_go_back() {
    let mut s = Script::new(devices(1));
    s.at(5).submit(&[1]).ignore();
    let mut commands = Vec::new();
    s.scheduler.step(Time::ZERO, Event::Tick, &mut commands);
    let said: Vec<String> = commands.iter().map(show).collect();
    assert_eq!(
        said,
        ["warning: time went back from 5.000000 s to 0.000000 s"]
    );
    assert_eq!(s.scheduler.now().as_micros(), 5_000_000);
}

#[test]
fn the_same_device_twice_is_refused() {
    let device = Device {
        host: "host".into(),
        index: 0,
    };
    let refused = Scheduler::new(Config::new(vec![device.clone(), device.clone()]));
    assert_eq!(refused, Err(ConfigError::DuplicateDevice { device }));
}
