//! What leaves the process: plans as text, and the same plans in another process, whose hash tables
//! have another seed.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use syncarp_diag::Source;
use syncarp_ir::{parse, print, verify};

use crate::setup::{Differ, Grouped, MNIST, judged, submissions};

const ASKED: &str = "SYNCARP_TEST_WRITE_PLAN";

fn plan() -> String {
    let devices: Vec<String> = ["h0/gpu0", "h0/gpu1", "h1/gpu0", "h1/gpu1"]
        .map(str::to_owned)
        .into();
    let mut text = String::new();
    for (file, pixels) in [
        (MNIST, Some(&[1, 28, 28][..])),
        ("ir/mobilenet_v2.json", None),
    ] {
        let mut models = submissions(file, pixels, "AAABB", Differ::Rate);
        if pixels.is_some() {
            models = judged(models);
        }
        let grouped = Grouped::new(&models, true, &devices);
        text += &print(&grouped.plan);
        for assembly in grouped.assemblies().iter().flatten() {
            text += &format!("{:?} {:?}\n", assembly.models, assembly.model_devices);
            text += &print(&assembly.plan);
        }
    }
    text
}

/// Other processes read, fuse, group and assemble to the same bytes. NNI's order of nodes, and with
/// it the first weights, differs from process to process.
#[test]
fn defect_10_every_process_plans_the_same() {
    if let Some(path) = std::env::var_os(ASKED) {
        return std::fs::write(path, plan()).unwrap();
    }
    let ours = plan();
    assert!(ours.len() > 100_000);
    for number in 0..2 {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("plan-{number}.syn"));
        let status = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "processes::defect_10_every_process_plans_the_same",
            ])
            .env(ASKED, &path)
            .output()
            .unwrap();
        assert!(status.status.success(), "{status:?}");
        let theirs = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(theirs == ours, "process {number} plans otherwise");
    }
}

/// What is handed to an engine can be written and read again. A merged trial of NNI's cannot be
/// serialised for the one training service that takes it.
#[test]
fn defect_02_assemblies_survive_their_text() {
    let devices: Vec<String> = ["h0/gpu0", "h0/gpu1"].map(str::to_owned).into();
    let models = judged(submissions(MNIST, Some(&[1, 28, 28]), "AAB", Differ::Rate));
    let grouped = Grouped::new(&models, true, &devices);
    let ops = Arc::new(syncarp_ops::standard());
    let mut count = 0;
    for assembly in grouped.assemblies().iter().flatten() {
        let text = print(&assembly.plan);
        let again = parse(&Source::new("assembly", text.as_str()), &ops);
        let again = again.unwrap_or_else(|error| panic!("{error}"));
        assert!(verify(&again).is_empty());
        assert_eq!(print(&again), text);
        count += 1;
    }
    assert_eq!(count, 2);
}
