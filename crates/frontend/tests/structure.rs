//! Paths, branches, parts and freezing.

mod common;

use common::{graph, lower, lower_in, mistake, op_names, output, states, try_lower};
use syncarp_ir::core_ops::INPUT;
use syncarp_ir::{DType, OutputKey, Plan, StateKind};

fn paths(plan: &Plan) -> Vec<&str> {
    plan.models[0]
        .states
        .iter()
        .map(|(path, _)| &**path)
        .collect()
}

/// The paths of states by kind.
fn of_kind(plan: &Plan, kind: StateKind) -> Vec<&str> {
    let of = |state: &syncarp_ir::State| plan.state(*state).kind == kind;
    plan.models[0]
        .states
        .iter()
        .filter(|(_, s)| of(s))
        .map(|(path, _)| &**path)
        .collect()
}

fn updates(plan: &Plan) -> usize {
    let update = |o: &&syncarp_ir::Output| matches!(o.key, OutputKey::Update(_));
    graph(plan).outputs().iter().filter(update).count()
}

#[test]
fn paths_are_names_or_places() {
    let plan = lower(
        "{ linear = 4 }, \"relu\", { branches = [[{ linear = 4 }, { linear = 4 }], [{ name = \"side\", \
         prelu = {} }]], join = \"add\" }, { name = \"head\", layers = [{ prelu = {} }, \
         { name = \"fc\", linear = { out = 2, bias = false } }] }",
        &[4],
    );
    assert_eq!(
        paths(&plan),
        [
            "0.weight",
            "0.bias",
            "2.0.0.weight",
            "2.0.0.bias",
            "2.0.1.weight",
            "2.0.1.bias",
            "2.1.side.weight",
            "head.0.weight",
            "head.fc.weight",
        ]
    );
    let graph = graph(&plan);
    let origin = |op: &str| {
        let node = graph.nodes().find(|n| graph.op_name(*n) == op).unwrap();
        let set = graph.provenance().set(graph.provenance_id(node));
        assert_eq!(set.len(), 1);
        graph.provenance().path(set[0].path).to_string()
    };
    assert_eq!(
        [origin("relu"), origin("add"), origin("prelu")],
        ["1", "2", "2.1.side"]
    );
}

#[test]
fn two_things_never_have_one_path() {
    let error = mistake("\"relu\", { name = \"0\", relu = {} }", &[4]);
    assert!(error.contains("two layers have the path `0`"), "{error}");
}

#[test]
fn branches_start_from_one_value_and_join() {
    let residual = lower("{ branches = [[\"relu\"], []], join = \"add\" }", &[4]);
    let g = graph(&residual);
    let add = g.nodes().find(|n| g.op_name(*n) == "add").unwrap();
    let [relu, x] = g.operands(add) else {
        panic!("two operands")
    };
    assert_eq!(g.op_name(g.def(*relu)), "relu");
    assert_eq!(g.op_name(g.def(*x)), INPUT);
    assert_eq!(output(&residual).to_string(), "f32[n, 4]");

    let concat = lower(
        "{ branches = [[{ reshape = [2, 6] }], [{ reshape = [3, 4] }, { reshape = [2, 6] }], \
         [{ reshape = [2, 6] }]], join = \"concat\", dim = -1 }",
        &[12],
    );
    assert_eq!(output(&concat).to_string(), "f32[n, 2, 18]");
    let gate = lower(
        "{ branches = [[], [{ mean = { dim = [2, 3], keep = true } }, \"sigmoid\"]], join = \"mul\" }",
        &[3, 4, 4],
    );
    assert_eq!(output(&gate).to_string(), "f32[n, 3, 4, 4]");
    assert_eq!(
        op_names(&lower("{ branches = [[\"relu\"]], join = \"add\" }", &[4])),
        ["relu"]
    );
}

