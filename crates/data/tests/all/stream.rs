//! Orders and batches of a stream.

use proptest::prelude::*;
use syncarp_data::{Array, Batching, Column, DataParts, DataStream, Dataset};

fn rows(count: usize, offset: f32) -> Dataset {
    let x = (0..count).map(|row| row as f32 + offset).collect();
    let y = (0..count).map(|row| row as i64 % 3).collect();
    let inputs = vec![Column::new("x", [1], Array::F32(x))];
    Dataset::new(inputs, vec![Column::new("y", [], Array::I64(y))]).unwrap()
}

fn stream(count: usize, batching: Batching) -> DataStream {
    DataStream::from_parts(
        DataParts::new(rows(count, 0.0), None, None).unwrap(),
        batching,
    )
    .unwrap()
}

fn sizes(batch_size: usize, drop_last: bool) -> Batching {
    Batching {
        batch_size,
        drop_last,
        ..Batching::default()
    }
}

proptest! {
    #[test]
    fn an_epoch_s_batches_visit_every_row_once(
        count in 1usize..300,
        batch_size in 1usize..50,
        epoch: u64,
        shuffle_seed: u64,
    ) {
        let stream = stream(count, Batching { shuffle_seed, ..sizes(batch_size, false) });
        let order = stream.epoch_order(epoch);
        let mut visited = Vec::new();
        for step in 0..stream.steps_per_epoch() {
            let batch = stream.batch_rows(&order, step);
            prop_assert!(stream.batch_sizes().contains(&batch.len()));
            visited.extend_from_slice(batch);
        }
        prop_assert_eq!(&visited, &order);
        prop_assert!(stream.batch_rows(&order, stream.steps_per_epoch()).is_empty());
        visited.sort_unstable();
        prop_assert_eq!(visited, (0..count as u32).collect::<Vec<_>>());
    }

    #[test]
    fn the_order_depends_on_epoch_and_seed_only(
        epoch: u64,
        shuffle_seed: u64,
        batch_size in 1usize..60,
    ) {
        let order = |shuffle_seed, epoch, batch_size| {
            stream(60, Batching { shuffle_seed, ..sizes(batch_size, true) }).epoch_order(epoch)
        };
        let base = order(shuffle_seed, epoch, 7);
        prop_assert_eq!(&base, &order(shuffle_seed, epoch, batch_size));
        prop_assert_ne!(&base, &order(shuffle_seed, epoch.wrapping_add(1), 7));
        prop_assert_ne!(&base, &order(shuffle_seed.wrapping_add(1), epoch, 7));
    }
}

#[test]
fn orders_are_the_same_on_every_machine() {
    // Computed by a separate implementation of ChaCha8 and of the bounded draw.
    let order = |shuffle_seed, epoch| {
        stream(
            10,
            Batching {
                shuffle_seed,
                ..Batching::default()
            },
        )
        .epoch_order(epoch)
    };
    assert_eq!(order(0, 0), [8, 6, 4, 0, 2, 9, 5, 1, 3, 7]);
    assert_eq!(order(0, 1), [8, 4, 9, 7, 5, 1, 6, 2, 0, 3]);
    assert_eq!(order(7, 123456789), [5, 6, 4, 0, 7, 1, 2, 3, 9, 8]);
}

#[test]
fn without_shuffling_the_order_is_the_file_s() {
    let stream = stream(
        5,
        Batching {
            shuffle: false,
            ..sizes(2, false)
        },
    );
    let mut order = vec![9; 9];
    stream.epoch_order_into(3, &mut order);
    assert_eq!(order, [0, 1, 2, 3, 4]);
    assert_eq!(stream.batch_rows(&order, 2), [4]);
}

#[test]
fn batch_sizes_are_those_that_occur() {
    for (count, size, drop_last, steps, expected) in [
        (10, 4, false, 3, vec![4, 2]),
        (10, 4, true, 2, vec![4]),
        (8, 4, false, 2, vec![4]),
        (3, 4, false, 1, vec![3]),
        (4, 4, true, 1, vec![4]),
    ] {
        let stream = stream(count, sizes(size, drop_last));
        assert_eq!(
            (stream.steps_per_epoch(), stream.batch_sizes()),
            (steps, expected)
        );
    }
}

#[test]
fn evaluation_visits_all_rows_in_order() {
    let parts = DataParts::new(rows(4, 0.0), Some(rows(5, 100.0)), None).unwrap();
    let batching = Batching {
        eval_batch_size: 2,
        ..sizes(4, true)
    };
    let stream = DataStream::from_parts(parts, batching).unwrap();
    let validation = stream.validation().unwrap();
    let order = stream.eval_order(validation);
    assert_eq!(
        (
            stream.eval_steps(validation),
            stream.eval_batch_sizes(validation)
        ),
        (3, vec![2, 1])
    );
    let mut seen = Vec::new();
    for step in 0..stream.eval_steps(validation) {
        let rows = stream.eval_batch_rows(&order, step);
        let mut buffer = vec![0.0; rows.len()];
        validation.inputs()[0]
            .gather_f32(rows, &mut buffer)
            .unwrap();
        seen.extend(buffer);
    }
    assert_eq!(seen, [100.0, 101.0, 102.0, 103.0, 104.0]);
    assert!(stream.eval_batch_rows(&order, 3).is_empty());
}

#[test]
fn impossible_batches_are_errors() {
    let make = |batching| {
        let parts = DataParts::new(rows(3, 0.0), None, None).unwrap();
        DataStream::from_parts(parts, batching)
            .unwrap_err()
            .to_string()
    };
    assert!(make(sizes(0, false)).contains("`batch-size`"));
    assert!(
        make(Batching {
            eval_batch_size: 0,
            ..Batching::default()
        })
        .contains("`eval-batch-size`")
    );
    assert!(make(sizes(4, true)).contains("`drop-last`"));
}

#[test]
fn equal_rows_in_memory_are_equal_streams() {
    let base = stream(10, Batching::default());
    assert_eq!(base.key(), stream(10, Batching::default()).key());
    let other_rows = stream(11, Batching::default());
    assert_ne!(base.key(), other_rows.key());
    assert_eq!(base.differences(&other_rows)[0].setting, "rows.train");
    let other_seed = stream(
        10,
        Batching {
            shuffle_seed: 5,
            ..Batching::default()
        },
    );
    assert_ne!(base.key(), other_seed.key());
    assert_eq!(
        base.differences(&other_seed)[0].to_string(),
        "shuffle-seed: 0 against 5"
    );
    let with_test = DataParts::new(rows(10, 0.0), None, Some(rows(1, 0.0))).unwrap();
    let with_test = DataStream::from_parts(with_test, Batching::default()).unwrap();
    assert_eq!(base.differences(&with_test)[0].setting, "rows.test");
}
