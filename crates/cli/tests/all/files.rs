//! `import`, `opt`, `eval` and the lists.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::common::Place;

/// A model that adds its input to itself twice, in the same way.
const TWICE: &str = r#"syncarp 1

model m0 "twice" {}

graph "eval" {
  v0 = input {dims=dims[n, 2], dtype=f32, model=m0, name="x"} : f32[n, 2] @m0
  v1 = add v0, v0 : f32[n, 2] @m0 "a"
  v2 = add v0, v0 : f32[n, 2] @m0 "b"
  v3 = mul v1, v2 : f32[n, 2] @m0 "c"
  result m0 "y" = v3
}
"#;

#[test]
fn import_prints_what_it_reads() {
    let place = Place::new();
    place.write("twice.syn", TWICE);
    let ran = place.run(&["import", "twice.syn"]).code(0);
    assert_eq!(ran.out, TWICE);
    let json = place
        .run(&["import", "twice.syn", "--json", "-o", "out.syn"])
        .code(0)
        .json();
    assert_eq!(json["models"][0]["name"], "twice");
    assert_eq!(json["graphs"][0]["nodes"], 4);
    assert_eq!(json["graphs"][0]["inputs"][0]["name"], "x");
    assert_eq!(place.read("out.syn"), TWICE);
}

#[test]
fn a_file_given_twice_is_two_models() {
    let place = Place::new();
    place.write("twice.syn", TWICE);
    let ran = place.run(&["import", "twice.syn", "twice.syn"]).code(0);
    assert!(ran.out.contains("model m0 \"twice\""), "{}", ran.out);
    assert!(ran.out.contains("model m1 \"twice-2\""), "{}", ran.out);
    // What comes out goes in again.
    place.write("both.syn", &ran.out);
    assert_eq!(place.run(&["import", "both.syn"]).code(0).out, ran.out);
    // Equal models of equal data are one computation.
    let args = ["opt", "both.syn", "--passes", "dedup-input,cse,dce"];
    let text = place.run(&args).code(0).out;
    assert_eq!(text.matches(" = add ").count(), 1, "{text}");
    assert_eq!(text.matches(" = mul ").count(), 1, "{text}");
}

#[test]
fn opt_rewrites_text() {
    let place = Place::new();
    place.write("twice.syn", TWICE);
    let ran = place.run(&["opt", "twice.syn", "--passes", "cse"]).code(0);
    assert_eq!(ran.out.matches(" = add ").count(), 1, "{}", ran.out);
    place
        .run(&["opt", "twice.syn", "--passes", "cse", "-o", "out.syn"])
        .code(0);
    assert_eq!(place.read("out.syn"), ran.out);
    let ran = place
        .run(&["opt", "twice.syn", "--passes", "dce,cze"])
        .code(2);
    assert!(ran.err.contains("no pass is called `cze`"), "{}", ran.err);
    assert!(ran.err.contains("did you mean `cse`"), "{}", ran.err);
}

