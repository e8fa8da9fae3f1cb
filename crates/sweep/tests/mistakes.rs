//! What people are told about mistakes in their sweeps.

use syncarp_diag::Source;
use syncarp_sweep::{Sweep, SweepError};

fn parse(text: &str) -> Result<Sweep, SweepError> {
    Sweep::parse(Source::new("sweep.toml", text), "digits")
}

const EVALUATOR: &str = "evaluator = { loss = \"mse\", optimizer = \"sgd\", epochs = 1 }\n";

/// All mistakes of a sweep with this block, as `the text pointed at: message (help)`.
fn told(block: &str) -> Vec<String> {
    told_of(&format!("{EVALUATOR}[[model]]\n{block}\n"))
}

fn told_of(text: &str) -> Vec<String> {
    let error = parse(text).expect_err(text);
    error
        .mistakes()
        .iter()
        .map(|mistake| {
            let at = text[mistake.span.clone()].lines().next().unwrap_or("");
            match &mistake.help {
                Some(help) => format!("{at}: {} ({help})", mistake.message),
                None => format!("{at}: {}", mistake.message),
            }
        })
        .collect()
}

#[test]
fn a_whole_message() {
    let text = format!(
        "{EVALUATOR}[[model]]\nsettings.width = [32, 64]\nlayers = [{{ linear = \"${{widht * 2}}\" }}]\n"
    );
    assert_eq!(
        parse(&text).unwrap_err().to_string(),
        "sweep.toml:3:10: the setting `width` is used nowhere in this model\n\
         \x20 | settings.width = [32, 64]\n\
         \x20 |          ^^^^^\n\
         \x20 = write `${width}` where it belongs, or remove it\n\
         \n\
         sweep.toml:4:25: unknown variable `widht`\n\
         \x20 | layers = [{ linear = \"${widht * 2}\" }]\n\
         \x20 |                         ^^^^^\n\
         \x20 = did you mean `width`? known here: width, index"
    );
}

#[test]
fn unknown_keys_get_the_nearest_spelling() {
    assert_eq!(
        told_of(
            "nmae = \"x\"\n[evaluator]\nloss = \"mse\"\noptimizer = \"sgd\"\nepoch = 3\ncheckpoint = true\n\
             [[model]]\nlayer = []\n[[model]]\nlayers = []\nname = \"m\"\n[model.evaluator]\nclip_norm = 1\n"
        ),
        [
            "nmae: unknown key `nmae` in a sweep (did you mean `name`? known keys: name, data, evaluator, model)",
            "epoch: unknown key `epoch` in the evaluator (did you mean `epochs`? known keys: loss, metrics, optimizer, schedule, clip-norm, epochs, seed)",
            "checkpoint: unknown key `checkpoint` in the evaluator (known keys: loss, metrics, optimizer, schedule, clip-norm, epochs, seed)",
            "[[model]]: a model without anything in it (it has `layers`, a `file` or `parts`)",
            "layer: unknown key `layer` in a model (did you mean `layers`? known keys: name, settings, combine, layers, file, cut, lora, freeze, freeze-parameters, parts, evaluator, data)",
            "clip_norm: unknown key `clip_norm` in the evaluator (did you mean `clip-norm`? known keys: loss, metrics, optimizer, schedule, clip-norm, epochs, seed)",
        ]
    );
}

#[test]
fn no_sweep_at_all() {
    assert_eq!(
        told_of(""),
        [": a sweep without models (write a `[[model]]` block)"]
    );
    assert_eq!(
        told_of("model = 3\nname = 4\ndata = []\n"),
        [
            "3: a sweep without models (write a `[[model]]` block)",
            "4: `name` must be a string, not the integer 4",
            "[]: `data` must be a table, not an array",
        ]
    );
    // The words are the TOML parser's own.
    assert_eq!(told_of("a = ").len(), 1);
    assert_eq!(
        told_of("a = 1979-05-27"),
        ["1979-05-27: a sweep has no use for dates (write a text in quotes)"]
    );
    assert_eq!(
        told_of("model = [3]"),
        ["3: a model must be a table, not the integer 3"]
    );
}

