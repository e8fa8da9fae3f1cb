//! Whatever the layers are, lowering gives a sound plan that survives its text, or a mistake with a
//! place; and always the same.

mod common;

use std::fmt::Write;

use common::{ops, try_lower};
use proptest::prelude::*;
use syncarp_diag::Source;
use syncarp_frontend::LayerRegistry;
use syncarp_ir::{DType, parse, print, verify};

/// A value that an argument might be given.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (1i64..10).prop_map(|n| n.to_string()),
        1 => any::<i64>().prop_map(|n| n.to_string()),
        1 => Just("0".to_owned()),
        1 => Just("-1".to_owned()),
        2 => (0.0f64..1.0).prop_map(|n| format!("{n:?}")),
        1 => Just("inf".to_owned()),
        2 => any::<bool>().prop_map(|b| b.to_string()),
        1 => prop_oneof![Just("same"), Just("valid"), Just("tanh"), Just("i64"), Just("zeros")]
            .prop_map(|s| format!("\"{s}\"")),
        2 => prop::collection::vec(-1i64..5, 0..4).prop_map(|items| format!("{items:?}")),
        1 => Just("{ weight = \"kaiming-normal\" }".to_owned()),
    ]
}

/// A layer with a few of its own arguments.
fn layer() -> impl Strategy<Value = String> {
    let layers = LayerRegistry::standard();
    let all: Vec<(String, Vec<(&'static str, bool)>)> = layers
        .iter()
        .map(|layer| {
            let arguments = layer
                .arguments()
                .iter()
                .map(|a| (a.names[0], a.default.is_none()))
                .collect();
            (layer.names()[0].to_owned(), arguments)
        })
        .collect();
    let count = all.len();
    (0..count, prop::collection::vec((value(), 0u8..4), 10)).prop_map(move |(which, values)| {
        let (name, arguments) = &all[which];
        let mut text = format!("{{ {name} = {{ ");
        let mut first = true;
        for ((argument, required), (value, chance)) in arguments.iter().zip(&values) {
            if *required || *chance == 0 {
                let comma = if first { "" } else { ", " };
                let _ = write!(text, "{comma}{argument} = {value}");
                first = false;
            }
        }
        text + " } }"
    })
}

fn list() -> impl Strategy<Value = String> {
    let simple = prop::collection::vec(layer(), 1..6).prop_map(|layers| layers.join(", "));
    (simple, prop::option::of((layer(), any::<bool>())), layer()).prop_map(
        |(before, branch, after)| match branch {
            None => before,
            Some((branch, add)) => {
                let join = if add {
                    "join = \"add\""
                } else {
                    "join = \"concat\", dim = 1"
                };
                format!("{before}, {{ branches = [[{branch}], []], {join} }}, {after}")
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn layers_lower_or_are_mistakes(
        layers in list(),
        dims in prop::collection::vec(1u64..9, 0..4),
        integers in prop::bool::weighted(0.1),
        freeze in prop::option::of(prop_oneof![Just("*"), Just("0*"), Just("*.weight")]),
    ) {
        let dtype = if integers { DType::I64 } else { DType::F32 };
        let mut block = format!("layers = [{layers}]");
        if let Some(pattern) = freeze {
            let _ = write!(block, "\nfreeze = [\"{pattern}\"]");
        }
        match try_lower(&block, dtype, &dims) {
            Err(error) => prop_assert!(error.located().is_some(), "{block}: {error}"),
            Ok(plan) => {
                prop_assert!(verify(&plan).is_empty());
                let text = print(&plan);
                let again = parse(&Source::new("printed", text.as_str()), &ops());
                let again = again.map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
                prop_assert_eq!(&again, &plan);
                let twice = try_lower(&block, dtype, &dims).unwrap();
                prop_assert_eq!(print(&twice), text);
            }
        }
    }
}

/// Layers that fit each other, so that the property above is not about mistakes alone.
fn fitting() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            (1u64..9).prop_map(|out| format!("{{ linear = {out} }}")),
            Just("\"relu\"".to_owned()),
            Just("\"flatten\"".to_owned()),
            Just("\"batch-norm\"".to_owned()),
            Just("\"layer-norm\"".to_owned()),
            Just("{ dropout = 0.2 }".to_owned()),
            Just("{ branches = [[\"tanh\"], [\"dropout\"]], join = \"add\" }".to_owned()),
            Just("{ branches = [[\"gelu\"], []], join = \"concat\", dim = -1 }".to_owned()),
            Just("{ prelu = {} }".to_owned()),
        ],
        1..12,
    )
    .prop_map(|layers| layers.join(", "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn fitting_layers_always_lower(
        layers in fitting(),
        dims in prop::collection::vec(1u64..5, 1..4),
        freeze in any::<bool>(),
    ) {
        // The parametric activation gives every pattern something to match.
        let layers = format!("{layers}, {{ name = \"end\", prelu = {{}} }}");
        let freeze = if freeze { "\nfreeze = [\"*\"]" } else { "" };
        let block = format!("layers = [{layers}]{freeze}");
        let plan = try_lower(&block, DType::F32, &dims)
            .map_err(|e| TestCaseError::fail(format!("{block}: {e}")))?;
        let text = print(&plan);
        let again = parse(&Source::new("printed", text.as_str()), &ops()).unwrap();
        prop_assert_eq!(&again, &plan);
    }
}
