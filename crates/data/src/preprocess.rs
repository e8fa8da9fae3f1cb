//! What is done to values before training: scaling, shifting and normalising.

use crate::dataset::{Array, Column, DataParts, Dataset};
use crate::error::DataError;
use crate::spec::Step;

/// Applies the steps in order to all parts. What is fitted is fitted on the training part alone,
/// as it is after the steps before.
pub(crate) fn apply(parts: &mut DataParts, steps: &[Step]) -> Result<(), DataError> {
    for step in steps {
        let of_targets = matches!(step, Step::StandardizeTarget);
        let columns = if of_targets {
            parts.train().targets()
        } else {
            parts.train().inputs()
        };
        let maps = columns
            .iter()
            .map(|column| map_of(step, column))
            .collect::<Result<Vec<_>, _>>()?;
        if maps.iter().all(Option::is_none) {
            let role = if of_targets { "target" } else { "input" };
            return Err(DataError::spec(
                "preprocess",
                format!("no {role} holds floating-point numbers to apply {step:?} to"),
                format!(
                    "an {role} array of floats, or no steps (integers of 32 or 64 bits are ids)"
                ),
            ));
        }
        for part in parts.each_mut() {
            let columns = match of_targets {
                true => Dataset::targets_mut(part),
                false => Dataset::inputs_mut(part),
            };
            for (column, map) in columns.iter_mut().zip(&maps) {
                if let (Array::F32(values), Some(map)) = (&mut column.data, map) {
                    map.apply(values);
                }
            }
        }
    }
    Ok(())
}

/// A change of every value of a sample.
enum Map {
    Scale(f64),
    Shift(f64),
    /// Subtracts the first and divides by the second; the pairs stand for `run` values each and
    /// repeat from sample to sample.
    Normalize {
        pairs: Vec<(f64, f64)>,
        run: usize,
    },
}

impl Map {
    fn apply(&self, values: &mut [f32]) {
        match self {
            Map::Scale(factor) => each(values, |value| value * factor),
            Map::Shift(offset) => each(values, |value| value + offset),
            Map::Normalize { pairs, run } => {
                for (run, (mean, deviation)) in values.chunks_mut(*run).zip(pairs.iter().cycle()) {
                    each(run, |value| (value - mean) / deviation);
                }
            }
        }
    }
}

fn each(values: &mut [f32], change: impl Fn(f64) -> f64) {
    for value in values {
        *value = change(f64::from(*value)) as f32;
    }
}

/// What a step does to a column, given the training part's; nothing to one of integers.
fn map_of(step: &Step, train: &Column) -> Result<Option<Map>, DataError> {
    let Array::F32(values) = &train.data else {
        return Ok(None);
    };
    let size = train.sample_len();
    Ok(Some(match step {
        Step::Scale(factor) => Map::Scale(*factor),
        Step::Shift(offset) => Map::Shift(*offset),
        Step::Normalize { mean, std } => {
            let channels = train.shape.first().copied().unwrap_or(1);
            for (name, list) in [("mean", mean), ("std", std)] {
                if list.len() != 1 && list.len() != channels {
                    return Err(DataError::spec(
                        "preprocess",
                        format!(
                            "`normalize` has {} numbers as `{name}` for samples {:?} of `{}`",
                            list.len(),
                            train.shape,
                            train.name
                        ),
                        format!("one, or one for each of the {channels} channels"),
                    ));
                }
            }
            let pick =
                |list: &[f64], channel: usize| list[if list.len() == 1 { 0 } else { channel }];
            let pairs = (0..channels)
                .map(|c| (pick(mean, c), pick(std, c)))
                .collect();
            Map::Normalize {
                pairs,
                run: size / channels,
            }
        }
        Step::Standardize | Step::StandardizeTarget => Map::Normalize {
            pairs: fit(values, size),
            run: 1,
        },
    }))
}