#[test]
fn branches_that_do_not_fit_are_told_with_their_types() {
    let error = mistake(
        "\"relu\", { branches = [[{ view = [2, 2] }], []], join = \"add\" }",
        &[4],
    );
    assert!(
        error.contains("branch 0 of `1` gives f32[n, 2, 2], branch 1 gives f32[n, 4]"),
        "{error}"
    );
    assert!(error.starts_with("sweep.toml:4:19: "), "{error}");
    let error = mistake(
        "{ branches = [[{ view = [2, 2] }], []], join = \"concat\", dim = 1 }",
        &[4],
    );
    assert!(
        error.contains("cannot be joined") && error.contains("f32[n, 2, 2], f32[n, 4]"),
        "{error}"
    );
    let error = mistake("{ branches = [[], []], join = \"concat\", dim = -2 }", &[4]);
    assert!(error.contains("axis 0 is the batch"), "{error}");
}

#[test]
fn parts_have_prefixes() {
    let lowered = |block: &str| try_lower(block, DType::F32, &[4]).unwrap();
    let layers = "layers = [{ prelu = {} }]";
    assert_eq!(
        paths(&lowered(&format!("parts = [{{ {layers} }}]"))),
        ["0.weight"]
    );
    assert_eq!(
        paths(&lowered(&format!(
            "parts = [{{ name = \"only\", {layers} }}]"
        ))),
        ["only.0.weight"]
    );
    assert_eq!(
        paths(&lowered(&format!(
            "parts = [{{ {layers} }}, {{ name = \"b\", {layers} }}, {{ {layers} }}]"
        ))),
        ["part0.0.weight", "b.0.weight", "part2.0.weight"]
    );
    let error = try_lower(
        &format!("parts = [{{ {layers} }}, {{ name = \"part0\", {layers} }}]"),
        DType::F32,
        &[4],
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("two parts have the path `part0`")
    );
}

const NORMED: &str = "layers = [{ name = \"conv\", conv2d = { out = 4, kernel = 3 } }, \
     { name = \"bn\", batch-norm = {} }, { name = \"drop\", dropout = 0.5 }, \"flatten\", \
     { name = \"fc\", linear = 2 }]";

#[test]
fn freezing_everything_leaves_nothing_to_train_or_draw() {
    let plan = try_lower(
        &format!("{NORMED}\nfreeze = [\"*\"]"),
        DType::F32,
        &[1, 5, 5],
    )
    .unwrap();
    assert_eq!(of_kind(&plan, StateKind::Frozen).len(), plan.states.len());
    assert!(plan.states.iter().all(|s| s.owner.is_none()));
    assert_eq!(updates(&plan), 0);
    let names = op_names(&plan);
    assert_eq!(names, ["conv2d", "batch_norm_eval", "flatten", "linear"]);
    let graph = graph(&plan);
    let step = graph
        .nodes()
        .any(|n| graph.attrs(n).str("name").is_some_and(|s| &**s == "step"));
    assert!(!step, "nothing draws any more, so nothing needs the step");
    assert!(states(&plan)[0].starts_with("conv.weight: f32[4, 1, 3, 3] frozen Uniform"));
}

#[test]
fn freezing_by_pattern_takes_what_matches() {
    let frozen = |patterns: &str| {
        try_lower(
            &format!("{NORMED}\nfreeze = {patterns}"),
            DType::F32,
            &[1, 5, 5],
        )
        .unwrap()
    };
    let plan = frozen("[\"bn.*\"]");
    assert_eq!(
        of_kind(&plan, StateKind::Frozen),
        ["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"]
    );
    assert_eq!(
        op_names(&plan),
        ["conv2d", "batch_norm_eval", "dropout", "flatten", "linear"]
    );
    let plan = frozen("[\"drop\", \"conv.?e*\"]");
    assert_eq!(of_kind(&plan, StateKind::Frozen), ["conv.weight"]);
    assert_eq!(
        op_names(&plan),
        ["conv2d", "batch_norm_train", "flatten", "linear"]
    );
    assert_eq!(updates(&plan), 2);
    // Only some of the norm's states match: it goes on by the batch's statistics.
    let plan = frozen("[\"bn.running_mean\"]");
    assert_eq!(of_kind(&plan, StateKind::Frozen), ["bn.running_mean"]);
    assert!(op_names(&plan).contains(&"batch_norm_train"));
    assert_eq!(updates(&plan), 1);
    // Several patterns count together.
    let plan = frozen("[\"bn.w*\", \"bn.b*\", \"*.running_*\"]");
    assert!(op_names(&plan).contains(&"batch_norm_eval"));
}

