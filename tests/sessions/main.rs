//! Sessions: models submitted at any time, on real and on faked engines.

#[path = "../common/mod.rs"]
mod common;
mod fakes;
mod journals;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use common::{CNN, MLP, engine, evaluator, planner, trial, trial_with};
use fakes::{Brittle, Puppet};
use syncarp_engine::{Budget, Event as Told};
use syncarp_place::parse_devices;
use syncarp_runtime::{Cause, Ended, Handle, ModelEvent, ModelId, ModelState, Session, Settings};

/// Settings under which nobody waits for company.
pub fn settings(devices: &str) -> Settings {
    Settings {
        batch_waiting_time: Duration::ZERO,
        ..Settings::new(parse_devices(devices, 2).unwrap())
    }
}

type Events = Receiver<(ModelId, ModelEvent)>;

fn events(session: &Handle) -> Events {
    let (sender, receiver) = channel();
    session.subscribe(sender).unwrap();
    receiver
}

/// The terminal events of so many models; fails where one model has two or they take a minute.
fn ends(events: &Events, models: usize) -> BTreeMap<ModelId, ModelEvent> {
    let mut ends = BTreeMap::new();
    while ends.len() < models {
        let (model, event) = events.recv_timeout(Duration::from_secs(60)).unwrap();
        if event.is_terminal() {
            assert!(ends.insert(model, event).is_none(), "{model} ended twice");
        }
    }
    ends
}

fn is_finished(event: &ModelEvent) -> bool {
    matches!(event, ModelEvent::Finished { .. })
}

#[test]
fn models_are_submitted_at_any_time_and_each_ends_once() {
    let session = Session::start(settings("cpu:0"), planner(), engine()).unwrap();
    let events = events(&session);
    let first = session.submit(trial(MLP, "first", "adam")).unwrap();
    assert!(is_finished(&ends(&events, 1)[&first]));
    // The session outlives its first batch.
    let second = session.submit(trial(MLP, "second", "sgd")).unwrap();
    let third = session.submit(trial(CNN, "third", "sgd")).unwrap();
    let ends = ends(&events, 2);
    assert!(is_finished(&ends[&second]) && is_finished(&ends[&third]));
    let statuses = session.join().unwrap();
    let states: Vec<_> = statuses
        .iter()
        .map(|s| (&*s.name, s.state, s.attempts))
        .collect();
    let finished = ModelState::Finished;
    assert_eq!(
        states,
        [
            ("first", finished, 1),
            ("second", finished, 1),
            ("third", finished, 1)
        ]
    );
}

#[test]
fn models_that_wait_for_company_are_merged() {
    let settings = Settings {
        batch_waiting_time: Duration::from_millis(300),
        ..settings("cpu:0")
    };
    let (puppet, jobs) = Puppet::new();
    let session = Session::start(settings, planner(), puppet).unwrap();
    for name in ["a", "b", "c"] {
        session.submit(trial(MLP, name, "sgd")).unwrap();
    }
    let job = jobs.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(job.models, 3);
    job.finish();
    session.join().unwrap();
    assert!(jobs.try_recv().is_err(), "there was one assembly");
}

#[test]
fn models_and_their_states_can_be_listed_while_they_run() {
    let (puppet, jobs) = Puppet::new();
    let session = Session::start(settings("cpu:0"), planner(), puppet).unwrap();
    let running = session.submit(trial(MLP, "running", "sgd")).unwrap();
    let job = jobs.recv_timeout(Duration::from_secs(60)).unwrap();
    let queued = session.submit(trial(MLP, "queued", "sgd")).unwrap();
    let states: Vec<_> = session
        .models()
        .unwrap()
        .into_iter()
        .map(|s| (s.model, s.state))
        .collect();
    assert_eq!(
        states,
        [(running, ModelState::Running), (queued, ModelState::Queued)]
    );
    let names = session.models_in(ModelState::Queued).unwrap();
    assert_eq!(names.len(), 1);
    assert_eq!(&*names[0].name, "queued");
    assert_eq!(session.counts().unwrap().of(ModelState::Running), 1);
    assert_eq!(session.idle_capacity().unwrap(), 0, "one device, one waits");
    session.stop(queued).unwrap();
    job.finish();
    let ended = session.join().unwrap();
    assert_eq!(ended[1].state, ModelState::Stopped);
}

