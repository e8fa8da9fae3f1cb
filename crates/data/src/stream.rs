//! A data stream: rows in memory, the order of every epoch, and its batches.

use std::path::Path;

use serde::Serialize;

use crate::dataset::{Array, DataParts, Dataset};
use crate::error::DataError;
use crate::load::load;
use crate::random::{Use, generator, shuffle};
use crate::resolve::{DataKey, Difference, Resolved, differences, key_of};
use crate::spec::{DataSpec, check_batch_size, default_batch_size, default_eval_batch_size};

/// How rows are visited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Batching {
    /// The rows of one training step.
    pub batch_size: usize,
    /// The rows of one evaluation step.
    pub eval_batch_size: usize,
    /// Whether each epoch visits the training rows in an order of its own.
    pub shuffle: bool,
    /// The seed of those orders.
    pub shuffle_seed: u64,
    /// Whether a last training batch of fewer rows is left out.
    pub drop_last: bool,
}

impl Default for Batching {
    fn default() -> Self {
        Batching {
            batch_size: default_batch_size(),
            eval_batch_size: default_eval_batch_size(),
            shuffle: true,
            shuffle_seed: 0,
            drop_last: false,
        }
    }
}

/// What an evaluator reads: rows and the order in which they are visited.
#[derive(Debug, Clone, PartialEq)]
pub struct DataStream {
    key: DataKey,
    settings: Vec<(String, String)>,
    resolved: Option<Resolved>,
    parts: DataParts,
    batching: Batching,
}

impl DataStream {
    /// Reads the data of a spec. Relative paths start at `base_dir`.
    ///
    /// # Errors
    /// [`DataError::BadSpec`] for a wrong setting, [`DataError::Io`] for a file that cannot be
    /// read, [`DataError::Malformed`] for one that does not hold what its format promises.
    pub fn load(spec: &DataSpec, base_dir: &Path) -> Result<Self, DataError> {
        let (resolved, parts) = load(spec, base_dir)?;
        let batching = Batching {
            batch_size: spec.batch_size,
            eval_batch_size: spec.eval_batch_size,
            shuffle: spec.shuffle,
            shuffle_seed: spec.shuffle_seed,
            drop_last: spec.drop_last,
        };
        check_batching(&parts, &batching)?;
        let settings = resolved.settings();
        Ok(DataStream {
            key: resolved.key(),
            settings,
            resolved: Some(resolved),
            parts,
            batching,
        })
    }

    /// The stream of rows that are in memory already. Its key is made of their values, so equal
    /// rows with equal batching are equal streams.
    ///
    /// # Errors
    /// [`DataError::BadSpec`] for a batch size that cannot be.
    pub fn from_parts(parts: DataParts, batching: Batching) -> Result<Self, DataError> {
        check_batching(&parts, &batching)?;
        let mut settings: Vec<(String, String)> = parts
            .named()
            .map(|(part, data)| (format!("rows.{part}"), content_hash(data)))
            .collect();
        let mut set = |name: &str, value: String| settings.push((name.to_string(), value));
        set("batch-size", batching.batch_size.to_string());
        set("eval-batch-size", batching.eval_batch_size.to_string());
        set("shuffle", batching.shuffle.to_string());
        set("shuffle-seed", batching.shuffle_seed.to_string());
        set("drop-last", batching.drop_last.to_string());
        let key = key_of("memory", &settings);
        Ok(DataStream {
            key,
            settings,
            resolved: None,
            parts,
            batching,
        })
    }

    /// The stream's key; models may be merged only when theirs are equal.
    pub fn key(&self) -> &DataKey {
        &self.key
    }

    /// The settings in which this stream (`a`) differs from another (`b`); none for equal keys.
    pub fn differences(&self, other: &DataStream) -> Vec<Difference> {
        match (&self.resolved, &other.resolved) {
            (Some(a), Some(b)) => a.differences(b),
            _ => differences(&self.settings, &other.settings),
        }
    }

    /// The resolved spec, for a stream that was loaded from files.
    pub fn resolved(&self) -> Option<&Resolved> {
        self.resolved.as_ref()
    }

    /// All parts.
    pub fn parts(&self) -> &DataParts {
        &self.parts
    }

    /// The rows to train on.
    pub fn train(&self) -> &Dataset {
        self.parts.train()
    }

    /// The rows to judge by while training, if any.
    pub fn validation(&self) -> Option<&Dataset> {
        self.parts.validation()
    }

    /// The rows to judge by at the end, if any.
    pub fn test(&self) -> Option<&Dataset> {
        self.parts.test()
    }

    /// How rows are visited.
    pub fn batching(&self) -> &Batching {
        &self.batching
    }

    /// The training rows in the order in which this epoch (from 0) visits them. The order depends
    /// on the epoch, the shuffle seed and the number of rows only.
    pub fn epoch_order(&self, epoch: u64) -> Vec<u32> {
        let mut order = Vec::new();
        self.epoch_order_into(epoch, &mut order);
        order
    }

