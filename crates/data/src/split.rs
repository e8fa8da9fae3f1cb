//! Which rows of one source train, validate and test.

use crate::error::DataError;
use crate::random::{Use, generator, shuffle};
use crate::spec::Split;

/// The rows of each part, ascending; together they are all rows, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartRows {
    pub train: Vec<u32>,
    pub validation: Vec<u32>,
    pub test: Vec<u32>,
}

/// Splits `rows` rows. With `stratify`, `labels` gives each row's class.
///
/// Which rows are held out depends on the seed, the number of rows and, with `stratify`, the
/// labels; parts keep the order of the source, so that no second order has to be remembered.
pub(crate) fn split(
    spec: &Split,
    rows: usize,
    labels: Option<&[i64]>,
) -> Result<PartRows, DataError> {
    let parts = if spec.validation_rows.is_some() || spec.test_rows.is_some() {
        by_ranges(spec, rows)?
    } else {
        let held = [
            held_out("split.validation", spec.validation, rows)?,
            held_out("split.test", spec.test, rows)?,
        ];
        match labels.filter(|_| spec.stratify) {
            Some(labels) => stratified(spec, labels, held),
            None => {
                let mut order: Vec<u32> = (0..rows as u32).collect();
                shuffle(&mut generator(Use::Split, spec.seed, 0), &mut order);
                deal(&[order], &[held])
            }
        }
    };
    if parts.train.is_empty() {
        let message = format!("of {rows} rows none is left to train on");
        return Err(DataError::spec("split", message, "smaller held-out parts"));
    }
    Ok(parts)
}

/// The number of rows that a fraction holds out, rounded to the nearest.
fn held_out(setting: &str, fraction: f64, rows: usize) -> Result<usize, DataError> {
    let count = (rows as f64 * fraction).round() as usize;
    if fraction > 0.0 && count == 0 {
        let message = format!("the fraction {fraction} of {rows} rows is no row");
        return Err(DataError::spec(setting, message, "a larger fraction, or 0"));
    }
    Ok(count.min(rows))
}

fn by_ranges(spec: &Split, rows: usize) -> Result<PartRows, DataError> {
    let check = |setting: &str, range: Option<[usize; 2]>| match range {
        Some([start, end]) if start >= end || end > rows => {
            let message = format!("the rows from {start} to {end} of {rows}");
            Err(DataError::spec(
                setting,
                message,
                "a start below its end, within the rows",
            ))
        }
        Some([start, end]) => Ok(start..end),
        None => Ok(0..0),
    };
    let validation = check("split.validation-rows", spec.validation_rows)?;
    let test = check("split.test-rows", spec.test_rows)?;
    let mut parts = PartRows {
        train: vec![],
        validation: vec![],
        test: vec![],
    };
    for row in 0..rows {
        let part = match (validation.contains(&row), test.contains(&row)) {
            (true, true) => {
                let message = format!("row {row} is held out for validation and test alike");
                return Err(DataError::spec(
                    "split",
                    message,
                    "ranges that do not overlap",
                ));
            }
            (true, false) => &mut parts.validation,
            (false, true) => &mut parts.test,
            (false, false) => &mut parts.train,
        };
        part.push(row as u32);
    }
    Ok(parts)
}

/// Gives every class its share of each held-out part.
fn stratified(spec: &Split, labels: &[i64], held: [usize; 2]) -> PartRows {
    let mut by_class: std::collections::BTreeMap<i64, Vec<u32>> = Default::default();
    for (row, &label) in labels.iter().enumerate() {
        by_class.entry(label).or_default().push(row as u32);
    }
    let mut rng = generator(Use::Split, spec.seed, 1);
    let mut classes: Vec<Vec<u32>> = by_class.into_values().collect();
    classes.iter_mut().for_each(|rows| shuffle(&mut rng, rows));

    let sizes: Vec<usize> = classes.iter().map(Vec::len).collect();
    let validation = apportion(&sizes, &sizes, held[0]);
    let left: Vec<usize> = sizes
        .iter()
        .zip(&validation)
        .map(|(size, taken)| size - taken)
        .collect();
    let test = apportion(&sizes, &left, held[1]);
    let shares: Vec<[usize; 2]> = validation
        .into_iter()
        .zip(test)
        .map(|(v, t)| [v, t])
        .collect();
    deal(&classes, &shares)
}

/// Shares out `total` in proportion to `sizes`, no share above its `limit`: whole parts first,
/// then one more for each of the largest remainders (the first of equals).
fn apportion(sizes: &[usize], limits: &[usize], total: usize) -> Vec<usize> {
    let all: u128 = sizes.iter().map(|&size| size as u128).sum();
    if all == 0 {
        return vec![0; sizes.len()];
    }
    let exact = |size: usize| size as u128 * total as u128;
    let mut shares: Vec<usize> = sizes
        .iter()
        .zip(limits)
        .map(|(&size, &limit)| ((exact(size) / all) as usize).min(limit))
        .collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&class| std::cmp::Reverse(exact(sizes[class]) % all));
    let mut missing = total - shares.iter().sum::<usize>();
    while missing > 0 {
        let before = missing;
        for &class in &order {
            if missing > 0 && shares[class] < limits[class] {
                shares[class] += 1;
                missing -= 1;
            }
        }
        // Every class is at its limit.
        if missing == before {
            break;
        }
    }
    shares
}

