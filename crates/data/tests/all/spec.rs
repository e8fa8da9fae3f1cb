//! The `[data]` table: what it may say, what is told when it is wrong, and keys.

use crate::common::{error, load, write};
use serde_json::{Value, json};
use syncarp_data::{ColumnRef, DataSpec, Format, Source, Step, TargetKind};
use tempfile::tempdir;

fn read(table: Value) -> Result<DataSpec, String> {
    DataSpec::from_value(&table).map_err(|error| error.to_string())
}

#[test]
fn a_source_alone_is_enough() {
    let spec = read(json!({ "source": "a.csv" })).unwrap();
    assert_eq!(spec, DataSpec::new("a.csv"));
    assert_eq!((spec.batch_size, spec.eval_batch_size), (32, 256));
    assert!(spec.shuffle && !spec.drop_last);
    assert_eq!(spec.csv.target, [ColumnRef::Index(-1)]);
}

#[test]
fn every_setting_is_read_and_written_back() {
    let table = json!({
        "source": "a.csv",
        "format": "csv",
        "csv": { "has-header": true, "delimiter": "\t", "target": ["a", -2] },
        "target-kind": "value",
        "input-shape": [1, 8, 8],
        "preprocess": [
            { "scale": 2 },
            { "shift": -0.5 },
            { "normalize": { "mean": 0.5, "std": [0.1, 0.2] } },
            "standardize",
            "standardize-target",
        ],
        "split": { "validation": 0.2, "test": 0.1, "seed": 3 },
        "batch-size": 64,
        "eval-batch-size": 500,
        "shuffle": false,
        "shuffle-seed": 9,
        "drop-last": true,
    });
    let spec = read(table).unwrap();
    assert_eq!(spec.format, Some(Format::Csv));
    assert_eq!(
        spec.csv.target,
        [ColumnRef::Name("a".into()), ColumnRef::Index(-2)]
    );
    assert_eq!(spec.target_kind, TargetKind::Value);
    assert_eq!(
        spec.preprocess,
        [
            Step::Scale(2.0),
            Step::Shift(-0.5),
            Step::Normalize {
                mean: vec![0.5],
                std: vec![0.1, 0.2]
            },
            Step::Standardize,
            Step::StandardizeTarget,
        ]
    );
    let written = serde_json::to_value(&spec).unwrap();
    assert_eq!(read(written.clone()).unwrap(), spec);
    let text = serde_json::to_string(&written).unwrap();
    assert_eq!(serde_json::from_str::<DataSpec>(&text).unwrap(), spec);
}

#[test]
fn wrong_tables_are_told_by_setting() {
    let message = |table| read(table).unwrap_err();
    let unknown = message(json!({ "source": "a.csv", "batch-szie": 3 }));
    assert!(
        unknown.contains("`batch-szie` is wrong: unknown field"),
        "{unknown}"
    );
    assert!(
        unknown.contains("`batch-size`, `eval-batch-size`"),
        "{unknown}"
    );
    let nested = message(json!({ "source": "a.csv", "split": { "val": 0.1 } }));
    assert!(
        nested.contains("`split`") && nested.contains("`validation`, `test`"),
        "{nested}"
    );
    let step = message(json!({ "source": "a.csv", "preprocess": [{ "scall": 1 }] }));
    assert!(
        step.contains("`preprocess`") && step.contains("`scale`, `shift`"),
        "{step}"
    );
    let kind = message(json!({ "source": "a.csv", "batch-size": "many" }));
    assert!(
        kind.contains("`batch-size`") && kind.contains("\"many\""),
        "{kind}"
    );
    assert!(message(json!({ "batch-size": 3 })).contains("missing field `source`"));
    assert!(message(json!({ "source": 3 })).contains("`source`"));
    assert!(message(json!("a.csv")).contains("a table of settings"));
    assert!(message(json!({ "source": "a.csv", "csv": { "target": true } })).contains("`csv`"));
}