#[test]
fn idle_capacity_is_what_may_be_submitted_without_waiting() {
    let (puppet, jobs) = Puppet::new();
    let settings = Settings {
        batch_waiting_time: Duration::from_secs(3600),
        ..settings("cpu:0,cpu:1,cpu:2")
    };
    let session = Session::start(settings, planner(), puppet).unwrap();
    assert_eq!(session.idle_capacity().unwrap(), 3);
    for left in [2, 1, 0, 0] {
        session.submit(trial(MLP, "m", "sgd")).unwrap();
        assert_eq!(session.idle_capacity().unwrap(), left);
    }
    drop(jobs);
    let ended = session.shutdown_and_wait().unwrap();
    assert!(ended.iter().all(|s| s.state == ModelState::Stopped));
}

#[test]
fn no_more_assemblies_run_than_allowed() {
    let (puppet, jobs) = Puppet::new();
    let mut settings = settings("cpu:0,cpu:1");
    settings.max_concurrency = NonZeroU32::new(1);
    let session = Session::start(settings, planner(), puppet).unwrap();
    session.submit(trial(MLP, "a", "sgd")).unwrap();
    let first = jobs.recv_timeout(Duration::from_secs(60)).unwrap();
    session.submit(trial(MLP, "b", "sgd")).unwrap();
    session.counts().unwrap();
    assert!(jobs.recv_timeout(Duration::from_millis(100)).is_err());
    first.finish();
    jobs.recv_timeout(Duration::from_secs(60)).unwrap().finish();
    session.join().unwrap();
}

/// Whoever submits or asks goes on at once, however long planning takes.
#[test]
fn defect_17_submitting_never_waits_for_planning() {
    let (puppet, jobs) = Puppet::new();
    let session = Session::start(settings("cpu:0"), planner(), puppet).unwrap();
    session.add_pass(fakes::gate, "gate").unwrap();
    let shut = fakes::GATE.lock().unwrap();
    session.submit(trial(MLP, "planned", "sgd")).unwrap();
    let others: Vec<_> = (0..100).map(|_| trial(MLP, "queued", "sgd")).collect();
    let start = Instant::now();
    for other in others {
        session.submit(other).unwrap();
    }
    let counts = session.counts().unwrap();
    let took = start.elapsed();
    assert_eq!(counts.of(ModelState::Planning), 1);
    assert_eq!(counts.of(ModelState::Queued), 100);
    // The planner holds the gate's lock until the end of this test, so any wait would be for ever;
    // the bound is only against a slow machine's good luck.
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(jobs.try_recv().is_err());
    session.shutdown().unwrap();
    drop(shut);
    let ended = session.join().unwrap();
    assert!(ended.iter().all(|s| s.state == ModelState::Stopped));
}

#[test]
fn a_pass_is_added_while_the_session_runs() {
    let session = Session::start(settings("cpu:0"), planner(), engine()).unwrap();
    let events = events(&session);
    session.submit(trial(MLP, "before", "sgd")).unwrap();
    ends(&events, 1);
    assert_eq!(fakes::COUNTED.load(Ordering::SeqCst), 0);
    session.add_pass(fakes::count, "count").unwrap();
    session.submit(trial(MLP, "after", "sgd")).unwrap();
    ends(&events, 1);
    assert_eq!(fakes::COUNTED.load(Ordering::SeqCst), 1);
    let twice = session.add_pass(fakes::count, "count").unwrap_err();
    assert_eq!(twice.to_string(), "pass `count` is registered twice");
    let unknown = session.add_pass(|_| Ok(()), "cound").unwrap_err();
    assert!(unknown.to_string().contains("count"), "{unknown}");
    session.join().unwrap();
}

