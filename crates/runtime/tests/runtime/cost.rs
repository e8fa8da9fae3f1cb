//! What an event costs, counted in models and devices looked at.

use syncarp_runtime::{
    AssemblyId, Command, Config, DeviceId, EngineEvent, Event, ModelId, PlannedAssembly, RequestId,
    Scheduler, Time,
};

use crate::script::{Script, devices, hasty, per_device};

/// How a sweep went.
#[derive(Debug, Default)]
struct Cost {
    /// The most that one event looked at.
    worst: u64,
    total: u64,
    finished: usize,
    plans: usize,
}

/// Runs a closed set of models on eight devices, so many in an assembly, and plays the planner
/// and the engines.
fn sweep(config: Config, count: u32, in_assembly: usize) -> Cost {
    let mut scheduler = Scheduler::new(config).expect("the settings are right");
    let mut cost = Cost::default();
    let mut events: Vec<Event> = (0..count)
        .map(|model| Event::Submit {
            model: ModelId(model),
        })
        .collect();
    events.push(Event::Close);
    events.reverse();
    let mut commands = Vec::new();
    while let Some(event) = events.pop() {
        let before = scheduler.statistics().visited;
        scheduler.step(Time::ZERO, event, &mut commands);
        let visited = scheduler.statistics().visited - before;
        cost.worst = cost.worst.max(visited);
        cost.total += visited;
        for command in commands.drain(..) {
            match command {
                Command::Plan {
                    request,
                    models,
                    devices,
                    ..
                } => {
                    cost.plans += 1;
                    let (taken, rest) = models.split_at(models.len().min(in_assembly));
                    let device: Vec<DeviceId> = devices[..1].to_vec();
                    let assembly = PlannedAssembly {
                        models: taken.to_vec(),
                        devices: device,
                    };
                    let (assemblies, leftover) = (vec![assembly], rest.to_vec());
                    events.push(Event::Planned {
                        request,
                        assemblies,
                        leftover,
                    });
                }
                Command::Start {
                    assembly, models, ..
                } => {
                    let engine = |assembly: AssemblyId, event| Event::Engine { assembly, event };
                    let at = events.len().saturating_sub(1);
                    let ends = models.iter().map(|started| {
                        let model = started.model;
                        engine(assembly, EngineEvent::ModelFinished { model })
                    });
                    let mut ends: Vec<Event> = ends.collect();
                    ends.insert(0, engine(assembly, EngineEvent::AssemblyFinished));
                    events.splice(at..at, ends);
                }
                Command::Deliver { event, .. } => cost.finished += usize::from(event.is_terminal()),
                Command::Warn { warning } => panic!("{warning}"),
                _ => {}
            }
        }
    }
    assert!(scheduler.is_finished());
    assert_eq!(scheduler.free_devices().count(), 8);
    cost
}

#[test]
fn ten_thousand_queued_models_cost_no_more_per_event_than_a_hundred() {
    let config = || per_device(4, devices(8));
    let few = sweep(config(), 100, 4);
    let many = sweep(config(), 10_000, 4);
    assert_eq!((few.finished, many.finished), (100, 10_000));
    assert!(few.plans >= 25 && many.plans >= 2_500);
    // A request holds at most 4 models for each of 8 devices. Each of them is looked at when it
    // is taken, when it is marked, and when the answer is; so is each device.
    assert!(many.worst <= 160, "{many:?}");
    assert!(many.worst <= few.worst, "{few:?} {many:?}");
    let per_model = |cost: &Cost| cost.total / cost.finished as u64;
    assert!(per_model(&many) <= per_model(&few), "{many:?}");
}

#[test]
fn a_full_queue_costs_a_busy_scheduler_nothing() {
    let mut scheduler = Scheduler::new(per_device(1, devices(1))).expect("the settings are right");
    let mut commands = Vec::new();
    for model in (0..10_000).map(ModelId) {
        scheduler.step(Time::ZERO, Event::Submit { model }, &mut commands);
    }
    scheduler.step(Time::ZERO, Event::Close, &mut commands);
    let before = scheduler.statistics().visited;
    for model in (5_000..6_000).map(ModelId) {
        scheduler.step(Time::ZERO, Event::Tick, &mut commands);
        scheduler.step(Time::ZERO, Event::StopModel { model }, &mut commands);
    }
    assert!(scheduler.statistics().visited - before <= 2_000);
}

/// A scheduler whose only assembly holds the first of four devices, with the planner's request
/// for the other three open, and so many models queued behind it.
fn queue_behind_a_request(queued: u32) -> Scheduler {
    let mut s = Script::mute(per_device(1, hasty(4)));
    s.submit_together(&[0, 1, 2, 3, 4])
        .plan(0, &[(&[0], &[0])], &[1, 2, 3]);
    // Not through the script, whose oracle looks at every model every time.
    let mut scheduler = s.scheduler;
    let (first, mut commands) = (scheduler.statistics().visited, Vec::new());
    for model in (5..5 + queued).map(ModelId) {
        scheduler.step(Time::ZERO, Event::Submit { model }, &mut commands);
    }
    let visited = scheduler.statistics().visited - first;
    assert_eq!(visited, u64::from(queued), "one look a submission");
    scheduler
}

#[test]
fn from_a_free_device_to_its_plan_nobody_walks_the_queue() {
    let looks = |queued: u32| {
        let mut scheduler = queue_behind_a_request(queued);
        let mut commands = Vec::new();
        let mut step = |event| {
            let before = scheduler.statistics().visited;
            commands.clear();
            scheduler.step(Time::ZERO, event, &mut commands);
            let plan = commands.iter().find_map(|command| match command {
                Command::Plan { models, .. } => Some(models.clone()),
                _ => None,
            });
            (plan, scheduler.statistics().visited - before)
        };
        let assembly = PlannedAssembly {
            models: [1, 2, 3].map(ModelId).to_vec(),
            devices: [1, 2, 3].map(DeviceId).to_vec(),
        };
        let (plan, started) = step(Event::Planned {
            request: RequestId(1),
            assemblies: vec![assembly],
            leftover: vec![],
        });
        assert_eq!(plan, None, "no device is free");
        let message = String::new();
        let (plan, freed) = step(Event::Engine {
            assembly: AssemblyId(0),
            event: EngineEvent::AssemblyFailed { message },
        });
        assert_eq!(plan, Some(vec![ModelId(4)]));
        (started, freed)
    };
    let few = looks(10);
    // The assembly, its model, its device, the model's end; the two lines, the batch and the
    // device offered, and the model that is marked.
    assert!(few.1 <= 10, "{few:?}");
    assert_eq!(looks(10_000), few);
    assert_eq!(looks(100_000), few);
}
