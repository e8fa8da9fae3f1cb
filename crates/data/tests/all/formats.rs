//! Files of every format, from a `[data]` table to rows in memory.

use std::path::Path;

use crate::common::{error, floats, gzip, idx, labels, load, npz, npz_array, write};
use proptest::prelude::*;
use serde_json::json;
use syncarp_data::{Array, DataError, DataStream};
use tempfile::tempdir;

#[test]
fn csv_plain_gzipped_with_and_without_header_give_the_same_rows() {
    let dir = tempdir().unwrap();
    let body = "1,2,0\n3,4,1\n5,6,2\n";
    write(dir.path(), "a.csv", body.as_bytes());
    write(dir.path(), "a.csv.gz", &gzip(body.as_bytes()));
    let named = format!("p,q,kind\n{body}");
    write(dir.path(), "b.csv", named.as_bytes());
    write(dir.path(), "c.csv", b"kind;p;q\n0;1;2\n1;3;4\n2;5;6\n");
    let plain = load(dir.path(), json!({ "source": "a.csv" })).unwrap();
    assert_eq!(plain.train().inputs()[0].shape, [2]);
    assert_eq!(
        floats(&plain.train().inputs()[0]),
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    );
    assert_eq!(labels(plain.train()), [0, 1, 2]);
    assert_eq!(plain.train().targets()[0].classes, Some(3));
    for table in [
        json!({ "source": "a.csv.gz" }),
        json!({ "source": "b.csv", "csv": { "has-header": true } }),
        json!({ "source": "b.csv", "csv": { "has-header": true, "target": "kind" } }),
        json!({
            "source": "c.csv",
            "csv": { "has-header": true, "target": "kind", "delimiter": ";" },
        }),
        json!({
            "source": "c.csv",
            "csv": { "has-header": true, "target": 0, "delimiter": ";" },
        }),
    ] {
        assert_eq!(load(dir.path(), table).unwrap().parts(), plain.parts());
    }
}

#[test]
fn several_value_targets_make_one_column() {
    let dir = tempdir().unwrap();
    write(dir.path(), "a.csv", b"1,0.5,7\n2,-0.5,8\n");
    let table = |target: serde_json::Value| json!({ "source": "a.csv", "target-kind": "value", "csv": { "target": target } });
    let stream = load(dir.path(), table(json!([-1, 1]))).unwrap();
    let target = &stream.train().targets()[0];
    assert_eq!(
        (target.name.as_str(), &target.shape[..], target.classes),
        ("y", &[2][..], None)
    );
    assert_eq!(floats(target), [7.0, 0.5, 8.0, -0.5]);
    let stream = load(dir.path(), table(json!(-1))).unwrap();
    assert!(stream.train().targets()[0].shape.is_empty());
}

#[test]
fn separate_csv_files_are_the_parts() {
    let dir = tempdir().unwrap();
    write(dir.path(), "a.csv", b"a,b\n1,0\n2,1\n3,0\n4,1\n");
    write(dir.path(), "b.csv", b"a,b\n9,4\n");
    write(dir.path(), "swapped.csv", b"b,a\n9,4\n");
    write(dir.path(), "wide.csv", b"1,9,4\n");
    let csv = json!({ "has-header": true });
    let table = json!({
        "source": { "train": "a.csv", "test": "b.csv" }, "csv": csv,
        "split": { "validation": 0.25 },
    });
    let stream = load(dir.path(), table).unwrap();
    assert_eq!(stream.train().rows(), 3);
    assert_eq!(stream.validation().unwrap().rows(), 1);
    assert_eq!(floats(&stream.test().unwrap().inputs()[0]), [9.0]);
    assert_eq!(stream.train().targets()[0].classes, Some(5));

    let swapped = json!({ "source": { "train": "a.csv", "test": "swapped.csv" }, "csv": csv });
    let message = error(dir.path(), swapped);
    assert!(
        message.contains("swapped.csv` is malformed at line 1: the column names"),
        "{message}"
    );
    let wide = json!({ "source": { "train": "b.csv", "test": "wide.csv" } });
    write(dir.path(), "b.csv", b"1,0\n");
    let message = error(dir.path(), wide);
    assert!(
        message.contains("wide.csv` is malformed at column `x`"),
        "{message}"
    );
    let both = json!({
        "source": { "train": "a.csv", "test": "b.csv" }, "csv": csv, "split": { "test": 0.25 },
    });
    assert!(error(dir.path(), both).contains("`split.test` is wrong: the source already has"));
}

