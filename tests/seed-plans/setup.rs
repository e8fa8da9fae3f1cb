//! Batches of models with evaluators by letter, planned step by step.

use std::sync::Arc;

use syncarp_evaluator::{Evaluator, judge};
use syncarp_frontend::LayerRegistry;
use syncarp_frontend::nni::ModelFile;
use syncarp_ir::{DType, Dim, Plan, TensorType};
use syncarp_logical::{Submission, evaluator_classes, fuse};
use syncarp_pass::{Context, Manager};
use syncarp_place::nni::{Group, by_host, groups};
use syncarp_place::{Assembly, Device, Inputs, assemble};

use crate::common;
use crate::recordings::folder;

pub const MNIST: &str = "ir/mnist_pytorch.json";

/// In what evaluators of different letters differ.
#[derive(Clone, Copy, Debug)]
pub enum Differ {
    /// In the data stream, which NNI counts among the evaluator.
    Data,
    /// In the learning rate, on one data stream.
    Rate,
    /// In the seed, on one data stream.
    Seed,
}

/// Models of a file with an evaluator for each letter. `pixels` are the dims of a sample, where
/// types are to be known.
pub fn submissions(
    file: &str,
    pixels: Option<&[u64]>,
    letters: &str,
    differ: Differ,
) -> Vec<Submission> {
    let ops = Arc::new(syncarp_ops::standard());
    let path = folder().join(file);
    let read = ModelFile::read(&path).unwrap_or_else(|e| panic!("{e}"));
    let names = read.inputs();
    let ty = pixels.map(|pixels| {
        let dims = pixels.iter().copied().map(Dim::Known);
        TensorType::new(DType::F32, [Dim::symbol("n")].into_iter().chain(dims))
    });
    let known = ty
        .iter()
        .flat_map(|ty| names.iter().map(|n| (n.as_str(), ty.clone())));
    let known: Vec<_> = known.collect();
    let models = letters.char_indices().map(|(index, letter)| {
        let lowered = read.lower(
            &format!("model{index}"),
            &ops,
            &LayerRegistry::standard(),
            &known,
        );
        let plan = lowered.unwrap_or_else(|e| panic!("{e}")).plan;
        let (evaluator, data) = evaluator(letter, differ);
        Submission {
            name: format!("model{index}").into(),
            plan: Arc::new(plan),
            evaluator,
            data: data.into(),
        }
    });
    models.collect()
}

/// An evaluator and a data stream for a letter.
fn evaluator(letter: char, differ: Differ) -> (Arc<Evaluator>, String) {
    let number = f64::from(letter as u32 - 'A' as u32);
    match differ {
        Differ::Data => (common::evaluator("sgd", 0.1, 1), format!("mnist-{letter}")),
        Differ::Rate => {
            let rate = 0.1 + 0.01 * number;
            (common::evaluator("sgd", rate, 1), "mnist".to_owned())
        }
        Differ::Seed => {
            let mut evaluator = common::evaluator("sgd", 0.1, 1);
            Arc::make_mut(&mut evaluator).seed = letter as u64;
            (evaluator, "mnist".to_owned())
        }
    }
}

/// Gives models their losses and metrics.
pub fn judged(submissions: Vec<Submission>) -> Vec<Submission> {
    let judged = submissions.into_iter().map(|mut submission| {
        let plan = Arc::make_mut(&mut submission.plan);
        judge(plan, &submission.evaluator, (DType::I64, &[])).unwrap_or_else(|e| panic!("{e}"));
        submission
    });
    judged.collect()
}

/// The logical graph of a batch.
pub fn logical(submissions: &[Submission], dedup: bool) -> Plan {
    let mut plan = fuse(submissions).unwrap_or_else(|e| panic!("{e}"));
    let pipeline = if dedup { "dedup-input" } else { "" };
    let manager = Manager::new(&common::passes(), pipeline).unwrap();
    manager
        .run(&mut plan, &mut Context::bare(), &mut ())
        .unwrap_or_else(|e| panic!("{e}"));
    plan
}

/// Devices named as in the recordings.
pub fn devices(names: &[String]) -> Vec<Device> {
    let device = |name: &String| {
        let (host, index) = name.split_once("/gpu").unwrap();
        Device {
            host: host.into(),
            index: index.parse().unwrap(),
            memory: None,
            threads: 1,
        }
    };
    names.iter().map(device).collect()
}

/// A batch, grouped.
pub struct Grouped {
    pub plan: Plan,
    pub devices: Vec<Device>,
    pub groups: Vec<Group>,
}

impl Grouped {
    pub fn new(submissions: &[Submission], dedup: bool, names: &[String]) -> Self {
        let plan = logical(submissions, dedup);
        let devices = devices(names);
        let groups = groups(&plan, &evaluator_classes(submissions), devices.len());
        Grouped {
            plan,
            devices,
            groups,
        }
    }

    /// The groups as recordings tell them.
    pub fn told(&self) -> Vec<Vec<(usize, String)>> {
        let name = |at: usize| {
            let device = &self.devices[at];
            format!("{}/gpu{}", device.host, device.index)
        };
        let group = |group: &Group| group.iter().map(|(m, d)| (m.index(), name(*d))).collect();
        self.groups.iter().map(group).collect()
    }

    /// For every group its assemblies, one for each host, those included that would have to wait
    /// for a device.
    pub fn assemblies(&self) -> Vec<Vec<Assembly>> {
        let parts: Vec<_> = self
            .groups
            .iter()
            .map(|g| by_host(g, &self.devices))
            .collect();
        let counts: Vec<usize> = parts.iter().map(Vec::len).collect();
        let all = parts.into_iter().flatten().collect();
        let mut all = assemble(&self.plan, all, Inputs::Host).unwrap().into_iter();
        counts
            .iter()
            .map(|count| all.by_ref().take(*count).collect())
            .collect()
    }
}
