//! Model graphs in NNI's JSON that are wrong, cut off or meant to do harm.

mod common;

use std::path::Path;

use common::ops;
use proptest::prelude::*;
use syncarp_diag::Source;
use syncarp_frontend::nni::{Imported, ModelFile};
use syncarp_frontend::{FrontendError, LayerRegistry};

fn import(text: &str) -> Result<Imported, FrontendError> {
    ModelFile::parse(Source::new("m.json", text))?.lower(
        "m",
        &ops(),
        &LayerRegistry::standard(),
        &[],
    )
}

fn mistake(text: &str) -> String {
    match import(text) {
        Ok(_) => panic!("no mistake: {text}"),
        Err(error) => {
            assert!(error.located().is_some(), "no place: {error}");
            error.to_string()
        }
    }
}

const RELU: &str = r#"{"operation": {"type": "__torch__.torch.nn.ReLU"}}"#;

/// A model of two relus, a and b, and these edges.
fn wired(edges: &str) -> String {
    format!(
        "{{\"_model\": {{\"nodes\": {{\"a\": {RELU}, \"b\": {RELU}}},\n\"edges\": [{edges}]}}}}"
    )
}

/// A model of one operation.
fn single(operation: &str) -> String {
    format!(
        r#"{{"_model": {{"nodes": {{"a": {{"operation": {operation}}}}},
"edges": [{{"head": ["_inputs", 0], "tail": ["a", null]}}, {{"head": ["a", null], "tail": ["_outputs", null]}}]}}}}"#
    )
}

fn edge(head: &str, tail: &str) -> String {
    format!("{{\"head\": [{head}], \"tail\": [{tail}]}}")
}