#[test]
fn npz_arrays_written_by_another_implementation_are_read() {
    let dir = tempdir().unwrap();
    let mut file = npz(dir.path(), "a.npz");
    npz_array(&mut file, "x", &[2, 1, 2], vec![1.5f32, 2.5, 3.5, 4.5]);
    npz_array(&mut file, "y", &[2, 1], vec![1u8, 3]);
    npz_array(&mut file, "ids", &[2, 3], vec![1i64, 2, 3, 4, 5, 6]);
    npz_array(&mut file, "wide", &[2], vec![0.1f64, 0.2]);
    npz_array(&mut file, "flags", &[2, 2], vec![true, false, false, true]);
    npz_array(&mut file, "short", &[2], vec![-5i16, 6]);
    npz_array(&mut file, "x_test", &[1, 1, 2], vec![9.0f32, 8.0]);
    npz_array(&mut file, "y_test", &[1], vec![7i32]);
    drop(file);

    let stream = load(dir.path(), json!({ "source": "a.npz" })).unwrap();
    assert_eq!(stream.train().inputs()[0].shape, [1, 2]);
    assert_eq!(floats(&stream.train().inputs()[0]), [1.5, 2.5, 3.5, 4.5]);
    assert!(stream.train().targets()[0].shape.is_empty());
    assert_eq!(labels(stream.train()), [1, 3]);

    let named = json!({ "file": "a.npz", "inputs": ["ids", "wide", "flags", "short"] });
    let stream = load(dir.path(), json!({ "source": named })).unwrap();
    let inputs = stream.train().inputs();
    assert_eq!(
        inputs.iter().map(|c| &c.name[..]).collect::<Vec<_>>(),
        ["ids", "wide", "flags", "short"]
    );
    assert_eq!(inputs[0].data, Array::I64(vec![1, 2, 3, 4, 5, 6]));
    assert_eq!(floats(&inputs[1]), [0.1, 0.2]);
    assert_eq!(floats(&inputs[2]), [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(floats(&inputs[3]), [-5.0, 6.0]);

    let parts = json!({
        "train": { "file": "a.npz" },
        "test": { "file": "a.npz", "inputs": "x_test", "targets": "y_test" },
    });
    let stream = load(dir.path(), json!({ "source": parts })).unwrap();
    assert_eq!(
        floats(stream.test().unwrap().column("x").unwrap()),
        [9.0, 8.0]
    );
    assert_eq!(labels(stream.test().unwrap()), [7]);
    assert_eq!(stream.train().targets()[0].classes, Some(8));

    let missing = json!({ "source": { "file": "a.npz", "inputs": "z" } });
    let message = error(dir.path(), missing);
    assert!(
        message.contains("array `z`: the archive has no such array"),
        "{message}"
    );
    assert!(message.contains("`ids`"), "{message}");
    let uneven = json!({ "source": { "file": "a.npz", "inputs": ["x", "x_test"] } });
    assert!(error(dir.path(), uneven).contains("array `x_test`: it has 1 rows; expected 2"));
    let negative = json!({ "source": { "file": "a.npz", "targets": "short" } });
    assert!(error(dir.path(), negative).contains("array `short`, row 0: -5 is no class label"));
    let twice = json!({ "source": { "file": "a.npz", "inputs": ["x", "y"] } });
    assert!(error(dir.path(), twice).contains("two columns would be named `y`"));
}

/// `numpy-deflated.npz` was written by `numpy.savez_compressed`, its `x` in column-major order;
/// `numpy-stored.npz` by `numpy.savez`.
#[test]
fn files_written_by_numpy_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all");
    let eighths: Vec<f32> = (0..12).map(|value| value as f32 / 8.0).collect();
    for file in ["numpy-deflated.npz", "numpy-stored.npz"] {
        let stream = load(&folder, json!({ "source": file })).unwrap();
        assert_eq!(stream.train().inputs()[0].shape, [3, 2]);
        assert_eq!(floats(&stream.train().inputs()[0]), eighths);
        assert_eq!(labels(stream.train()), [3, 0]);
    }
    let input = |name: &str| {
        let source = json!({ "file": "numpy-deflated.npz", "inputs": name });
        load(&folder, json!({ "source": source }))
    };
    assert_eq!(
        input("big").unwrap().train().inputs()[0].data,
        Array::I64(vec![1, -2])
    );
    assert_eq!(
        floats(&input("flag").unwrap().train().inputs()[0]),
        [1.0, 0.0]
    );
    let message = |name| input(name).unwrap_err().to_string();
    assert!(
        message("half").contains("array `half`, byte"),
        "{}",
        message("half")
    );
    assert!(
        message("half").contains("the element type `<f2`"),
        "{}",
        message("half")
    );
    assert!(
        message("obj").contains("the element type `|O`"),
        "{}",
        message("obj")
    );
    assert!(
        message("rec").contains("a structured element type"),
        "{}",
        message("rec")
    );
    assert!(
        message("scalar").contains("it has no axes"),
        "{}",
        message("scalar")
    );
}

#[test]
fn every_prefix_of_an_npz_file_is_an_error() {
    let dir = tempdir().unwrap();
    let mut file = npz(dir.path(), "a.npz");
    npz_array(&mut file, "x", &[2, 2], vec![1.5f32, 2.5, 3.5, 4.5]);
    npz_array(&mut file, "y", &[2], vec![1i64, 3]);
    drop(file);
    let whole = std::fs::read(dir.path().join("a.npz")).unwrap();
    assert!(load(dir.path(), json!({ "source": "a.npz" })).is_ok());
    for end in 0..whole.len() {
        write(dir.path(), "a.npz", &whole[..end]);
        let result = load(dir.path(), json!({ "source": "a.npz" }));
        assert!(
            matches!(result, Err(DataError::Malformed { .. })),
            "prefix of {end} bytes"
        );
    }
}

#[test]
fn idx_pairs_are_read_and_must_agree() {
    let dir = tempdir().unwrap();
    write(
        dir.path(),
        "images",
        &idx(&[3, 1, 2], &[0, 1, 2, 3, 4, 255]),
    );
    write(dir.path(), "labels.gz", &gzip(&idx(&[3], &[2, 0, 1])));
    write(dir.path(), "few", &idx(&[2], &[2, 0]));
    let pair = |labels: &str| json!({ "source": { "images": "images", "labels": labels } });
    let stream = load(dir.path(), pair("labels.gz")).unwrap();
    assert_eq!(stream.train().inputs()[0].shape, [1, 2]);
    assert_eq!(
        floats(&stream.train().inputs()[0]),
        [0.0, 1.0, 2.0, 3.0, 4.0, 255.0]
    );
    assert_eq!(labels(stream.train()), [2, 0, 1]);
    let message = error(dir.path(), pair("few"));
    assert!(
        message.contains("it has 2 labels; expected 3 as in"),
        "{message}"
    );
    let message = error(dir.path(), pair("none"));
    assert!(
        message.contains("cannot read the data file") && message.contains("none"),
        "{message}"
    );
}

#[test]
fn the_digits_load_and_split() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits-sweep");
    let table = json!({
        "source": "digits.csv.gz",
        "input-shape": [1, 8, 8],
        "preprocess": [{ "scale": 0.0625 }],
        "split": { "validation": 0.2, "stratify": true },
    });
    let stream = load(&folder, table).unwrap();
    let validation = stream.validation().unwrap();
    assert_eq!((stream.train().rows(), validation.rows()), (1438, 359));
    assert_eq!(stream.train().targets()[0].classes, Some(10));
    assert_eq!(stream.train().inputs()[0].shape, [1, 8, 8]);
    assert!(
        floats(&stream.train().inputs()[0])
            .iter()
            .all(|v| (0.0..=1.0).contains(v))
    );
    for class in 0..10 {
        let count = |rows: &[i64]| rows.iter().filter(|&&label| label == class).count() as f64;
        let share = count(labels(validation)) / 359.0;
        let whole = (count(labels(validation)) + count(labels(stream.train()))) / 1797.0;
        assert!(
            (share - whole).abs() < 0.003,
            "class {class}: {share} against {whole}"
        );
    }
    let sum = |rows: &[f32]| rows.iter().map(|&v| f64::from(v) * 16.0).sum::<f64>();
    let total = sum(floats(&stream.train().inputs()[0])) + sum(floats(&validation.inputs()[0]));
    // The sum of all pixels, counted from the text by other means.
    assert_eq!(total, 561718.0);
    assert_eq!(stream.steps_per_epoch(), 45);
    assert_eq!(stream.batch_sizes(), [32, 30]);
    assert_eq!(stream.eval_batch_sizes(validation), [256, 103]);
}

