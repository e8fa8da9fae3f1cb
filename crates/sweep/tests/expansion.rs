//! How settings combine, and what comes out of a whole sweep.

use proptest::prelude::*;
use syncarp_diag::Source;
use syncarp_sweep::{ModelSpec, Sweep, SweepError, Value};

/// A sweep of one block with these settings and this way to combine them.
fn block(settings: &str, combine: &str) -> String {
    let names: Vec<&str> = settings
        .lines()
        .filter_map(|line| line.trim().split(' ').next())
        .collect();
    let args: Vec<String> = names
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| {
            let name = name.trim_start_matches("settings.");
            format!("{name} = \"${{{name}}}\"")
        })
        .collect();
    format!(
        "evaluator = {{ loss = \"mse\", optimizer = \"sgd\", epochs = 1 }}\n[[model]]\n{settings}\n\
         {combine}\nlayers = [{{ probe = {{ {} }} }}]\n",
        args.join(", ")
    )
}

fn parse(text: &str) -> Result<Sweep, SweepError> {
    Sweep::parse(Source::new("sweep.toml", text), "/some/digits")
}

fn models(text: &str) -> Vec<ModelSpec> {
    parse(text).unwrap_or_else(|error| panic!("{error}")).models
}

/// The settings of each model as text, `a=1 b=2`.
fn combined(settings: &str, combine: &str) -> Vec<String> {
    models(&block(settings, combine))
        .iter()
        .map(|model| {
            let settings: Vec<String> = model
                .settings
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            settings.join(" ")
        })
        .collect()
}

fn floats(settings: &str, combine: &str) -> Vec<f64> {
    models(&block(settings, combine))
        .iter()
        .map(|model| match model.settings[0].1 {
            Value::Float(number) => number,
            ref other => panic!("{other} is no float"),
        })
        .collect()
}

#[test]
fn a_grid_varies_the_last_setting_fastest() {
    assert_eq!(
        combined(
            "settings.a = [1, 2]\nsettings.f = \"x\"\nsettings.b = [true, false]",
            ""
        ),
        [
            "a=1 f=x b=true",
            "a=1 f=x b=false",
            "a=2 f=x b=true",
            "a=2 f=x b=false"
        ]
    );
}

#[test]
fn tuples_zip() {
    let settings =
        "settings.a = [1, 2, 3]\nsettings.f = 7\nsettings.b = { range = [10, 30], step = 10 }";
    assert_eq!(
        combined(settings, "combine = \"tuples\""),
        ["a=1 f=7 b=10", "a=2 f=7 b=20", "a=3 f=7 b=30"]
    );
}

#[test]
fn ranges_include_both_ends() {
    let one = |settings| combined(settings, "");
    assert_eq!(
        one("settings.a = { range = [-1, 2] }"),
        ["a=-1", "a=0", "a=1", "a=2"]
    );
    assert_eq!(
        one("settings.a = { range = [1, 6], step = 2 }"),
        ["a=1", "a=3", "a=5"]
    );
    assert_eq!(
        one("settings.a = { range = [0, 0.3], count = 4 }"),
        ["a=0.0", "a=0.1", "a=0.2", "a=0.3"]
    );
    assert_eq!(
        one("settings.a = { log-range = [1e-3, 1], count = 4 }"),
        ["a=0.001", "a=0.01", "a=0.1", "a=1.0"]
    );
    let whole = "settings.a = { range = [-9223372036854775808, 9223372036854775807], \
        step = 9223372036854775807 }";
    assert_eq!(
        one(whole),
        ["a=-9223372036854775808", "a=-1", "a=9223372036854775806"]
    );
}

#[test]
fn one_model_where_nothing_varies() {
    for combine in [
        "",
        "combine = \"grid\"",
        "combine = \"tuples\"",
        "combine = { random = 1 }",
    ] {
        assert_eq!(combined("", combine), [""]);
        assert_eq!(combined("settings.a = 3", combine), ["a=3"]);
    }
}

#[test]
fn settings_keep_their_types() {
    let settings = "settings.a = [1, 1.5, true, \"relu\", [2, 3]]";
    let kinds: Vec<&str> = models(&block(settings, ""))
        .iter()
        .map(|model| model.settings[0].1.kind())
        .collect();
    assert_eq!(
        kinds,
        ["an integer", "a float", "a boolean", "a string", "an array"]
    );
}

