//! What goes wrong in the seed system's scheduler (NNI 3.0), and does not here. Defects have the
//! numbers that docs/coming-from-nni.md gives them; defect 18 is the business of the memory test.

use serde_json::json;
use syncarp_runtime::{Event, ModelId, ModelState, Point, Time, recover};

use crate::recovery::journal;
use crate::script::{Script, concurrency, devices, hasty, per_device};

fn in_state(s: &Script, state: ModelState) -> Vec<u32> {
    s.scheduler.models_in(state).map(|model| model.0).collect()
}

fn free(s: &Script) -> Vec<u32> {
    s.scheduler.free_devices().map(|device| device.0).collect()
}

/// There, success is read before it is set, so every model of a merged trial is trained again.
#[test]
fn defect_01_a_successful_merged_assembly_is_not_retried() {
    let mut s = Script::new(hasty(2));
    s.submit_together(&[0, 1])
        .plan(0, &[(&[0, 1], &[0, 1])], &[])
        .ignore();
    s.finishes(0, 0).finishes(0, 1).ends(0);
    s.expect(&["m0 done #1", "m1 done #1"]);
    s.tick().close().expect(&["finished"]);
    assert_eq!(in_state(&s, ModelState::Finished), [0, 1]);
    assert_eq!(s.scheduler.attempts(ModelId(1)), Some(1));
}

/// There, a batch that makes more than one group is grouped anew over all devices, busy ones
/// included, and the thread dies of it.
#[test]
fn defect_03_a_batch_that_splits_uses_free_devices_only() {
    let mut s = Script::new(per_device(1, hasty(4)));
    s.submit_together(&[0, 1]).ignore();
    s.plan(0, &[(&[0, 1], &[0, 1])], &[]).ignore();
    // Two evaluators, so two groups, on the devices that were offered.
    s.submit_together(&[2, 3])
        .expect(&["plan r1: m2 m3 on d2 d3"]);
    // A planner that makes the seed's mistake is refused, and nothing is lost by it.
    let refused = |device: u32| {
        format!(
            "warning: the plan for request 1 is wrong: device {device} was not offered or is used \
             twice"
        )
    };
    s.plan(1, &[(&[2], &[0]), (&[3], &[1])], &[])
        .expect(&[&refused(0), &refused(1)]);
    assert_eq!(free(&s), [2, 3]);
    assert_eq!(in_state(&s, ModelState::Queued), [2, 3]);
    s.finishes(0, 0).finishes(0, 1).ends(0).expect(&[
        "m0 done #1",
        "m1 done #1",
        "plan r2: m2 m3 on d0 d1 d2 d3",
    ]);
    s.plan(2, &[(&[2], &[0]), (&[3], &[1])], &[])
        .expect(&["start a1: m2#1 on d0", "start a2: m3#1 on d1"]);
}

/// There, whatever the inner engine or the planner throws kills the scheduler's thread.
#[test]
fn defect_06_no_failure_around_the_scheduler_stops_it() {
    let mut s = Script::new(per_device(1, hasty(1)));
    s.submit(&[0]).ignore();
    s.plan_fails(0, None)
        .expect(&["m0 failed: planning failed: shapes differ"]);
    s.submit(&[1]).expect(&["plan r1: m1 on d0"]);
    s.plan(1, &[(&[1], &[0])], &[]).ignore();
    s.breaks(0)
        .expect(&["m1 failed: the engine failed with the model alone in its assembly: killed"]);
    s.submit(&[2]).expect(&["plan r2: m2 on d0"]);
    s.plan(2, &[(&[2], &[5])], &[]).expect(&[
        "warning: the plan for request 2 is wrong: device 5 was not offered or is used twice",
        "m2 failed: the planner gave an unusable plan: device 5 was not offered or is used twice",
    ]);
    s.submit(&[3]).plan(3, &[(&[3], &[0])], &[]).ignore();
    s.finishes(1, 3).ends(1).expect(&["m3 done #1"]);
    assert_eq!(free(&s), [0]);
}