#[test]
fn every_block_is_told_of() {
    let blocks = "[[model]]\nlayers = [\"${a}\"]\n[[model]]\nlayers = [\"${1 +}\"]\n[[model]]\n\
         name = \"x\"\nlayers = [\"${1 // 0}\"]\n";
    assert_eq!(
        told_of(&format!("{EVALUATOR}{blocks}")),
        [
            "a: unknown variable `a` (known here: index)",
            ": expected a value, found the end",
            "1 // 0: division by zero",
        ]
    );
}

#[test]
fn mistakes_in_settings() {
    let setting = |setting: &str| {
        told(&format!(
            "settings.{setting}\nlayers = [{{ f = \"${{a}}\" }}]"
        ))
    };
    assert_eq!(setting("a = []"), ["[]: the setting `a` has no values"]);
    assert_eq!(
        setting("a = { range = [1.0, 2] }"),
        [
            "1.0: a range without a `count` is of whole numbers (write `{ range = [0.0, 1.0], count = 5 }` for five numbers)"
        ]
    );
    assert_eq!(
        setting("a = { range = [3, 2] }"),
        ["[3, 2]: the low end is above the high end"]
    );
    assert_eq!(
        setting("a = { range = [3] }"),
        ["[3]: expected the two ends, `[low, high]`"]
    );
    assert_eq!(
        setting("a = { range = [1, 2], step = 0 }"),
        ["0: a step is a whole number above 0"]
    );
    assert_eq!(
        setting("a = { range = [1, 2], step = 1, count = 2 }"),
        ["step: a range has a `step` or a `count`, not both"]
    );
    assert_eq!(
        setting("a = { log-range = [0, 1], count = 3 }"),
        ["0: a logarithmic scale has only numbers above 0"]
    );
    assert_eq!(
        setting("a = { log-range = [1, 2] }"),
        ["{ log-range = [1, 2] }: the setting `a` has no `count` (how many numbers are wanted?)"]
    );
    assert_eq!(
        setting("a = { log-range = [1, 2], cuont = 3 }"),
        [
            "cuont: unknown key `cuont` in the setting `a` (did you mean `count`? known keys: log-range, count)"
        ]
    );
    assert_eq!(
        setting("a = { range = [0.5, nan], count = 2 }"),
        ["nan: expected a finite number"]
    );
    assert_eq!(
        setting("a = { uniform = [-1e308, 1e308] }"),
        ["[-1e308, 1e308]: the ends are too far apart"]
    );
    assert_eq!(
        setting("a = { uniform = [0, 1] }"),
        [
            "a: the setting `a` can only be drawn at random (write `combine = { random = 8, seed = 0 }`, or give a list or a range)"
        ]
    );
    assert_eq!(
        setting("a = \"${b}\""),
        [
            "\"${b}\": a setting cannot contain `${...}` (write the expression where the setting is used)"
        ]
    );
    assert!(
        setting("a = { between = [0, 1] }")[0]
            .contains("the setting `a` is of no known form (write one of `{ range = [1, 4] }`")
    );
    assert_eq!(
        told("settings = 3\nlayers = []"),
        ["3: `settings` must be a table, not the integer 3 (write `settings.width = [32, 64]`)"]
    );
    assert_eq!(
        told("settings.min = 3\nsettings.weight-decay = 1\nlayers = [\"${weight_decay}\"]"),
        [
            "min: `min` has a meaning of its own in expressions (give the setting another name)",
            "min: the setting `min` is used nowhere in this model (write `${min}` where it belongs, or remove it)",
            "weight-decay: `weight-decay` cannot name a setting (names are of at most 64 letters, digits and `_`; a `-` would be a minus in `${...}`)",
            "weight-decay: the setting `weight-decay` is used nowhere in this model (write `${weight-decay}` where it belongs, or remove it)",
            "weight_decay: unknown variable `weight_decay` (did you mean `weight-decay`? known here: min, weight-decay, index)",
        ]
    );
}

