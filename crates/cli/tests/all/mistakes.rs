//! What is wrong is said with its place, and exits with 2.

use crate::common::{HEAD, Place};

/// Runs a sweep that is wrong, and demands that all of these are said.
fn wrong(sweep: &str, said: &[&str]) {
    let place = Place::new();
    place.write("sweep.toml", sweep);
    for command in ["run", "plan", "verify"] {
        let ran = place.run(&[command, "sweep.toml"]).code(2);
        for text in said {
            assert!(
                ran.err.contains(text),
                "{command} does not say {text:?}:\n{}",
                ran.err
            );
        }
        assert!(ran.err.contains("sweep.toml:"), "{}", ran.err);
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
    }
    assert!(
        !place.path("runs").exists(),
        "nothing is kept of what is wrong"
    );
}

const MODEL: &str = "\n[[model]]\nname = \"m\"\nlayers = [{ linear = 3 }]\n";

#[test]
fn mistakes_in_a_sweep_have_places() {
    let sweep = |model: &str| format!("{HEAD}{model}");
    wrong(&sweep("\n[[model]\n"), &["sweep.toml:14"]);
    wrong(
        &sweep(&MODEL.replace("linear", "liner")),
        &["no layer is called `liner`", ":16:"],
    );
    wrong(
        &sweep(&format!("{MODEL}evaluator.optimiser = 1\n")),
        &["optimiser", ":17:"],
    );
    let optimizer = "evaluator.optimizer = { name = \"sgd\", lr = -1 }\n";
    wrong(
        &sweep(&format!("{MODEL}{optimizer}")),
        &["option `lr` of `sgd`", ":17:"],
    );
    let optimizer = "evaluator.optimizer = { name = \"sgd\", lr = 1, momentun = 1 }\n";
    wrong(
        &sweep(&format!("{MODEL}{optimizer}")),
        &["no option `momentun`", "momentum"],
    );
    let loss = "evaluator.loss = \"crossentropy\"\n";
    wrong(
        &sweep(&format!("{MODEL}{loss}")),
        &["no loss is called `crossentropy`", ":17:"],
    );
}

#[test]
fn mistakes_about_data_have_places() {
    let head = HEAD.replace("points.csv", "nothing.csv");
    wrong(&format!("{head}{MODEL}"), &["nothing.csv", "sweep.toml:5:"]);
    let head = HEAD.replace("0.25", "1.5");
    wrong(
        &format!("{head}{MODEL}"),
        &["split.validation", "sweep.toml:6:"],
    );
    let head = HEAD.replace("batch-size", "batchsize");
    wrong(
        &format!("{head}{MODEL}"),
        &["unknown key `batchsize`", "sweep.toml:7:"],
    );
}

#[test]
fn models_that_do_not_fit_the_data_are_told() {
    let model = MODEL.replace("linear = 3", "linear = 2");
    let said = ["gives 2 logits a sample, but the data has 3 classes"];
    wrong(&format!("{HEAD}{model}"), &said);
    let model = format!("{MODEL}evaluator.metrics = [\"accuracy\"]\nevaluator.loss = \"mse\"\n");
    wrong(&format!("{HEAD}{model}"), &["`mse` does not fit"]);
}

#[test]
fn wrong_usage_is_told() {
    let place = Place::new();
    place.sweep(MODEL);
    for (args, said) in [
        (&["run", "none.toml"][..], "none.toml"),
        (
            &["run", "sweep.toml", "--devices", "cpu"],
            "`cpu` is not a device",
        ),
        (
            &["run", "sweep.toml", "--policy", "best"],
            "no policy is called `best`",
        ),
        (
            &["run", "sweep.toml", "--passes", "cse,"],
            "expected the name of a pass",
        ),
        (
            &["run", "sweep.toml", "--passes", "differentiate"],
            "runs on the assembly stage",
        ),
        (&["verify", "sweep.toml", "--steps", "0"], "0"),
        (&["import", "sweep.toml"], "sweep.toml:"),
        (&["import", "none.syn"], "none.syn"),
        (&["eval", "none.syn", "--input", "none.npz"], "none.syn"),
        (&["train"], "train"),
        (
            &["plan", "sweep.toml", "none.syn"],
            "a sweep is planned alone",
        ),
        (&["run", "sweep.toml", "--out", "points.csv"], "points.csv"),
    ] {
        let ran = place.run(args).code(2);
        assert!(
            ran.err.contains(said),
            "{args:?} does not say {said:?}:\n{}",
            ran.err
        );
        assert!(ran.out.is_empty());
    }
    place.run(&["--help"]).code(0);
    place.run(&["--version"]).code(0);
}
