//! Graphs in files: as parts, and with weights beside them.

mod common;

use std::fs;
use std::path::Path;

use common::{graph, lower_in, op_names, ops, output, states};
use syncarp_frontend::{
    Frontend, FrontendError, LayerRegistry, content_hash, load_text, save_text,
};
use syncarp_ir::{Content, ContentHash, DType, Initial, Plan, TensorData, TensorType, print};

const BACKBONE: &str = r#"syncarp 1

model m0 "backbone" {
  "slope" = s0 : f32[1] trainable init(constant(0.5), stream(_, "slope", 0))
  "scale" = s1 : f32[4] trainable content("my scale")
  "unused" = s2 : f32[9] trainable init(constant(0.5), stream(_, "unused", 0))
}

graph "train" {
  v0 = input {dims=dims[n, 4], dtype=f32, model=m0, name="image"} : f32[n, 4] @m0
  v1 = state {of=s0} : f32[1] @m0 "slope"
  v2 = prelu v0, v1 : f32[n, 4] @m0 "act"
  v3 = state {of=s1} : f32[4] @m0 "scale"
  v4 = mul v2, v3 : f32[n, 4] @m0 "scaled"
  v5 = state {of=s2} : f32[9] @m0 "unused"
  v6 = neg v5 : f32[9] @m0 "unused"
  result m0 "features" = v4
}
"#;

fn inputs(dims: &[u64]) -> Vec<(String, DType, Vec<u64>)> {
    vec![("x".to_owned(), DType::F32, dims.to_vec())]
}

/// A folder with the backbone and its weights.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let ty = TensorType::fixed(DType::F32, &[4]);
    let data = TensorData::Float(vec![1.0, -2.0, 0.25, 8.0]);
    let hash = content_hash(&ty, &data).unwrap();
    let text = BACKBONE.replace("my scale", &hash.0);
    let mut plan = syncarp_ir::parse(&syncarp_diag::Source::new("b", text), &ops()).unwrap();
    plan.contents.insert(hash, Content::new(data));
    save_text(&plan, &folder.path().join("backbone.syn")).unwrap();
    folder
}

fn error(folder: &Path, block: &str, dims: &[u64]) -> String {
    lower_in(folder, block, &inputs(dims))
        .unwrap_err()
        .to_string()
}

#[test]
fn a_plan_with_weights_survives_its_files() {
    let folder = folder();
    let path = folder.path().join("backbone.syn");
    let plan = load_text(&path, &ops()).unwrap();
    assert_eq!(plan.contents.len(), 1);
    let again = folder.path().join("again.syn");
    save_text(&plan, &again).unwrap();
    assert_eq!(load_text(&again, &ops()).unwrap(), plan);
    let bytes = |stem: &str| fs::read(folder.path().join(stem)).unwrap();
    assert_eq!(bytes("backbone.safetensors"), bytes("again.safetensors"));
}

#[test]
fn a_label_becomes_a_hash_and_a_path_finds_the_tensor() {
    let folder = folder();
    let path = folder.path().join("labelled.syn");
    fs::write(&path, BACKBONE).unwrap();
    // Without weights the plan is still read, and keeps its label.
    let plan = load_text(&path, &ops()).unwrap();
    assert_eq!(
        plan.states[1].initial,
        Initial::Content(ContentHash("my scale".into()))
    );
    assert!(plan.contents.is_empty());

    let values: Vec<u8> = [1f32, -2.0, 0.25, 8.0]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    write_tensors(&path, &[("scale", "F32", "[4]", &values)]);
    let labelled = load_text(&path, &ops()).unwrap();
    let hashed = load_text(&folder.path().join("backbone.syn"), &ops()).unwrap();
    assert_eq!(labelled, hashed);

    // Halves are held exactly by the state's floats.
    let halves: Vec<u8> = [0x3c00u16, 0xc000, 0x3400, 0x4800]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    write_tensors(&path, &[("my scale", "F16", "[4]", &halves)]);
    assert_eq!(load_text(&path, &ops()).unwrap(), hashed);
}

/// Writes a safetensors file beside a text, byte by byte.
fn write_tensors(text: &Path, tensors: &[(&str, &str, &str, &[u8])]) {
    let mut entries = Vec::new();
    let mut data = Vec::new();
    for (name, dtype, shape, bytes) in tensors {
        let start = data.len();
        data.extend_from_slice(bytes);
        entries.push(format!(
            "\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":[{start},{}]}}",
            data.len()
        ));
    }
    let header = format!("{{{}}}", entries.join(","));
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(&data);
    fs::write(text.with_extension("safetensors"), file).unwrap();
}

