//! Model graphs in NNI's JSON as parts of a sweep's models.

mod common;

use std::fs;
use std::path::Path;

use common::{graph, lower_in, op_names, output, states};
use syncarp_ir::{DType, Plan};
use tempfile::TempDir;

fn folder(names: &[&str]) -> TempDir {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/nni/ir");
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        let name = format!("{name}.json");
        fs::write(
            folder.path().join(&name),
            fs::read(goldens.join(&name)).unwrap(),
        )
        .unwrap();
    }
    folder
}

fn columns(names: &[(&str, u64)]) -> Vec<(String, DType, Vec<u64>)> {
    let column = |(name, size): &(&str, u64)| ((*name).to_owned(), DType::F32, vec![*size]);
    names.iter().map(column).collect()
}

/// For each linear layer, the state of its weight and the name of the input that it reads, if any.
fn reads(plan: &Plan) -> Vec<(String, String)> {
    let graph = graph(plan);
    let linear = graph
        .nodes()
        .filter(|node| graph.op_name(*node) == "linear");
    let read = |node| {
        let of = graph
            .attrs(graph.def(graph.operands(node)[1]))
            .state("of")
            .unwrap();
        let states = &plan.models[0].states;
        let (path, _) = states.iter().find(|(_, state)| *state == of).unwrap();
        let from = graph.attrs(graph.def(graph.operands(node)[0])).str("name");
        let from = from.map_or_else(|| "a node".to_owned(), |name| name.to_string());
        (path.to_string(), from)
    };
    linear.map(read).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    expected.iter().map(owned).collect()
}

#[test]
fn a_file_alone_and_between_lists_of_layers() {
    let folder = folder(&["modulelist_loop"]);
    let alone = lower_in(
        folder.path(),
        "file = \"modulelist_loop.json\"",
        &columns(&[("x", 3)]),
    );
    let alone = alone.unwrap();
    assert_eq!(states(&alone).len(), 6);
    assert_eq!(alone.models[0].states[0].0.as_ref(), "ls.0.weight");
    let block = "parts = [{ layers = [{ linear = 3 }] }, \
                 { name = \"nni\", file = \"modulelist_loop.json\" }, { layers = [{ linear = 7 }] }]";
    let plan = lower_in(folder.path(), block, &columns(&[("x", 5)])).unwrap();
    assert_eq!(output(&plan).to_string(), "f32[n, 7]");
    let paths: Vec<&str> = plan.models[0]
        .states
        .iter()
        .map(|(path, _)| &**path)
        .collect();
    assert_eq!(
        paths[..3],
        ["part0.0.weight", "part0.0.bias", "nni.ls.0.weight"]
    );
    assert_eq!(op_names(&plan)[1], "linear");
}

#[test]
fn two_inputs_take_columns_by_name_or_in_order() {
    let folder = folder(&["two_inputs"]);
    let lowered = |block: &str, names: &[(&str, u64)]| {
        lower_in(folder.path(), block, &columns(names)).unwrap_or_else(|error| panic!("{error}"))
    };
    let file = "file = \"two_inputs.json\"";
    for (names, expected) in [
        // Those of other names in order.
        (["u", "v"], [("a.weight", "u"), ("b.weight", "v")]),
        // Both by name, whatever their order.
        (
            ["y__1", "x__1"],
            [("a.weight", "x__1"), ("b.weight", "y__1")],
        ),
        // One by name, the other the one that is left.
        (["x", "x__1"], [("a.weight", "x__1"), ("b.weight", "x")]),
        (["y__1", "x"], [("a.weight", "x"), ("b.weight", "y__1")]),
    ] {
        let plan = lowered(file, &names.map(|name| (name, 3)));
        assert_eq!(reads(&plan), pairs(&expected), "{names:?}");
        assert_eq!(output(&plan).to_string(), "f32[n, 4]");
    }
    // After other layers the first input is what comes from them.
    let block =
        "parts = [{ layers = [{ linear = 3 }] }, { name = \"m\", file = \"two_inputs.json\" }]";
    let plan = lowered(block, &[("u", 5), ("v", 3)]);
    let expected = [
        ("part0.0.weight", "u"),
        ("m.a.weight", "a node"),
        ("m.b.weight", "v"),
    ];
    assert_eq!(reads(&plan), pairs(&expected));
    let error = lower_in(folder.path(), file, &columns(&[("x", 3)])).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("reads `y__1`, which the data does not have"),
        "{error}"
    );
}