/// Deals the rows of each group: its first to validation, the next to test, the rest to training.
fn deal(groups: &[Vec<u32>], shares: &[[usize; 2]]) -> PartRows {
    let mut parts = PartRows {
        train: vec![],
        validation: vec![],
        test: vec![],
    };
    for (rows, &[validation, test]) in groups.iter().zip(shares) {
        let (held, rest) = rows.split_at(validation.min(rows.len()));
        parts.validation.extend(held);
        let (held, rest) = rest.split_at(test.min(rest.len()));
        parts.test.extend(held);
        parts.train.extend(rest);
    }
    for part in [&mut parts.train, &mut parts.validation, &mut parts.test] {
        part.sort_unstable();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fractions(validation: f64, test: f64, seed: u64, stratify: bool) -> Split {
        Split {
            validation,
            test,
            seed,
            stratify,
            ..Split::default()
        }
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let rows = |seed| split(&fractions(0.2, 0.1, seed, false), 100, None).unwrap();
        assert_eq!(rows(3), rows(3));
        assert_ne!(rows(3), rows(4));
        assert_eq!((rows(3).validation.len(), rows(3).test.len()), (20, 10));
        let first_twenty: Vec<u32> = (0..20).collect();
        assert_ne!(rows(3).validation, first_twenty);
    }

    #[test]
    fn ranges_are_taken_as_they_are() {
        let spec = |validation, test| Split {
            validation_rows: validation,
            test_rows: test,
            ..Split::default()
        };
        let parts = split(&spec(Some([1, 3]), Some([4, 5])), 6, None).unwrap();
        let expected = PartRows {
            train: vec![0, 3, 5],
            validation: vec![1, 2],
            test: vec![4],
        };
        assert_eq!(parts, expected);
        let error = |v, t| split(&spec(v, t), 6, None).unwrap_err().to_string();
        assert!(error(Some([3, 3]), None).contains("`split.validation-rows`"));
        assert!(error(None, Some([2, 7])).contains("from 2 to 7 of 6"));
        assert!(error(Some([0, 3]), Some([2, 4])).contains("row 2 is held out"));
        assert!(error(Some([0, 6]), None).contains("none is left"));
    }

    #[test]
    fn fractions_without_rows_are_errors() {
        let error = split(&fractions(0.1, 0.0, 0, false), 3, None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("0.1 of 3 rows is no row"), "{error}");
        assert!(split(&fractions(0.9, 0.0, 0, false), 1, None).is_err());
    }

    #[test]
    fn shares_are_proportional_and_add_up() {
        assert_eq!(apportion(&[50, 30, 20], &[50, 30, 20], 10), [5, 3, 2]);
        assert_eq!(apportion(&[1, 1, 1], &[1, 1, 1], 2), [1, 1, 0]);
        assert_eq!(apportion(&[10, 10], &[1, 10], 10), [1, 9]);
        assert_eq!(apportion(&[2, 2], &[1, 1], 4), [1, 1]);
        assert_eq!(apportion(&[], &[], 0), [0usize; 0]);
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_and_cover_all_rows(
            labels in prop::collection::vec(0i64..5, 1..200),
            validation in 0.0f64..0.5,
            test in 0.0f64..0.49,
            seed: u64,
            stratify: bool,
        ) {
            let spec = fractions(validation, test, seed, stratify);
            let Ok(parts) = split(&spec, labels.len(), Some(&labels)) else { return Ok(()) };
            let mut all = [&parts.train[..], &parts.validation, &parts.test].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len() as u32).collect::<Vec<_>>());
            let round = |fraction: f64| (labels.len() as f64 * fraction).round() as usize;
            prop_assert_eq!(parts.validation.len(), round(validation));
            prop_assert!(parts.train.is_sorted() && parts.validation.is_sorted());
        }

        #[test]
        fn stratified_parts_keep_every_class_s_proportion(
            labels in prop::collection::vec(0i64..4, 20..300),
            validation in 0.1f64..0.4,
            test in 0.1f64..0.4,
            seed: u64,
        ) {
            let spec = fractions(validation, test, seed, true);
            let parts = split(&spec, labels.len(), Some(&labels)).unwrap();
            for class in 0..4 {
                let count = |rows: &[u32]| {
                    rows.iter().filter(|&&row| labels[row as usize] == class).count() as f64
                };
                let size = labels.iter().filter(|&&label| label == class).count() as f64;
                for rows in [&parts.validation, &parts.test] {
                    let fair = size * rows.len() as f64 / labels.len() as f64;
                    prop_assert!((count(rows) - fair).abs() <= 1.0, "{} for {fair}", count(rows));
                }
            }
        }
    }
}