#[test]
fn weights_that_do_not_belong_are_refused() {
    let folder = folder();
    let path = folder.path().join("backbone.syn");
    let told = |name: &str, dtype: &str, shape: &str, bytes: &[u8]| {
        write_tensors(&path, &[(name, dtype, shape, bytes)]);
        load_text(&path, &ops()).unwrap_err().to_string()
    };
    assert!(told("other", "F32", "[4]", &[0; 16]).contains("no tensor is called `scale`"));
    assert!(
        told("scale", "F32", "[2, 2]", &[0; 16]).contains("is [2, 2], but the state is f32[4]")
    );
    assert!(told("scale", "F64", "[4]", &[0; 32]).contains("cannot hold exactly"));
    assert!(told("scale", "I64", "[4]", &[0; 32]).contains("cannot hold exactly"));
    assert!(told("scale", "U16", "[4]", &[0; 8]).contains("cannot hold"));
    assert!(told("scale", "F32", "[4]", &[0; 16]).contains("has the hash"));
}

#[test]
fn damaged_files_are_errors_wherever_they_are_cut() {
    let folder = folder();
    let text = folder.path().join("backbone.syn");
    let weights = text.with_extension("safetensors");
    let whole = fs::read(&weights).unwrap();
    for cut in 0..whole.len() {
        fs::write(&weights, &whole[..cut]).unwrap();
        let error = load_text(&text, &ops()).unwrap_err();
        assert!(
            matches!(error, FrontendError::Weights(_)),
            "cut at {cut}: {error}"
        );
    }
    fs::write(&weights, b"\xff\xff\xff\xff\xff\xff\xff\x7f{}").unwrap();
    assert!(matches!(
        load_text(&text, &ops()),
        Err(FrontendError::Weights(_))
    ));
    fs::write(&text, b"syncarp 1\n\xff\xfe").unwrap();
    let error = load_text(&text, &ops()).unwrap_err();
    assert!(error.to_string().contains("not UTF-8"), "{error}");
    fs::write(&text, "syncarp 1\nmodel m0 \"x\" {").unwrap();
    assert!(matches!(
        load_text(&text, &ops()),
        Err(FrontendError::Text(_))
    ));
    let missing = load_text(&folder.path().join("none.syn"), &ops());
    assert!(matches!(missing, Err(FrontendError::File { .. })));
}

#[test]
fn an_unsound_text_is_no_plan() {
    let folder = folder();
    let path = folder.path().join("unsound.syn");
    let text = BACKBONE.replace(
        "result m0 \"features\" = v4",
        "result m0 \"f\" = v4\n  result m0 \"f\" = v2",
    );
    fs::write(&path, text).unwrap();
    let error = load_text(&path, &ops()).unwrap_err();
    assert!(error.to_string().contains("given twice"), "{error}");
}

#[test]
fn a_file_is_a_part() {
    let folder = folder();
    let block = "parts = [{ layers = [{ unflatten = { dim = 1, sizes = [4] } }] }, \
                 { name = \"b\", file = \"backbone.syn\" }, { layers = [\"relu\"] }]";
    let plan = lower_in(folder.path(), block, &inputs(&[4])).unwrap();
    assert_eq!(op_names(&plan), ["reshape", "prelu", "mul", "relu"]);
    assert_eq!(output(&plan).to_string(), "f32[n, 4]");
    let states = states(&plan);
    assert_eq!(states[0], "b.slope: f32[1] trainable Constant(0.5)");
    assert!(
        states[1].starts_with("b.scale: f32[4] trainable content "),
        "{}",
        states[1]
    );
    assert_eq!(
        states[2..],
        ["b.unused: f32[9] frozen Constant(0.5)"],
        "what nobody reads is saved with the rest, and nobody trains it"
    );
    assert_eq!(plan.contents.len(), 1);
    let g = graph(&plan);
    let paths: Vec<String> = g
        .nodes()
        .map(|n| {
            g.provenance()
                .path(g.provenance().set(g.provenance_id(n))[0].path)
                .to_string()
        })
        .collect();
    assert_eq!(paths[2..6], ["b.slope", "b.act", "b.scale", "b.scaled"]);
}

#[test]
fn one_file_can_be_several_parts_and_is_frozen_by_pattern() {
    let folder = folder();
    let block = "parts = [{ file = \"backbone.syn\", freeze = [\"*\"] }, \
                 { file = \"backbone.syn\", freeze-parameters = [\"scale\"] }]";
    let plan = lower_in(folder.path(), block, &inputs(&[4])).unwrap();
    let kinds: Vec<String> = states(&plan)
        .iter()
        .map(|s| s.split(' ').take(3).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        kinds,
        [
            "part0.slope: f32[1] frozen",
            "part0.scale: f32[4] frozen",
            "part0.unused: f32[9] frozen",
            "part1.slope: f32[1] trainable",
            "part1.scale: f32[4] frozen",
            "part1.unused: f32[9] frozen",
        ]
    );
}