#[test]
fn mistakes_in_combining() {
    let combine = |combine: &str| {
        told(&format!(
            "settings.a = [1, 2]\nsettings.b = [1, 2, 3]\ncombine = {combine}\nname = \"${{a}}-${{b}}\"\nlayers = []"
        ))
    };
    assert_eq!(
        combine("\"tuples\""),
        ["b: `b` has 3 values, `a` has 2 (in tuples all lists are equally long)"]
    );
    const HELP: &str = "write \"grid\", \"tuples\" or `{ random = 8, seed = 0 }`";
    assert_eq!(
        combine("\"zip\""),
        [format!(
            "\"zip\": there is no combination like the string \"zip\" ({HELP})"
        )]
    );
    assert_eq!(
        combine("{ seed = 3 }"),
        [format!(
            "{{ seed = 3 }}: `combine` has no `random` ({HELP})"
        )]
    );
    assert_eq!(
        combine("{ random = 0 }"),
        ["0: `random` is a whole number from 1 to 100000"]
    );
    assert_eq!(
        combine("{ random = 1, seed = -1 }"),
        ["-1: a seed must be a whole number of at least 0, not the integer -1"]
    );
    assert_eq!(
        combine("{ random = 1, sede = 1 }"),
        ["sede: unknown key `sede` in `combine` (did you mean `seed`? known keys: random, seed)"]
    );
}

#[test]
fn names_are_unique_and_plain() {
    let block = |name: &str| {
        told(&format!(
            "settings.a = [1, 2]\nname = {name}\nlayers = [{{ f = \"${{a}}\" }}]"
        ))
    };
    assert_eq!(
        block("\"m\""),
        ["\"m\": two models are called `m` (they differ in `a`; put `${a}` into the name)"]
    );
    assert_eq!(
        block("\"../${a}\""),
        [
            "\"../${a}\": `../1` cannot name a model (names are of letters, digits and `_-.+=,`, and do not begin with `.`; in model 0 of its block, where a = 1)"
        ]
    );
    assert_eq!(
        told("combine = { random = 2 }\nname = \"m\"\nlayers = []"),
        [
            "\"m\": two models are called `m` (put `${index}`, the model's number in its block, into the name)"
        ]
    );
    assert_eq!(
        told("name = \"m\"\nlayers = []\n[[model]]\nname = \"m\"\nlayers = []"),
        ["\"m\": two models are called `m` (the other one is named in line 3)"]
    );
    assert_eq!(
        told_of(&format!(
            "name = \"a b\"\n{EVALUATOR}[[model]]\nlayers = []"
        )),
        [
            "\"a b\": this cannot name a sweep (names are of letters, digits and `_-.+=,`, and do not begin with `.`)"
        ]
    );
}

#[test]
fn a_mistake_of_some_models_says_of_which() {
    assert_eq!(
        told(
            "settings.a = [2, 1, 0]\nsettings.b = \"x\"\nname = \"${a}${b}\"\nlayers = [{ f = \"${6 // a}\" }]"
        ),
        ["6 // a: division by zero (in model 2 of its block, where a = 0, b = x)"]
    );
}

