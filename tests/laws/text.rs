//! The text form: what is printed is read back as the same, and garbage is an error.

use proptest::prelude::*;
use syncarp_diag::Source;
use syncarp_ir::{parse, print, verify};

use crate::generate::{families, on_devices};
use crate::{ops, plan};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn printing_and_parsing_give_the_same_plan(family in families(), placed in any::<bool>()) {
        let original = if placed { on_devices(&family.plan()) } else { family.plan() };
        prop_assert!(verify(&original).is_empty());
        let text = print(&original);
        let parsed = parse(&Source::new("t", text.as_str()), &ops()).map_err(|e| {
            TestCaseError::fail(e.to_string())
        })?;
        prop_assert!(parsed == original, "{}\n{}", text, print(&parsed));
        prop_assert_eq!(print(&parsed), text);
    }

    #[test]
    fn garbage_is_an_error_and_no_panic(text in ".{0,200}") {
        let _ = parse(&Source::new("t", format!("syncarp 1\n{text}")), &ops());
        let _ = parse(&Source::new("t", text), &ops());
    }

    #[test]
    fn a_broken_text_is_an_error_or_a_plan(
        family in families(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = print(&family.plan()).into_bytes();
        for (at, byte) in cuts {
            let at = at.index(bytes.len());
            match byte % 3 {
                0 => bytes[at] = byte,
                1 => { bytes.remove(at); }
                _ => bytes.insert(at, b"0123456789{}[](),=@ \"smvd-"[byte as usize % 26]),
            }
        }
        bytes.truncate(end.index(bytes.len()) + 1);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Ok(plan) = parse(&Source::new("t", text), &ops()) {
            let _ = verify(&plan);
            let again = print(&plan);
            let parsed = parse(&Source::new("t", again.as_str()), &ops());
            let parsed = parsed.map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(print(&parsed), again);
        }
    }
}

#[test]
fn a_text_in_pieces_is_the_text() {
    let mut text = String::from("syncarp 1\nmodel m0 \"a\" {}\ngraph \"eval\" {\n");
    text += "  v0 = input {model=m0, name=\"x\", dtype=f32, dims=dims[n]} @m0\n";
    for i in 1..5_000 {
        text += &format!("  v{i} = relu v{} @m0 \"{}\"\n", i - 1, i % 7);
    }
    let plan = plan(&format!("{text}  result m0 \"y\" = v4999\n}}\n"));
    let mut pieces = Vec::new();
    syncarp_ir::write(&plan, &mut pieces).unwrap();
    assert!(pieces.len() > 100_000, "several pieces");
    assert_eq!(String::from_utf8(pieces).unwrap(), print(&plan));
}

#[test]
fn a_piece_of_text_means_the_same_wherever_it_stands() {
    // Strings and comments may hold what ends a piece, and names may be anything.
    let text = plan(
        r#"syncarp 1
        model m0 "a" {}
        graph "eval" {
          a = input {model=m0, name="}", dtype=f32, dims=dims[n, 4]} : f32[n, 4] @m0
          b = input {model=m0, name="}", dtype=f32, dims=dims[n, 4]} : f32[n, ; ]
            4] @m0
          v7 = flatten a {start=1 ; }
          } : f32[n, 4]
          v3 = flatten b {start=1 ; }
          } : f32[n, 4]
          c = flatten b {start=1} : f32[n, 4]
          d = add v7, v3
          e = add c, d
          result m0 "y" = e
        }"#,
    );
    assert!(verify(&text).is_empty());
    let graph = text.graph("eval").unwrap();
    let operands: Vec<Vec<usize>> = graph
        .nodes()
        .map(|n| graph.operands(n).iter().map(|v| v.index()).collect())
        .collect();
    assert_eq!(operands[5..], [vec![2, 3], vec![4, 5]]);
    for node in graph.nodes().skip(2).take(3) {
        assert_eq!(graph.attrs(node).int("start"), Some(1));
    }
}

#[test]
fn a_person_may_write_less() {
    let short = plan(
        r#"syncarp 1
        model m0 "tiny" { "w" = s0 : f32[2, 3] trainable init(normal(0, 1), stream(_, "w", 0)) }
        graph "train" {
          x = input {model=m0, name="x", dtype=f32, dims=dims[n, 3]} ; the batch
          w = state {of=s0}
          h = linear x, w
          loss = relu h
          result m0 "y" = loss
        }"#,
    );
    assert!(verify(&short).is_empty());
    let long = print(&short);
    assert!(
        long.contains("v2 = linear v0, v1 : f32[n, 2] @m0"),
        "{long}"
    );
    assert_eq!(print(&plan(&long)), long);
}

#[test]
fn mistakes_have_a_line_a_column_and_what_was_expected() {
    let cases = [
        (
            "syncarp 2",
            "t:1:9: this program reads version 1 of the text form",
        ),
        (
            "syncarp 1\ngraph \"a\" { v0 = relu v1 }",
            "t:2:23: no value is called `v1` before here",
        ),
        (
            "syncarp 1\ngraph \"a\" { v0 = rellu }",
            "t:2:18: no op is called `rellu`",
        ),
        (
            "syncarp 1\nmodel m0 \"a\" {}\ngraph \"a\" {\n  x = input {model=m0}\n}",
            "t:4:7: input: attribute `name` is missing",
        ),
        (
            "syncarp 1\nmodel m0 \"a\" { \"w\" = s7 }",
            "t:2:22: state s7 is never given a type",
        ),
        (
            "syncarp 1\ngraph \"a\" {\n  c = constant {dtype=f32, value=1} : f32[2]\n}",
            "t:3:7: constant: the result is f32[], but f32[2] is written",
        ),
    ];
    for (text, expected) in cases {
        let error = parse(&Source::new("t", text), &ops())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(expected), "{error}\nexpected {expected}");
    }
    let error = parse(
        &Source::new("t", "syncarp 1 graph \"a\" { v0 = rellu }"),
        &ops(),
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("did you mean `relu`?")
    );
}
