//! Hostile input: a mistake or a sweep, never a panic, and never without end.

use proptest::prelude::*;
use syncarp_diag::Source;
use syncarp_sweep::{MAX_MISTAKES, Sweep};

const VALID: &str = r#"
name = "digits"
[data]
source = "digits.csv.gz"
preprocess = [{ scale = 0.0625 }]
batch-size = "${32 if bn else 64}"

[evaluator]
loss = "cross-entropy"
metrics = ["accuracy"]
optimizer = { name = "adam", lr = "${lr}", weight-decay = 0.0 }
schedule = { name = "cosine" }
clip-norm = 1.0
epochs = 20
seed = 1

[[model]]
name = "mlp-${width}-${depth}-${bn}-${'lr' + 'x'}-${lr}"
settings.width = [32, 64]
settings.depth = { range = [1, 3] }
settings.lr = { log-range = [1e-3, 1e-1], count = 3 }
settings.bn = [true, false]
combine = "grid"
layers = [
  "flatten",
  { repeat = "${depth}", layers = [{ linear = { out = "${width // (i + 1)}" } }, { when = "${bn}", layers = ["batch-norm"] }] },
  { branches = [["relu"], []], join = "add" },
  { name = "head", linear = { out = 10 } },
]
[model.evaluator]
epochs = 30

[[model]]
settings.p = { uniform = [0.0, 0.5] }
settings.lr = { choice = [1, 2] }
settings.bn = false
combine = { random = 4, seed = 3 }
parts = [{ file = "backbone.syn", freeze = ["*"] }, { layers = [{ dropout = "${p}" }], name = "head" }]
"#;

/// Reads the text and checks what every answer has to be like.
fn check(text: &str) {
    match Sweep::parse(Source::new("sweep.toml", text), ".") {
        Ok(sweep) => {
            assert!(!sweep.models.is_empty());
            let mut names: Vec<&str> = sweep.models.iter().map(|m| m.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), sweep.models.len());
        }
        Err(error) => {
            assert!((1..=MAX_MISTAKES).contains(&error.mistakes().len()));
            for mistake in error.mistakes() {
                assert!(
                    text.get(mistake.span.clone()).is_some(),
                    "{:?} {mistake}",
                    mistake.span
                );
            }
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn the_valid_sweep_is_valid() {
    let sweep = Sweep::parse(Source::new("s", VALID), ".").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(sweep.models.len(), 2 * 3 * 3 * 2 + 4);
}

/// Pieces that make likely and unlikely sweeps.
const PIECES: &[&str] = &[
    "\n",
    " ",
    "=",
    ".",
    ",",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "\"",
    "'",
    "${",
    "}",
    "model",
    "[[model]]\n",
    "[evaluator]\n",
    "[data]\n",
    "settings",
    "settings.a = ",
    "layers = ",
    "repeat",
    "when",
    "branches",
    "join",
    "name",
    "combine = ",
    "random",
    "seed",
    "range",
    "log-range",
    "count",
    "uniform",
    "choice",
    "1",
    "-1",
    "1e308",
    "nan",
    "inf",
    "9223372036854775807",
    "0.5",
    "true",
    "\"${a}\"",
    "\"${a // 0}\"",
    "\"${i}\"",
    "\"grid\"",
    "\"tuples\"",
    "é",
    "\u{0}",
    "#",
    "file = \"x\"\n",
    "layers = [\"relu\"]\n",
    "1979-05-27",
];

fn mutated(cuts: &[(usize, usize, usize)]) -> String {
    let mut text = VALID.to_owned();
    for (at, length, piece) in cuts {
        let near = |place: usize, text: &str| {
            (place..)
                .find(|place| text.is_char_boundary(*place))
                .unwrap_or(0)
        };
        let start = near(at % (text.len() + 1), &text);
        let end = near((start + length).min(text.len()), &text);
        text.replace_range(start..end, PIECES[piece % PIECES.len()]);
    }
    text
}

/// Values that TOML allows wherever it allows any.
const VALUES: &[&str] = &[
    "0",
    "-1",
    "3",
    "9223372036854775807",
    "0.5",
    "nan",
    "-inf",
    "1e308",
    "true",
    "\"\"",
    "\"relu\"",
    "\"${a}\"",
    "\"${width}\"",
    "\"${i}\"",
    "\"${1 // 0}\"",
    "\"${bn}\"",
    "\"${\"",
    "'${lr}x'",
    "[]",
    "{}",
    "[[]]",
    "[1, 2]",
    "[\"a\", {}]",
    "{ name = \"a\" }",
    "{ range = [1, 3] }",
    "{ random = 2 }",
    "{ layers = [] }",
    "{ repeat = 2, layers = [\"a\"] }",
    "{ linear = 3 }",
    "{ uniform = [0, 1] }",
];

/// Where the valid sweep has a value: its texts, numbers and booleans.
fn places() -> Vec<std::ops::Range<usize>> {
    let mut places = Vec::new();
    let mut at = 0;
    while at < VALID.len() {
        let rest = &VALID[at..];
        let length = if let Some(inner) = rest.strip_prefix('"') {
            inner.find('"').map_or(rest.len(), |end| end + 2)
        } else {
            rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c))
                .unwrap_or(0)
        };
        let token = &rest[..length];
        let number = token.starts_with(|c: char| c.is_ascii_digit());
        if token.starts_with('"') || number || token == "true" || token == "false" {
            places.push(at..at + length);
        }
        at += length.max(1);
    }
    places
}