#[test]
fn wrong_shapes_of_the_file_are_told_at_their_place() {
    for (text, message) in [
        ("", "m.json:1:1: no sound JSON"),
        ("[]", "m.json:1:1: the file is an array; expected an object"),
        ("{}", "there is no graph `_model`"),
        (
            r#"{"root": "m", "graphs": {"a": {"nodes": {}}}}"#,
            "m.json:1:10: there is no graph `m`",
        ),
        (
            r#"{"graphs": 3}"#,
            "m.json:1:12: `graphs` is an integer; expected an object",
        ),
        (
            r#"{"_model": {"edges": []}}"#,
            "m.json:1:2: the graph `_model` has no `nodes`",
        ),
        (
            r#"{"_model": {"nodes": {}}, "cell": {"edges": []}}"#,
            "the graph `cell` has no `nodes`",
        ),
        (r#"{"_model": 1}"#, "the graph `_model` is an integer"),
        (
            r#"{"_model": {"nodes": []}}"#,
            "`nodes` is an array; expected an object",
        ),
        (
            r#"{"_model": {"nodes": {"a": {}}}}"#,
            "m.json:1:23: the node `a` has no `operation`",
        ),
        (
            r#"{"_model": {"nodes": {"a": {"operation": {}}}}}"#,
            "the operation of `a` has no `type`",
        ),
        (
            r#"{"_model": {"nodes": {"_inputs": {"operation": {"type": "x"}}}}}"#,
            "the node `_inputs` has the name of a pseudo node",
        ),
        (
            r#"{"_model": {"nodes": {"a": {}, "a": {}}}}"#,
            "m.json:1:32: the key `a` is there twice",
        ),
        (
            r#"{"_model": {"inputs": ["x", "x"], "nodes": {}}}"#,
            "two inputs have one name",
        ),
        (
            r#"{"_model": {"inputs": ["step"], "nodes": {}}}"#,
            "cannot be called `step`",
        ),
        (
            r#"{"_model": {"inputs": "x", "nodes": {}}}"#,
            "`inputs` is a string; expected an array",
        ),
        (
            r#"{"_model": {"nodes": {}, "edges": []}}"#,
            "the model gives nothing back",
        ),
    ] {
        let error = mistake(text);
        assert!(error.contains(message), "{text}: {error}");
    }
}

#[test]
fn edges_that_lead_nowhere_are_told_at_their_place() {
    let out = edge("\"b\", null", "\"_outputs\", null");
    let (a, b) = (
        edge("\"_inputs\", 0", "\"a\", null"),
        edge("\"a\", null", "\"b\", null"),
    );
    for (edges, message) in [
        (
            edge("\"c\", 0", "\"a\", 0"),
            "m.json:2:21: the graph `_model` has no node `c`",
        ),
        (
            edge("\"_outputs\", 0", "\"a\", 0"),
            "`_outputs` cannot be a head",
        ),
        (
            edge("\"a\", 0", "\"_inputs\", 0"),
            "`_inputs` cannot be a tail",
        ),
        (edge("\"a\", -1", "\"b\", 0"), "there is no slot -1"),
        (
            edge("\"a\", 1.5", "\"b\", 0"),
            "the slot of an edge is a number that is no 64-bit integer",
        ),
        (edge("\"a\"", "\"b\", 0"), "an end of an edge has 1 items"),
        (
            edge("3, 0", "\"b\", 0"),
            "the node of an edge is an integer",
        ),
        (
            "{\"head\": [\"a\", 0]}".to_owned(),
            "an edge without `tail`",
        ),
        (format!("{a}, {a}"), "two edges go to all of `a`"),
        (
            format!("{a}, {}", edge("\"_inputs\", 0", "\"a\", 0")),
            "an edge goes to all of `a`, others to its slots",
        ),
        (
            edge("\"_inputs\", 0", "\"a\", 1"),
            "nothing goes to slot 0 of `a`",
        ),
        (
            [
                edge("\"_inputs\", 0", "\"a\", 0"),
                edge("\"_inputs\", 0", "\"a\", 0"),
            ]
            .join(", "),
            "slot 0 of `a` is filled twice",
        ),
        (
            edge("\"a\", 4294967295", "\"b\", 0"),
            "a head has at most 1024 slots",
        ),
        (
            edge("\"_inputs\", 99999", "\"b\", 0"),
            "a head has at most 1024 slots",
        ),
        (
            format!("{b}, {}, {out}", edge("\"b\", null", "\"a\", null")),
            "m.json:1:23: the node `a` takes from itself, round a cycle",
        ),
        (
            format!("{a}, {}, {out}", edge("\"a\", 1", "\"b\", null")),
            "there is no slot 1: it gives 1 values",
        ),
    ] {
        let error = mistake(&wired(&edges));
        assert!(error.contains(message), "{edges}: {error}");
    }
    let error = mistake(&wired(&edge("\"aa\", 0", "\"a\", 0")));
    assert!(error.contains("= did you mean `a`?"), "{error}");
}

#[test]
fn operations_that_do_not_fit_are_told_at_their_place() {
    for (operation, message) in [
        (
            r#"{"type": "__torch__.torch.nn.Linear", "parameters": {"in_features": 3}}"#,
            "`Linear` has no `out_features`",
        ),
        (
            r#"{"type": "__torch__.torch.nn.Linear", "parameters": {"out_features": 3}}"#,
            "`in_features` is not known from axis -1; write it down",
        ),
        (
            r#"{"type": "__torch__.torch.nn.Linear", "parameters": {"in_features": 1e300, "out_features": 3}}"#,
            "`in_features` of `Linear`",
        ),
        (
            r#"{"type": "__torch__.torch.nn.Linear", "parameters": {"in_features": "3", "out_features": 3}}"#,
            "m.json:1:110: `in_features` of `Linear`",
        ),
        (
            r#"{"type": "__torch__.torch.nn.Linear", "parameters": {"in_feature": 3, "out_features": 3}}"#,
            "did you mean `in_features`?",
        ),
        (
            r#"{"type": "__torch__.torch.nn.Conv2d", "parameters": {"in_channels": 3, "out_channels": 3, "kernel_size": 3, "padding_mode": "reflect"}}"#,
            "the padding is of zeros here",
        ),
        (
            r#"{"type": "__torch__.torch.nn.BatchNorm2d", "parameters": {"num_features": 3, "momentum": null}}"#,
            "`momentum` of `BatchNorm2d` cannot be null",
        ),
        (
            r#"{"type": "__torch__.torch.nn.BatchNorm2d", "parameters": {"num_features": 3, "track_running_stats": false}}"#,
            "evaluation needs running statistics here",
        ),
        (
            r#"{"type": "__torch__.torch.nn.Linear", "parameters": {"in_features": 3, "out_features": 3, "device": "cuda"}}"#,
            "placement decides where a model runs",
        ),
        (
            r#"{"type": "__torch__.torch.nn.AdaptiveAvgPool2d", "parameters": {"output_size": [1, null]}}"#,
            "holds a null",
        ),
        (r#"{"type": "_cell"}"#, "a cell without a `cell_name`"),
        (
            r#"{"type": "_cell", "cell_name": "b"}"#,
            "there is no graph `b` for this cell",
        ),
        (
            r#"{"type": "_cell", "cell_name": "_model"}"#,
            "the cell `_model` holds itself",
        ),
        (r#"{"type": "shared"}"#, "`shared` without a `reference`"),
        (
            r#"{"type": "shared", "parameters": {"reference": "b"}}"#,
            "no node `b` to be shared",
        ),
        (
            r#"{"type": "shared", "parameters": {"reference": "a"}}"#,
            "leads from one shared node to the next",
        ),
        (
            r#"{"type": "prim::Constant", "parameters": {"value": 3}}"#,
            "takes no operand",
        ),
        (
            r#"{"type": "prim::TupleUnpack"}"#,
            "takes a list apart, but gets a tensor",
        ),
        (
            r#"{"type": "aten::flatten", "parameters": {}}"#,
            "the shape has to be known here",
        ),
        (
            r#"{"type": "aten::add"}"#,
            "does not take (a tensor); it is called as aten::add.Tensor(",
        ),
        (
            r#"{"type": "aten::size"}"#,
            "the shape has to be known here",
        ),
        (r#"{"type": 3}"#, "`type` is an integer; expected a string"),
    ] {
        if operation.contains("aten::flatten") {
            // A flattening needs no shape.
            assert!(import(&single(operation)).is_ok());
            continue;
        }
        let error = mistake(&single(operation));
        assert!(error.contains(message), "{operation}: {error}");
    }
}

#[test]
fn a_whole_message_shows_the_place() {
    let text = single(r#"{"type": "aten::dropout"}"#);
    assert_eq!(
        mistake(&text),
        "m.json:1:51: `aten::dropout` at `a`: gets no `p`; it is called as \
         aten::dropout(Tensor input, float p, bool train) -> Tensor\n  \
         | {\"_model\": {\"nodes\": {\"a\": {\"operation\": {\"type\": \"aten::dropout\"}}},\n  \
         |                                                   ^^^^^^^^^^^^^^^"
    );
}

/// A file in which each cell holds the next one several times.
fn nested(depth: usize, times: usize) -> String {
    let graph = |name: &str, next: &str| {
        let nodes = (0..times).map(|i| {
            format!(
                "\"n{i}\": {{\"operation\": {{\"type\": \"_cell\", \"cell_name\": \"{next}\"}}}}"
            )
        });
        let nodes: Vec<String> = nodes.collect();
        format!(
            "\"{name}\": {{\"nodes\": {{{}}}, \"edges\": []}}",
            nodes.join(",")
        )
    };
    let mut graphs = vec![graph("_model", "c0")];
    graphs.extend((0..depth).map(|i| graph(&format!("c{i}"), &format!("c{}", i + 1))));
    graphs.push(format!("\"c{depth}\": {{\"nodes\": {{\"r\": {RELU}}}}}"));
    format!("{{{}}}", graphs.join(",\n"))
}

#[test]
fn nesting_does_not_blow_up() {
    assert!(mistake(&nested(40, 10)).contains("nodes, more than 262144"));
    assert!(mistake(&nested(1000, 1)).contains("cells nest more than 64 deep"));
    // A cell that is reached by a short way first and by a long one later.
    let mut chain = nested(60, 1);
    let second = r#""x": {"operation": {"type": "_cell", "cell_name": "c55"}}, "n0""#;
    chain = chain.replacen("\"n0\"", second, 1);
    assert!(mistake(&chain).contains("nothing back"));
    let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    assert!(mistake(&deep).contains("nests more than"));
}

#[test]
fn lists_do_not_blow_up() {
    // Every tuple holds the last one twice.
    let mut nodes = String::new();
    let mut edges = String::new();
    let mut last = "_inputs".to_owned();
    for i in 0..60 {
        nodes += &format!("\"t{i}\": {{\"operation\": {{\"type\": \"prim::TupleConstruct\"}}}},");
        for slot in 0..2 {
            let head = if i == 0 { "0" } else { "null" };
            edges += &edge(&format!("\"{last}\", {head}"), &format!("\"t{i}\", {slot}"));
            edges.push(',');
        }
        last = format!("t{i}");
    }
    for (count, message) in [
        (12, "more than 1024 results"),
        (60, "nests at most 16 deep"),
    ] {
        let model = format!(
            "{{\"_model\": {{\"nodes\": {{{}}}, \"edges\": [{edges}{}]}}}}",
            nodes.trim_end_matches(','),
            edge(&format!("\"t{}\", null", count - 1), "\"_outputs\", null")
        );
        // A longer chain is refused whatever is given back.
        let model = if count == 12 {
            shortened(&model, 12)
        } else {
            model
        };
        assert!(mistake(&model).contains(message), "{}", mistake(&model));
    }
}

/// The model without tuples from this one on.
fn shortened(model: &str, count: usize) -> String {
    let value: serde_json::Value = serde_json::from_str(model).unwrap();
    let mut value = value;
    let beyond = |name: &str| {
        name.strip_prefix('t')
            .and_then(|n| n.parse().ok())
            .is_some_and(|n: usize| n >= count)
    };
    let graph = &mut value["_model"];
    let nodes = graph["nodes"].as_object_mut().unwrap();
    nodes.retain(|name, _| !beyond(name));
    let edges = graph["edges"].as_array_mut().unwrap();
    edges.retain(|edge| !beyond(edge["tail"][0].as_str().unwrap()));
    value.to_string()
}

#[test]
fn long_paths_and_long_names_are_refused() {
    let name = "n".repeat(2000);
    let model =
        single(r#"{"type": "__torch__.torch.nn.ReLU"}"#).replace("\"a\"", &format!("\"{name}\""));
    let error = mistake(&model);
    assert!(error.contains("more than 1024 bytes"));
    let wide: Vec<String> = (0..3000)
        .map(|i| edge("\"_inputs\", 0", &format!("\"a\", {i}")))
        .collect();
    let model = format!(
        r#"{{"_model": {{"nodes": {{"a": {{"operation": {{"type": "mine"}}}}}}, "edges": [{}]}}}}"#,
        wide.join(",")
    );
    assert!(mistake(&model).contains("too many operands"));
}

fn golden(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/nni/ir");
    std::fs::read_to_string(root.join(format!("{name}.json"))).unwrap()
}

#[test]
fn a_file_cut_off_anywhere_is_a_mistake_with_a_place() {
    for name in ["mnist_pytorch", "two_outputs_tuple"] {
        let text = golden(name);
        for end in 0..text.trim_end().len() {
            let error = mistake(&text[..end]);
            assert!(
                error.contains("no sound JSON: EOF"),
                "{name} to {end}: {error}"
            );
        }
    }
}

/// The recorded files in one line, so that a few changes hit something.
fn recorded() -> impl Strategy<Value = String> {
    let names = [
        "mnist_pytorch",
        "residual",
        "two_inputs",
        "two_outputs_tuple",
        "modulelist_loop",
    ];
    prop::sample::select(names.to_vec()).prop_map(golden)
}

/// Pieces that stand where others stood.
const PIECES: [&str; 24] = [
    "null",
    "0",
    "1",
    "-1",
    "4294967296",
    "9223372036854775807",
    "1e308",
    "1e999",
    "true",
    "\"\"",
    "\"a\"",
    "\"_inputs\"",
    "\"_outputs\"",
    "\"_cell\"",
    "\"stem\"",
    "\"shared\"",
    "[]",
    "{}",
    ",",
    "\"aten::cat\"",
    "\"prim::ListConstruct\"",
    "\"é\\u0000\"",
    "[[[[1]]]]",
    "\"_model\"",
];

/// The places of tokens in a text of JSON.
fn tokens(text: &str) -> Vec<std::ops::Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += 1;
                }
                at = (at + 1).min(bytes.len());
            }
            b if b.is_ascii_alphanumeric() || b == b'-' => {
                let of_number = |b: &u8| b.is_ascii_alphanumeric() || b"-.+".contains(b);
                while bytes.get(at).is_some_and(of_number) {
                    at += 1;
                }
            }
            _ => at += 1,
        }
        if !bytes[start].is_ascii_whitespace() {
            found.push(start..at);
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn changed_files_are_models_or_mistakes_with_a_place(
        text in recorded(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4),
    ) {
        let mut text = text;
        for (place, how, piece, other) in changes {
            let tokens = tokens(&text);
            if tokens.is_empty() {
                break;
            }
            let at = place.get(&tokens).clone();
            let new = match how {
                0 => PIECES[piece.index(PIECES.len())].to_owned(),
                1 => String::new(),
                2 => text[other.get(&tokens).clone()].to_owned(),
                _ => format!("{} {}", &text[at.clone()], PIECES[piece.index(PIECES.len())]),
            };
            text.replace_range(at, &new);
        }
        match import(&text) {
            Ok(imported) => {
                let printed = syncarp_ir::print(&imported.plan);
                let again = syncarp_ir::parse(&Source::new("again", printed), &ops()).unwrap();
                prop_assert_eq!(again, imported.plan);
            }
            Err(error) => prop_assert!(error.located().is_some(), "{}", error),
        }
    }

    #[test]
    fn damaged_bytes_never_panic(text in recorded(), at in any::<prop::sample::Index>(), byte in 0x20u8..0x7f) {
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let text = String::from_utf8(bytes).unwrap();
        if let Err(error) = import(&text) {
            prop_assert!(error.located().is_some(), "{}", error);
        }
    }
}
