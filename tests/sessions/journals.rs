//! A session's journal: what it was is what it goes on from.

use std::path::Path;
use std::time::Duration;

use syncarp_engine::{EpochReport, Event as Told};
use syncarp_runtime::{DriveError, ModelEvent, ModelState, Point, Session, Settings, Trial};

use crate::common::{MLP, engine, planner, trial};
use crate::fakes::Puppet;
use crate::{ends, events, settings};

fn journaled(path: &Path) -> Settings {
    Settings {
        journal: Some(path.to_owned()),
        ..settings("cpu:0")
    }
}

fn epoch(epoch: u64, loss: f64) -> Told {
    let report = EpochReport {
        epoch,
        step: epoch * 10,
        train_loss: loss,
        part: "train",
        metrics: Vec::new(),
    };
    Told::Epoch { model: 0, report }
}

/// The journal as it is at this moment, as if the process ended here.
fn crash(session: &Session, from: &Path, to: &Path) {
    // Answered once all that was sent before was taken in and written.
    session.counts().unwrap();
    std::fs::copy(from, to).unwrap();
}

#[test]
fn a_session_is_taken_up_where_its_process_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a"), folder.path().join("b"));
    let (puppet, jobs) = Puppet::new();
    let session = Session::start(journaled(&first), planner(), puppet).unwrap();
    let heard = events(&session);
    session.submit(trial(MLP, "done", "sgd")).unwrap();
    jobs.recv_timeout(Duration::from_secs(60)).unwrap().finish();
    ends(&heard, 1);
    session.submit(trial(MLP, "running", "sgd")).unwrap();
    let job = jobs.recv_timeout(Duration::from_secs(60)).unwrap();
    job.tell(epoch(1, 0.5));
    session.submit(trial(MLP, "queued", "sgd")).unwrap();
    session.submit(trial(MLP, "lost", "sgd")).unwrap();
    crash(&session, &first, &second);
    drop(session);

    let (puppet, jobs) = Puppet::new();
    let again = |name: &str| (name != "lost").then(|| trial(MLP, name, "sgd"));
    let settings = Settings {
        batch_waiting_time: Duration::from_millis(100),
        ..journaled(&second)
    };
    let session = Session::resume(settings, planner(), puppet, again).unwrap();
    let heard = events(&session);
    // Under its old number, and merged with nobody: what is due is due.
    let mut metrics = Vec::new();
    let mut finished = 0;
    while finished < 2 {
        let job = jobs.recv_timeout(Duration::from_secs(60)).unwrap();
        if finished == 0 {
            job.tell(epoch(1, 0.5));
            job.tell(epoch(2, 0.25));
        }
        finished += job.models;
        job.finish();
    }
    let late = session.submit(trial(MLP, "late", "sgd")).unwrap();
    assert_eq!(late.0, 4, "numbers go on");
    jobs.recv_timeout(Duration::from_secs(60)).unwrap().finish();
    let statuses = session.join().unwrap();
    for (model, event) in heard.iter() {
        if let ModelEvent::Metric(metric) = event {
            metrics.push((model.0, metric.at));
        }
    }
    // The first epoch was delivered before.
    assert_eq!(metrics, [(1, Point::Epoch(2))]);
    let states: Vec<_> = statuses.iter().map(|s| (&*s.name, s.state)).collect();
    assert_eq!(
        states,
        [
            ("done", ModelState::Finished),
            ("running", ModelState::Finished),
            ("queued", ModelState::Finished),
            ("lost", ModelState::Failed),
            ("late", ModelState::Finished),
        ]
    );
}

#[test]
fn a_journal_cut_in_the_middle_of_a_line_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (puppet, jobs) = Puppet::new();
    let session = Session::start(journaled(&path), planner(), puppet).unwrap();
    session.submit(trial(MLP, "a", "sgd")).unwrap();
    jobs.recv_timeout(Duration::from_secs(60)).unwrap();
    let copy = folder.path().join("copy");
    crash(&session, &path, &copy);
    let mut bytes = std::fs::read(&copy).unwrap();
    bytes.truncate(bytes.len() - 3);
    std::fs::write(&copy, bytes).unwrap();
    let again = |name: &str| Some(trial(MLP, name, "sgd"));
    let resumed = Session::resume(journaled(&copy), planner(), engine(), again).unwrap();
    assert_eq!(resumed.join().unwrap()[0].state, ModelState::Finished);
    // And what came after the torn line is whole again.
    let nothing = |_: &str| -> Option<Trial> { None };
    let ended = Session::resume(journaled(&copy), planner(), engine(), nothing).unwrap();
    assert_eq!(ended.join().unwrap()[0].state, ModelState::Finished);
}

#[test]
fn wrong_journals_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let nothing = |_: &str| -> Option<Trial> { None };
    let resume = |settings| {
        Session::resume(settings, planner(), engine(), nothing)
            .err()
            .unwrap()
    };
    let missing = resume(journaled(&path));
    assert!(matches!(missing, DriveError::Journal(_)), "{missing}");
    Session::start(journaled(&path), planner(), engine())
        .unwrap()
        .join()
        .unwrap();
    let other = Settings {
        journal: Some(path.clone()),
        ..settings("cpu:0,cpu:1")
    };
    let message = resume(other).to_string();
    assert_eq!(
        message,
        "the journal is of a run on cpu:0, not on cpu:0,cpu:1"
    );
    std::fs::write(&path, "{\"journal\": 1}\n").unwrap();
    resume(journaled(&path));
    let full = Session::start(journaled(Path::new("/dev/full")), planner(), engine()).err();
    assert!(matches!(full, Some(DriveError::Write(_))), "{full:?}");
}
