//! `run`: results, files, going on, failures.

use safetensors::SafeTensors;
use serde_json::Value as Json;

use crate::common::{Place, named};

const TWO: &str = r#"
[[model]]
name = "mlp-${width}"
settings.width = [4, 8]
layers = [{ linear = "${width}" }, "relu", { linear = 3 }]
"#;

#[test]
fn a_run_says_and_keeps_its_results() {
    let place = Place::new();
    place.sweep(TWO);
    let ran = place.run(&["run", "sweep.toml", "--json"]).code(0);
    let json = ran.json();
    let models = json["models"].as_array().unwrap();
    assert_eq!(models.len(), 2);
    let model = named(&json["models"], "mlp-8");
    assert_eq!(model["settings"]["width"], 8);
    assert_eq!(model["state"], "finished");
    assert_eq!(model["epochs"], 3);
    assert_eq!(model["device"], "cpu:0");
    assert!(model["metrics"]["loss"].as_f64().unwrap() > 0.0);
    let accuracy = model["metrics"]["accuracy"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&accuracy));
    assert!(model["best"]["metrics"]["accuracy"].as_f64().unwrap() >= accuracy);
    assert_eq!(json["assemblies"].as_array().unwrap().len(), 1);
    assert!(json["seconds"].as_f64().unwrap() > 0.0);
    assert!(json.get("speedup").is_none());

    for file in ["plan-before.syn", "plan-after.syn"] {
        let text = place.read(&format!("runs/tiny/{file}"));
        assert!(text.starts_with("syncarp 1"), "{file}");
    }
    let assemblies: Json = serde_json::from_str(&place.read("runs/tiny/assemblies.json")).unwrap();
    assert_eq!(assemblies, json["assemblies"]);
    let lines = place.read("runs/tiny/metrics.jsonl");
    // Two models, three epochs; train_loss, loss and accuracy.
    assert_eq!(lines.lines().count(), 2 * 3 * 3);
    let first: Json = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let keys: Vec<&String> = first.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["model", "attempt", "epoch", "name", "value"]);

    let csv = place.read("runs/tiny/results.csv");
    assert!(csv.starts_with(
        "model,width,state,assembly,device,epochs,best_epoch,loss,accuracy,train_loss\n"
    ));
    assert_eq!(csv.lines().count(), 3);

    let bytes = std::fs::read(place.path("runs/tiny/models/mlp-4/last.safetensors")).unwrap();
    let last = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(last.tensor("0.weight").unwrap().shape(), [4, 2]);
    let slots = last
        .names()
        .iter()
        .filter(|name| name.starts_with("0.weight/"))
        .count();
    assert!(slots >= 2, "adam keeps two tensors: {:?}", last.names());
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = header.metadata().clone().unwrap();
    assert_eq!(
        (&*metadata["epoch"], &*metadata["optimizer"]),
        ("3", "adam")
    );
    assert_eq!(metadata["lr"], "0.02");
    let bytes = std::fs::read(place.path("runs/tiny/models/mlp-4/best.safetensors")).unwrap();
    assert_eq!(SafeTensors::deserialize(&bytes).unwrap().len(), 4);
}

#[test]
fn a_run_again_trains_what_changed_and_nothing_else() {
    let place = Place::new();
    place.sweep(TWO);
    let first = place
        .run(&["run", "sweep.toml", "--out", "r", "--json"])
        .code(0)
        .json();
    let checkpoint = place.path("r/models/mlp-4/last.safetensors");
    let before = std::fs::read(&checkpoint).unwrap();
    let results = place.read("r/results.csv");

    let again = place
        .run(&["run", "sweep.toml", "--out", "r", "--json"])
        .code(0)
        .json();
    for model in again["models"].as_array().unwrap() {
        assert_eq!(model["skipped"], true);
        let old = named(&first["models"], model["name"].as_str().unwrap());
        assert_eq!(model["metrics"], old["metrics"]);
    }
    assert_eq!(place.read("r/results.csv"), results);
    let told = place.read("r/metrics.jsonl").lines().count();

    place.sweep(&TWO.replace("[4, 8]", "[4, 6]"));
    let other = place
        .run(&["run", "sweep.toml", "--out", "r", "--json"])
        .code(0)
        .json();
    assert_eq!(named(&other["models"], "mlp-4")["skipped"], true);
    assert_eq!(named(&other["models"], "mlp-6")["skipped"], false);
    assert_eq!(place.read("r/metrics.jsonl").lines().count(), told + 9);

    // The same model to be trained longer is another one.
    place.sweep(&format!("{TWO}evaluator.epochs = 4\n"));
    let longer = place
        .run(&["run", "sweep.toml", "--out", "r", "--json"])
        .code(0)
        .json();
    let model = named(&longer["models"], "mlp-4");
    assert_eq!(
        (&model["skipped"], &model["epochs"]),
        (&Json::Bool(false), &Json::from(4))
    );
    assert_ne!(std::fs::read(&checkpoint).unwrap(), before);
}