#[test]
fn random_draws_stay_in_their_ranges_and_reach_everywhere() {
    let combine = "combine = { random = 400, seed = 7 }";
    let drawn = floats("settings.a = { uniform = [-1.0, 3.0] }", combine);
    assert!(drawn.iter().all(|number| (-1.0..=3.0).contains(number)));
    let mean = drawn.iter().sum::<f64>() / 400.0;
    assert!((mean - 1.0).abs() < 0.2, "{mean}");

    let drawn = floats("settings.a = { log-uniform = [1e-4, 1.0] }", combine);
    assert!(drawn.iter().all(|number| (1e-4..=1.0).contains(number)));
    let below = drawn.iter().filter(|number| **number < 1e-2).count();
    assert!(
        (150..=250).contains(&below),
        "half lie in each half of the exponents: {below}"
    );

    for settings in [
        "settings.a = { choice = [0, 1, 2, 3] }",
        "settings.a = { range = [0, 3] }",
    ] {
        let drawn = combined(settings, combine);
        for value in 0..4 {
            let times = drawn
                .iter()
                .filter(|drawn| **drawn == format!("a={value}"))
                .count();
            assert!((60..=140).contains(&times), "{value}: {times} times");
        }
    }
}

#[test]
fn random_draws_never_change() {
    // These numbers were drawn once; sweeps that people have run depend on them.
    let settings =
        "settings.lr = { log-uniform = [1e-4, 1e-1] }\nsettings.act = [\"relu\", \"tanh\"]";
    assert_eq!(
        combined(settings, "combine = { random = 3, seed = 3 }"),
        [
            "lr=0.0175352669439 act=relu",
            "lr=0.0223818314362 act=tanh",
            "lr=0.0247070720501 act=relu"
        ]
    );
}

#[test]
fn a_random_range_need_not_be_small() {
    let settings = "settings.a = { range = [0, 9223372036854775806] }";
    let drawn = combined(settings, "combine = { random = 3 }");
    assert!(
        drawn.iter().all(|text| text.len() > "a=1000000".len()),
        "{drawn:?}"
    );
}

#[test]
fn the_parts_of_a_whole_sweep() {
    let text = r#"
name = "digits"
[data]
source = "digits.csv.gz"
input-shape = [1, 8, 8]
preprocess = [{ scale = 0.0625 }]
split = { validation = 0.2, seed = 0 }
batch-size = 32

[evaluator]
loss = "cross-entropy"
metrics = ["accuracy", { name = "top", k = 3 }]
optimizer = { name = "adam", lr = "${lr}", weight-decay = 0.0 }
schedule = { name = "cosine" }
clip-norm = 1
epochs = 20
seed = 1

[[model]]
name = "mlp-${width}-${act}"
settings.width = [32, 64]
settings.lr = 0.1
settings.act = ["relu", "tanh"]
layers = ["flatten", { linear = { out = "${width}" } }, "${act}"]
[model.evaluator]
epochs = 30
[model.data]
split.seed = 5

[[model]]
settings.lr = [0.5, 0.25]
parts = [
  { file = "backbone.syn", freeze = ["*"] },
  { layers = [{ name = "out", linear = 10 }], name = "head", freeze-parameters = "bias?" },
]
evaluator = { optimizer = { name = "sgd", lr = "${lr / 2}" }, schedule = false, clip-norm = false }
"#;
    let sweep = parse(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(sweep.name, "digits");
    assert_eq!(
        sweep.resolve("backbone.syn"),
        std::path::Path::new("/some/digits/backbone.syn")
    );
    let names: Vec<&str> = sweep
        .models
        .iter()
        .map(|model| model.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "mlp-32-relu",
            "mlp-32-tanh",
            "mlp-64-relu",
            "mlp-64-tanh",
            "model1-0",
            "model1-1"
        ]
    );

    let first = &sweep.models[0];
    assert_eq!(
        (first.family, first.index, first.training.epochs),
        (0, 0, 30)
    );
    assert_eq!(first.training.clip_norm, Some(1.0));
    assert_eq!(first.training.seed, 1);
    assert_eq!(first.training.metrics[1].name.value, "top");
    assert_eq!(
        first.data.value.to_json().to_string(),
        r#"{"source":"digits.csv.gz","input-shape":[1,8,8],"preprocess":[{"scale":0.0625}],"split":{"validation":0.2,"seed":5},"batch-size":32}"#
    );
    assert_eq!(
        first.evaluator.value.to_json()["optimizer"].to_string(),
        r#"{"name":"adam","lr":0.1,"weight-decay":0.0}"#
    );

    let last = &sweep.models[5];
    assert_eq!((last.family, last.index), (1, 1));
    assert_eq!(
        (&last.training.schedule, last.training.clip_norm),
        (&None, None)
    );
    let optimizer = &last.training.optimizer;
    assert_eq!(optimizer.name.value, "sgd");
    assert_eq!(
        optimizer.options.named.to_json().to_string(),
        r#"{"lr":0.125}"#
    );
    assert_eq!(last.parts[0].freeze[0].value, "*");
    assert_eq!(last.parts[1].freeze_parameters[0].value, "bias?");
    let place = &sweep.source.text[optimizer.name.span.clone()];
    assert_eq!(place, "\"sgd\"");
}

