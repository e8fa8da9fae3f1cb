//! The rules of engine events, retries and exactly-once delivery, each as a script.

use syncarp_runtime::{EngineEvent, ModelId, ModelState, Point, RawMetric, RawValue};

use crate::script::{Script, devices, hasty, raw};

/// A closed set of models `1..=count` in one assembly on device 0.
fn merged(count: u32, on: u32) -> Script {
    let mut s = Script::new(devices(on));
    let models: Vec<u32> = (1..=count).collect();
    s.submit(&models)
        .close()
        .plan(0, &[(&models, &[0])], &[])
        .ignore();
    s
}

#[test]
fn a_broken_assembly_is_retried_model_by_model() {
    let mut s = merged(3, 2);
    s.finishes(0, 2).expect(&["m2 done #1"]);
    s.breaks(0).expect(&["plan r1 alone: m1 m3 on d0 d1"]);
    s.plan(1, &[(&[1], &[1]), (&[3], &[0])], &[]);
    s.expect(&["start a1: m1#2 on d1", "start a2: m3#2 on d0"]);
    s.breaks(1)
        .expect(&["m1 failed: the engine failed with the model alone in its assembly: killed"]);
    s.finishes(2, 3).ends(2).expect(&["m3 done #2", "finished"]);
    assert_eq!(s.scheduler.attempts(ModelId(3)), Some(2));
}

#[test]
fn retries_come_first_and_are_never_merged_again() {
    let mut s = Script::new(hasty(1));
    s.submit(&[1])
        .plan(0, &[(&[1], &[0])], &[])
        .submit(&[2, 3, 4])
        .ignore();
    s.finishes(0, 1)
        .ends(0)
        .plan(1, &[(&[2, 3], &[0])], &[4])
        .ignore();
    s.breaks(1).expect(&["plan r2 alone: m2 on d0"]);
    s.plan(2, &[(&[2], &[0])], &[]).finishes(2, 2).ends(2);
    s.expect(&[
        "start a2: m2#2 on d0",
        "m2 done #2",
        "plan r3 alone: m3 on d0",
    ]);
    s.plan(3, &[(&[3], &[0])], &[]).finishes(3, 3).ends(3);
    s.expect(&["start a3: m3#2 on d0", "m3 done #2", "plan r4: m4 on d0"]);
}

#[test]
fn retries_may_not_be_merged_by_the_planner_either() {
    let mut s = merged(2, 2);
    s.breaks(0).ignore();
    s.plan(1, &[(&[1, 2], &[0])], &[]).expect(&[
        "warning: the plan for request 1 is wrong: assembly 0 merges models that had to be alone",
        "m1 failed: the planner gave an unusable plan: assembly 0 merges models that had to be \
         alone",
        "plan r2 alone: m2 on d0 d1",
    ]);
}

#[test]
fn a_retry_that_finds_no_room_does_not_block_the_queue() {
    let mut s = Script::new(devices(2));
    s.submit(&[1, 2, 3, 4])
        .close()
        .plan(0, &[(&[1], &[0]), (&[2, 3], &[1])], &[4])
        .ignore();
    s.breaks(1).expect(&["plan r1 alone: m2 on d1"]);
    s.plan(1, &[], &[2]).expect(&["plan r2 alone: m3 on d1"]);
    s.plan(2, &[], &[3]).expect(&["plan r3: m4 on d1"]);
    s.plan(3, &[(&[4], &[1])], &[])
        .expect(&["start a2: m4#1 on d1"]);
    s.finishes(0, 1)
        .ends(0)
        .expect(&["m1 done #1", "plan r4 alone: m2 on d0"]);
}

#[test]
fn a_known_culprit_fails_alone() {
    let mut s = merged(3, 1);
    s.fails(0, 2)
        .expect(&["m2 failed: training failed: the loss is NaN"]);
    s.finishes(0, 1)
        .finishes(0, 3)
        .ends(0)
        .expect(&["m1 done #1", "m3 done #1", "finished"]);
}

#[test]
fn an_assembly_that_ends_without_outcomes_loses_nobody() {
    let mut s = merged(3, 1);
    s.finishes(0, 1).ignore();
    s.ends(0).expect(&[
        "warning: assembly 0 finished without saying what became of model 2",
        "warning: assembly 0 finished without saying what became of model 3",
        "plan r1 alone: m2 on d0",
    ]);
    s.plan(1, &[(&[2], &[0])], &[]).ignore().ends(1).expect(&[
        "warning: assembly 1 finished without saying what became of model 2",
        "m2 failed: the engine ended the assembly without saying what became of its only model",
        "plan r2 alone: m3 on d0",
    ]);
}

#[test]
fn devices_are_held_until_the_assembly_ends() {
    let mut s = merged(1, 1);
    s.finishes(0, 1).expect(&["m1 done #1", "finished"]);
    assert_eq!(s.scheduler.free_devices().count(), 0);
    s.ends(0).expect(&[]);
    assert_eq!(s.scheduler.free_devices().count(), 1);
}