proptest! {
    #[test]
    fn other_values(
        changes in prop::collection::btree_map(0..places().len(), 0..VALUES.len(), 1..4),
    ) {
        let places = places();
        let mut text = VALID.to_owned();
        for (place, value) in changes.into_iter().rev() {
            text.replace_range(places[place].clone(), VALUES[value]);
        }
        prop_assert!(toml_edit::Document::parse(text.as_str()).is_ok(), "{}", text);
        check(&text);
    }

    #[test]
    fn garbage(text in "\\PC{0,200}") {
        check(&text);
    }

    #[test]
    fn pieces(pieces in prop::collection::vec(0..PIECES.len(), 0..60)) {
        let text: String = pieces.iter().map(|piece| PIECES[*piece]).collect();
        check(&text);
    }

    #[test]
    fn mutated_sweeps(
        cuts in prop::collection::vec((any::<usize>(), 0_usize..12, any::<usize>()), 1..6),
    ) {
        check(&mutated(&cuts));
    }

    #[test]
    fn expressions(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "a", "s", "l", "index", "1", "0", "-1", "2.5", "'t'", "true", "+", "-", "*", "/",
                "//", "%", "**", "==", "<", ">=", "and", "or", "not", "if", "else", "(", ")", "[",
                "]", ",", "min", "max", "len", "int", "9223372036854775807", "1e300",
            ]),
            0..14,
        ),
    ) {
        let text = format!(
            "evaluator = {{ loss = \"m\", optimizer = \"s\", epochs = 1 }}\n[[model]]\n\
             settings.a = 3\nsettings.s = \"x\"\nsettings.l = [[1, 2]]\n\
             layers = [{{ f = [\"${{a}}${{s}}${{l}}\", \"${{{}}}\"] }}]\n",
            words.join(" ")
        );
        check(&text);
    }
}

fn model(rest: &str) -> String {
    format!("evaluator = {{ loss = \"m\", optimizer = \"s\", epochs = 1 }}\n[[model]]\n{rest}\n")
}

#[test]
fn deep_nesting_is_bounded() {
    for (open, close) in [("[", "]"), ("{ a = ", "}"), ("{ layers = [", "] }")] {
        for depth in [30, 79, 200, 20_000] {
            let inner = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            check(&model(&format!("layers = [{inner}]")));
            check(&format!("data.x = {inner}"));
        }
    }
    let dotted = vec!["a"; 79].join(".");
    let inner = format!("{}1{}", format!("{{{dotted}=").repeat(78), "}".repeat(78));
    check(&format!("data.x = {inner}"));
    check(&format!("[{dotted}]\nx = {inner}"));
    for (open, close) in [
        ("(", ")"),
        ("-", ""),
        ("not ", ""),
        ("min(", ")"),
        ("1 if true else ", ""),
        ("2 ** ", ""),
    ] {
        for depth in [5, 47, 48, 49, 20_000] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            check(&model(&format!("layers = [{{ f = \"${{{text}}}\" }}]")));
        }
    }
    for depth in [100, 20_000] {
        check(&model(&format!(
            "layers = [{{ f = \"${{1{}}}\" }}]",
            " + 1".repeat(depth)
        )));
    }
}

