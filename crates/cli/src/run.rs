//! `run`: trains the models of a sweep merged, and keeps all that comes of it.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::{Value as Json, json};
use syncarp_engine::Snapshot;
use syncarp_place::Device;
use syncarp_runtime::{
    AssemblyId, Handle, Listener, ModelEvent, ModelId, Planned, Planner, Point, Settings, Started,
    Trial, run_with,
};

use syncarp_standard::{Registries, Submitter};
use syncarp_sweep::Sweep;

use crate::args::RunArgs;
use crate::folder::{Folder, count, summary};
use crate::output::{print, print_json, table};
use crate::record::{Record, State};
use crate::report::{Failure, Outcome};
use crate::show::Show;

/// Runs a sweep.
///
/// # Errors
/// Where the sweep or the command line is wrong, or the machine fails.
pub(crate) fn run(args: &RunArgs) -> Result<Outcome, Failure> {
    let registries = Registries::standard()?;
    let planner = args.placing.planner(&registries)?;
    let devices = args.placing.devices()?;
    let sweep = Sweep::load(&args.sweep)?;
    let submitted = Submitter::new(&registries).submit(&sweep)?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => PathBuf::from("runs").join(&sweep.name),
    };
    let folder = Folder::open(&out)?;
    let models = sweep.models.iter().zip(&submitted);
    let mut records: Vec<Record> = models
        .map(|(model, submitted)| Record::new(model, submitted))
        .collect();
    let mut due = Vec::new();
    for (at, record) in records.iter_mut().enumerate() {
        let earlier = folder.earlier(&record.name);
        if !earlier.is_some_and(|earlier| record.resume(&earlier)) {
            due.push(at);
        }
    }
    let trials: Vec<Trial> = due.iter().map(|at| submitted[*at].trial.clone()).collect();
    let mut watcher = Watcher {
        show: Show::new(records.len()),
        devices: vec![None; trials.len()],
        folder,
        records,
        due,
        assemblies: Vec::new(),
        interrupted: Arc::new(AtomicBool::new(false)),
        failure: None,
    };
    watcher.keep(|folder, records| folder.models(records));
    let skipped = watcher.records.len() - trials.len();
    if skipped > 0 {
        watcher.show.line(&format!(
            "{skipped} models were finished before in {}",
            out.display()
        ));
    }
    let mut seconds = 0.0;
    if !trials.is_empty() {
        let start = Instant::now();
        let mut engine = registries.engine();
        let settings = Settings {
            max_concurrency: args.max_concurrency,
            ..Settings::new(devices.clone())
        };
        let interrupted = watcher.interrupted.clone();
        let watch = |handle: &Handle| watch_interrupts(handle, interrupted);
        run_with(
            &trials,
            &settings,
            &planner,
            &mut engine,
            &mut watcher,
            watch,
        )
        .map_err(|error| Failure::work(error.to_string()))?;
        seconds = start.elapsed().as_secs_f64();
    }
    let interrupted = watcher.interrupted.load(Ordering::SeqCst);
    if interrupted {
        let again = "interrupted; the same command goes on with the models that are not finished";
        watcher.show.line(again);
    }
    let alone = match args.compare && !trials.is_empty() && !interrupted {
        true => Some(one_by_one(
            &trials,
            &devices,
            &planner,
            &registries,
            &watcher.show,
        )?),
        false => None,
    };
    watcher.finish(args, seconds, alone)
}

/// Trains each model alone, one after another, on the same devices; how many seconds that takes.
fn one_by_one(
    trials: &[Trial],
    devices: &[Device],
    planner: &Planner,
    registries: &Registries,
    show: &Show,
) -> Result<f64, Failure> {
    let mut seconds = 0.0;
    for (at, trial) in trials.iter().enumerate() {
        let start = Instant::now();
        let mut engine = registries.engine();
        let one = std::slice::from_ref(trial);
        let settings = Settings::new(devices.to_vec());
        syncarp_runtime::run(one, &settings, planner, &mut engine, &mut ())
            .map_err(|error| Failure::work(error.to_string()))?;
        let took = start.elapsed().as_secs_f64();
        seconds += took;
        let (name, of) = (&trial.submission.name, trials.len());
        show.line(&format!(
            "alone, {} of {of}: {name} took {took:.2} s",
            at + 1
        ));
    }
    Ok(seconds)
}

/// An interrupt ends all models and then the run, in order; a second one ends the process.
fn watch_interrupts(handle: &Handle, interrupted: Arc<AtomicBool>) {
    let handle = handle.clone();
    let set = ctrlc::set_handler(move || {
        if interrupted.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        // Where the run has ended, there is nothing to stop.
        let _ = handle.shutdown();
    });
    if let Err(error) = set {
        let _ = writeln!(
            std::io::stderr(),
            "warning: interrupts will not be waited for: {error}"
        );
    }
}

/// Hears what happens, keeps and shows it.
struct Watcher {
    folder: Folder,
    show: Show,
    records: Vec<Record>,
    /// For each trial, its place among the records.
    due: Vec<usize>,
    /// For each trial, the device that it was planned on last.
    devices: Vec<Option<String>>,
    assemblies: Vec<Json>,
    interrupted: Arc<AtomicBool>,
    /// The first thing that went wrong while listening; nothing is written after it.
    failure: Option<Failure>,
}

