//! `plan`: what is counted, and what keeps models apart.

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::common::{HEAD, Place};

const SAME: &str = r#"
[[model]]
name = "mlp-${width}"
settings.width = [4, 8, 16]
layers = [{ linear = "${width}" }, "relu", { linear = 3 }]
"#;

#[test]
fn a_sweep_is_counted() {
    let place = Place::new();
    place.sweep(SAME);
    let json = place.run(&["plan", "sweep.toml", "--json"]).code(0).json();
    let assemblies = json["assemblies"].as_array().unwrap();
    assert_eq!(assemblies.len(), 1);
    let assembly = &assemblies[0];
    let models = assembly["models"].as_array().unwrap();
    let names: Vec<&str> = models.iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["mlp-4", "mlp-8", "mlp-16"]);
    assert!(models.iter().all(|model| model["device"] == "cpu:0"));
    let number = |key: &str| {
        assembly[key]
            .as_u64()
            .unwrap_or_else(|| panic!("{key}: {assembly}"))
    };
    assert!(number("nodes") > 10 && number("edges") > 10);
    assert_eq!(number("copies"), 0);
    assert!(number("flops_one_by_one") >= number("flops_merged"));
    assert!(number("flops_merged") > 0);
}

#[test]
fn a_second_device_takes_copies_of_the_input() {
    let place = Place::new();
    place.sweep(SAME);
    let args = ["plan", "sweep.toml", "--json", "--devices", "cpu:0,cpu:1"];
    let json = place.run(&args).code(0).json();
    let assembly = &json["assemblies"][0];
    assert_eq!(assembly["devices"].as_array().unwrap().len(), 2);
    // The input and the target cross over once each.
    assert_eq!(assembly["copies"], 2);
    let alone = [
        "plan",
        "sweep.toml",
        "--json",
        "--devices",
        "cpu:0,cpu:1",
        "--passes",
        "",
    ];
    let alone = place.run(&alone).code(0).json();
    assert_eq!(alone["assemblies"][0]["copies"], 0);
}

#[test]
fn different_data_keep_models_apart_and_are_named() {
    let place = Place::new();
    let models = r#"
[[model]]
name = "seed-${seed}"
settings.seed = [0, 1]
data.shuffle-seed = "${seed}"
layers = [{ linear = 3 }]
"#;
    place.write("sweep.toml", &format!("{HEAD}{models}"));
    let ran = place
        .run(&["plan", "sweep.toml", "--devices", "cpu:0,cpu:1"])
        .code(0);
    assert!(ran.out.contains("shuffle-seed: 0 against 1"), "{}", ran.out);
}

const NET: &str = r#"syncarp 1

model m0 "net" {
  "w" = s0 : f32[3, 2] trainable init(uniform(-0.5, 0.5), stream(_, "w", 0))
}

graph "train" {
  v0 = input {dtype=f32, model=m0, name="x"} : f32[*] @m0
  v1 = state {of=s0} : f32[3, 2] @m0 "w"
  v2 = relu v0 : f32[*] @m0 "act"
  result m0 "y" = v2
}
"#;

#[test]
fn model_files_are_counted_once_their_shapes_are_given() {
    let place = Place::new();
    place.write("net.syn", NET);
    let json = place
        .run(&["plan", "net.syn", "net.syn", "--json"])
        .code(0)
        .json();
    let assembly = &json["assemblies"][0];
    assert_eq!(assembly["models"][1]["name"], "net-2");
    assert!(assembly["flops_merged"].is_null());
    let args = [
        "plan",
        "net.syn",
        "net.syn",
        "--json",
        "--input-shape",
        "x=2",
    ];
    let json = place.run(&args).code(0).json();
    let assembly = &json["assemblies"][0];
    assert_eq!(assembly["flops_one_by_one"], 4);
    assert_eq!(assembly["flops_merged"], 2);
    let ran = place
        .run(&["plan", "net.syn", "--input-shape", "q=2"])
        .code(2);
    assert!(ran.err.contains("no model has an input `q`"), "{}", ran.err);
}

const TRUNK: &str = r#"syncarp 1

model m0 "trunk" {
  "w" = s0 : f32[3, 2] trainable content("w")
}

graph "train" {
  v0 = input {dims=dims[n, 2], dtype=f32, model=m0, name="x"} : f32[n, 2] @m0
  v1 = state {of=s0} : f32[3, 2] @m0 "w"
  v2 = linear v0, v1 : f32[n, 3] @m0 "fc"
  v3 = relu v2 : f32[n, 3] @m0 "act"
  result m0 "y" = v3
}
"#;

#[test]
fn model_files_with_weights_are_frozen_and_shared() {
    let place = Place::new();
    let bytes: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![3, 2], &bytes).unwrap();
    let file = safetensors::serialize([("w", view)], None).unwrap();
    std::fs::write(place.path("trunk.safetensors"), file).unwrap();
    place.write("trunk.syn", TRUNK);
    let json = place
        .run(&["plan", "trunk.syn", "trunk.syn", "--json"])
        .code(0)
        .json();
    let assembly = &json["assemblies"][0];
    // Two equal frozen models are computed once.
    let [merged, alone] = ["flops_merged", "flops_one_by_one"].map(|key| assembly[key].as_u64());
    assert_eq!(merged.unwrap() * 2, alone.unwrap());
    assert_eq!(assembly["nodes"], 4);

    // Fused and written out, the weights go along.
    place
        .run(&["import", "trunk.syn", "trunk.syn", "-o", "both.syn"])
        .code(0);
    let json = place.run(&["plan", "both.syn", "--json"]).code(0).json();
    assert_eq!(json["assemblies"][0]["flops_merged"].as_u64(), merged);
}