/// There, other threads change the list of devices and the table of what runs while a batch is
/// made. Here everything that can happen meanwhile does.
#[test]
fn defects_11_to_13_nothing_that_happens_during_planning_loses_a_device() {
    let mut s = Script::new(hasty(4));
    s.submit_together(&[0, 1, 2]).ignore();
    s.plan(0, &[(&[0], &[0]), (&[1, 2], &[1])], &[])
        .submit_together(&[3, 4])
        .expect(&[
            "start a0: m0#1 on d0",
            "start a1: m1#1 m2#1 on d1",
            "plan r1: m3 m4 on d2 d3",
        ]);
    assert!(free(&s).is_empty());
    s.finishes(0, 0).ends(0).breaks(1).stop(4).submit(&[5]);
    s.expect(&["m0 done #1", "m4 stopped"]);
    assert_eq!(free(&s), [0, 1]);
    assert_eq!(s.scheduler.running().count(), 0);
    s.plan(1, &[(&[3], &[2]), (&[4], &[3])], &[])
        .expect(&["start a2: m3#1 on d2", "plan r2 alone: m1 m2 on d0 d1 d3"]);
    s.plan(2, &[(&[1], &[0]), (&[2], &[1])], &[]).expect(&[
        "start a3: m1#2 on d0",
        "start a4: m2#2 on d1",
        "plan r3: m5 on d3",
    ]);
    s.plan(3, &[(&[5], &[3])], &[]).ignore();
    for (assembly, model) in [(2, 3), (3, 1), (4, 2), (5, 5)] {
        s.finishes(assembly, model).ends(assembly);
    }
    assert_eq!(free(&s), [0, 1, 2, 3]);
}

/// There, a negative number counts as true: the more is queued, the more seems to be idle.
#[test]
fn defect_14_nothing_is_idle_while_more_is_queued_than_there_are_devices() {
    let mut s = Script::new(devices(2));
    for (model, idle) in [(0, 1), (1, 0), (2, 0), (3, 0)] {
        s.submit(&[model]);
        assert_eq!(s.scheduler.idle_capacity(), idle);
    }
    // What may not run at once is not idle either.
    let s = Script::new(concurrency(1, devices(4)));
    assert_eq!(s.scheduler.idle_capacity(), 1);
}

/// There, the limit is on the size of a batch, and any number of trials run at once.
#[test]
fn defect_15_max_concurrency_limits_what_runs_at_once() {
    let mut s = Script::new(concurrency(2, per_device(1, hasty(4))));
    s.submit_together(&[0, 1, 2, 3, 4])
        .expect(&["plan r0: m0 m1 m2 m3 on d0 d1 d2 d3, at most 2"]);
    s.plan(0, &[(&[0], &[0]), (&[1], &[1])], &[2, 3])
        .expect(&["start a0: m0#1 on d0", "start a1: m1#1 on d1"]);
    s.tick().submit(&[5]).expect(&[]);
    s.finishes(0, 0)
        .ends(0)
        .expect(&["m0 done #1", "plan r1: m2 m3 m4 on d0 d2 d3, at most 1"]);
}

/// There, a thread looks once a second and starts one retry at a look: eight take eight seconds.
#[test]
fn defect_16_retries_and_batches_start_at_the_moment_they_can() {
    let models: Vec<u32> = (0..8).collect();
    let mut s = Script::new(per_device(1, devices(8)));
    s.submit_together(&models).expect(&["wake at 10"]);
    s.at(10).tick().ignore();
    s.plan(0, &[(&models, &[0])], &[]).ignore();
    s.at(11).breaks(0);
    s.expect(&["plan r1 alone: m0 m1 m2 m3 m4 m5 m6 m7 on d0 d1 d2 d3 d4 d5 d6 d7"]);
    let alone: Vec<([u32; 1], [u32; 1])> = models.iter().map(|&m| ([m], [m])).collect();
    let alone: Vec<(&[u32], &[u32])> = alone.iter().map(|(m, d)| (&m[..], &d[..])).collect();
    s.plan(1, &alone, &[]).ignore();
    assert_eq!(s.scheduler.running().count(), 8);
    assert_eq!(s.scheduler.now(), Time::from_micros(11_000_000));
}