#[test]
fn an_optimizer_keeps_the_default_options_unless_its_name_changes() {
    let optimizer = |own: &str| {
        let text = format!(
            "evaluator = {{ loss = \"mse\", epochs = 1, optimizer = {{ name = \"adam\", lr = 0.1, \
             betas = [0.9, 0.99] }} }}\n[[model]]\nlayers = []\nevaluator.optimizer = {own}"
        );
        models(&text)[0].evaluator.value.to_json()["optimizer"].to_string()
    };
    assert_eq!(
        optimizer("{ lr = 0.5 }"),
        r#"{"name":"adam","lr":0.5,"betas":[0.9,0.99]}"#
    );
    assert_eq!(
        optimizer("{ name = \"adam\", eps = 1 }"),
        r#"{"name":"adam","lr":0.1,"betas":[0.9,0.99],"eps":1}"#
    );
    assert_eq!(
        optimizer("\"adam\""),
        r#"{"name":"adam","lr":0.1,"betas":[0.9,0.99]}"#
    );
    assert_eq!(
        optimizer("{ name = \"sgd\", lr = 1 }"),
        r#"{"name":"sgd","lr":1}"#
    );
    assert_eq!(optimizer("\"sgd\""), r#""sgd""#);
}

#[test]
fn a_sweep_is_called_like_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("tides");
    std::fs::create_dir(&inner).unwrap();
    let path = inner.join("sweep.toml");
    std::fs::write(&path, block("", "")).unwrap();
    let sweep = Sweep::load(&path).unwrap();
    assert_eq!((sweep.name.as_str(), &sweep.base_dir), ("tides", &inner));
    let missing = Sweep::load(&inner.join("none.toml")).unwrap_err();
    assert!(
        missing
            .to_string()
            .starts_with("cannot read the sweep file "),
        "{missing}"
    );
    assert!(missing.mistakes().is_empty());
}

#[test]
fn the_index_tells_equal_draws_apart() {
    let text = block(
        "",
        "combine = { random = 3 }\nname = \"try-${index}\"\nevaluator.seed = \"${index}\"",
    );
    let seeds: Vec<(String, u64)> = models(&text)
        .into_iter()
        .map(|model| (model.name, model.training.seed))
        .collect();
    assert_eq!(
        seeds,
        [
            ("try-0".into(), 0),
            ("try-1".into(), 1),
            ("try-2".into(), 2)
        ]
    );
}

#[test]
fn the_same_text_gives_the_same_models() {
    let text = block(
        "settings.a = { uniform = [0, 1] }\nsettings.b = [1, 2]",
        "combine = { random = 9 }",
    );
    assert_eq!(models(&text), models(&text));
}

proptest! {
    #[test]
    fn the_size_of_a_grid_is_the_product(lengths in prop::collection::vec(1_usize..5, 0..6)) {
        let settings: Vec<String> = lengths
            .iter()
            .enumerate()
            .map(|(n, length)| format!("settings.s{n} = {{ range = [1, {length}] }}"))
            .collect();
        let combined = combined(&settings.join("\n"), "");
        prop_assert_eq!(combined.len(), lengths.iter().product::<usize>());
        let mut different = combined.clone();
        different.sort();
        different.dedup();
        prop_assert_eq!(different.len(), combined.len());
    }

    #[test]
    fn a_setting_more_changes_no_other_draw(
        seed in 0_u32..100,
        draws in 1_usize..10,
        extra in "[b-z]{1,6}[0-9]",
        first in any::<bool>(),
    ) {
        let kept = "settings.a = { uniform = [0.0, 1.0] }";
        let more = format!("settings.{extra} = [1, 2, 3]");
        let both = if first { format!("{more}\n{kept}") } else { format!("{kept}\n{more}") };
        let combine = format!("combine = {{ random = {draws}, seed = {seed} }}");
        let of_a = |settings: &str| -> Vec<Value> {
            models(&block(settings, &combine))
                .iter()
                .map(|model| model.settings.iter().find(|(name, _)| name == "a").unwrap().1.clone())
                .collect()
        };
        prop_assert_eq!(of_a(kept), of_a(&both));
    }

    #[test]
    fn more_draws_begin_with_the_fewer(draws in 1_usize..20) {
        let settings = "settings.a = { uniform = [0.0, 1.0] }";
        let fewer = floats(settings, &format!("combine = {{ random = {draws} }}"));
        let more = floats(settings, "combine = { random = 20 }");
        prop_assert_eq!(&fewer[..], &more[..draws]);
    }

    #[test]
    fn tuples_are_as_many_as_the_values(length in 1_usize..30, lists in 1_usize..5) {
        let settings: Vec<String> = (0..lists)
            .map(|n| format!("settings.s{n} = {{ range = [{n}, {}] }}", n + length - 1))
            .collect();
        let models = models(&block(&settings.join("\n"), "combine = \"tuples\""));
        prop_assert_eq!(models.len(), length);
        for (index, model) in models.iter().enumerate() {
            for (n, (_, value)) in model.settings.iter().enumerate() {
                prop_assert_eq!(value, &Value::Int((n + index) as i64));
            }
        }
    }
}