#[test]
fn mistakes_in_layers() {
    let layers = |layers: &str| told(&format!("layers = {layers}"));
    assert_eq!(
        layers("\"relu\""),
        [
            "\"relu\": `layers` must be an array, not the string \"relu\" (write `[\"flatten\", { linear = 10 }]`)"
        ]
    );
    assert_eq!(
        layers("[3, {}, { name = \"a\" }]"),
        [
            "3: a layer must be a string or a table, not the integer 3 (write `\"relu\"` or `{ linear = { out = 10 } }`)",
            "{}: an entry without a layer (write `{ linear = { out = 10 } }`, or `\"relu\"` for a layer without arguments)",
            "{ name = \"a\" }: an entry without a layer (write `{ linear = { out = 10 } }`, or `\"relu\"` for a layer without arguments)",
        ]
    );
    assert_eq!(
        layers("[{ linear = 3, relu = {} }]"),
        [
            "relu: one entry holds one layer, not `linear` and `relu` (give each layer braces of its own, and its arguments another pair: `{ linear = { out = 10 } }`)"
        ]
    );
    assert_eq!(
        layers("[{ repeat = 3, linear = 3 }]"),
        [
            "{ repeat = 3, linear = 3 }: a repeat has no `layers`",
            "linear: unknown key `linear` in a group of layers (known keys: repeat, as, when, name, layers)",
        ]
    );
    assert_eq!(
        layers("[{ repeat = \"${3 / 1}\", layers = [] }]"),
        [
            "\"${3 / 1}\": `repeat` must be a whole number from 0 to 10000, not the float 3.0 (`/` gives a float; `//` and `int(...)` give whole numbers)"
        ]
    );
    assert_eq!(
        layers("[{ repeat = -1, layers = [] }]"),
        ["-1: `repeat` must be a whole number from 0 to 10000, not the integer -1"]
    );
    assert_eq!(
        layers("[{ when = 1, layers = [] }]"),
        ["1: `when` must be a boolean, not the integer 1"]
    );
    assert_eq!(
        layers(
            "[{ as = \"k\", layers = [] }, { repeat = 1, as = \"1k\", layers = [] }, { repeat = 1, as = \"min\", layers = [] }]"
        ),
        [
            "as: `as` without a `repeat` (it names the repeat's index)",
            "\"1k\": `as` must be a name of letters, digits and `_` (write `as = \"k\"`)",
            "\"min\": `min` already has a meaning (give the index another name)",
        ]
    );
    assert_eq!(
        layers("[\"${1}\"]"),
        ["\"${1}\": a layer must be a string, not the integer 1"]
    );
    assert_eq!(
        layers("[{ \"${index}\" = 1 }]"),
        [
            "\"${index}\": a key cannot contain `${...}` (only values can; `\"${act}\"` alone is a layer)"
        ]
    );
    assert_eq!(
        layers("[\"a ${b\"]"),
        ["${: `${` without its `}` (write `$${` for a dollar and a brace)"]
    );
    assert_eq!(
        layers("[{ repeat = 2, layers = [{ name = \"f\", linear = 3 }] }]"),
        [
            "\"f\": two layers of one list are called `f` (inside a repeat, put the index into the name: `\"block${i}\"`)"
        ]
    );
    assert_eq!(
        layers("[{ name = \"a.b\", linear = 3 }]"),
        [
            "\"a.b\": `a.b` cannot name a part of a model (such names are of letters, digits, `_` and `-`)"
        ]
    );
    assert_eq!(
        told("settings.i = [1]\nlayers = [{ repeat = 2, layers = [\"a\"] }, { f = \"${i}\" }]"),
        [
            "{ repeat = 2, layers = [\"a\"] }: the index `i` of this repeat hides the setting `i` (write `as = \"k\"` beside `repeat`)"
        ]
    );
}

#[test]
fn mistakes_in_branches() {
    let layers = |layers: &str| told(&format!("layers = [{layers}]"));
    const HELP: &str = "write `join = \"add\"`, `join = \"mul\"`, or `join = \"concat\", dim = 1`";
    for (entry, expected) in [
        (
            "{ branches = [[]] }",
            "{ branches = [[]] }: an entry of branches has no `join`",
        ),
        (
            "{ branches = [[]], join = \"sum\" }",
            "\"sum\": branches cannot be joined by the string \"sum\"",
        ),
        (
            "{ branches = [[]], join = \"add\", dim = 1 }",
            "dim: a join by `add` takes no `dim`",
        ),
        (
            "{ branches = [[]], join = \"concat\" }",
            "\"concat\": `concat` needs a `dim`",
        ),
        (
            "{ branches = [[]], join = \"concat\", dim = \"x\" }",
            "\"x\": `dim` must be an integer, not the string \"x\"",
        ),
    ] {
        assert_eq!(layers(entry), [format!("{expected} ({HELP})")]);
    }
    assert_eq!(
        layers("{ branches = [], join = \"add\" }, { branches = [\"a\"], join = \"add\" }"),
        [
            "[]: `branches` must be an array of lists of layers (write `branches = [[...], []]`; an empty branch is the identity)",
            "\"a\": a branch must be an array, not the string \"a\" (write `[\"flatten\", { linear = 10 }]`)",
        ]
    );
}

