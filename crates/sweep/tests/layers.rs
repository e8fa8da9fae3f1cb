//! Layers: substitution, repeats, conditions, branches, names, and reading arguments.

use syncarp_diag::Source;
use syncarp_sweep::{Args, Join, LayerNode, Part, PartBody, Spanned, Sweep, Value};

fn sweep(block: &str) -> Sweep {
    let text = format!(
        "evaluator = {{ loss = \"mse\", optimizer = \"sgd\", epochs = 1 }}\n[[model]]\n{block}\n"
    );
    Sweep::parse(Source::new("s", text), ".").unwrap_or_else(|error| panic!("{error}"))
}

fn layers(part: &Part) -> &[LayerNode] {
    match &part.body {
        PartBody::Layers(layers) => layers,
        PartBody::File(file) => panic!("{file:?} is a file"),
    }
}

/// The layers of the first model in one line.
fn shown(block: &str) -> String {
    show(layers(&sweep(block).models[0].parts[0]))
}

fn show(nodes: &[LayerNode]) -> String {
    let shown: Vec<String> = nodes
        .iter()
        .map(|node| {
            let name = node
                .name()
                .map(|name| format!("{}:", name.value))
                .unwrap_or_default();
            let node = match node {
                LayerNode::Layer { kind, args, .. } => {
                    let positional = args
                        .positional
                        .as_ref()
                        .map(|value| value.value.to_string());
                    let named = args
                        .named
                        .iter()
                        .map(|(k, v)| format!("{}={}", k.value, v.value));
                    let args: Vec<String> = positional.into_iter().chain(named).collect();
                    format!("{}({})", kind.value, args.join(","))
                }
                LayerNode::Branches { branches, join, .. } => {
                    let branches: Vec<String> = branches.iter().map(|b| show(b)).collect();
                    let join = match join {
                        Join::Add => "add".to_owned(),
                        Join::Mul => "mul".to_owned(),
                        Join::Concat { dim } => format!("concat{dim}"),
                    };
                    format!("{join}<{}>", branches.join("|"))
                }
                LayerNode::Sequence { layers, .. } => format!("[{}]", show(layers)),
            };
            format!("{name}{node}")
        })
        .collect();
    shown.join(" ")
}

#[test]
fn all_forms_of_a_layer() {
    assert_eq!(
        shown(
            r#"layers = ["flatten", { linear = 10 }, { linear = { out = 3, bias = false } },
            { view = [2, 3] }, { name = "head", Linear = { out_features = 10 } }, { relu = {} }]"#
        ),
        "flatten() linear(10) linear(out=3,bias=false) view([2, 3]) head:Linear(out_features=10) relu()"
    );
}

#[test]
fn repeats_are_written_out_and_count_from_zero() {
    assert_eq!(
        shown(r#"layers = [{ repeat = 3, layers = [{ linear = "${8 * 2 ** i}" }, "relu"] }]"#),
        "linear(8) relu() linear(16) relu() linear(32) relu()"
    );
    assert_eq!(
        shown(r#"layers = ["a", { repeat = 0, layers = ["b"] }]"#),
        "a()"
    );
}

#[test]
fn the_innermost_index_wins_unless_it_has_another_name() {
    assert_eq!(
        shown(r#"layers = [{ repeat = 2, layers = [{ repeat = 2, layers = [{ f = "${i}" }] }] }]"#),
        "f(0) f(1) f(0) f(1)"
    );
    assert_eq!(
        shown(
            r#"layers = [{ repeat = 2, as = "k", layers = [{ repeat = "${k + 1}", layers =
            [{ f = "${k}${i}" }] }, { g = "${k}" }] }]"#
        ),
        "f(00) g(0) f(10) f(11) g(1)"
    );
}

#[test]
fn conditions_take_or_leave_layers_groups_and_branches() {
    let block = |flag: bool| {
        shown(&format!(
            r#"settings.bn = {flag}
            layers = [{{ when = "${{bn}}", layers = ["a", "b"] }}, {{ c = 1, when = "${{not bn}}" }},
            {{ when = "${{bn}}", branches = [["d"], []], join = "add" }}]"#
        ))
    };
    assert_eq!(block(true), "a() b() add<d()|>");
    assert_eq!(block(false), "c(1)");
    assert_eq!(
        shown(r#"layers = [{ repeat = 4, when = "${i % 2 == 1}", layers = [{ f = "${i}" }] }]"#),
        "f(1) f(3)"
    );
}

#[test]
fn branches_join() {
    assert_eq!(
        shown(
            r#"layers = [{ name = "res", branches = [["a", { b = 1 }], []], join = "add" },
            { branches = [["c"]], join = "concat", dim = -1 }]"#
        ),
        "res:add<a() b(1)|> concat-1<c()>"
    );
}

#[test]
fn a_named_group_is_a_sequence_of_its_own() {
    assert_eq!(
        shown(
            r#"layers = [{ repeat = 2, name = "block${i}", layers = [{ name = "f", linear = 3 }] },
            { name = "end", layers = [] }]"#
        ),
        "block0:[f:linear(3)] block1:[f:linear(3)] end:[]"
    );
}

