//! Model graphs in NNI's JSON: what recorded files become.

mod common;

use std::path::{Path, PathBuf};

use common::{graph, op_names, ops};
use syncarp_diag::Source;
use syncarp_frontend::LayerRegistry;
use syncarp_frontend::nni::{Imported, ModelFile, NoteKind, load};
use syncarp_ir::{DType, Dim, OutputKey, Plan, StateKind, TensorType, Value, parse, print, verify};

const GOLDENS: [&str; 7] = [
    "mnist_pytorch",
    "modulelist_loop",
    "residual",
    "two_inputs",
    "two_outputs_tuple",
    "resnet18",
    "mobilenet_v2",
];

fn golden(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/nni/ir");
    root.join(format!("{name}.json"))
}

fn import(name: &str) -> Imported {
    load(&golden(name), &ops(), &LayerRegistry::standard())
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A model of these nodes and edges, as `name: {operation}` and `head slot -> tail slot`; a missing
/// slot is null.
fn text(inputs: &str, nodes: &[(&str, &str)], edges: &[&str]) -> String {
    let nodes: Vec<String> = nodes
        .iter()
        .map(|(name, operation)| format!("\"{name}\": {{\"operation\": {operation}}}"))
        .collect();
    let end = |end: &str| match end.trim().split_once(' ') {
        Some((node, slot)) => format!("[\"{node}\", {slot}]"),
        None => format!("[\"{}\", null]", end.trim()),
    };
    let edges: Vec<String> = edges
        .iter()
        .map(|edge| {
            let (head, tail) = edge.split_once("->").unwrap();
            format!("{{\"head\": {}, \"tail\": {}}}", end(head), end(tail))
        })
        .collect();
    format!(
        "{{\"_model\": {{\"inputs\": {inputs}, \"outputs\": [\"z\"],\n\"nodes\": {{{}}},\n\"edges\": [{}]}}}}",
        nodes.join(",\n"),
        edges.join(",\n")
    )
}

fn lower(text: &str, types: &[(&str, TensorType)]) -> Imported {
    let file = ModelFile::parse(Source::new("m.json", text)).unwrap_or_else(|e| panic!("{e}"));
    file.lower("m", &ops(), &LayerRegistry::standard(), types)
        .unwrap_or_else(|e| panic!("{e}"))
}

fn batch(dims: &[u64]) -> TensorType {
    let sample = dims.iter().copied().map(Dim::Known);
    TensorType::new(DType::F32, std::iter::once(Dim::symbol("n")).chain(sample))
}

fn parameters(plan: &Plan) -> u64 {
    let trainable = plan
        .states
        .iter()
        .filter(|s| s.kind == StateKind::Trainable);
    trainable.map(|s| s.ty.elements().unwrap()).sum()
}

fn results(plan: &Plan) -> Vec<(String, Value)> {
    let outputs = graph(plan).outputs().iter();
    let result = |output: &syncarp_ir::Output| match &output.key {
        OutputKey::Result(_, name) => Some((name.to_string(), output.value)),
        _ => None,
    };
    outputs.filter_map(result).collect()
}

fn paths(plan: &Plan, op: &str) -> Vec<String> {
    let graph = graph(plan);
    let table = graph.provenance();
    let nodes = graph.nodes().filter(|node| graph.op_name(*node) == op);
    let path = |node| {
        table
            .path(table.set(graph.provenance_id(node))[0].path)
            .to_string()
    };
    nodes.map(path).collect()
}

#[test]
fn recorded_models_import_whole_and_survive_their_text() {
    for name in GOLDENS {
        let Imported { plan, notes } = import(name);
        assert!(notes.is_empty(), "{name}: {notes:?}");
        assert!(!op_names(&plan).contains(&"custom"), "{name}");
        assert!(verify(&plan).is_empty(), "{name}");
        assert_eq!(&*plan.models[0].name, name);
        let text = print(&plan);
        let again = parse(&Source::new(name, text.as_str()), &ops()).unwrap();
        assert_eq!(again, plan, "{name}");
        assert_eq!(
            print(&import(name).plan),
            text,
            "{name}: another text the second time"
        );
    }
}

#[test]
fn recorded_models_have_their_numbers_of_parameters() {
    for (name, count) in [
        ("mnist_pytorch", 832 + 51_264 + 262_400 + 2_570),
        ("modulelist_loop", 36),
        ("residual", 84),
        ("two_inputs", 32),
        ("two_outputs_tuple", 16),
        ("resnet18", 11_689_512),
        ("mobilenet_v2", 3_504_872),
    ] {
        assert_eq!(parameters(&import(name).plan), count, "{name}");
    }
}

#[test]
fn states_are_called_as_in_pytorch() {
    let states = |plan: &Plan| -> Vec<String> {
        plan.models[0]
            .states
            .iter()
            .map(|(path, _)| path.to_string())
            .collect()
    };
    let resnet = states(&import("resnet18").plan);
    assert_eq!(
        resnet.len(),
        62 + 40,
        "PyTorch counts batches too, once for each batch norm"
    );
    for path in [
        "conv1.weight",
        "bn1.running_var",
        "layer1.0.conv1.weight",
        "layer2.0.downsample.0.weight",
        "layer2.0.downsample.1.running_mean",
        "layer4.1.bn2.bias",
        "fc.bias",
    ] {
        assert!(resnet.iter().any(|known| known == path), "{path}");
    }
    let mobilenet = states(&import("mobilenet_v2").plan);
    assert!(
        mobilenet
            .iter()
            .any(|path| path == "features.1.conv.0.0.weight")
    );
    let mnist = states(&import("mnist_pytorch").plan);
    assert_eq!(mnist[..2], ["stem.conv1.weight", "stem.conv1.bias"]);
}

#[test]
fn nodes_of_a_cell_lie_under_its_path() {
    let plan = import("mnist_pytorch").plan;
    assert_eq!(paths(&plan, "max_pool2d"), ["stem.pool1", "stem.pool2"]);
    assert_eq!(paths(&plan, "flatten"), ["flatten"]);
    let plan = import("resnet18").plan;
    assert_eq!(
        paths(&plan, "relu")[..3],
        ["relu", "layer1.0.relu", "layer1.0.relu.18"]
    );
    // Three nodes have one name in Python; the second and third keep their own.
    let plan = import("modulelist_loop").plan;
    assert_eq!(
        paths(&plan, "relu"),
        ["relu", "_model__aten__relu6", "_model__aten__relu7"]
    );
}

#[test]
fn two_inputs_stay_two_and_two_results_too() {
    let plan = import("two_inputs").plan;
    assert_eq!(op_names(&plan), ["linear", "linear", "add"]);
    let g = graph(&plan);
    let inputs: Vec<&str> = g
        .nodes()
        .filter(|node| g.op_name(*node) == "input")
        .map(|node| &**g.attrs(node).str("name").unwrap())
        .collect();
    assert_eq!(inputs, ["x__1", "y__1"]);
    let linear = g.nodes().filter(|node| g.op_name(*node) == "linear");
    let read: Vec<_> = linear
        .map(|node| g.def(g.operands(node)[0]).index())
        .collect();
    assert_eq!(read, [0, 1], "each reads its own input");

    let plan = import("two_outputs_tuple").plan;
    let names: Vec<String> = results(&plan).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["output.0", "output.1"]);
    let g = graph(&plan);
    let of = |place: usize| g.op_name(g.def(results(&plan)[place].1));
    assert_eq!((of(0), of(1)), ("linear", "mul"));
}