impl Watcher {
    fn keep(&mut self, write: impl FnOnce(&mut Folder, &[Record]) -> Result<(), Failure>) {
        if self.failure.is_none() {
            self.failure = write(&mut self.folder, &self.records).err();
        }
    }

    fn place(&self, model: ModelId) -> usize {
        self.due[model.0 as usize]
    }

    fn finish(
        mut self,
        args: &RunArgs,
        seconds: f64,
        alone: Option<f64>,
    ) -> Result<Outcome, Failure> {
        self.keep(|folder, records| folder.results(records));
        let Watcher {
            folder,
            show,
            records,
            assemblies,
            failure,
            ..
        } = self;
        show.end(&records);
        if let Some(failure) = failure {
            return Err(failure);
        }
        // A merged run that took no time at all was none.
        let speedup = alone.filter(|_| seconds > 0.0).map(|alone| alone / seconds);
        if args.json {
            let models = records.iter().map(|record| {
                let mut json = record.to_json();
                json["skipped"] = json!(record.skipped);
                json
            });
            let mut all = json!({
                "models": models.collect::<Vec<Json>>(),
                "assemblies": assemblies,
                "seconds": seconds,
                "folder": folder.path().display().to_string(),
            });
            if args.compare {
                all["seconds_one_by_one"] = json!(alone);
                all["speedup"] = json!(speedup);
            }
            print_json(&all)?;
        } else {
            let mut text = table(&summary(&records));
            let causes = records
                .iter()
                .filter_map(|r| Some((&r.name, r.cause.as_ref()?)));
            for (place, (name, cause)) in causes.enumerate() {
                let gap = if place == 0 { "\n" } else { "" };
                text += &format!("{gap}{name}: {cause}\n");
            }
            let skipped = records.iter().filter(|record| record.skipped).count();
            let before = match skipped {
                0 => String::new(),
                n => format!(" and {n} from before"),
            };
            let trained = records.len() - skipped;
            text += &format!("\n{trained} models in {seconds:.2} s{before}");
            if let (Some(alone), Some(speedup)) = (alone, speedup) {
                text += &format!(", one by one in {alone:.2} s: {speedup:.2} times as fast");
            }
            text += &format!("\nresults in {}\n", folder.path().display());
            print(&text)?;
        }
        let all_done = count(&records, State::Finished) == records.len();
        Ok(if all_done {
            Outcome::Done
        } else {
            Outcome::Wanting
        })
    }
}

impl Listener for Watcher {
    fn planned(&mut self, planned: &Planned, models: &[ModelId]) {
        for assembly in &planned.placement.assemblies {
            for (model, device) in assembly.models.iter().zip(&assembly.model_devices) {
                let trial = models[model.index()].0 as usize;
                self.devices[trial] = assembly.devices.get(*device).map(ToString::to_string);
            }
        }
        self.keep(|folder, _| folder.planned(planned));
    }

    fn assembly(&mut self, assembly: AssemblyId, models: &[Started], devices: &[String]) {
        let mut entries = Vec::new();
        for started in models {
            let place = self.place(started.model);
            let record = &mut self.records[place];
            record.assembly = Some(assembly.0);
            record
                .device
                .clone_from(&self.devices[started.model.0 as usize]);
            entries.push(json!({ "name": record.name, "device": record.device }));
        }
        self.assemblies.push(json!({
            "assembly": assembly.0,
            "devices": devices,
            "models": entries,
        }));
        self.show.assembly(assembly.0, models.len(), devices);
        let assemblies = std::mem::take(&mut self.assemblies);
        self.keep(|folder, _| folder.assemblies(&assemblies));
        self.assemblies = assemblies;
    }

    fn delivered(&mut self, model: ModelId, event: &ModelEvent) {
        let at = self.place(model);
        self.records[at].take(event);
        if let ModelEvent::Metric(metric) = event {
            let epoch = match metric.at {
                Point::Epoch(epoch) => epoch,
                Point::Step(_) | Point::Final => self.records[at].epochs,
            };
            self.keep(|folder, records| folder.metric(&records[at].name, epoch, metric));
            let judged_by = &self.records[at].judged_by.0;
            if *judged_by == metric.name {
                self.show.epoch(&self.records, at);
            }
        }
        if event.is_terminal() {
            self.keep(|folder, records| folder.result(&records[at]));
            self.show.ended(&self.records, at);
        }
    }

    fn checkpoint(&mut self, model: ModelId, best: Option<&Arc<Snapshot>>, last: &Arc<Snapshot>) {
        let at = self.place(model);
        self.keep(|folder, records| folder.checkpoint(&records[at], best.map(|b| &**b), last));
    }

    fn progress(&mut self, assembly: AssemblyId, step: u64, steps: u64) {
        self.show.progress(assembly.0, step, steps);
    }

    fn warning(&mut self, message: &str) {
        self.show.line(&format!("warning: {message}"));
    }
}
