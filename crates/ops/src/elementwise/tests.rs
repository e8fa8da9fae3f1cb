//! Types, gradients and parts of all ops of the family.

use syncarp_ir::{Attrs, DType, TensorType};

use crate::testing::{decomposed, dims, error_of, gradients, type_of};

fn f32s(text: &str) -> TensorType {
    TensorType::new(DType::F32, dims(text))
}

fn of(dtype: DType, text: &str) -> TensorType {
    TensorType::new(dtype, dims(text))
}

const UNARY: &[&str] = &[
    "copy",
    "neg",
    "abs",
    "square",
    "relu",
    "tanh",
    "sigmoid",
    "exp",
    "expm1",
    "log",
    "log1p",
    "sqrt",
    "rsqrt",
    "reciprocal",
    "sin",
    "cos",
    "erf",
    "gelu",
    "silu",
];
const CONSTANT: &[&str] = &["sign", "floor", "ceil", "round"];
const BINARY: &[&str] = &[
    "add",
    "sub",
    "mul",
    "div",
    "maximum",
    "minimum",
    "pow",
    "leaky_relu",
    "elu",
];

#[test]
fn one_operand_gives_its_own_type() {
    for op in UNARY.iter().chain(CONSTANT) {
        let x = f32s("n,4");
        assert_eq!(type_of(op, std::slice::from_ref(&x), Attrs::new()), x);
        let open = TensorType::unknown();
        assert_eq!(type_of(op, std::slice::from_ref(&open), Attrs::new()), open);
    }
    let error = error_of("relu", &[of(DType::I64, "4")], Attrs::new());
    assert!(error.contains("must be a float, not i64"), "{error}");
    let error = error_of("neg", &[of(DType::Bool, "4")], Attrs::new());
    assert!(error.contains("a float or an integer, not bool"), "{error}");
}

#[test]
fn two_operands_broadcast() {
    for op in BINARY {
        let y = type_of(op, &[f32s("n,1,4"), f32s("3,1")], Attrs::new());
        assert_eq!(y.to_string(), "f32[n, 3, 4]");
        let y = type_of(op, &[TensorType::unknown(), f32s("3,1")], Attrs::new());
        assert_eq!(y.to_string(), "f32[*]");
        let error = error_of(op, &[f32s("n"), f32s("3")], Attrs::new());
        assert!(error.contains("do not broadcast"), "{error}");
        let error = error_of(op, &[f32s("3"), of(DType::F64, "3")], Attrs::new());
        assert!(error.contains("f64"), "{error}");
    }
    let error = error_of(
        "pow",
        &[of(DType::Bool, "3"), of(DType::Bool, "3")],
        Attrs::new(),
    );
    assert!(error.contains("not bool"), "{error}");
}

#[test]
fn gradients_have_the_types_of_their_operands() {
    for op in UNARY {
        let x = f32s("n,4");
        assert_eq!(
            gradients(op, std::slice::from_ref(&x), Attrs::new()),
            [x],
            "{op}"
        );
    }
    for op in CONSTANT {
        let given = gradients(op, &[f32s("n,4")], Attrs::new());
        assert_eq!(given, [TensorType::unknown()], "{op}");
    }
    for op in BINARY {
        for (a, b) in [("n,4", "n,4"), ("n,4", ""), ("n,1,4", "3,1"), ("1", "n,4")] {
            let operands = [f32s(a), f32s(b)];
            assert_eq!(gradients(op, &operands, Attrs::new()), operands, "{op}");
        }
    }
    let operands = [of(DType::Bool, "n,1"), f32s("4"), f32s("n,4")];
    let given = gradients("where", &operands, Attrs::new());
    assert_eq!(given, [TensorType::unknown(), f32s("4"), f32s("n,4")]);
    let to = |dtype: DType| Attrs::new().with("to", dtype);
    assert_eq!(gradients("cast", &[f32s("n")], to(DType::F64)), [f32s("n")]);
    let stopped = gradients("cast", &[f32s("n")], to(DType::I64));
    assert_eq!(stopped, [TensorType::unknown()]);
}