#[test]
fn the_two_spellings_of_a_file_are_one_model() {
    let flat = std::fs::read_to_string(golden("mnist_pytorch")).unwrap();
    let wrapped = format!("{{\"root\": \"_model\", \"graphs\": {flat}}}");
    assert_eq!(
        print(&lower(&flat, &[]).plan),
        print(&lower(&wrapped, &[]).plan)
    );
}

#[test]
fn types_follow_from_the_inputs() {
    let file = ModelFile::read(&golden("mobilenet_v2")).unwrap();
    assert_eq!(file.inputs(), ["x__1"]);
    let types = [("x__1", batch(&[3, 32, 32]))];
    let plan = file
        .lower("m", &ops(), &LayerRegistry::standard(), &types)
        .unwrap()
        .plan;
    let g = graph(&plan);
    assert_eq!(g.ty(results(&plan)[0].1).to_string(), "f32[n, 1000]");
    assert!(
        g.nodes()
            .all(|n| g.results(n).all(|v| g.ty(v).is_complete()))
    );
}

const LINEAR: &str =
    r#"{"type": "__torch__.torch.nn.Linear", "parameters": {"in_features": 3, "out_features": 3}}"#;
const SHARED: &str = r#"{"type": "shared", "parameters": {"reference": "a"}}"#;