/// There, a bad element is told to listeners before it is refused, what stands behind it is lost,
/// and NaN is a result like any other.
#[test]
fn defect_19_a_bad_element_fails_its_model_alone_and_is_told_to_nobody() {
    let mut s = Script::new(hasty(1));
    s.submit_together(&[0, 1, 2, 3]).ignore();
    s.plan(0, &[(&[2, 0, 3, 1], &[0])], &[]).ignore();
    let report = json!(["x", {"default": 0.5, "f1": 0.25}, "NaN", 0.75]);
    s.reports(0, Point::Final, report).expect(&[
        "m0 default at the end = 0.5",
        "m0 f1 at the end = 0.25",
        "m1 default at the end = 0.75",
        "stop m2 of a0",
        "m2 failed: metric `default` at the end is not a number but the text `x`",
        "stop m3 of a0",
        "m3 failed: metric `default` at the end is not finite",
    ]);
    s.finishes(0, 1).finishes(0, 0).ends(0);
    s.expect(&["m1 done #1", "m0 done #1"]);
}

/// There, an exception in the middle of a report leaves the trial as it is. Here nobody can tell
/// whose the entries are, so the assembly is stopped and every model tried again by itself.
#[test]
fn defect_19_a_report_of_the_wrong_shape_delivers_nothing_and_breaks_the_assembly_up() {
    let mut s = Script::new(hasty(2));
    s.submit_together(&[0, 1, 2]).ignore();
    s.plan(0, &[(&[0, 1, 2], &[0])], &[]).ignore();
    s.reports(0, Point::Epoch(1), json!([0.1, 0.2, 0.3]))
        .ignore();
    s.finishes(0, 1).ignore();
    let fault = "expected a list of 3 entries, one a model, found one of 2";
    s.reports(0, Point::Epoch(2), json!([0.1, 0.2])).expect(&[
        &format!("warning: assembly 0 sent a wrong report: {fault}"),
        "stop a0",
        "plan r1 alone: m0 on d1",
    ]);
    // Until it has ended it keeps its device, and nobody listens to it.
    s.plan(1, &[(&[0], &[1])], &[]).ignore();
    s.reports(0, Point::Epoch(2), json!([0.1, 0.2, 0.3]))
        .reports(0, Point::Epoch(2), json!(null))
        .finishes(0, 0)
        .expect(&[]);
    s.ends(0).expect(&["plan r2 alone: m2 on d0"]);
    s.plan(2, &[(&[2], &[0])], &[]).ignore();
    // The retries deliver what is new. A second failure is final.
    s.reports(1, Point::Epoch(1), json!([0.1])).expect(&[]);
    s.reports(1, Point::Epoch(2), json!([0.5]))
        .expect(&["m0 default at epoch 2 = 0.5"]);
    let fault = "expected a list with one entry a model, found 0.5";
    let lonely = "the engine failed with the model alone in its assembly";
    s.reports(2, Point::Final, json!(0.5)).expect(&[
        &format!("warning: assembly 2 sent a wrong report: {fault}"),
        "stop a2",
        &format!("m2 failed: {lonely}: {fault}"),
    ]);
    s.finishes(1, 0).ends(1).ends(2).close();
    s.expect(&["m0 done #2", "finished"]);
    assert_eq!(free(&s), [0, 1]);
}

/// A list has a place for every model, so something stands there for those that have ended.
#[test]
fn a_report_may_say_anything_of_models_that_were_stopped_and_nothing_of_models_that_ended() {
    let mut s = Script::new(hasty(1));
    s.submit_together(&[0, 1, 2, 3]).stop(3).ignore();
    s.plan(0, &[(&[0, 1, 2, 3], &[0])], &[])
        .stop(1)
        .finishes(0, 0)
        .ignore();
    s.reports(0, Point::Epoch(1), json!([null, 0.5, 0.25, "x"]))
        .expect(&["m2 default at epoch 1 = 0.25"]);
    s.reports(0, Point::Epoch(2), json!([0.5, null, 0.125, 0.5]));
    s.expect(&[
        "warning: assembly 0 sent an event of model 0 after that model's end",
        "m2 default at epoch 2 = 0.125",
    ]);
}

