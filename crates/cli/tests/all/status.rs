//! `status`, and what an interrupt leaves.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::common::{Place, named};

#[test]
fn a_finished_run_is_told() {
    let place = Place::new();
    place.sweep(
        r#"
[[model]]
name = "good"
layers = [{ linear = 3 }]

[[model]]
name = "bad"
evaluator.optimizer = { name = "sgd", lr = 1e30 }
layers = [{ linear = 8 }, { linear = 3 }]
"#,
    );
    place.run(&["run", "sweep.toml"]).code(1);
    let json = place.run(&["status", "runs/tiny", "--json"]).code(0).json();
    let good = named(&json["models"], "good");
    assert_eq!(
        (&good["state"], &good["epochs"]),
        (&"finished".into(), &3.into())
    );
    assert!(good["metrics"]["accuracy"].is_number());
    let bad = named(&json["models"], "bad");
    assert_eq!(bad["state"], "failed");
    let text = place.run(&["status", "runs/tiny"]).code(0).out;
    assert!(text.contains("2 models: 1 finished, 1 failed"), "{text}");
    assert!(text.contains(&format!("bad: {}", bad["cause"].as_str().unwrap())));
}

#[test]
fn a_folder_without_a_run_is_told() {
    let place = Place::new();
    let ran = place.run(&["status", "runs/none"]).code(2);
    assert!(ran.err.contains("models.json"), "{}", ran.err);
    place.write("models.json", "{");
    place.run(&["status", "."]).code(2);
}

/// Waits until the models of the run are in this state.
#[cfg(unix)]
fn wait_for(place: &Place, state: &str) -> Json {
    let start = Instant::now();
    loop {
        let ran = place.run(&["status", "runs/tiny", "--json"]);
        if ran.code == 0 {
            let json = ran.json();
            let models = json["models"].as_array().unwrap().clone();
            if !models.is_empty() && models.iter().all(|model| model["state"] == state) {
                return json;
            }
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{}", ran.out);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_ends_in_order_and_goes_on_later() {
    let place = Place::new();
    let models = |epochs: u32| {
        format!(
            "[[model]]\nname = \"long-${{lr}}\"\nsettings.lr = [0.01, 0.02]\n\
             evaluator.epochs = {epochs}\nlayers = [{{ linear = 3 }}]\n"
        )
    };
    place.sweep(&models(10_000_000));
    let child = Command::new(env!("CARGO_BIN_EXE_syncarp"))
        .args(["run", "sweep.toml", "--compare"])
        .current_dir(place.path("."))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&place, "running");
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("interrupted"), "{told}");
    wait_for(&place, "stopped");
    place.sweep(&models(2));
    place.run(&["run", "sweep.toml"]).code(0);
    wait_for(&place, "finished");
}