#[test]
fn a_shared_linear_is_tied() {
    let nodes = [("a", LINEAR), ("b", SHARED), ("c", SHARED)];
    let edges = ["_inputs 0 -> a", "a -> b", "b -> c", "c -> _outputs"];
    let plan = lower(&text("[\"x\"]", &nodes, &edges), &[]).plan;
    assert_eq!(parameters(&plan), 12);
    assert_eq!(plan.models[0].states.len(), 2);
    assert_eq!(op_names(&plan), ["linear"; 3]);
    let g = graph(&plan);
    let weights: Vec<_> = g
        .nodes()
        .filter(|node| g.op_name(*node) == "linear")
        .map(|node| g.operands(node)[1..].to_vec())
        .collect();
    assert!(weights.iter().all(|w| *w == weights[0]));
    assert_eq!(paths(&plan, "linear"), ["a", "b", "c"]);
}

#[test]
fn a_shared_batch_norm_goes_on_with_its_statistics() {
    let norm = r#"{"type": "__torch__.torch.nn.BatchNorm2d", "parameters": {"num_features": 4}}"#;
    let nodes = [("a", norm), ("b", SHARED)];
    let edges = ["_inputs 0 -> a", "a -> b", "b -> _outputs"];
    let plan = lower(&text("[\"x\"]", &nodes, &edges), &[]).plan;
    assert_eq!(plan.models[0].states.len(), 4);
    let g = graph(&plan);
    let norms: Vec<_> = g
        .nodes()
        .filter(|n| g.op_name(*n) == "batch_norm_train")
        .collect();
    let [first, second] = norms[..] else {
        panic!("two batch norms")
    };
    let (one, two) = (g.operands(first), g.operands(second));
    assert_eq!(one[1..3], two[1..3], "scale and shift are the same");
    assert_eq!(two[3..5], [g.result(first, 1), g.result(first, 2)]);
    let updates: Vec<Value> = g
        .outputs()
        .iter()
        .filter(|output| matches!(output.key, OutputKey::Update(_)))
        .map(|output| output.value)
        .collect();
    assert_eq!(updates, [g.result(second, 1), g.result(second, 2)]);
}

#[test]
fn a_shared_dropout_draws_the_next_occurrence() {
    let dropout =
        r#"{"type": "__torch__.torch.nn.Dropout", "parameters": {"p": 0.5, "inplace": false}}"#;
    let nodes = [("a", dropout), ("b", SHARED)];
    let edges = ["_inputs 0 -> a", "a -> b", "b -> _outputs"];
    let plan = lower(&text("[\"x\"]", &nodes, &edges), &[]).plan;
    let printed = print(&plan);
    for stream in ["stream(_, \"a\", 0)", "stream(_, \"a\", 1)"] {
        assert!(printed.contains(stream), "{printed}");
    }
    assert_eq!(paths(&plan, "dropout"), ["a", "b"]);
}