#[test]
fn the_budget_is_the_engines() {
    let session = Session::start(settings("cpu:0"), planner(), engine()).unwrap();
    assert_eq!(session.budget().unwrap(), Budget::Unlimited);
    drop(session);
    // Two epochs of ten batches each.
    let limited = engine().with_budget(25);
    let session = Session::start(settings("cpu:0"), planner(), limited).unwrap();
    let events = events(&session);
    assert_eq!(session.budget().unwrap(), Budget::Steps(25));
    session.submit(trial(MLP, "a", "sgd")).unwrap();
    ends(&events, 1);
    assert_eq!(session.budget().unwrap(), Budget::Steps(5));
    session.submit(trial(MLP, "b", "sgd")).unwrap();
    assert!(is_finished(ends(&events, 1).values().next().unwrap()));
    assert!(session.budget().unwrap().is_exhausted());
}

/// A pass that panics costs the model that it cannot stand, and nobody else.
#[test]
fn defect_06_a_planning_that_panics_ends_nothing_but_its_model() {
    let settings = Settings {
        batch_waiting_time: Duration::from_millis(200),
        ..settings("cpu:0")
    };
    let session = Session::start(settings, planner(), engine()).unwrap();
    session.add_pass(fakes::fuse, "fuse").unwrap();
    let events = events(&session);
    let models: Vec<ModelId> = ["a", "bomb", "b"]
        .map(|name| session.submit(trial(MLP, name, "sgd")).unwrap())
        .to_vec();
    let first = ends(&events, 3);
    assert!(is_finished(&first[&models[0]]) && is_finished(&first[&models[2]]));
    match &first[&models[1]] {
        ModelEvent::Failed {
            cause: Cause::Planning { message },
        } => assert!(message.contains("there is a bomb"), "{message}"),
        other => panic!("{other:?}"),
    }
    let later = session.submit(trial(MLP, "later", "sgd")).unwrap();
    assert!(is_finished(&ends(&events, 1)[&later]));
}

/// An engine that breaks down when it is to start an assembly: its models are tried alone.
#[test]
fn defect_06_an_engine_that_panics_ends_nothing() {
    let settings = Settings {
        batch_waiting_time: Duration::from_millis(200),
        ..settings("cpu:0")
    };
    let session = Session::start(settings, planner(), Brittle(engine())).unwrap();
    let events = events(&session);
    for name in ["a", "b"] {
        session.submit(trial(MLP, name, "sgd")).unwrap();
    }
    assert!(ends(&events, 2).values().all(is_finished));
    let ended = session.join().unwrap();
    assert!(ended.iter().all(|s| s.attempts == 2));
}

/// A model with an op that the engine cannot run fails alone, before anybody trains; the others
/// are not taken apart for it.
#[test]
fn a_model_that_the_engine_cannot_run_fails_alone() {
    let odd = MLP.replace(
        "a = relu h",
        "a = custom h {op=\"foo.bar\", results=1} : f32[n, 32]",
    );
    assert_ne!(odd, MLP);
    let session = Session::start(settings("cpu:0"), planner(), engine()).unwrap();
    let events = events(&session);
    let trials = [
        trial(MLP, "a", "sgd"),
        trial(&odd, "odd", "sgd"),
        trial(CNN, "b", "sgd"),
    ];
    let models = session.submit_all(trials).unwrap();
    let ends = ends(&events, 3);
    assert!(is_finished(&ends[&models[0]]) && is_finished(&ends[&models[2]]));
    match &ends[&models[1]] {
        ModelEvent::Failed { cause } => {
            assert!(
                cause.to_string().contains("no kernel for `foo.bar`"),
                "{cause}"
            );
        }
        other => panic!("{other:?}"),
    }
    let ended = session.join().unwrap();
    assert!(ended.iter().all(|s| s.attempts == 1), "{ended:?}");
}