#[test]
fn a_folder_is_no_data_file() {
    let dir = tempdir().unwrap();
    std::fs::create_dir(dir.path().join("a.csv")).unwrap();
    assert!(error(dir.path(), json!({ "source": "a.csv" })).contains("not a regular file"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn csv_numbers_survive_the_round_trip(
        rows in prop::collection::vec((prop::num::f32::NORMAL, prop::num::f32::ANY, 0i64..100), 1..20),
    ) {
        let finite = |v: f32| if v.is_finite() { v } else { 0.0 };
        let dir = tempdir().unwrap();
        let text: String =
            rows.iter().map(|(a, b, c)| format!("{a},{:e},{c}\n", finite(*b))).collect();
        write(dir.path(), "a.csv", text.as_bytes());
        let stream = load(dir.path(), json!({ "source": "a.csv" })).unwrap();
        let expected: Vec<u32> =
            rows.iter().flat_map(|(a, b, _)| [a.to_bits(), finite(*b).to_bits()]).collect();
        let found: Vec<u32> =
            floats(&stream.train().inputs()[0]).iter().map(|v| v.to_bits()).collect();
        prop_assert_eq!(found, expected);
        let expected: Vec<i64> = rows.iter().map(|row| row.2).collect();
        prop_assert_eq!(labels(stream.train()), &expected[..]);
    }

    #[test]
    fn no_change_of_an_npz_file_makes_it_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        tail in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let dir = tempdir().unwrap();
        let mut file = npz(dir.path(), "a.npz");
        npz_array(&mut file, "x", &[2, 2], vec![1.5f32, 2.5, 3.5, 4.5]);
        npz_array(&mut file, "y", &[2], vec![1i64, 3]);
        drop(file);
        let mut bytes = std::fs::read(dir.path().join("a.npz")).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.extend(tail);
        write(dir.path(), "a.npz", &bytes);
        let _ = load(dir.path(), json!({ "source": "a.npz" }));
    }

    #[test]
    fn no_random_file_makes_any_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let dir = tempdir().unwrap();
        write(dir.path(), "f", &bytes);
        for table in [
            json!({ "source": "f", "format": "csv" }),
            json!({ "source": "f", "format": "npz" }),
            json!({ "source": { "images": "f", "labels": "f" } }),
        ] {
            let result: Result<DataStream, DataError> = load(dir.path(), table);
            if let Err(error) = result {
                prop_assert!(!matches!(error, DataError::BadParts { .. }), "{}", error);
            }
        }
    }
}