#[test]
fn what_was_delivered_is_not_delivered_again() {
    let mut s = merged(2, 1);
    s.started(0, 1)
        .loss(0, 1, 1, Point::Epoch(1), 0.5)
        .checkpoint(0, 1, 1, 1);
    s.expect(&[
        "m1 started #1",
        "m1 loss at epoch 1 = 0.5",
        "m1 checkpoint 1",
    ]);
    s.breaks(0).plan(1, &[(&[1], &[0])], &[]).ignore();
    s.started(1, 1)
        .loss(1, 1, 2, Point::Epoch(1), 0.5)
        .checkpoint(1, 1, 2, 1)
        .expect(&[]);
    s.loss(1, 1, 2, Point::Epoch(2), 0.25)
        .checkpoint(1, 1, 2, 2);
    s.expect(&["m1 loss at epoch 2 = 0.25", "m1 checkpoint 2"]);
    s.loss(1, 1, 2, Point::Final, 0.25)
        .expect(&["m1 loss at the end = 0.25"]);
    assert_eq!(s.scheduler.statistics().suppressed, 3);
}

#[test]
fn a_bad_final_metric_fails_its_model_after_the_good_ones() {
    let mut s = merged(3, 1);
    let accuracy = RawMetric {
        name: "accuracy".into(),
        ..raw(1, 1, Point::Final, 0.9)
    };
    let text = RawMetric {
        value: RawValue::Other("the text `high`".into()),
        ..raw(3, 1, Point::Epoch(1), 0.0)
    };
    let metrics = vec![
        raw(1, 1, Point::Final, f64::NAN),
        accuracy,
        raw(2, 1, Point::Final, 0.5),
        text,
        raw(2, 1, Point::Step(9), f64::NAN),
    ];
    s.engine(0, EngineEvent::Metrics { metrics }).expect(&[
        "m1 accuracy at the end = 0.9",
        "m2 loss at the end = 0.5",
        "m2 loss at step 9 = NaN",
        "stop m1 of a0",
        "m1 failed: metric `loss` at the end is not finite",
        "stop m3 of a0",
        "m3 failed: metric `loss` at epoch 1 is not a number but the text `high`",
    ]);
    // What the engine had sent before it heard of that is dropped, without a fuss.
    s.loss(0, 1, 1, Point::Epoch(8), 0.5)
        .finishes(0, 1)
        .started(0, 3)
        .expect(&[]);
    s.finishes(0, 2).ends(0).expect(&["m2 done #1", "finished"]);
    assert_eq!(s.scheduler.statistics().warnings, 0);
}

#[test]
fn late_repeated_and_foreign_events_change_nothing() {
    let mut s = merged(2, 1);
    s.started(0, 1)
        .loss(0, 1, 1, Point::Step(1), 0.5)
        .checkpoint(0, 1, 1, 1)
        .ignore();
    s.started(0, 1)
        .expect(&["warning: assembly 0 started model 1 twice"]);
    s.loss(0, 1, 1, Point::Step(1), 0.5);
    s.expect(&["warning: model 1 reported metric `loss` at step 1 twice"]);
    s.checkpoint(0, 1, 1, 1)
        .expect(&["warning: model 1 reported its checkpoint of epoch 1 twice"]);
    s.loss(0, 1, 2, Point::Step(2), 0.5);
    s.expect(&["warning: assembly 0 sent an event of model 1 for attempt 2, but runs attempt 1"]);
    s.finishes(0, 7)
        .expect(&["warning: assembly 0 sent an event of model 7, which is not in it"]);
    s.loss(7, 1, 1, Point::Step(2), 0.5)
        .expect(&["warning: assembly 7 was never started"]);

    s.finishes(0, 1).expect(&["m1 done #1"]);
    let late = "warning: assembly 0 sent an event of model 1 after that model's end";
    s.finishes(0, 1).expect(&[late]);
    s.fails(0, 1).expect(&[late]);
    s.loss(0, 1, 1, Point::Step(3), 0.5).expect(&[late]);
    s.checkpoint(0, 1, 1, 3).expect(&[late]);
    s.started(0, 1).expect(&[late]);

    s.finishes(0, 2).ends(0).expect(&["m2 done #1", "finished"]);
    let after = "warning: assembly 0 sent an event after its end";
    s.ends(0)
        .breaks(0)
        .finishes(0, 2)
        .expect(&[after, after, after]);
    assert_eq!(s.scheduler.counts().of(ModelState::Finished), 2);
    assert_eq!(s.scheduler.statistics().warnings, 14);
}

#[test]
fn a_stopped_model_may_be_heard_of_once_more() {
    let mut s = merged(2, 1);
    s.stop(1).expect(&["stop m1 of a0", "m1 stopped"]);
    s.loss(0, 1, 1, Point::Step(1), 0.5)
        .checkpoint(0, 1, 1, 1)
        .finishes(0, 1)
        .expect(&[]);
    s.finishes(0, 1);
    s.expect(&["warning: assembly 0 sent an event of model 1 after that model's end"]);
    s.finishes(0, 2).ends(0).expect(&["m2 done #1", "finished"]);
}

#[test]
fn a_running_assembly_can_be_looked_at() {
    let mut s = merged(2, 1);
    s.stop(1).ignore();
    let running: Vec<_> = s.scheduler.running().collect();
    assert_eq!(running.len(), 1);
    assert_eq!(
        running[0]
            .models
            .iter()
            .map(|m| m.model.0)
            .collect::<Vec<_>>(),
        [2]
    );
    assert_eq!((running[0].devices.len(), running[0].stopping), (1, false));
    let device = s
        .scheduler
        .device(running[0].devices[0])
        .map(ToString::to_string);
    assert_eq!(device.as_deref(), Some("host:0"));
}