/// The mean and the deviation of each of the `size` features, by two passes in row order. A
/// feature that never changes gets the deviation 1, so that it is centred and not divided by zero.
fn fit(values: &[f32], size: usize) -> Vec<(f64, f64)> {
    let rows = (values.len() / size) as f64;
    let mut means = vec![0.0; size];
    for row in values.chunks_exact(size) {
        for (sum, &value) in means.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    means.iter_mut().for_each(|sum| *sum /= rows);
    let mut squares = vec![0.0; size];
    for row in values.chunks_exact(size) {
        for ((sum, mean), &value) in squares.iter_mut().zip(&means).zip(row) {
            let apart = f64::from(value) - mean;
            *sum += apart * apart;
        }
    }
    // Equal values may still differ from their rounded mean, so that is asked of them directly.
    let (first, rest) = values.split_at(size);
    let constant = |feature: usize| {
        rest.iter()
            .skip(feature)
            .step_by(size)
            .all(|v| *v == first[feature])
    };
    let pairs = means.into_iter().zip(squares).enumerate();
    pairs
        .map(|(feature, (mean, square))| match constant(feature) {
            true => (f64::from(first[feature]), 1.0),
            false => (mean, (square / rows).sqrt()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(shape: &[usize], x: Vec<f32>, y: Vec<f32>) -> Dataset {
        let inputs = vec![Column::new("x", shape, Array::F32(x))];
        Dataset::new(inputs, vec![Column::new("y", [], Array::F32(y))]).unwrap()
    }

    fn x(data: &Dataset) -> &[f32] {
        match &data.inputs()[0].data {
            Array::F32(values) => values,
            Array::I64(_) => panic!("floats stay floats"),
        }
    }

    #[test]
    fn steps_apply_in_order_to_all_parts() {
        let train = data(&[2], vec![0.0, 8.0], vec![1.0]);
        let test = data(&[2], vec![16.0, 4.0], vec![1.0]);
        let mut parts = DataParts::new(train, None, Some(test)).unwrap();
        apply(&mut parts, &[Step::Scale(0.0625), Step::Shift(-0.5)]).unwrap();
        assert_eq!(x(parts.train()), [-0.5, 0.0]);
        assert_eq!(x(parts.test().unwrap()), [0.5, -0.25]);
    }

    #[test]
    fn normalize_takes_one_number_or_one_a_channel() {
        let train = || data(&[2, 2], (0..8).map(|v| v as f32).collect(), vec![0.0; 2]);
        let run = |mean: &[f64], std: &[f64]| {
            let mut parts = DataParts::new(train(), None, None).unwrap();
            apply(
                &mut parts,
                &[Step::Normalize {
                    mean: mean.to_vec(),
                    std: std.to_vec(),
                }],
            )?;
            Ok::<_, DataError>(x(parts.train()).to_vec())
        };
        let per_channel = run(&[0.0, 2.0], &[1.0, 2.0]).unwrap();
        assert_eq!(per_channel, [0.0, 1.0, 0.0, 0.5, 4.0, 5.0, 2.0, 2.5]);
        assert_eq!(run(&[1.0], &[2.0]).unwrap()[..3], [-0.5, 0.0, 0.5]);
        let error = run(&[1.0, 2.0, 3.0], &[1.0]).unwrap_err().to_string();
        assert!(error.contains("3 numbers as `mean`"), "{error}");
        assert!(error.contains("each of the 2 channels"), "{error}");
    }

    #[test]
    fn standardize_fits_on_the_training_part_alone() {
        let train = data(
            &[2],
            vec![1.0, 0.1, 3.0, 0.1, 5.0, 0.1],
            vec![2.0, 4.0, 6.0],
        );
        let test = data(&[2], vec![300.0, 0.6], vec![4.0]);
        let mut parts = DataParts::new(train.clone(), None, Some(test)).unwrap();
        apply(&mut parts, &[Step::Standardize, Step::StandardizeTarget]).unwrap();
        let deviation = (8.0f64 / 3.0).sqrt();
        let expected = [-2.0 / deviation, 0.0, 2.0 / deviation].map(|v| v as f32);
        let found = x(parts.train());
        assert_eq!([found[0], found[2], found[4]], expected);
        // The constant feature is centred exactly and divided by nothing.
        assert_eq!([found[1], found[3], found[5]], [0.0; 3]);
        let held = x(parts.test().unwrap());
        assert_eq!(held[0], (297.0 / deviation) as f32);
        assert_eq!(held[1], (f64::from(0.6f32) - f64::from(0.1f32)) as f32);
        assert_eq!(
            parts.test().unwrap().targets()[0].data,
            Array::F32(vec![0.0])
        );

        let mut alone = DataParts::new(train, None, None).unwrap();
        apply(&mut alone, &[Step::Standardize, Step::StandardizeTarget]).unwrap();
        assert_eq!(alone.train(), parts.train());
    }

    #[test]
    fn integer_inputs_are_left_alone_and_not_all_may_be() {
        let ids = Column::new("ids", [1], Array::I64(vec![5]));
        let floats = Column::new("f", [1], Array::F32(vec![4.0]));
        let both = Dataset::new(vec![ids.clone(), floats], vec![]).unwrap();
        let mut parts = DataParts::new(both, None, None).unwrap();
        apply(&mut parts, &[Step::Scale(0.5)]).unwrap();
        assert_eq!(parts.train().inputs()[0].data, Array::I64(vec![5]));
        assert_eq!(parts.train().inputs()[1].data, Array::F32(vec![2.0]));
        let mut parts =
            DataParts::new(Dataset::new(vec![ids], vec![]).unwrap(), None, None).unwrap();
        let error = apply(&mut parts, &[Step::Scale(0.5)])
            .unwrap_err()
            .to_string();
        assert!(error.contains("no input holds floating-point"), "{error}");
    }
}