/// There, listeners hear a retried model's metrics a second time, and an end that comes twice, or
/// from nowhere, raises `KeyError`.
#[test]
fn defect_20_a_retry_repeats_nothing_and_odd_ends_are_warnings() {
    let mut s = Script::new(hasty(2));
    s.submit_together(&[0, 1])
        .plan(0, &[(&[0, 1], &[0, 1])], &[])
        .ignore();
    s.reports(0, Point::Epoch(1), json!([0.1, 0.2]))
        .expect(&["m0 default at epoch 1 = 0.1", "m1 default at epoch 1 = 0.2"]);
    s.breaks(0)
        .plan(1, &[(&[0], &[0]), (&[1], &[1])], &[])
        .ignore();
    s.reports(1, Point::Epoch(1), json!([0.1])).expect(&[]);
    s.reports(1, Point::Epoch(2), json!([0.3]))
        .expect(&["m0 default at epoch 2 = 0.3"]);
    s.finishes(1, 0).ends(1).expect(&["m0 done #2"]);
    s.ends(1)
        .expect(&["warning: assembly 1 sent an event after its end"]);
    s.breaks(7)
        .expect(&["warning: assembly 7 was never started"]);
    s.finishes(2, 1).ends(2).expect(&["m1 done #2"]);
}

/// There, the question raises an exception.
#[test]
fn defect_21_models_can_be_listed_by_their_state() {
    let mut s = Script::new(per_device(4, hasty(1)));
    s.submit_together(&[0, 1, 2, 3]).ignore();
    s.plan(0, &[(&[0, 1, 2], &[0])], &[3]).ignore();
    s.finishes(0, 0).breaks(0).submit(&[4, 5]).stop(5);
    let ended = [
        ModelState::Finished,
        ModelState::Failed,
        ModelState::Stopped,
    ];
    let waiting = [
        ModelState::Queued,
        ModelState::Retrying,
        ModelState::Planning,
    ];
    assert_eq!(
        waiting.map(|state| in_state(&s, state)),
        [vec![3, 4], vec![2], vec![1]]
    );
    s.plan(1, &[(&[1], &[0])], &[]);
    assert_eq!(in_state(&s, ModelState::Running), [1]);
    s.breaks(1);
    assert_eq!(
        ended.map(|state| in_state(&s, state)),
        [vec![0], vec![1], vec![5]]
    );
}

/// There, models for which there is no device wait for ever, and a worker seems to be idle.
#[test]
fn defect_22_without_devices_nothing_waits_and_nothing_is_idle() {
    let mut s = Script::new(hasty(0));
    let cause = "no devices are configured, so the model can never run";
    s.submit_together(&[0, 1]).expect(&[
        &format!("m0 failed: {cause}"),
        &format!("m1 failed: {cause}"),
    ]);
    assert_eq!(s.scheduler.idle_capacity(), 0);
}

/// There, whoever waits for a model that was queued or ran at the shutdown waits for ever.
#[test]
fn defect_22_a_shutdown_ends_what_is_queued_and_what_runs() {
    let mut s = Script::new(devices(1));
    s.submit_together(&[0, 1]).at(10).tick().ignore();
    s.plan(0, &[(&[0, 1], &[0])], &[]).submit(&[2]).ignore();
    s.send(Event::Shutdown).expect(&[
        "stop a0",
        "m0 stopped",
        "m1 stopped",
        "m2 stopped",
        "finished",
    ]);
}

/// There, nothing is written down.
#[test]
fn defect_22_the_state_survives_a_restart() {
    let mut s = Script::new(per_device(1, hasty(2)));
    s.submit_together(&[0, 1, 2]).ignore();
    s.plan(0, &[(&[0, 1], &[0, 1])], &[]).ignore();
    s.reports(0, Point::Epoch(1), json!([0.1, 0.2])).ignore();
    let recovered = recover(journal(&s).as_slice()).expect("a whole journal");
    s.replace(recovered.scheduler);
    s.send(Event::Restarted)
        .expect(&["plan r1: m0 m1 on d0 d1"]);
    s.plan(1, &[(&[0, 1], &[0, 1])], &[])
        .expect(&["start a1: m0#2 m1#2 on d0 d1"]);
    s.reports(1, Point::Epoch(1), json!([0.1, 0.2])).expect(&[]);
    s.finishes(1, 0).finishes(1, 1).ends(1);
    s.expect(&["m0 done #2", "m1 done #2", "plan r2: m2 on d0 d1"]);
}