#[test]
fn mistakes_in_parts() {
    assert_eq!(
        told("layers = []\nparts = []"),
        [
            "layers: a model has `parts` or `layers`, not both (move it into the part that it is meant for)",
            "parts: `parts` must be an array with a part at least (write `parts = [{ file = \"backbone.syn\" }, { layers = [...] }]`)",
        ]
    );
    assert_eq!(
        told("parts = [3, { freez = [] }, { file = \"a\", layers = [] }]"),
        [
            "3: a part must be a table, not the integer 3",
            "{ freez = [] }: a part without anything in it (it has `layers` or a `file`)",
            "freez: unknown key `freez` in a part (did you mean `freeze`? known keys: name, file, layers, cut, lora, freeze, freeze-parameters)",
            "file: `layers` and `file` in one part (chain them: `parts = [{ file = \"...\" }, { layers = [...] }]`)",
        ]
    );
    assert_eq!(
        told("file = 3"),
        ["3: `file` must be a path, not the integer 3"]
    );
    assert_eq!(
        told("file = \"a\"\nfreeze = [\"a\", true]"),
        [
            "true: a pattern of `freeze` must be a string, not the boolean true (write `freeze = [\"*\"]` to freeze everything)"
        ]
    );
    assert_eq!(
        told("parts = [{ file = \"a\", name = \"p\" }, { file = \"b\", name = \"p\" }]"),
        ["\"p\": two parts of one model are called `p`"]
    );
}

#[test]
fn mistakes_in_evaluators() {
    let evaluator = |evaluator: &str| {
        told_of(&format!(
            "[evaluator]\n{evaluator}\n[[model]]\nlayers = []\n"
        ))
    };
    assert_eq!(
        evaluator(""),
        [
            "[[model]]: the evaluator has no `loss`",
            "[[model]]: the evaluator has no `optimizer`",
            "[[model]]: the evaluator has no `epochs`",
        ]
    );
    assert_eq!(
        evaluator(
            "loss = 3\noptimizer = { lr = 1 }\nmetrics = [\"a\", false]\nschedule = { name = 1 }\n\
             clip-norm = 0\nepochs = 0\nseed = -1"
        ),
        [
            "3: `loss` must be a name or a table with a `name`, not the integer 3",
            "{ lr = 1 }: `optimizer` has no `name` (write `optimizer = { name = \"...\", ... }`)",
            "false: `metrics` must be a name or a table with a `name`, not the boolean false",
            "1: `schedule.name` must be a string, not the integer 1",
            "0: `clip-norm` must be a number above 0, not the integer 0",
            "0: `epochs` must be a whole number of at least 1, not the integer 0",
            "-1: `seed` must be a whole number of at least 0, not the integer -1",
        ]
    );
    assert_eq!(
        told("layers = []\nevaluator = 3"),
        ["3: `evaluator` must be a table, not the integer 3"]
    );
}

#[test]
fn no_more_than_twenty_at_once() {
    let keys: String = (0..50).map(|n| format!("k{n} = 1\n")).collect();
    assert_eq!(told(&format!("{keys}layers = []")).len(), 20);
}

#[test]
fn places_in_texts_with_escapes_and_several_lines() {
    assert_eq!(
        told("layers = [\"\\u0061${b}\"]"),
        ["\"\\u0061${b}\": unknown variable `b` (known here: index)"]
    );
    assert_eq!(
        told("layers = ['${b}', \"\"\"a${c}\"\"\"]"),
        [
            "b: unknown variable `b` (known here: index)",
            "c: unknown variable `c` (known here: index)",
        ]
    );
}