#[test]
fn equal_runs_are_equal_to_the_byte() {
    let place = Place::new();
    place.sweep(TWO);
    place.run(&["run", "sweep.toml", "--out", "a"]).code(0);
    place
        .run(&[
            "run",
            "sweep.toml",
            "--out",
            "b",
            "--devices",
            "cpu:0,cpu:1",
        ])
        .code(0);
    for file in [
        "models/mlp-8/last.safetensors",
        "models/mlp-4/best.safetensors",
    ] {
        let read = |run: &str| std::fs::read(place.path(&format!("{run}/{file}"))).unwrap();
        assert!(read("a") == read("b"), "{file}");
    }
}

#[test]
fn a_model_that_fails_leaves_the_others_alone() {
    let place = Place::new();
    let models = format!(
        r#"{TWO}
[[model]]
name = "wild"
layers = [{{ linear = 8 }}, {{ linear = 8 }}, {{ linear = 3 }}]
evaluator.loss = "cross-entropy"
evaluator.optimizer = {{ name = "sgd", lr = 1e30 }}
"#
    );
    place.sweep(&models);
    let ran = place.run(&["run", "sweep.toml", "--json"]).code(1);
    let json = ran.json();
    let wild = named(&json["models"], "wild");
    assert_eq!(wild["state"], "failed");
    assert!(
        wild["cause"].as_str().unwrap().contains("the loss is"),
        "{wild}"
    );
    assert!(ran.err.contains("wild: failed"), "{}", ran.err);
    let together = named(&json["models"], "mlp-8").clone();
    assert_eq!(together["state"], "finished");

    place.sweep(TWO);
    let alone = place
        .run(&["run", "sweep.toml", "--out", "alone", "--json"])
        .code(0)
        .json();
    assert_eq!(
        named(&alone["models"], "mlp-8")["metrics"],
        together["metrics"]
    );
}

#[test]
fn the_table_names_settings_and_the_speedup() {
    let place = Place::new();
    place.sweep(TWO);
    let ran = place.run(&["run", "sweep.toml", "--compare"]).code(0);
    let head = ran.out.lines().next().unwrap();
    let names: Vec<&str> = head.split_whitespace().collect();
    let expected = [
        "model", "width", "assembly", "device", "epochs", "loss", "accuracy", "state",
    ];
    assert_eq!(names, expected);
    assert!(ran.out.contains("times as fast"), "{}", ran.out);
    let json = place
        .run(&["run", "sweep.toml", "--compare", "--json", "--out", "c"])
        .code(0);
    let json = json.json();
    let [merged, alone, speedup] =
        ["seconds", "seconds_one_by_one", "speedup"].map(|key| json[key].as_f64().unwrap());
    assert!((speedup - alone / merged).abs() < 1e-9);
}

#[test]
fn regression_is_judged_by_its_loss() {
    let place = Place::new();
    place.write(
        "sweep.toml",
        r#"
        [data]
        source = "points.csv"
        target-kind = "value"
        [evaluator]
        loss = "mse"
        optimizer = { name = "sgd", lr = 0.05 }
        epochs = 2
        [[model]]
        name = "line"
        layers = [{ linear = 1 }]
        "#,
    );
    let json = place
        .run(&["run", "sweep.toml", "--json", "--out", "r"])
        .code(0)
        .json();
    let model = &json["models"][0];
    assert!(model["metrics"]["loss"].as_f64().unwrap().is_finite());
    assert!(model["metrics"].get("accuracy").is_none());
}