#[test]
fn defect_22_a_shutdown_ends_running_and_queued_models() {
    let (puppet, jobs) = Puppet::new();
    let session = Session::start(settings("cpu:0"), planner(), puppet).unwrap();
    let events = events(&session);
    session.submit(trial(MLP, "running", "sgd")).unwrap();
    let _job = jobs.recv_timeout(Duration::from_secs(60)).unwrap();
    session.submit(trial(MLP, "queued", "sgd")).unwrap();
    let handle = session.handle().clone();
    let ended = session.shutdown_and_wait().unwrap();
    assert!(ended.iter().all(|s| s.state == ModelState::Stopped));
    let told: Vec<_> = events.iter().collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|(_, e)| *e == ModelEvent::Stopped));
    assert_eq!(handle.submit(trial(MLP, "late", "sgd")), Err(Ended));
    assert_eq!(handle.counts(), Err(Ended));
}

#[test]
fn a_session_without_devices_fails_its_models_and_does_not_hang() {
    let none = Settings::new(Vec::new());
    let session = Session::start(none, planner(), engine()).unwrap();
    assert_eq!(session.idle_capacity().unwrap(), 0);
    session.submit(trial(MLP, "a", "sgd")).unwrap();
    assert_eq!(session.join().unwrap()[0].state, ModelState::Failed);
}

/// What was trained in a session that was open is what is trained in a closed set.
#[test]
fn numbers_do_not_depend_on_when_a_model_came() {
    let metrics = |events: &Events| {
        let mut all = BTreeMap::new();
        loop {
            match events.recv_timeout(Duration::from_secs(60)).unwrap() {
                (_, ModelEvent::Metric(m)) => {
                    all.insert((m.name, m.at), m.value.to_bits());
                }
                (_, event) if event.is_terminal() => return all,
                _ => {}
            }
        }
    };
    let model = || trial_with(MLP, "same", evaluator("adam", 0.01, 2));
    let alone = Session::start(settings("cpu:0"), planner(), engine()).unwrap();
    let heard = events(&alone);
    alone.submit(model()).unwrap();
    let expected = metrics(&heard);
    alone.join().unwrap();

    let waiting = Settings {
        batch_waiting_time: Duration::from_millis(200),
        ..settings("cpu:0")
    };
    let crowd = Session::start(waiting, planner(), engine()).unwrap();
    let first = crowd.submit(model()).unwrap();
    crowd
        .submit(trial_with(CNN, "other", evaluator("sgd", 0.1, 1)))
        .unwrap();
    let (sender, heard) = channel();
    let only = move |model: ModelId, event: &ModelEvent| {
        if model == first {
            let _ = sender.send((model, event.clone()));
        }
    };
    crowd.subscribe(Only(only)).unwrap();
    assert_eq!(metrics(&heard), expected);
    assert!(expected.len() >= 4);
}

struct Only<F>(F);

impl<F: FnMut(ModelId, &ModelEvent)> syncarp_runtime::Listener for Only<F> {
    fn delivered(&mut self, model: ModelId, event: &ModelEvent) {
        (self.0)(model, event);
    }
}

/// Events of a job that is over, or of a model that it never had, do no harm.
#[test]
fn defect_20_unknown_and_repeated_ends_are_warnings() {
    let (puppet, jobs) = Puppet::new();
    let session = Session::start(settings("cpu:0"), planner(), puppet).unwrap();
    let events = events(&session);
    session.submit(trial(MLP, "a", "sgd")).unwrap();
    let job = jobs.recv_timeout(Duration::from_secs(60)).unwrap();
    job.tell(Told::Finished { model: 7 });
    job.finish();
    job.finish();
    assert!(is_finished(ends(&events, 1).values().next().unwrap()));
    session.submit(trial(MLP, "b", "sgd")).unwrap();
    jobs.recv_timeout(Duration::from_secs(60)).unwrap().finish();
    assert!(is_finished(ends(&events, 1).values().next().unwrap()));
}