    /// As [`DataStream::epoch_order`], into a vector that is used again.
    pub fn epoch_order_into(&self, epoch: u64, order: &mut Vec<u32>) {
        order.clear();
        order.extend(0..self.train().rows() as u32);
        if self.batching.shuffle {
            shuffle(
                &mut generator(Use::Epoch, self.batching.shuffle_seed, epoch),
                order,
            );
        }
    }

    /// The training steps of an epoch, at least 1.
    pub fn steps_per_epoch(&self) -> usize {
        let rows = self.train().rows();
        match self.batching.drop_last {
            true => rows / self.batching.batch_size,
            false => rows.div_ceil(self.batching.batch_size),
        }
    }

    /// The rows of a training step (from 0), given the epoch's order; none from
    /// [`DataStream::steps_per_epoch`] on.
    pub fn batch_rows<'a>(&self, order: &'a [u32], step: usize) -> &'a [u32] {
        if step >= self.steps_per_epoch() {
            return &[];
        }
        batch(order, self.batching.batch_size, step)
    }

    /// The batch sizes that occur in training: the full one, and that of the last batch if it has
    /// fewer rows. For these step graphs are specialised.
    pub fn batch_sizes(&self) -> Vec<usize> {
        let mut sizes = batch_sizes(self.train().rows(), self.batching.batch_size);
        if self.batching.drop_last {
            sizes.truncate(1);
        }
        sizes
    }

    /// The rows of a part in the order in which evaluation visits them: as they are.
    pub fn eval_order(&self, part: &Dataset) -> Vec<u32> {
        (0..part.rows() as u32).collect()
    }

    /// The evaluation steps over a part; a last batch of fewer rows is never left out.
    pub fn eval_steps(&self, part: &Dataset) -> usize {
        part.rows().div_ceil(self.batching.eval_batch_size)
    }

    /// The rows of an evaluation step (from 0), given the part's order; none behind the last.
    pub fn eval_batch_rows<'a>(&self, order: &'a [u32], step: usize) -> &'a [u32] {
        batch(order, self.batching.eval_batch_size, step)
    }

    /// The batch sizes that occur in evaluating a part: the full one, then that of the last batch
    /// if it has fewer rows.
    pub fn eval_batch_sizes(&self, part: &Dataset) -> Vec<usize> {
        batch_sizes(part.rows(), self.batching.eval_batch_size)
    }
}

fn batch(order: &[u32], size: usize, step: usize) -> &[u32] {
    let start = step.saturating_mul(size).min(order.len());
    let end = start.saturating_add(size).min(order.len());
    &order[start..end]
}

fn batch_sizes(rows: usize, size: usize) -> Vec<usize> {
    let full = (rows >= size).then_some(size);
    let last = Some(rows % size).filter(|&last| last > 0);
    full.into_iter().chain(last).collect()
}

fn check_batching(parts: &DataParts, batching: &Batching) -> Result<(), DataError> {
    check_batch_size("batch-size", batching.batch_size)?;
    check_batch_size("eval-batch-size", batching.eval_batch_size)?;
    let rows = parts.train().rows();
    if batching.drop_last && rows < batching.batch_size {
        return Err(DataError::spec(
            "drop-last",
            format!(
                "{rows} training rows do not fill one batch of {}",
                batching.batch_size
            ),
            "a smaller `batch-size`, or `drop-last = false`",
        ));
    }
    Ok(())
}

/// The hash of a data set: names, shapes, types and values of its columns, with their counts.
fn content_hash(data: &Dataset) -> String {
    let mut hasher = blake3::Hasher::new();
    let number = |hasher: &mut blake3::Hasher, value: usize| {
        hasher.update(&(value as u64).to_le_bytes());
    };
    // Values go through a buffer, since hashing a few bytes at a time is slow.
    let mut buffer = Vec::with_capacity(1 << 16);
    for columns in [data.inputs(), data.targets()] {
        number(&mut hasher, columns.len());
        for column in columns {
            number(&mut hasher, column.name.len());
            hasher.update(column.name.as_bytes());
            number(&mut hasher, column.shape.len());
            column
                .shape
                .iter()
                .for_each(|&size| number(&mut hasher, size));
            number(&mut hasher, column.data.len());
            hasher.update(column.data.type_name().as_bytes());
            match &column.data {
                Array::F32(values) => {
                    for values in values.chunks(1 << 14) {
                        buffer.clear();
                        values
                            .iter()
                            .for_each(|v| buffer.extend(v.to_bits().to_le_bytes()));
                        hasher.update(&buffer);
                    }
                }
                Array::I64(values) => {
                    for values in values.chunks(1 << 13) {
                        buffer.clear();
                        values.iter().for_each(|v| buffer.extend(v.to_le_bytes()));
                        hasher.update(&buffer);
                    }
                }
            }
        }
    }
    hasher.finalize().to_hex().to_string()
}