#[test]
fn two_instances_of_a_cell_have_their_own_states_and_a_shared_cell_has_not() {
    let cell = format!(
        r#""block": {{"nodes": {{"fc": {{"operation": {LINEAR}, "python_name": "one.fc"}}}},
        "edges": [{{"head": ["_inputs", 0], "tail": ["fc", null]}},
                  {{"head": ["fc", null], "tail": ["_outputs", 0]}}]}}"#
    );
    let block = r#"{"type": "_cell", "cell_name": "block"}"#;
    let shared = r#"{"type": "shared", "parameters": {"reference": "two"}}"#;
    let nodes = [("one", block), ("two", block), ("three", shared)];
    let edges = [
        "_inputs 0 -> one",
        "one -> two",
        "two 0 -> three",
        "three -> _outputs 0",
    ];
    let model = text("[\"x\"]", &nodes, &edges);
    let model = format!("{}, {cell}}}", model.strip_suffix('}').unwrap());
    let plan = lower(&model, &[]).plan;
    let states: Vec<&str> = plan.models[0]
        .states
        .iter()
        .map(|(path, _)| &**path)
        .collect();
    assert_eq!(
        states,
        [
            "one.fc.weight",
            "one.fc.bias",
            "two.fc.weight",
            "two.fc.bias"
        ]
    );
    assert_eq!(paths(&plan, "linear"), ["one.fc", "two.fc", "three.fc"]);
    assert_eq!(parameters(&plan), 24);
}

#[test]
fn softmax_without_an_axis_takes_pytorchs() {
    let softmax = |parameters: &str| {
        let operation =
            format!("{{\"type\": \"__torch__.torch.nn.Softmax\", \"parameters\": {parameters}}}");
        let edges = ["_inputs 0 -> a", "a -> _outputs"];
        let model = text("[\"x\"]", &[("a", &operation)], &edges);
        print(&lower(&model, &[]).plan)
    };
    assert!(softmax("{}").contains("{axis=1}"));
    assert!(softmax("{\"dim\": null}").contains("{axis=1}"));
    assert!(softmax("{\"dim\": -1}").contains("{axis=-1}"));
}

#[test]
fn what_nobody_knows_is_kept_and_told_at_once() {
    let mine =
        r#"{"type": "__torch__.mine.Mean", "parameters": {"k": [1, 2.5], "s": "a\nb", "n": null}}"#;
    let other = r#"{"type": "aten::fft_rfft"}"#;
    let split = r#"{"type": "mine::split"}"#;
    let three = r#"{"type": "prim::Constant", "parameters": {"type": "int", "value": 3}}"#;
    let nodes = [
        ("a", mine),
        ("b", mine),
        ("c", other),
        ("d", split),
        ("k", three),
    ];
    let edges = [
        "_inputs 0 -> a",
        "a -> b",
        "b -> c 0",
        "k -> c 1",
        "c -> d",
        "d 1 -> _outputs 0",
        "d 0 -> _outputs 1",
    ];
    let Imported { plan, notes } = lower(&text("[\"x\"]", &nodes, &edges), &[]);
    assert_eq!(op_names(&plan), ["custom"; 4]);
    let told: Vec<&str> = notes.iter().map(|note| &*note.place.message).collect();
    assert_eq!(
        told,
        [
            "nobody knows the operation `__torch__.mine.Mean`; it is kept as a `custom` op at `a`, `b`",
            "nobody knows the operation `aten::fft_rfft`; it is kept as a `custom` op at `c`",
            "nobody knows the operation `mine::split`; it is kept as a `custom` op at `d`",
        ]
    );
    assert!(
        notes
            .iter()
            .all(|n| n.kind == NoteKind::Unknown && n.place.help.is_some())
    );
    let printed = print(&plan);
    for kept in [
        r#"parameters="{\"k\":[1,2.5],\"s\":\"a\\nb\",\"n\":null}""#,
        "op=\"__torch__.mine.Mean\"",
        "arguments=\"1: the integer 3\"",
        "results=2",
    ] {
        assert!(printed.contains(kept), "{kept} in {printed}");
    }
    assert_eq!(parse(&Source::new("m", printed), &ops()).unwrap(), plan);
}