#[test]
fn settings_that_cannot_be_are_told_before_files_are_read() {
    let dir = tempdir().unwrap();
    let message = |mut table: Value| {
        if table.get("source").is_none() {
            table["source"] = "absent.csv".into();
        }
        error(dir.path(), table)
    };
    for (table, expected) in [
        (json!({ "source": "a.bin" }), "`format` is wrong"),
        (
            json!({ "source": "a-ubyte.gz" }),
            "`source` is wrong: IDX data are two files",
        ),
        (
            json!({ "source": { "images": "a", "labels": "b" }, "format": "csv" }),
            "one format",
        ),
        (
            json!({ "source": { "train": "a.csv", "test": "b.npz" } }),
            "`source.test` is wrong",
        ),
        (
            json!({ "source": "a.npz", "csv": { "has-header": true } }),
            "`csv` is wrong",
        ),
        (
            json!({ "source": { "file": "a.npz", "inputs": [] } }),
            "list of arrays is empty",
        ),
        (json!({ "csv": { "delimiter": "é" } }), "`csv.delimiter`"),
        (json!({ "csv": { "delimiter": "\"" } }), "`csv.delimiter`"),
        (
            json!({ "csv": { "target": [] } }),
            "`csv.target` is wrong: it names no column",
        ),
        (
            json!({ "csv": { "target": [1, 2] } }),
            "2 target columns of kind `class`",
        ),
        (
            json!({ "csv": { "target": "a" } }),
            "said to have no header",
        ),
        (json!({ "input-shape": [2, 0] }), "`input-shape`"),
        (
            json!({ "preprocess": [{ "normalize": { "mean": 0, "std": 0 } }] }),
            "the deviation 0",
        ),
        (
            json!({ "preprocess": [{ "normalize": { "mean": [], "std": 1 } }] }),
            "without numbers",
        ),
        (
            json!({ "preprocess": ["standardize-target"] }),
            "with class targets",
        ),
        (
            json!({ "split": { "validation": 1.0 } }),
            "`split.validation`",
        ),
        (json!({ "split": { "test": -0.1 } }), "`split.test`"),
        (
            json!({ "split": { "validation": 0.5, "test": 0.5 } }),
            "nothing to train on",
        ),
        (
            json!({ "split": { "validation": 0.5, "test-rows": [0, 1] } }),
            "both fractions",
        ),
        (
            json!({ "split": { "stratify": true }, "target-kind": "value" }),
            "`split.stratify`",
        ),
        (json!({ "batch-size": 0 }), "`batch-size`"),
        (json!({ "eval-batch-size": 0 }), "`eval-batch-size`"),
    ] {
        let found = message(table.clone());
        assert!(found.contains(expected), "{table}: {found}");
    }
    let mut spec = DataSpec::new("absent.csv");
    spec.preprocess = vec![Step::Scale(f64::NAN)];
    assert!(
        spec.check()
            .unwrap_err()
            .to_string()
            .contains("NaN is not finite")
    );
}

#[test]
fn settings_that_do_not_fit_the_data_are_told() {
    let dir = tempdir().unwrap();
    write(dir.path(), "a.csv", b"1,2,0\n3,4,1\n");
    let message = |table| error(dir.path(), table);
    let shape = message(json!({ "source": "a.csv", "input-shape": [3] }));
    assert!(
        shape.contains("`input-shape` is wrong: [3] holds 3 values; expected 2"),
        "{shape}"
    );
    let drop = message(json!({ "source": "a.csv", "batch-size": 3, "drop-last": true }));
    assert!(
        drop.contains("2 training rows do not fill one batch of 3"),
        "{drop}"
    );
    let split = message(json!({ "source": "a.csv", "split": { "validation": 0.1 } }));
    assert!(split.contains("0.1 of 2 rows is no row"), "{split}");
}

