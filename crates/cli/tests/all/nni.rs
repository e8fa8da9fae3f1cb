//! Models in NNI's graph format, from the file to trained weights.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use safetensors::SafeTensors;
use serde_json::Value as Json;

use crate::common::{Place, named};

fn golden(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/goldens/nni/ir");
    fs::read_to_string(PathBuf::from(folder).join(name)).unwrap()
}

fn place_with(models: &[&str]) -> Place {
    let place = Place::new();
    for model in models {
        place.write(model, &golden(model));
    }
    place
}

#[test]
fn a_model_is_imported_unbound_and_bound() {
    let place = place_with(&["two_inputs.json"]);
    let unbound = place.run(&["import", "two_inputs.json"]).code(0);
    assert!(unbound.out.contains("name=\"x__1\""), "{}", unbound.out);
    let shapes = ["--input-shape", "x__1=3", "--input-shape", "y__1=3"];
    let bound = [&["import", "two_inputs.json", "-o", "two.syn"], &shapes[..]].concat();
    place.run(&bound).code(0);
    assert!(place.read("two.syn").contains("dims=dims[n, 3]"));
    // What was written is a model like any other.
    let again = place.run(&["import", "two.syn"]).code(0);
    assert_eq!(again.out, place.read("two.syn"));
    let half = [&["import", "two_inputs.json"], &shapes[..2]].concat();
    let half = place.run(&half).code(2);
    assert!(half.err.contains("--input-shape y__1=..."), "{}", half.err);
    let wrong = ["import", "two_inputs.json", "--input-shape", "z=3"];
    let wrong = place.run(&wrong).code(2);
    assert!(
        wrong.err.contains("no model has an input `z`"),
        "{}",
        wrong.err
    );
}

#[test]
fn what_an_import_ignores_or_does_not_know_is_told() {
    let place = Place::new();
    let text = r#"{
  "framework": "pytorch",
  "_evaluator": {"type": "Classification"},
  "_model": {
    "nodes": {
      "odd": {"operation": {"type": "aten::frobnicate"}},
      "act": {"operation": {"type": "__torch__.torch.nn.ReLU"}}
    },
    "edges": [
      {"head": ["_inputs", 0], "tail": ["odd", null]},
      {"head": ["odd", null], "tail": ["act", null]},
      {"head": ["act", null], "tail": ["_outputs", 0]}
    ]
  }
}"#;
    place.write("odd.json", text);
    let ran = place.run(&["import", "odd.json"]).code(0);
    assert!(ran.out.contains("custom"), "{}", ran.out);
    for told in ["framework", "_evaluator", "aten::frobnicate"] {
        assert!(ran.err.contains(told), "{told}: {}", ran.err);
    }
    place.write("cut.json", &text[..text.len() / 2]);
    let ran = place.run(&["import", "cut.json"]).code(2);
    assert!(ran.err.contains("cut.json:"), "{}", ran.err);
}

#[test]
fn policy_and_pipeline_of_the_seed_system_plan_what_it_plans() {
    let place = place_with(&["mnist_pytorch.json"]);
    let placing = ["--passes", "dedup-input", "--policy", "nni", "--json"];
    let devices = ["--devices", "h0:0,h0:1"];
    let files = ["plan", "mnist_pytorch.json", "mnist_pytorch.json"];
    let plan = place
        .run(&[&files[..], &placing, &devices].concat())
        .code(0)
        .json();
    let assemblies = plan["assemblies"].as_array().unwrap();
    assert_eq!(assemblies.len(), 1);
    assert_eq!(assemblies[0]["copies"], 2);
    let models = assemblies[0]["models"].as_array().unwrap();
    let on: Vec<&Json> = models.iter().map(|model| &model["device"]).collect();
    assert_eq!(on, ["h0:0", "h0:1"]);
}

#[test]
fn nnis_mnist_is_trained_in_a_sweep_like_any_other() {
    let place = place_with(&["mnist_pytorch.json"]);
    let digits = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/digits-sweep/digits.csv.gz"
    );
    let text = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/nni-mnist/sweep.toml"
    );
    let text = fs::read_to_string(text).unwrap();
    let text = text.replace("../digits-sweep/digits.csv.gz", digits);
    place.write("sweep.toml", &text.replace("epochs = 3", "epochs = 1"));
    let json = place.run(&["run", "sweep.toml", "--json"]).code(0).json();
    assert_eq!(json["assemblies"].as_array().unwrap().len(), 1);
    let models = json["models"].as_array().unwrap();
    assert_eq!(models.len(), 3);
    let best = named(&json["models"], "lr0.002");
    let accuracy = best["metrics"]["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.75, "{accuracy}");
    let last = fs::read(place.path("runs/nni-mnist/models/lr0.002/last.safetensors")).unwrap();
    let last = SafeTensors::deserialize(&last).unwrap();
    let weight = last.tensor("mnist.stem.conv1.weight").unwrap();
    assert_eq!(weight.shape(), [32, 1, 5, 5]);
}

/// Eight random images of eight classes, learnt by heart.
#[test]
fn resnet18_and_mobilenet_v2_train() {
    let place = place_with(&["resnet18.json", "mobilenet_v2.json"]);
    let mut rows = String::new();
    let mut random = 99u64;
    for row in 0..8 {
        for _ in 0..3 * 32 * 32 {
            random = random
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            write!(
                rows,
                "{:.3},",
                (random >> 40) as f64 / (1u64 << 24) as f64 - 0.5
            )
            .unwrap();
        }
        writeln!(rows, "{row}").unwrap();
    }
    place.write("images.csv", &rows);
    place.write(
        "sweep.toml",
        r#"
name = "nets"
data = { source = "images.csv", input-shape = [3, 32, 32], batch-size = 8 }
evaluator = { loss = "cross-entropy", optimizer = { name = "adam", lr = 1e-3 }, epochs = 4 }

[[model]]
name = "resnet18"
file = "resnet18.json"

[[model]]
name = "mobilenet_v2"
file = "mobilenet_v2.json"
"#,
    );
    place.run(&["run", "sweep.toml"]).code(0);
    let lines = place.read("runs/nets/metrics.jsonl");
    let lines: Vec<Json> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    for (name, parameters, mean) in [
        ("resnet18", 11_689_512, "layer4.1.bn2.running_mean"),
        ("mobilenet_v2", 3_504_872, "features.18.1.running_mean"),
    ] {
        let losses: Vec<f64> = lines
            .iter()
            .filter(|line| line["model"] == name && line["name"] == "train_loss")
            .map(|line| line["value"].as_f64().unwrap())
            .collect();
        assert_eq!(losses.len(), 4);
        assert!(losses[3] < 0.7 * losses[0], "{name}: {losses:?}");
        let last = fs::read(place.path(&format!("runs/nets/models/{name}/last.safetensors")));
        let last = last.unwrap();
        let last = SafeTensors::deserialize(&last).unwrap();
        let bytes = last.tensor(mean).unwrap().data().to_vec();
        assert!(bytes.iter().any(|byte| *byte != 0), "{mean} was updated");
        let elements = |name: &&str| last.tensor(name).unwrap().shape().iter().product::<usize>();
        let names = last.names();
        let parameter = |name: &&&str| name.ends_with(".weight") || name.ends_with(".bias");
        let count: usize = names.iter().filter(parameter).map(elements).sum();
        assert_eq!(count, parameters, "{name}");
    }
}
