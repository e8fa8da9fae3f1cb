//! The journal: what is written, what comes back, and going on after a crash.

use syncarp_runtime::{
    Command, Event, Journal, JournalError, ModelEvent, ModelId, Point, Time, recover, replay,
};

use crate::script::{Script, devices, hasty};

/// A history as a journal.
pub fn journal(script: &Script) -> Vec<u8> {
    let mut journal = Journal::create(Vec::new(), script.scheduler.config()).expect("memory");
    for (at, event) in &script.history {
        journal.append(*at, event).expect("memory");
    }
    journal.into_inner()
}

/// Two models at work, a third waiting, and one metric that JSON has no number for.
fn busy() -> Script {
    let mut s = Script::new(hasty(1));
    s.submit(&[1]).at(1).submit(&[2]).ignore();
    s.plan(0, &[(&[1], &[0])], &[])
        .started(0, 1)
        .finishes(0, 1)
        .ends(0)
        .ignore();
    s.plan(1, &[(&[2], &[0])], &[]).submit(&[3, 4]).ignore();
    s.loss(1, 2, 1, Point::Epoch(1), 0.1 + 0.2)
        .loss(1, 2, 1, Point::Step(7), f64::NAN)
        .ignore();
    s
}

#[test]
fn a_journal_is_lines_that_people_can_read() {
    let mut s = Script::new(devices(1));
    s.submit(&[4]).at(2).stop(4).close();
    let text = String::from_utf8(journal(&s)).expect("JSON is text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        r#"{"journal":1,"config":{"devices":[{"host":"host","index":0}],"batch_waiting_time":{"secs":10,"nanos":0},"max_concurrency":null,"batch_limit":{"per_device":256}}}"#
    );
    assert_eq!(lines[1], r#"{"at":0,"event":{"submit":{"model":4}}}"#);
    assert_eq!(
        lines[2],
        r#"{"at":2000000,"event":{"stop_model":{"model":4}}}"#
    );
    assert_eq!(lines[3], r#"{"at":2000000,"event":"close"}"#);
}

#[test]
fn replaying_gives_the_same_state_and_the_same_commands_later() {
    let s = busy();
    let written = journal(&s);
    let mut recovered = recover(written.as_slice()).expect("the journal is whole");
    assert_eq!(recovered.scheduler, s.scheduler);
    assert_eq!(recovered.events, s.history.len() as u64);
    assert_eq!(recovered.complete_bytes, written.len() as u64);
    assert_eq!(recovered.torn, None);
    let again = replay(s.scheduler.config().clone(), s.history.clone()).expect("good settings");
    assert_eq!(again, s.scheduler);

    let mut original = s.scheduler.clone();
    for event in [
        Event::Close,
        Event::StopModel { model: ModelId(2) },
        Event::Shutdown,
    ] {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        original.step(Time::from_micros(9), event.clone(), &mut a);
        recovered
            .scheduler
            .step(Time::from_micros(9), event, &mut b);
        assert_eq!(a, b);
    }
    assert_eq!(original, recovered.scheduler);
}

#[test]
fn numbers_come_back_to_the_bit() {
    let mut s = Script::new(hasty(1));
    s.submit(&[1]).plan(0, &[(&[1], &[0])], &[]);
    for (step, value) in [
        0.1 + 0.2,
        f64::MIN_POSITIVE / 8.0,
        -0.0,
        f64::INFINITY,
        f64::MAX,
    ]
    .into_iter()
    .enumerate()
    {
        s.loss(0, 1, 1, Point::Step(step as u64), value);
        let recovered = recover(journal(&s).as_slice()).expect("the journal is whole");
        let [
            Command::Deliver {
                event: ModelEvent::Metric(metric),
                ..
            },
        ] = recovered.last_commands.as_slice()
        else {
            panic!("the last command delivers the metric");
        };
        assert_eq!(metric.value.to_bits(), value.to_bits());
    }
}

#[test]
fn a_torn_last_line_is_left_out_with_a_warning() {
    let s = busy();
    let whole = journal(&s);
    let last = whole[..whole.len() - 1]
        .iter()
        .rposition(|&b| b == b'\n')
        .expect("lines")
        + 1;
    for cut in [last + 1, last + 5, whole.len() - 1] {
        let recovered = recover(&whole[..cut]).expect("the other lines are whole");
        assert_eq!(recovered.complete_bytes, last as u64);
        assert_eq!(recovered.events, s.history.len() as u64 - 1);
        let torn = recovered.torn.expect("the line is torn").to_string();
        let line = s.history.len() + 1;
        let bytes = cut - last;
        assert_eq!(
            torn,
            format!("line {line} of the journal is incomplete and was ignored ({bytes} bytes)")
        );
        // Cut to its whole lines, the journal can be gone on with.
        let mut more = Journal::resume(whole[..last].to_vec());
        let (at, event) = s.history.last().expect("there are events");
        more.append(*at, event).expect("memory");
        assert_eq!(more.into_inner(), whole);
    }
}

#[test]
fn a_bad_line_in_the_middle_is_an_error_with_its_number() {
    let text = String::from_utf8(journal(&busy())).expect("JSON is text");
    let mut lines: Vec<&str> = text.lines().collect();
    lines[3] = r#"{"at":1,"event":{"submit":{"mo"#;
    let damaged = lines.join("\n") + "\n";
    let error = recover(damaged.as_bytes()).expect_err("a line is bad");
    assert!(
        matches!(error, JournalError::Line { line: 4, .. }),
        "{error:?}"
    );
    assert_eq!(error.to_string(), "line 4 of the journal is not an event");
}

#[test]
fn other_files_are_not_journals() {
    let error = |text: &str| {
        recover(text.as_bytes())
            .expect_err("not a journal")
            .to_string()
    };
    assert_eq!(error(""), "the journal is empty");
    assert_eq!(error(r#"{"journal":1,"#), "the journal is empty");
    assert_eq!(
        error("hello\n"),
        "the first line is not the header of a journal"
    );
    assert_eq!(
        error("{\"journal\":2,\"config\":{\"new\":1}}\n"),
        "the journal has format 2, and only format 1 can be read"
    );
    let text = String::from_utf8(journal(&Script::new(devices(2)))).expect("JSON is text");
    let twice = text.replace("\"index\":1", "\"index\":0");
    assert_eq!(error(&twice), "the journal's settings cannot be used");
}

#[test]
fn after_a_crash_everything_goes_on_where_it_stood() {
    let mut s = Script::new(hasty(2));
    s.submit(&[1])
        .plan(0, &[(&[1], &[0])], &[])
        .submit(&[2, 3])
        .ignore();
    s.plan(1, &[(&[2], &[1])], &[])
        .loss(0, 1, 1, Point::Epoch(1), 0.5)
        .submit(&[4])
        .ignore();
    let recovered = recover(journal(&s).as_slice()).expect("the journal is whole");
    s.replace(recovered.scheduler);
    // Nobody is at fault, so nobody loses an attempt or its company.
    s.send(Event::Restarted)
        .expect(&["plan r2: m1 m2 m3 m4 on d0 d1"]);
    s.plan(2, &[(&[1, 2], &[0]), (&[3, 4], &[1])], &[]);
    s.expect(&["start a2: m1#2 m2#2 on d0", "start a3: m3#1 m4#1 on d1"]);
    s.loss(2, 1, 2, Point::Epoch(1), 0.5)
        .loss(2, 1, 2, Point::Epoch(2), 0.4);
    s.expect(&["m1 loss at epoch 2 = 0.4"]);
    s.loss(0, 1, 1, Point::Epoch(3), 0.5);
    s.expect(&["warning: assembly 0 sent an event after its end"]);
}

#[test]
fn a_crash_during_a_retry_or_planning_repeats_just_that() {
    let mut s = Script::new(devices(2));
    s.submit(&[1, 2, 3])
        .close()
        .plan(0, &[(&[1, 2, 3], &[0])], &[])
        .ignore();
    s.breaks(0).expect(&["plan r1 alone: m1 m2 on d0 d1"]);
    s.send(Event::Restarted)
        .expect(&["plan r2 alone: m1 m2 on d0 d1"]);
    s.plan(1, &[(&[1], &[0])], &[2])
        .expect(&["warning: request 1 is not waiting for an answer"]);
    s.plan(2, &[(&[1], &[0])], &[2])
        .expect(&["start a1: m1#2 on d0", "plan r3 alone: m2 on d1"]);
    s.send(Event::Restarted)
        .expect(&["plan r4 alone: m1 m2 on d0 d1"]);
    assert_eq!(s.scheduler.attempts(ModelId(1)), Some(2));
}

#[test]
fn the_alarm_is_set_again_after_a_crash() {
    let mut s = Script::new(devices(1));
    s.submit(&[1]).expect(&["wake at 10"]);
    assert_eq!(s.scheduler.wake_at(), Some(Time::from_micros(10_000_000)));
    s.at(3).send(Event::Restarted).expect(&["wake at 10"]);
    s.at(10).tick().expect(&["plan r0: m1 on d0"]);
    assert_eq!(s.scheduler.wake_at(), None);
}
