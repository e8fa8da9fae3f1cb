//! `verify`: merged and alone are the same to the bit.

use crate::common::{Place, named};

#[test]
fn all_kinds_of_training_are_bitwise() {
    let place = Place::new();
    place.sweep(
        r#"
[[model]]
name = "plain-${epochs}"
settings.epochs = [2, 3]
layers = [{ linear = 6 }, "tanh", { linear = 3 }]
evaluator.epochs = "${epochs}"

[[model]]
name = "dropout-${seed}"
settings.seed = [0, 1]
layers = [{ linear = 8 }, "relu", { dropout = 0.3 }, { linear = 3 }]
evaluator.seed = "${seed}"

[[model]]
name = "norm"
layers = [{ linear = 8 }, "batch-norm", "relu", { linear = 3 }]
evaluator.schedule = { name = "cosine" }

[[model]]
name = "clipped"
layers = [{ linear = 8 }, "sigmoid", { linear = 3 }]
evaluator.clip-norm = 0.1
evaluator.optimizer = { name = "sgd", lr = 0.5, momentum = 0.9 }

[[model]]
name = "wild"
layers = [{ linear = 8 }, { linear = 8 }, { linear = 3 }]
evaluator.optimizer = { name = "sgd", lr = 1e30 }
"#,
    );
    let json = place
        .run(&["verify", "sweep.toml", "--json"])
        .code(0)
        .json();
    assert_eq!(json["bitwise"], true);
    let models = json["models"].as_array().unwrap();
    assert_eq!(models.len(), 7);
    for model in models {
        assert_eq!(model["different"], 0, "{model}");
        assert!(model["compared"].as_u64().unwrap() > 0);
    }
    assert_eq!(named(&json["models"], "norm")["end"], "finished");
    let end = named(&json["models"], "wild")["end"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(end.contains("the loss is"), "{end}");
    let text = place.run(&["verify", "sweep.toml", "--steps", "2"]).code(0);
    assert!(
        text.out.contains("every number is the same to the bit"),
        "{}",
        text.out
    );
}