/// The first mistake in a sweep.
fn first(text: &str) -> String {
    let error = Sweep::parse(Source::new("s", text), ".").expect_err("it is too large");
    error.mistakes()[0].message.clone()
}

#[test]
fn sizes_are_bounded() {
    assert_eq!(
        first(&model(
            "layers = [{ repeat = 10000, layers = [\"a\", \"b\"] }]"
        )),
        "a model of more than 10000 layers"
    );
    assert_eq!(
        first(&model("layers = [{ repeat = 10001, layers = [] }]")),
        "`repeat` must be a whole number from 0 to 10000, not the integer 10001"
    );
    let empty = "{ repeat = 10000, layers = [".repeat(4);
    assert_eq!(
        first(&model(&format!("layers = [{empty}{}]", "] }".repeat(4)))),
        "the repeats of one model come to more than 200000 steps"
    );
    let settings: String = (0..6)
        .map(|n| format!("settings.s{n} = {{ range = [1, 1000000000] }}\n"))
        .collect();
    assert_eq!(
        first(&model(&format!("{settings}layers = []"))),
        "the grid has more than 100000 models"
    );
    assert_eq!(
        first(&model(
            "settings.a = { range = [1, 100000] }\nname = \"${a}\"\nlayers = [{ repeat = 9999, layers = [\"a\"] }]"
        )),
        "the sweep expands to more than 20000000 values"
    );
    let block = "[[model]]\nname = \"a${s}\"\nsettings.s = { range = [1, 60000] }\nlayers = []\n";
    assert_eq!(
        first(&format!("{block}{block}")),
        "the sweep has 120000 models, more than 100000"
    );
    let doubled = "${s}".repeat(40);
    let text = model(&format!(
        "settings.s = \"{}\"\nlayers = [\"{doubled}\"]",
        "x".repeat(4000)
    ));
    assert_eq!(first(&text), "a text of more than 65536 bytes");
    let key = "k".repeat(1 << 20);
    let block = "name = \"${a}\"\nsettings.a = { range = [1, 100000] }\nlayers =";
    for rest in [
        format!("[{{ f = {{ {key} = 1 }} }}]"),
        format!("[{{ f = {{ {key} = \"${{a}}\" }} }}]"),
        format!(
            "[{{ branches = [{}], join = \"add\" }}]",
            "[],".repeat(100_000)
        ),
        format!("[\"{key}\"]"),
    ] {
        let mistake = first(&model(&format!("{block} {rest}")));
        assert_eq!(mistake, "the sweep expands to more than 20000000 values");
    }
    let mistake = first(&model(&format!(
        "settings.{key} = 1\nlayers = [\"${{{key}}}\"]"
    )));
    assert!(mistake.ends_with("cannot name a setting"));
    let defaults: String = (0..5000).map(|n| format!("k{n} = 1\n")).collect();
    assert_eq!(
        first(&format!(
            "[data]\n{defaults}{}",
            "[[model]]\nlayers = []\n".repeat(5000)
        )),
        "the sweep expands to more than 20000000 values"
    );
    assert!(first(&" ".repeat((16 << 20) + 1)).contains("more than 16777216"));
}

#[test]
fn a_hundred_thousand_models_are_fine() {
    let text = model(
        "settings.a = { range = [1, 100000] }\nname = \"m${a}\"\nlayers = [{ linear = \"${a}\" }]",
    );
    let sweep = Sweep::parse(Source::new("s", text), ".").unwrap();
    assert_eq!(
        (sweep.models.len(), sweep.models[99_999].name.as_str()),
        (100_000, "m100000")
    );
}