#[test]
fn freezing_parameters_keeps_the_training_form() {
    let plan = try_lower(
        &format!("{NORMED}\nfreeze-parameters = [\"*\"]"),
        DType::F32,
        &[1, 5, 5],
    )
    .unwrap();
    assert_eq!(
        of_kind(&plan, StateKind::Frozen),
        [
            "conv.weight",
            "conv.bias",
            "bn.weight",
            "bn.bias",
            "fc.weight",
            "fc.bias"
        ]
    );
    assert_eq!(
        of_kind(&plan, StateKind::Buffer),
        ["bn.running_mean", "bn.running_var"]
    );
    assert_eq!(
        op_names(&plan),
        ["conv2d", "batch_norm_train", "dropout", "flatten", "linear"]
    );
    assert_eq!(updates(&plan), 2);
}

#[test]
fn freezing_stays_within_its_part() {
    let block = "parts = [{ freeze = [\"*\"], layers = [{ prelu = {} }, \"dropout\"] }, \
                 { layers = [{ prelu = {} }, \"dropout\"] }]";
    let plan = try_lower(block, DType::F32, &[4]).unwrap();
    assert_eq!(of_kind(&plan, StateKind::Frozen), ["part0.0.weight"]);
    assert_eq!(op_names(&plan), ["prelu", "prelu", "dropout"]);
}

#[test]
fn patterns_that_match_nothing_are_mistakes() {
    let told = |freeze: &str| {
        let block =
            format!("layers = [{{ name = \"a\", prelu = {{}} }}, \"dropout\", \"relu\"]\n{freeze}");
        try_lower(&block, DType::F32, &[4]).unwrap_err().to_string()
    };
    let error = told("freeze = [\"a.*\", \"b.*\"]");
    assert!(
        error.contains("`freeze` pattern `b.*` matches nothing"),
        "{error}"
    );
    assert!(
        error.contains("there are: a.weight") && error.starts_with("sweep.toml:5:18"),
        "{error}"
    );
    assert!(
        told("freeze = [\"2\"]").contains("`2` matches nothing"),
        "a relu cannot be frozen"
    );
    let error = told("freeze-parameters = [\"1\"]");
    assert!(
        error.contains("`freeze-parameters` pattern `1` matches nothing"),
        "{error}"
    );
}

#[test]
fn the_input_is_x_or_the_first_that_is_no_target() {
    let column = |name: &str, dims: &[u64]| (name.to_owned(), DType::F32, dims.to_vec());
    let lowered =
        |columns: &[_]| lower_in(std::path::Path::new("."), "layers = [\"relu\"]", columns);
    let plan = lowered(&[column("a", &[2]), column("x", &[3])]).unwrap();
    assert_eq!(output(&plan).to_string(), "f32[n, 3]");
    let plan = lowered(&[column("y", &[2]), column("b", &[4])]).unwrap();
    assert_eq!(output(&plan).to_string(), "f32[n, 4]");
    let error = lowered(&[column("y", &[2])]).unwrap_err().to_string();
    assert_eq!(error, "the data has no input column; there are: y");
}

#[test]
fn without_data_types_stay_unknown_and_sizes_must_be_written() {
    let unbound = |layers: &str| {
        lower_in(
            std::path::Path::new("."),
            &format!("layers = [{layers}]"),
            &[],
        )
    };
    let plan = unbound("\"flatten\", { linear = { out = 3, in = 5 } }, \"relu\"").unwrap();
    assert_eq!(
        states(&plan)[0],
        format!(
            "1.weight: f32[3, 5] trainable Uniform(-{0:?}, {0:?})",
            1.0 / 5f64.sqrt()
        )
    );
    let error = unbound("{ linear = 3 }").unwrap_err().to_string();
    assert!(
        error.contains("`in_features` is not known from axis -1; write it down"),
        "{error}"
    );
}
