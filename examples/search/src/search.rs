//! The search: submit a generation, wait for its metrics, stop the worse half early, breed the next
//! from the best. A session runs all the while; each generation is trained as one.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use syncarp_diag::Source;
use syncarp_place::parse_devices;
use syncarp_runtime::{DEFAULT_PIPELINE, ModelEvent, ModelId, Point, Session, Settings};
use syncarp_standard::{Registries, Submitter};
use syncarp_sweep::Sweep;

use crate::genome::{Chance, Genome};

/// What is searched, and how long.
pub struct Plan<'a> {
    /// A sweep without models: the data, and how all candidates are trained.
    pub base: &'a str,
    /// Where the data's path starts.
    pub folder: &'a Path,
    pub devices: &'a str,
    pub classes: u64,
    pub generations: usize,
    pub candidates: usize,
    /// Epochs after which the worse half is stopped, and in all.
    pub epochs: (u64, u64),
    /// Training steps of a model that may be spent; no generation begins when they are.
    pub budget: u64,
    pub seed: u64,
}

/// A candidate and how well it did.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    pub genome: Genome,
    /// The best validation accuracy.
    pub accuracy: f64,
    /// Whether it was trained to its last epoch.
    pub trained: bool,
}

/// Searches; `tell` hears of every generation, best first.
pub fn search(
    plan: &Plan<'_>,
    mut tell: impl FnMut(usize, &[Scored]),
) -> Result<Vec<Scored>, Box<dyn Error>> {
    let registries = Registries::standard()?;
    let planner = registries.planner(DEFAULT_PIPELINE, "pack")?;
    let cores = std::thread::available_parallelism()?.get();
    let settings = Settings::new(parse_devices(plan.devices, cores)?);
    let engine = registries.engine().with_budget(plan.budget);
    let session = Session::start(settings, planner, engine)?;
    let (sender, events) = channel();
    session.subscribe(sender)?;

    let mut submitter = Submitter::new(&registries);
    let mut chance = Chance::new(plan.seed);
    let mut all: Vec<Scored> = Vec::new();
    for generation in 0..plan.generations {
        if session.budget()?.is_exhausted() {
            break;
        }
        let genomes: Vec<Genome> = (0..plan.candidates)
            .map(|_| breed(&all, &mut chance))
            .collect();
        let models = genomes.iter().enumerate().map(|(at, genome)| {
            let name = format!("g{generation}-{at}");
            genome.model(&name, plan.classes, plan.epochs.1)
        });
        let text = models.fold(plan.base.to_owned(), |text, model| text + "\n" + &model);
        let sweep = Sweep::parse(Source::new("generation", text), plan.folder)?;
        let trials = submitter.submit(&sweep)?.into_iter().map(|s| s.trial);
        let models = session.submit_all(trials)?;
        let scores = wait(&session, &events, &models, plan.epochs.0)?;
        let mut scored: Vec<Scored> = genomes
            .into_iter()
            .zip(&models)
            .map(|(genome, model)| Scored {
                genome,
                accuracy: scores[model].accuracy(plan.epochs.0),
                trained: scores[model].finished,
            })
            .collect();
        sort(&mut scored);
        tell(generation, &scored);
        all.extend(scored);
        sort(&mut all);
    }
    session.join()?;
    Ok(all)
}

fn sort(scored: &mut [Scored]) {
    scored.sort_by(|a, b| b.accuracy.total_cmp(&a.accuracy));
}

/// At first anybody; then a child of one of the best quarter.
fn breed(all: &[Scored], chance: &mut Chance) -> Genome {
    match all.len() / 4 {
        0 => Genome::random(chance),
        best => all[chance.below(best)].genome.mutated(chance),
    }
}

#[derive(Default)]
struct Score {
    /// Accuracy after each epoch.
    epochs: BTreeMap<u64, f64>,
    finished: bool,
    ended: bool,
}

impl Score {
    /// The best accuracy. How far a candidate got that was told to stop is a matter of moments, so
    /// only the epochs before that count.
    fn accuracy(&self, early: u64) -> f64 {
        let counts = |epoch: u64| self.finished || epoch <= early;
        let epochs = self.epochs.iter().filter(|(epoch, _)| counts(**epoch));
        epochs.map(|(_, accuracy)| *accuracy).fold(0.0, f64::max)
    }
}

/// Hears a generation out. Once all that still run have been judged after `early` epochs, the worse
/// half of them is stopped.
fn wait(
    session: &Session,
    events: &Receiver<(ModelId, ModelEvent)>,
    models: &[ModelId],
    early: u64,
) -> Result<BTreeMap<ModelId, Score>, Box<dyn Error>> {
    let mut scores: BTreeMap<ModelId, Score> =
        models.iter().map(|m| (*m, Score::default())).collect();
    let mut halved = false;
    while scores.values().any(|score| !score.ended) {
        let (model, event) = events.recv()?;
        let Some(score) = scores.get_mut(&model) else {
            continue;
        };
        match event {
            ModelEvent::Metric(metric) if metric.name == "accuracy" => {
                if let Point::Epoch(epoch) = metric.at {
                    score.epochs.insert(epoch, metric.value);
                }
            }
            ModelEvent::Finished { .. } => (score.finished, score.ended) = (true, true),
            event => score.ended |= event.is_terminal(),
        }
        let judged = |s: &Score| s.ended || s.epochs.contains_key(&early);
        if !halved && scores.values().all(judged) {
            halved = true;
            for model in worse_half(&scores, early) {
                session.stop(model)?;
            }
        }
    }
    Ok(scores)
}

fn worse_half(scores: &BTreeMap<ModelId, Score>, early: u64) -> Vec<ModelId> {
    let running = scores.iter().filter(|(_, score)| !score.ended);
    let at = |score: &Score| score.epochs.get(&early).copied().unwrap_or(0.0);
    let mut ranked: Vec<(ModelId, f64)> = running.map(|(m, score)| (*m, at(score))).collect();
    ranked.sort_by(|a, b| a.1.total_cmp(&b.1));
    let half = ranked.len() / 2;
    ranked.into_iter().take(half).map(|(m, _)| m).collect()
}
