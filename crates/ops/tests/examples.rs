//! What holds of every standard op, checked by its example.

use std::sync::Arc;

use syncarp_ir::{
    Attr, AttrDefault, Differentiable, Example, Op, OpId, OpRegistry, Purity, Sheet, TensorType,
};

fn ops() -> Arc<OpRegistry> {
    Arc::new(syncarp_ops::standard())
}

/// Every op that has an example, applied to it.
fn sheets(ops: &Arc<OpRegistry>) -> impl Iterator<Item = (OpId, &dyn Op, Sheet)> {
    ops.iter().filter_map(|(id, op)| {
        let sheet = Sheet::of(ops, id).unwrap_or_else(|e| panic!("{}: {e}", op.name()));
        Some((id, op, sheet?))
    })
}

fn is_float(ty: &TensorType) -> bool {
    ty.dtype.is_some_and(|d| d.is_float())
}

#[test]
fn every_op_has_an_example_and_a_family() {
    let ops = ops();
    for (id, op) in ops.iter() {
        let name = op.name();
        assert!(ops.family(id).is_some(), "`{name}` belongs to no family");
        // What a state or an unknown op gives, only a plan can say.
        let told_by_plans = ["state", "custom"].contains(&name);
        assert_eq!(op.example().is_none(), told_by_plans, "`{name}`");
    }
}

#[test]
fn work_is_known_where_shapes_are() {
    for (_, op, sheet) in sheets(&ops()) {
        assert!(sheet.flops.is_some(), "{}", op.name());
        let bytes = sheet.bytes.unwrap_or_else(|| panic!("{}", op.name()));
        let written: u64 = sheet.results.iter().filter_map(TensorType::bytes).sum();
        assert!(bytes >= written, "{}: what it gives is written", op.name());
    }
}

#[test]
fn gradients_have_the_types_of_their_operands() {
    for (_, op, sheet) in sheets(&ops()) {
        let Some(gradient) = &sheet.gradient else {
            continue;
        };
        assert_eq!(sheet.differentiable, Differentiable::Rule);
        assert!(gradient.types.iter().any(Option::is_some), "{}", op.name());
        for (ty, given) in sheet.example.operands.iter().zip(&gradient.types) {
            if let Some(given) = given {
                assert!(is_float(ty), "{}: a gradient for no float", op.name());
                assert_eq!(given, ty, "{}", op.name());
            }
        }
    }
}

#[test]
fn parts_have_the_types_of_the_whole_and_are_simpler() {
    let ops = ops();
    for (_, op, sheet) in sheets(&ops) {
        let Some(parts) = &sheet.decomposition else {
            continue;
        };
        let types: Vec<_> = parts.types.iter().flatten().collect();
        let results: Vec<_> = sheet.results.iter().collect();
        assert_eq!(types, results, "{}", op.name());
        assert!(!parts.ops.iter().any(|p| p == op.name()), "{}", op.name());
    }
}

#[test]
fn whoever_differentiates_by_parts_can() {
    let ops = ops();
    for (_, op, sheet) in sheets(&ops) {
        if sheet.differentiable != Differentiable::Decomposition || op.name().ends_with("_grad") {
            continue;
        }
        for part in &sheet.decomposition.expect("it has parts").ops {
            let id = ops.find(part).expect("parts are ops");
            let kind = Sheet::of(&ops, id).unwrap().unwrap().differentiable;
            let source = ops.op(id).purity() == Purity::Source;
            let name = op.name();
            assert!(kind != Differentiable::No || source, "`{part}` of `{name}`");
        }
    }
}

#[test]
fn what_a_default_is_is_said_once() {
    for (_, op) in ops().iter() {
        for spec in op.attributes() {
            let which = format!("`{}` of `{}`: {}", spec.name, op.name(), spec.doc);
            let tells = spec.doc.contains("default");
            assert!(
                !tells,
                "a default is a value of its own, not words: {which}"
            );
            if spec.required {
                assert!(spec.default.is_none(), "what is required has none: {which}");
            } else if spec.default.is_none() {
                let tells = spec.doc.contains("left out");
                assert!(tells, "say what holds where it is left out: {which}");
            }
        }
    }
}

#[test]
fn a_default_written_down_changes_nothing() {
    let ops = ops();
    for (id, op, sheet) in sheets(&ops) {
        for spec in op.attributes() {
            let Some(default) = spec.default else {
                continue;
            };
            let which = format!("`{}` of `{}`", spec.name, op.name());
            let given = &sheet.example.attrs;
            let values: Vec<Attr> = match default {
                AttrDefault::Each(v) => (1..=4).map(|n| vec![v; n].into()).collect(),
                AttrDefault::As(other) => given.get(other).cloned().into_iter().collect(),
                single => single.value().into_iter().collect(),
            };
            let is = |v: &Attr| spec.kind.admits(v) && default.is(v, given);
            assert!(values.iter().all(is));
            let mut without = syncarp_ir::Attrs::new();
            let others = sheet.example.attrs.iter().filter(|(n, _)| *n != spec.name);
            others.for_each(|(n, v)| without.set(n, v.clone()));
            let at = |attrs| {
                let operands = sheet.example.operands.clone();
                let example = Example { operands, attrs };
                let sheet = Sheet::at(&ops, id, example).ok()?;
                let parts = sheet.decomposition.map(|d| d.text);
                let grads = sheet.gradient.map(|g| g.types);
                Some((sheet.results, sheet.flops, sheet.bytes, parts, grads))
            };
            // Of lists one length fits.
            let left_out = at(without.clone());
            let written: Vec<_> = values
                .into_iter()
                .filter_map(|value| at(without.clone().with(spec.name, value)))
                .collect();
            assert_eq!(written.len(), usize::from(left_out.is_some()), "{which}");
            assert!(written.into_iter().all(|w| Some(w) == left_out), "{which}");
        }
    }
}

#[test]
fn sources_are_names() {
    let mut count = 0;
    for (_, op) in ops().iter() {
        let sources = op.sources();
        count += sources.onnx.len() + sources.aten.len();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        for name in sources.onnx.iter().chain(&sources.aten) {
            assert!(name.chars().all(word), "`{name}` of `{}`", op.name());
        }
        let camel = |n: &&str| n.starts_with(|c: char| c.is_ascii_uppercase());
        assert!(sources.onnx.iter().all(camel), "`{}`", op.name());
        assert!(!sources.aten.iter().any(camel), "`{}`", op.name());
    }
    assert!(count > 100, "the documentations name their sources");
}