/// An archive of one stored `f4` array, as NumPy writes it.
pub fn npz(name: &str, rows: usize, values: &[f32]) -> Vec<u8> {
    let columns = values.len() / rows;
    let header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}\n");
    let mut content = b"\x93NUMPY\x01\0".to_vec();
    content.extend((header.len() as u16).to_le_bytes());
    content.extend(header.as_bytes());
    values
        .iter()
        .for_each(|value| content.extend(value.to_le_bytes()));
    let mut crc = flate2::Crc::new();
    crc.update(&content);
    let name = format!("{name}.npy");
    let mut shared = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let size = content.len() as u32;
    [crc.sum(), size, size]
        .iter()
        .for_each(|field| shared.extend(field.to_le_bytes()));
    shared.extend((name.len() as u32).to_le_bytes());
    let mut bytes = b"PK\x03\x04".to_vec();
    bytes.extend(&shared);
    bytes.extend(name.as_bytes());
    bytes.extend(&content);
    let start = bytes.len() as u32;
    bytes.extend(b"PK\x01\x02\x14\0");
    bytes.extend(&shared);
    bytes.extend([0; 14]);
    bytes.extend(name.as_bytes());
    let len = bytes.len() as u32 - start;
    bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    bytes.extend(len.to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

#[test]
fn eval_computes() {
    let place = Place::new();
    place.write("twice.syn", TWICE);
    for name in ["x", "input_0"] {
        let bytes = npz(name, 2, &[1.0, 2.0, -3.0, 0.5]);
        std::fs::write(place.path("in.npz"), bytes).unwrap();
        let args = ["eval", "twice.syn", "--input", "in.npz"];
        let ran = place.run(&args).code(0);
        assert!(ran.out.contains("output_0 \"y\" [2, 2]"), "{}", ran.out);
        assert!(
            ran.out.contains("4.000000, 16.000000, 36.000000, 1.000000"),
            "{}",
            ran.out
        );
    }
    let args = [
        "eval",
        "twice.syn",
        "--input",
        "in.npz",
        "--output",
        "out.npz",
    ];
    place.run(&args).code(0);
    let bytes = std::fs::read(place.path("out.npz")).unwrap();
    let values: Vec<u8> = [4.0f32, 16.0, 36.0, 1.0]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    assert!(bytes.windows(16).any(|window| window == values));

    std::fs::write(place.path("in.npz"), npz("z", 2, &[1.0, 2.0])).unwrap();
    let ran = place
        .run(&["eval", "twice.syn", "--input", "in.npz"])
        .code(2);
    assert!(
        ran.err.contains("no array for the input `x`"),
        "{}",
        ran.err
    );
    std::fs::write(place.path("in.npz"), npz("x", 1, &[1.0, 2.0, 3.0])).unwrap();
    let ran = place
        .run(&["eval", "twice.syn", "--input", "in.npz"])
        .code(2);
    assert!(ran.err.contains("the model takes"), "{}", ran.err);
}

#[test]
fn lists_are_complete() {
    let place = Place::new();
    let passes = place.run(&["passes", "--json"]).code(0).json();
    let names: Vec<&str> = passes
        .as_array()
        .unwrap()
        .iter()
        .map(|pass| pass["name"].as_str().unwrap())
        .collect();
    for name in [
        "cse",
        "dce",
        "decompose",
        "dedup-input",
        "differentiate",
        "to-eval",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    let ops = place.run(&["ops", "--json"]).code(0).json();
    let add = ops
        .as_array()
        .unwrap()
        .iter()
        .find(|op| op["name"] == "add")
        .unwrap();
    assert_eq!(add["operands"].as_array().unwrap().len(), 2);
    for list in ["passes", "ops", "policies"] {
        assert!(!place.run(&[list]).code(0).out.is_empty());
    }
    let policies = place.run(&["policies", "--json"]).code(0).json();
    let names: Vec<&str> = policies
        .as_array()
        .unwrap()
        .iter()
        .map(|policy| policy["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["nni", "pack"]);
}

#[test]
fn one_op_is_shown_with_all_that_comes_of_it() {
    let place = Place::new();
    let text = place.run(&["ops", "silu"]).code(0).out;
    for line in [
        "silu(x) -> result  [elementwise]",
        "    gradient: rule",
        "    the embedded engine runs: a kernel",
        "    example: silu f32[2, 3] : f32[2, 3] (6 FLOPs, 48 bytes)",
        "        v0 = sigmoid x : f32[2, 3]",
        "        result = mul x, v0 : f32[2, 3]",
        "        dx = silu_grad x, dresult : f32[2, 3]",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    let json = place.run(&["ops", "silu", "--json"]).code(0).json();
    assert_eq!(json["gradient"], "rule");
    assert_eq!(json["onnx"][0], "Swish");
    let page = place.run(&["ops", "--markdown"]).code(0).out;
    assert!(page.contains("### `silu`"));
    for (name, help) in [
        ("sofmax", "did you mean `softmax`?"),
        ("Gemm", "elsewhere that is `linear`"),
        ("nothing_like_it", "`syncarp ops` lists them"),
    ] {
        let err = place.run(&["ops", name]).code(2).err;
        assert!(
            err.contains("no op is called") && err.contains(help),
            "{err}"
        );
    }
}

#[test]
fn a_closed_pipe_is_no_news() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_syncarp"))
        .args(["ops", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    assert_eq!(err, "");
    assert!(child.wait().unwrap().success());
}