#[test]
fn comparisons_give_truth_values() {
    for op in ["eq", "ne", "lt", "le", "gt", "ge"] {
        let y = type_of(op, &[f32s("n,4"), f32s("")], Attrs::new());
        assert_eq!(y.to_string(), "bool[n, 4]");
        let error = error_of(op, &[f32s("4"), of(DType::I64, "4")], Attrs::new());
        assert!(error.contains("i64"), "{error}");
    }
    for op in ["logical_and", "logical_or"] {
        let y = type_of(
            op,
            &[of(DType::Bool, "n,1"), of(DType::Bool, "4")],
            Attrs::new(),
        );
        assert_eq!(y.to_string(), "bool[n, 4]");
        let error = error_of(op, &[f32s("4"), f32s("4")], Attrs::new());
        assert!(error.contains("must be a bool, not f32"), "{error}");
    }
    let y = type_of("logical_not", &[TensorType::unknown()], Attrs::new());
    assert_eq!(y.to_string(), "bool[*]");
    let error = error_of("where", &[f32s("4"), f32s("4"), f32s("4")], Attrs::new());
    assert!(error.contains("operand 0 must be a bool"), "{error}");
}

#[test]
fn parts_have_the_type_of_the_whole() {
    let x = || f32s("n,4,3");
    let scalar = || f32s("");
    for op in [
        "logsigmoid",
        "mish",
        "selu",
        "softsign",
        "relu6",
        "hardsigmoid",
        "hardswish",
        "gelu",
        "silu",
    ] {
        decomposed(op, &[x()], Attrs::new());
    }
    decomposed("gelu", &[x()], Attrs::new().with("approximate", "tanh"));
    for op in ["leaky_relu", "elu", "softplus"] {
        decomposed(op, &[x(), scalar()], Attrs::new());
    }
    decomposed("softplus", &[x(), scalar(), scalar()], Attrs::new());
    for op in ["clamp", "hardtanh"] {
        decomposed(op, &[x(), scalar(), scalar()], Attrs::new());
    }
    let whole = || of(DType::I64, "n");
    let bound = || of(DType::I64, "");
    decomposed("clamp", &[whole(), bound(), bound()], Attrs::new());
    for w in ["4", "1", ""] {
        decomposed("prelu", &[x(), f32s(w)], Attrs::new());
    }
    decomposed("prelu", &[f32s("n,4"), f32s("4")], Attrs::new());
    for op in [
        "relu_grad",
        "tanh_grad",
        "sigmoid_grad",
        "silu_grad",
        "gelu_grad",
    ] {
        decomposed(op, &[x(), x()], Attrs::new());
        let error = error_of(op, &[x(), f32s("4,3")], Attrs::new());
        assert!(error.contains("has dims"), "{error}");
    }
    for op in ["leaky_relu_grad", "elu_grad"] {
        decomposed(op, &[x(), scalar(), x()], Attrs::new());
    }
}

#[test]
fn what_is_no_activation_is_refused() {
    let none = Attrs::new();
    let error = error_of("prelu", &[f32s("n,4"), f32s("3")], none.clone());
    assert!(error.contains("as many as dim 1"), "{error}");
    let error = error_of("prelu", &[f32s("n,4"), f32s("4,1")], none.clone());
    assert!(error.contains("one element"), "{error}");
    let error = error_of(
        "gelu",
        &[f32s("n")],
        none.clone().with("approximate", "fast"),
    );
    assert!(error.contains("\"none\" or \"tanh\""), "{error}");
    let error = error_of("clamp", &[f32s("n"), f32s("")], none);
    assert!(
        error.contains("expected operands (x, low, high)"),
        "{error}"
    );
    let error = error_of("cast", &[f32s("n")], Attrs::new());
    assert!(error.contains("`to` is missing"), "{error}");
}