#[test]
fn what_has_no_part_in_the_computation_is_told() {
    let model = text(
        "[\"x\"]",
        &[("a", LINEAR)],
        &["_inputs 0 -> a", "a -> _outputs"],
    );
    let model = model.replacen(
        '{',
        r#"{"framework": "pytorch", "_evaluator": {"a": 1}, "_sample": null, "_mutators": [1], "colour": 3,"#,
        1,
    );
    let model = model.replace(
        "\"operation\":",
        "\"weight\": 3, \"label\": \"l\", \"operation\":",
    );
    let notes = lower(&model, &[]).notes;
    let told: Vec<(NoteKind, &str)> = notes.iter().map(|n| (n.kind, &*n.place.message)).collect();
    assert_eq!(
        told,
        [
            (
                NoteKind::Ignored,
                "`framework` has no part in the computation and is ignored"
            ),
            (
                NoteKind::Ignored,
                "`_evaluator` has no part in the computation and is ignored"
            ),
            (
                NoteKind::Unresolved,
                "`_mutators` is not empty: this is a space of models with choices still open, \
                 read as if they were none"
            ),
            (NoteKind::Ignored, "`colour` is not known and is ignored"),
            (
                NoteKind::Ignored,
                "`weight` of a node has no part in the computation"
            ),
        ]
    );
}

#[test]
fn lists_and_tuples_are_done_with_once_the_file_is_read() {
    let chunk = r#"{"type": "aten::chunk"}"#;
    let constant = |value: &str| {
        format!(
            "{{\"type\": \"prim::Constant\", \"parameters\": {{\"type\": \"int\", \"value\": {value}}}}}"
        )
    };
    let (two, one) = (constant("2"), constant("1"));
    let nodes = [
        ("two", &*two),
        ("one", &one),
        ("chunk", chunk),
        ("unpack", r#"{"type": "prim::ListUnpack"}"#),
        ("again", r#"{"type": "prim::ListConstruct"}"#),
        ("cat", r#"{"type": "aten::cat"}"#),
    ];
    let edges = [
        "_inputs 0 -> chunk 0",
        "two -> chunk 1",
        "one -> chunk 2",
        "chunk -> unpack",
        "unpack 1 -> again 0",
        "unpack 0 -> again 1",
        "again -> cat 0",
        "one -> cat 1",
        "cat -> _outputs",
    ];
    let model = text("[\"x\"]", &nodes, &edges);
    let plan = lower(&model, &[("x", batch(&[5]))]).plan;
    assert_eq!(op_names(&plan), ["slice", "slice", "concat"]);
    let g = graph(&plan);
    assert_eq!(g.ty(results(&plan)[0].1).to_string(), "f32[n, 5]");
    // The larger part comes first, and goes second.
    let concat = g.nodes().find(|n| g.op_name(*n) == "concat").unwrap();
    let sizes: Vec<String> = g
        .operands(concat)
        .iter()
        .map(|v| g.ty(*v).to_string())
        .collect();
    assert_eq!(sizes, ["f32[n, 2]", "f32[n, 3]"]);
}

#[test]
fn a_view_by_the_batch_needs_no_shape() {
    let constant = |value: &str| {
        format!(
            "{{\"type\": \"prim::Constant\", \"parameters\": {{\"type\": \"int\", \"value\": {value}}}}}"
        )
    };
    let (zero, rest) = (constant("0"), constant("-1"));
    let nodes = [
        ("zero", &*zero),
        ("rest", &rest),
        ("size", r#"{"type": "aten::size"}"#),
        ("list", r#"{"type": "prim::ListConstruct"}"#),
        ("view", r#"{"type": "aten::view"}"#),
    ];
    let edges = [
        "_inputs 0 -> size 0",
        "zero -> size 1",
        "size -> list 0",
        "rest -> list 1",
        "_inputs 0 -> view 0",
        "list -> view 1",
        "view -> _outputs",
    ];
    let model = text("[\"x\"]", &nodes, &edges);
    assert_eq!(op_names(&lower(&model, &[]).plan), ["flatten"]);
    let known = lower(&model, &[("x", batch(&[2, 3]))]).plan;
    assert_eq!(op_names(&known), ["reshape"]);
    assert_eq!(
        graph(&known).ty(results(&known)[0].1).to_string(),
        "f32[n, 6]"
    );
}