#[test]
fn of_several_results_the_first_goes_on() {
    let folder = folder(&["two_outputs_tuple"]);
    let block = "parts = [{ file = \"two_outputs_tuple.json\" }, { layers = [{ linear = 2 }] }]";
    let plan = lower_in(folder.path(), block, &columns(&[("x", 3)])).unwrap();
    assert_eq!(op_names(&plan), ["linear", "linear"]);
}

#[test]
fn shapes_come_with_the_data() {
    let folder = folder(&[]);
    let constant = |value: i64| {
        format!(
            r#"{{"operation": {{"type": "prim::Constant", "parameters": {{"value": {value}}}}}}}"#
        )
    };
    let op = |kind: &str| format!(r#"{{"operation": {{"type": "{kind}"}}}}"#);
    // `x.view(-1, 6)`, which nobody can type without knowing x.
    let text = format!(
        r#"{{"_model": {{"nodes": {{"rest": {}, "six": {}, "list": {}, "view": {}}}, "edges": [
            {{"head": ["rest", null], "tail": ["list", 0]}}, {{"head": ["six", null], "tail": ["list", 1]}},
            {{"head": ["_inputs", 0], "tail": ["view", 0]}}, {{"head": ["list", null], "tail": ["view", 1]}},
            {{"head": ["view", null], "tail": ["_outputs", 0]}}]}}}}"#,
        constant(-1),
        constant(6),
        op("prim::ListConstruct"),
        op("aten::view"),
    );
    fs::write(folder.path().join("view.json"), text).unwrap();
    let block = "file = \"view.json\"";
    let data = vec![("x".to_owned(), DType::F32, vec![2, 3])];
    let plan = lower_in(folder.path(), block, &data).unwrap();
    assert_eq!(output(&plan).to_string(), "f32[n, 6]");
    let other = vec![("x".to_owned(), DType::F32, vec![4, 3])];
    let plan = lower_in(folder.path(), block, &other).unwrap();
    assert_eq!(output(&plan).to_string(), "f32[2*n, 6]");
    let error = lower_in(folder.path(), block, &[]).unwrap_err();
    assert!(
        error.to_string().contains("the shape has to be known"),
        "{error}"
    );
}

#[test]
fn what_nobody_knows_cannot_be_trained() {
    let folder = folder(&[]);
    let text = r#"{"_model": {"nodes": {"a": {"operation": {"type": "mine::op"}}}, "edges": [
        {"head": ["_inputs", 0], "tail": ["a", null]}, {"head": ["a", null], "tail": ["_outputs", 0]}]}}"#;
    fs::write(folder.path().join("odd.json"), text).unwrap();
    let error = lower_in(folder.path(), "file = \"odd.json\"", &columns(&[("x", 3)])).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("odd.json:1:51: nobody knows the operation `mine::op`"),
        "{text}"
    );
}

#[test]
fn a_file_freezes_like_any_part() {
    let folder = folder(&["mnist_pytorch"]);
    let block = "parts = [{ name = \"m\", file = \"mnist_pytorch.json\", freeze = [\"stem.*\"] }]";
    let data = vec![("x".to_owned(), DType::F32, vec![1, 28, 28])];
    let plan = lower_in(folder.path(), block, &data).unwrap();
    let frozen = states(&plan);
    let frozen: Vec<&str> = frozen
        .iter()
        .filter(|state| state.contains(" frozen "))
        .filter_map(|state| state.split(':').next())
        .collect();
    assert_eq!(
        frozen,
        [
            "m.stem.conv1.weight",
            "m.stem.conv1.bias",
            "m.stem.conv2.weight",
            "m.stem.conv2.bias"
        ]
    );
}