#[test]
fn substitution_keeps_types_and_formats_inside_texts() {
    let kinds: Vec<&str> = {
        let sweep = sweep(
            r#"settings.n = 3
            settings.x = 0.5
            settings.b = true
            settings.s = "relu"
            settings.l = [[1, 2]]
            layers = ["${s}", { f = { a = "${n}", b = "${x}", c = "${b}", d = "${s}", e = "${l}",
            f = "n${n}x${x}b${b}s${s}l${l}", g = { h = ["${n + 1}", "$${n}"] } } }]"#,
        );
        assert_eq!(
            show(layers(&sweep.models[0].parts[0])),
            "relu() f(a=3,b=0.5,c=true,d=relu,e=[1, 2],f=n3x0.5btruesrelul[1, 2],g={ h = [4, ${n}] })"
        );
        match &layers(&sweep.models[0].parts[0])[1] {
            LayerNode::Layer { args, .. } => {
                args.named.iter().map(|(_, v)| v.value.kind()).collect()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        kinds,
        [
            "an integer",
            "a float",
            "a boolean",
            "a string",
            "an array",
            "a string",
            "a table"
        ]
    );
}

#[test]
fn a_dollar_escape_counts_where_nothing_else_is_substituted() {
    assert_eq!(
        shown(r#"layers = [{ f = ["$${n}", "$"] }, "g"]"#),
        "f([${n}, $]) g()"
    );
}

#[test]
fn layers_and_files_directly_in_a_model_are_one_part() {
    let sweep = sweep(
        "settings.v = 2\nfile = \"net${v}.syn\"\nfreeze = [\"a*\"]\nfreeze-parameters = \"b\"",
    );
    let part = &sweep.models[0].parts[0];
    assert_eq!(sweep.models[0].parts.len(), 1);
    assert_eq!(
        part.body,
        PartBody::File(Spanned::new("net2.syn".to_owned(), 0..0))
    );
    assert_eq!(part.freeze[0].value, "a*");
    assert_eq!(part.freeze_parameters[0].value, "b");
    assert_eq!(part.name, None);
}

/// The arguments of the only layer, and the source.
fn args(layer: &str) -> (Args, Source) {
    let sweep = sweep(&format!("layers = [{{ {layer} }}]"));
    match &layers(&sweep.models[0].parts[0])[0] {
        LayerNode::Layer { args, .. } => (args.clone(), sweep.source.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn arguments_are_read_by_type() {
    let (args, source) = args(
        r#"conv = { out-channels = 8, kernel_size = [3, 5], stride = 2, eps = 1, p = 0.5,
        bias = true, mode = "same", axis = -1, init = { name = "zeros" } }"#,
    );
    let mut read = args.reader(&source, "conv");
    assert_eq!(read.usize("out_channels").unwrap(), 8);
    assert_eq!(read.usizes("kernel-size").unwrap(), [3, 5]);
    assert_eq!(read.usizes_opt("stride").unwrap(), Some(vec![2]));
    assert_eq!(read.f64("eps").unwrap(), 1.0);
    assert_eq!(read.f64_opt("p").unwrap(), Some(0.5));
    assert!(read.bool("bias").unwrap());
    assert_eq!(read.str("mode").unwrap(), "same");
    assert_eq!(read.i64("axis").unwrap(), -1);
    assert_eq!(read.table_opt("init").unwrap().unwrap().len(), 1);
    assert_eq!(read.usize_opt("groups").unwrap(), None);
    read.finish().unwrap();
}

#[test]
fn the_first_argument_needs_no_name() {
    let (args, source) = args("linear = 10");
    let mut read = args.reader(&source, "linear").positional("out_features");
    assert_eq!(read.usize(["out", "out_features"]).unwrap(), 10);
    read.finish().unwrap();
    assert_eq!(args.positional.as_ref().unwrap().value, Value::Int(10));

    let mut read = args.reader(&source, "relu");
    read.bool_opt("inplace").unwrap();
    let mistake = read.finish().unwrap_err().to_string();
    assert!(
        mistake.contains("`relu` takes no argument without a name"),
        "{mistake}"
    );
}

#[test]
fn mistakes_in_arguments() {
    let (args, source) =
        args(r#"linear = { out = 3, out_features = 4, bais = true, p = "x", w = 2.0 }"#);
    let mut read = args.reader(&source, "linear");
    let twice = read.usize(["out_features", "out"]).unwrap_err();
    assert_eq!(twice.message, "`out_features` of `linear` is given twice");
    let missing = read.usize("in_features").unwrap_err();
    assert_eq!(missing.message, "`linear` has no `in_features`");
    let kind = read.f64("p").unwrap_err();
    assert_eq!(
        kind.message,
        "`p` of `linear` must be a number, not the string \"x\""
    );
    assert_eq!(&source.text[kind.span], "\"x\"");
    let float = read.usize("w").unwrap_err();
    assert!(
        float
            .to_string()
            .contains("`//` and `int(...)` give whole numbers"),
        "{float}"
    );
    assert_eq!(&source.text[read.mistake("w", "too large").span], "2.0");
    read.bool_opt("bias").unwrap();
    let unknown = read.finish().unwrap_err();
    assert_eq!(unknown.message, "`linear` has no argument `bais`");
    assert_eq!(
        unknown.help.as_deref(),
        Some("did you mean `bias`? arguments of `linear`: out_features, in_features, p, w, bias")
    );
}