#[test]
fn equal_specs_have_equal_keys_and_every_setting_changes_the_key() {
    let dir = tempdir().unwrap();
    let rows: String = (0..40)
        .map(|i| format!("{i},{},{}\n", i * 2, i % 4))
        .collect();
    write(dir.path(), "a.csv", rows.as_bytes());
    write(dir.path(), "copy.csv", rows.as_bytes());
    write(
        dir.path(),
        "other.csv",
        rows.replace("39,78", "39,79").as_bytes(),
    );
    let with = |changes: Value| {
        let mut table = json!({ "source": "a.csv" });
        for (name, value) in changes.as_object().unwrap() {
            table[name] = value.clone();
        }
        load(dir.path(), table).unwrap()
    };
    let base = with(json!({}));
    assert_eq!(base.key(), with(json!({})).key());
    assert_eq!(base.key().as_str().len(), 64);
    // What is said in other words, or lies elsewhere, is the same stream.
    for same in [
        json!({ "source": "copy.csv" }),
        json!({ "source": { "file": "copy.csv" } }),
        json!({ "format": "csv" }),
        json!({ "batch-size": 32, "csv": { "target": [-1] }, "split": {} }),
    ] {
        let stream = with(same.clone());
        assert_eq!(stream.key(), base.key(), "{same}");
        assert!(base.differences(&stream).is_empty(), "{same}");
    }
    let changes = [
        (json!({ "source": "other.csv" }), "source"),
        (
            json!({ "source": { "train": "a.csv", "test": "a.csv" } }),
            "source",
        ),
        (json!({ "csv": { "target": 2 } }), "csv.target"),
        (
            json!({ "csv": { "delimiter": ",", "has-header": true } }),
            "csv.has-header",
        ),
        (json!({ "target-kind": "value" }), "target-kind"),
        (json!({ "input-shape": [1, 2] }), "input-shape"),
        (json!({ "preprocess": [{ "scale": 0.5 }] }), "preprocess"),
        (json!({ "preprocess": [{ "scale": 0.25 }] }), "preprocess"),
        (json!({ "preprocess": [{ "shift": 0.5 }] }), "preprocess"),
        (json!({ "preprocess": ["standardize"] }), "preprocess"),
        (
            json!({ "preprocess": [{ "normalize": { "mean": 1, "std": 2 } }] }),
            "preprocess",
        ),
        (
            json!({ "split": { "validation": 0.2 } }),
            "split.validation",
        ),
        (json!({ "split": { "test": 0.2 } }), "split.test"),
        (json!({ "split": { "seed": 1 } }), "split.seed"),
        (json!({ "split": { "stratify": true } }), "split.stratify"),
        (
            json!({ "split": { "validation-rows": [0, 3] } }),
            "split.validation-rows",
        ),
        (
            json!({ "split": { "test-rows": [0, 3] } }),
            "split.test-rows",
        ),
        (json!({ "batch-size": 33 }), "batch-size"),
        (json!({ "eval-batch-size": 255 }), "eval-batch-size"),
        (json!({ "shuffle": false }), "shuffle"),
        (json!({ "shuffle-seed": 1 }), "shuffle-seed"),
        (json!({ "drop-last": true }), "drop-last"),
    ];
    let mut keys = vec![base.key().clone()];
    for (change, setting) in changes {
        let stream = with(change.clone());
        let differences = base.differences(&stream);
        let named: Vec<&str> = differences.iter().map(|d| d.setting.as_str()).collect();
        assert_eq!(named.first(), Some(&setting), "{change}: {named:?}");
        assert!(
            !keys.contains(stream.key()),
            "{change} has a key that was there before"
        );
        keys.push(stream.key().clone());
    }
}

#[test]
fn differences_read_well() {
    let dir = tempdir().unwrap();
    write(dir.path(), "a.csv", b"1,0\n2,1\n");
    write(dir.path(), "b.csv", b"1,0\n2,0\n");
    let a = load(dir.path(), json!({ "source": "a.csv" })).unwrap();
    let b = json!({ "source": "b.csv", "input-shape": [1, 1], "split": { "seed": 4 } });
    let b = load(dir.path(), b).unwrap();
    let differences = a.differences(&b);
    let texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
    assert!(
        texts[0].starts_with("source: ") && texts[0].contains("a.csv (content "),
        "{texts:?}"
    );
    assert_eq!(
        texts[1..],
        [
            "input-shape: (not set) against [1,1]",
            "split.seed: 0 against 4"
        ]
    );
    let specs = DataSpec::new("a.csv").differences(&DataSpec::new("b.csv"));
    assert_eq!(specs[0].to_string(), "source: \"a.csv\" against \"b.csv\"");
}

#[test]
fn the_key_of_a_spec_is_stable() {
    let dir = tempdir().unwrap();
    write(dir.path(), "a.csv", b"1,0\n2,1\n");
    let resolved = DataSpec::new("a.csv").resolve(dir.path()).unwrap();
    assert_eq!(resolved.files[0].setting, "source");
    assert_eq!(resolved.spec.source, Source::from("a.csv"));
    // A journal may hold keys, so they must stay what they are from one release to the next.
    assert_eq!(
        DataSpec::key(&resolved).to_string(),
        "fdbb82368873d12aa7e19ba4c3521b49500b3bcc2b3ffad13ba21d734c00afed"
    );
}