#[test]
fn many_models_read_a_file_once_and_share_its_data() {
    let folder = folder();
    let frontend = Frontend::new(ops(), LayerRegistry::standard());
    let text = "evaluator = { loss = \"mse\", optimizer = \"sgd\", epochs = 1 }\n[[model]]\n\
                name = \"m${index}\"\nsettings.s = [0.1, 0.2]\n\
                parts = [{ file = \"backbone.syn\" }, { layers = [{ leaky-relu = \"${s}\" }] }]";
    let source = syncarp_diag::Source::new("s", text);
    let sweep = syncarp_sweep::Sweep::parse(source, folder.path()).unwrap();
    let lowered = |model: usize| -> Plan {
        let spec = &sweep.models[model];
        frontend
            .lower(spec, &sweep.source, &sweep.base_dir, &inputs(&[4]))
            .unwrap()
    };
    let (a, b) = (lowered(0), lowered(1));
    let (x, y) = (
        a.contents.values().next().unwrap(),
        b.contents.values().next().unwrap(),
    );
    assert!(x.is(y));
    assert_ne!(print(&a), print(&b));
}

#[test]
fn files_that_do_not_fit_are_told_at_their_place() {
    let folder = folder();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let told = |block: &str| error(folder.path(), block, &[4]);
    assert!(told("file = \"none.syn\"").starts_with("sweep.toml:4:8: "));
    let wrong = error(folder.path(), "file = \"backbone.syn\"", &[5]);
    assert!(
        wrong.contains("reads f32[n, 4], but the incoming value is f32[n, 5]"),
        "{wrong}"
    );
    file("labelled.syn", BACKBONE);
    assert!(told("file = \"labelled.syn\"").contains("the weights of `scale` are not there"));
    file("empty.syn", "syncarp 1\n\nmodel m0 \"e\" {}\n");
    assert!(told("file = \"empty.syn\"").contains("has 0 graphs"));
    file("none.syn", "syncarp 1\n");
    assert!(told("file = \"none.syn\"").contains("has 0 models"));
    let graph =
        |body: &str| format!("syncarp 1\n\nmodel m0 \"e\" {{}}\n\ngraph \"eval\" {{\n{body}\n}}\n");
    file("mute.syn", &graph("v0 = input {model=m0, name=\"x\"}"));
    assert!(told("file = \"mute.syn\"").contains("gives back no result"));
    file(
        "deaf.syn",
        &graph("v0 = constant {dtype=f32, value=1.0}\nresult m0 \"y\" = v0"),
    );
    assert!(told("file = \"deaf.syn\"").contains("reads no input"));
    file(
        "two.syn",
        &graph(
            "v0 = input {model=m0, name=\"a\"}\nv1 = input {model=m0, name=\"b\"}\nv2 = add v0, v1\nresult m0 \"y\" = v2",
        ),
    );
    assert!(told("file = \"two.syn\"").contains("reads `b`, which the data does not have"));
    file(
        "rate.syn",
        &graph(
            "v0 = input {model=m0, name=\"a\"}\nv1 = input {coefficient=true, model=m0, name=\"lr\"}\nv2 = add v0, v1\nresult m0 \"y\" = v2",
        ),
    );
    assert!(told("file = \"rate.syn\"").contains("coefficient of an evaluator"));
    file("broken.syn", "syncarp 1\nmodel m0");
    assert!(told("file = \"broken.syn\"").contains("broken.syn:2:"));
}

#[test]
fn an_unbound_file_gets_its_types_from_the_incoming_value() {
    let folder = folder();
    let text = "syncarp 1\n\nmodel m0 \"e\" {}\n\ngraph \"any\" {\n\
                v0 = input {model=m0, name=\"a\"}\nv1 = relu v0\nv2 = input {model=m0, name=\"x2\"}\n\
                v3 = add v1, v2\nresult m0 \"y\" = v3\nresult m0 \"z\" = v0\n}\n";
    fs::write(folder.path().join("any.syn"), text).unwrap();
    let mut columns = inputs(&[4]);
    columns.push(("x2".to_owned(), DType::F32, vec![4]));
    let plan = lower_in(folder.path(), "file = \"any.syn\"", &columns).unwrap();
    assert_eq!(output(&plan).to_string(), "f32[n, 4]");
    assert_eq!(op_names(&plan), ["relu", "add"]);
}
