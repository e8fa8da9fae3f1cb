//! Resolved tables read as the types of other crates.

use serde::Deserialize;
use syncarp_diag::Source;
use syncarp_sweep::{Sweep, from_table};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Stream {
    source: Files,
    #[serde(default)]
    batch_size: Option<u8>,
    #[serde(default)]
    preprocess: Vec<Step>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Files {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Step {
    Scale(f64),
    Normalize { mean: f64, std: Vec<f64> },
    Flip,
}

fn stream(data: &str) -> Result<Stream, String> {
    let text = format!(
        "evaluator = {{ loss = \"mse\", optimizer = \"sgd\", epochs = 1 }}
data = {data}\n[[model]]\nlayers = []\n"
    );
    let source = Source::new("sweep.toml", text.as_str());
    let sweep = Sweep::parse(source, ".").unwrap_or_else(|error| panic!("{error}"));
    from_table(&sweep.models[0].data, &sweep.source).map_err(|mistake| {
        let help = mistake
            .help
            .map(|help| format!(" ({help})"))
            .unwrap_or_default();
        format!("{}: {}{help}", &text[mistake.span], mistake.message)
    })
}

#[test]
fn tables_are_read_as_other_crates_types() {
    assert_eq!(
        stream(
            "{ source = [\"a\"], batch-size = 3, preprocess = [{ scale = 2 }, \"flip\", { flip = {} }, { normalize = { mean = 1, std = [0.5] } }] }"
        ),
        Ok(Stream {
            source: Files::Many(vec!["a".into()]),
            batch_size: Some(3),
            preprocess: vec![
                Step::Scale(2.0),
                Step::Flip,
                Step::Flip,
                Step::Normalize {
                    mean: 1.0,
                    std: vec![0.5]
                }
            ],
        })
    );
}

#[test]
fn mistakes_of_other_crates_types_have_places() {
    for (data, expected) in [
        (
            "{ source = \"a\", batch_size = 3 }",
            "batch_size: unknown key `batch_size` (did you mean `batch-size`? known keys: source, batch-size, preprocess)",
        ),
        (
            "{ source = \"a\", batch-size = 300 }",
            "300: invalid value: integer `300`, expected u8",
        ),
        (
            "{ batch-size = 3 }",
            "{ batch-size = 3 }: there is no `source`",
        ),
        (
            "{ source = 3 }",
            "3: data did not match any variant of untagged enum Files",
        ),
        (
            "{ source = \"a\", preprocess = [{ scael = 2 }] }",
            "scael: unknown name `scael` (did you mean `scale`? known names: scale, normalize, flip)",
        ),
        (
            "{ source = \"a\", preprocess = [{ scale = true }] }",
            "true: invalid type: boolean `true`, expected f64",
        ),
        (
            "{ source = \"a\", preprocess = [\"scale\"] }",
            "\"scale\": `scale` needs a value",
        ),
        (
            "{ source = \"a\", preprocess = [{ flip = 1 }] }",
            "1: `flip` takes no value",
        ),
        (
            "{ source = \"a\", preprocess = [3] }",
            "3: expected a name, or a table with one key",
        ),
        (
            "{ source = \"a\", preprocess = [{ normalize = { mean = 1, std = [0, \"x\"] } }] }",
            "\"x\": invalid type: string \"x\", expected f64",
        ),
        (
            "{ source = \"a\", preprocess = [{ normalize = { mean = 1 } }] }",
            "{ mean = 1 }: there is no `std`",
        ),
    ] {
        assert_eq!(stream(data), Err(expected.to_owned()));
    }
}
