//! The scheduler with a long queue: from a device that is free to the command that plans for it,
//! and what submitting one more model costs.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion};
use syncarp_runtime::{
    AssemblyId, BatchLimit, Command, Config, Device, DeviceId, EngineEvent, Event, ModelId,
    PlannedAssembly, RequestId, Scheduler, Time,
};

const DEVICES: u32 = 8;

/// A scheduler whose devices are all busy and whose queue holds so many models, all of them due.
fn busy(queued: u32, batch_limit: BatchLimit) -> Scheduler {
    let device = |index| Device {
        host: "host".into(),
        index,
    };
    let config = Config {
        batch_waiting_time: Duration::ZERO,
        batch_limit,
        ..Config::new((0..DEVICES).map(device).collect())
    };
    let mut scheduler = Scheduler::new(config).expect("the settings are right");
    let mut step = |event| scheduler.step(Time::ZERO, event, &mut Vec::new());
    let models: Vec<ModelId> = (0..DEVICES).map(ModelId).collect();
    let assemblies = models.iter().map(|model| PlannedAssembly {
        models: vec![*model],
        devices: vec![DeviceId(model.0)],
    });
    step(Event::SubmitAll {
        models: models.clone(),
    });
    step(Event::Planned {
        request: RequestId(0),
        assemblies: assemblies.collect(),
        leftover: Vec::new(),
    });
    let models = (DEVICES..).map(ModelId).take(queued as usize);
    step(Event::SubmitAll {
        models: models.collect(),
    });
    scheduler
}

fn plan(criterion: &mut Criterion) {
    let limit = |each| BatchLimit::PerDevice(NonZeroU32::new(each).expect("not zero"));
    let limits = [
        ("1 a device", limit(1)),
        ("256 a device", limit(256)),
        ("unlimited", BatchLimit::Unlimited),
    ];
    let mut group = criterion.benchmark_group("device free to plan");
    for (name, limit) in limits {
        for queued in [10_000, 100_000] {
            let scheduler = busy(queued, limit);
            let setup = || (scheduler.clone(), Vec::new());
            group.bench_function(BenchmarkId::new(name, queued), |b| {
                b.iter_batched(
                    setup,
                    |(mut scheduler, mut commands)| {
                        let event = Event::Engine {
                            assembly: AssemblyId(0),
                            event: EngineEvent::AssemblyFailed {
                                message: String::new(),
                            },
                        };
                        scheduler.step(Time::ZERO, event, &mut commands);
                        let planned = |c: &Command| matches!(c, Command::Plan { .. });
                        assert!(commands.iter().any(planned));
                        (scheduler, commands)
                    },
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

fn submit(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("submit");
    for queued in [100, 10_000, 100_000] {
        let mut scheduler = busy(queued, BatchLimit::Unlimited);
        let mut commands = Vec::new();
        let mut next = DEVICES + queued;
        group.bench_function(BenchmarkId::from_parameter(queued), |b| {
            b.iter(|| {
                // Submitted and taken away again, so that the queue stays as long as it is.
                let model = ModelId(next);
                next += 1;
                scheduler.step(Time::ZERO, Event::Submit { model }, &mut commands);
                scheduler.step(Time::ZERO, Event::StopModel { model }, &mut commands);
                black_box(&mut commands).clear();
            });
        });
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    plan(&mut criterion);
    submit(&mut criterion);
    criterion.final_summary();
}
