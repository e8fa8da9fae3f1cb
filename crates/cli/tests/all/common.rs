//! A folder with a small data set, and the command run in it.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value as Json;
use tempfile::TempDir;

/// A folder to run the command in.
pub struct Place {
    folder: TempDir,
}

/// What a command printed and exited with.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// The head of a sweep over the folder's data.
pub const HEAD: &str = r#"
name = "tiny"

[data]
source = "points.csv"
split = { validation = 0.25 }
batch-size = 8

[evaluator]
loss = "cross-entropy"
optimizer = { name = "adam", lr = 0.02 }
epochs = 3
"#;

impl Place {
    /// A folder with `points.csv`: 60 points in a plane, in three classes that lie apart.
    pub fn new() -> Self {
        let place = Place {
            folder: tempfile::tempdir().unwrap(),
        };
        let mut text = String::new();
        let mut random = 12345u64;
        let mut noise = || {
            random = random
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (random >> 40) as f64 / (1u64 << 24) as f64 - 0.5
        };
        for row in 0..60 {
            let class = row % 3;
            let (x, y) = [(0.0, 2.0), (-2.0, -1.0), (2.0, -1.0)][class];
            writeln!(text, "{:.4},{:.4},{class}", x + noise(), y + noise()).unwrap();
        }
        place.write("points.csv", &text);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes a sweep of these models over the data.
    pub fn sweep(&self, models: &str) {
        self.write("sweep.toml", &format!("{HEAD}\n{models}"));
    }

    /// Runs the command in the folder.
    pub fn run(&self, args: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_syncarp"))
            .args(args)
            .current_dir(self.folder.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// Demands an exit code.
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }

    /// Standard output as one JSON value.
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }
}

/// The entry of this name in a list of models.
pub fn named<'j>(models: &'j Json, name: &str) -> &'j Json {
    let mut models = models.as_array().unwrap().iter();
    models
        .find(|model| model["name"] == name)
        .unwrap_or_else(|| panic!("no model {name}"))
}
