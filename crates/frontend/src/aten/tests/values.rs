//! Functions element by element, and arithmetic on numbers.

use super::*;

#[test]
fn functions_of_one_tensor() {
    for (name, op) in [
        ("neg", "neg"),
        ("exp", "exp"),
        ("expm1", "expm1"),
        ("log", "log"),
        ("log1p", "log1p"),
        ("sqrt", "sqrt"),
        ("rsqrt", "rsqrt"),
        ("square", "square"),
        ("reciprocal", "reciprocal"),
        ("abs", "abs"),
        ("sign", "sign"),
        ("floor", "floor"),
        ("ceil", "ceil"),
        ("round", "round"),
        ("sin", "sin"),
        ("cos", "cos"),
        ("erf", "erf"),
        ("relu", "relu"),
        ("relu_", "relu"),
        ("relu6", "relu6"),
        ("selu", "selu"),
        ("silu", "silu"),
        ("mish", "mish"),
        ("hardsigmoid", "hardsigmoid"),
        ("hardswish_", "hardswish"),
        ("sigmoid", "sigmoid"),
        ("tanh", "tanh"),
        ("log_sigmoid", "logsigmoid"),
        ("softsign", "softsign"),
        ("gelu", "gelu"),
        ("leaky_relu", "leaky_relu"),
        ("elu", "elu"),
        ("hardtanh", "hardtanh"),
        ("softplus", "softplus"),
        ("F.relu", "relu"),
        ("F.logsigmoid", "logsigmoid"),
        ("F.dropout", "dropout"),
        ("F.softmax", "softmax"),
    ] {
        gives(name, "f32[n, 3]", &[], "f32[n, 3]", &[op]);
    }
    for name in ["contiguous", "clone", "alias"] {
        gives(name, "f32[n, 3]", &[], "f32[n, 3]", &[]);
    }
    gives(
        "F.relu_",
        "f32[n, 3]",
        &[Arg::Bool(true)],
        "f32[n, 3]",
        &["relu"],
    );
    gives(
        "F.hardtanh",
        "f32[n]",
        &[Arg::Float(0.0), int(6), Arg::Bool(true)],
        "f32[n]",
        &["hardtanh"],
    );
    for (name, op) in [
        ("F.relu6", "relu6"),
        ("F.selu", "selu"),
        ("F.silu", "silu"),
        ("F.mish", "mish"),
        ("F.hardsigmoid", "hardsigmoid"),
        ("F.hardswish", "hardswish"),
        ("F.leaky_relu", "leaky_relu"),
        ("F.elu", "elu"),
        ("F.sigmoid", "sigmoid"),
        ("F.tanh", "tanh"),
        ("F.softsign", "softsign"),
        ("F.log_softmax", "log_softmax"),
        ("F.gelu", "gelu"),
    ] {
        gives(name, "f32[n, 3]", &[], "f32[n, 3]", &[op]);
    }
    let no = Arg::Bool(false);
    gives(
        "_log_softmax",
        "f32[n, 3]",
        &[int(1), no],
        "f32[n, 3]",
        &["log_softmax"],
    );
    gives("_to_copy", "f32[n, 3]", &[int(7)], "f64[n, 3]", &["cast"]);
    gives(
        "dropout",
        "f32[n]",
        &[Arg::Float(0.5), Arg::Bool(false)],
        "f32[n]",
        &[],
    );
    gives(
        "softmax",
        "f32[n, 3]",
        &[int(-1), Arg::None],
        "f32[n, 3]",
        &["softmax"],
    );
    gives(
        "_softmax",
        "f32[n, 3]",
        &[int(1), Arg::Bool(false)],
        "f32[n, 3]",
        &["softmax"],
    );
    gives(
        "log_softmax",
        "f32[n, 3]",
        &[int(1), int(7)],
        "f64[n, 3]",
        &["cast", "log_softmax"],
    );
    gives("to.dtype", "i64[n]", &[int(6)], "f32[n]", &["cast"]);
}

#[test]
fn arithmetic_takes_numbers_and_promotes_as_pytorch() {
    let half = || Arg::Float(0.5);
    gives("add", "f32[n, 3]", &[half(), int(1)], "f32[n, 3]", &["add"]);
    gives(
        "add_",
        "f32[n, 3]",
        &[int(2), int(3)],
        "f32[n, 3]",
        &["mul", "add"],
    );
    gives("sub", "i64[n]", &[int(2), int(1)], "i64[n]", &["sub"]);
    gives("mul", "i64[n]", &[half()], "f32[n]", &["cast", "mul"]);
    gives(
        "div",
        "i64[n]",
        &[int(2)],
        "f32[n]",
        &["cast", "cast", "div"],
    );
    gives(
        "div",
        "f32[n]",
        &[int(2), Arg::Str("floor".into())],
        "f32[n]",
        &["div", "floor"],
    );
    gives(
        "floor_divide",
        "f32[n]",
        &[int(2)],
        "f32[n]",
        &["div", "floor"],
    );
    gives(
        "rsub",
        "f32[n]",
        &[int(1), int(2)],
        "f32[n]",
        &["mul", "sub"],
    );
    gives("pow", "f32[n]", &[int(2)], "f32[n]", &["square"]);
    gives("pow", "f32[n]", &[half()], "f32[n]", &["sqrt"]);
    gives("pow", "f32[n]", &[int(3)], "f32[n]", &["pow"]);
    gives(
        "clamp",
        "f32[n]",
        &[Arg::None, int(6)],
        "f32[n]",
        &["clamp"],
    );
    for name in ["multiply", "divide", "true_divide"] {
        let op = if name == "multiply" { "mul" } else { "div" };
        let source = source();
        let mut bench = Bench::new(&source);
        let x = Arg::Tensor(bench.input("x", "f32[n]"));
        bench.call(name, &[x.clone(), x]).unwrap();
        assert_eq!(bench.ops(), [op]);
    }
    gives("clamp_min", "f32[n]", &[int(0)], "f32[n]", &["clamp"]);
    gives("clamp_max", "f32[n]", &[int(0)], "f32[n]", &["clamp"]);
    for name in ["eq", "ne", "lt", "le", "gt", "ge"] {
        gives(name, "f32[n]", &[int(0)], "bool[n]", &[name]);
    }
    let source = source();
    let mut bench = Bench::new(&source);
    let a = Arg::Tensor(bench.input("a", "f32[n, 3]"));
    let b = Arg::Tensor(bench.input("b", "i64[3]"));
    let c = Arg::Tensor(bench.input("c", "bool[n, 1]"));
    for (name, args, ty) in [
        ("add.Tensor", vec![a.clone(), b.clone()], "f32[n, 3]"),
        ("maximum", vec![b.clone(), a.clone()], "f32[n, 3]"),
        ("minimum", vec![a.clone(), b.clone()], "f32[n, 3]"),
        ("pow", vec![Arg::Float(2.0), a.clone()], "f32[n, 3]"),
        ("where", vec![c, a.clone(), b], "f32[n, 3]"),
    ] {
        let given = bench
            .call(name, &args)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(bench.ty(&given), ty, "{name}");
    }
    let given = bench.call_with("add.Scalar", std::slice::from_ref(&a), &[("other", int(1))]);
    assert_eq!(bench.ty(&given.unwrap()), "f32[n, 3]");
}

#[test]
fn numbers_are_computed_while_the_graph_is_made() {
    let source = source();
    let mut bench = Bench::new(&source);
    let n = || Arg::Dim(Dim::symbol("n"));
    for (name, args, expected) in [
        ("add", [int(2), int(3)], "the integer 5"),
        ("mul", [int(2), Arg::Float(1.5)], "the float 3.0"),
        ("div", [int(3), int(2)], "the float 1.5"),
        ("floordiv", [int(-3), int(2)], "the integer -2"),
        ("floor_divide", [int(7), int(2)], "the integer 3"),
        ("mul", [n(), int(2)], "the size 2*n"),
        ("sub", [n(), n()], "the integer 0"),
        ("__getitem__", [ints(&[4, 5]), int(-1)], "the integer 5"),
    ] {
        assert_eq!(
            bench.call(name, &args).unwrap().to_string(),
            expected,
            "{name}"
        );
    }
    assert_eq!(bench.call("Int", &[Arg::Float(-1.5)]).unwrap(), int(-1));
    assert_eq!(bench.call("ScalarImplicit", &[int(3)]).unwrap(), int(3));
    for (name, args) in [
        ("add", [int(i64::MAX), int(1)]),
        ("floordiv", [int(i64::MIN), int(-1)]),
        ("floordiv", [int(1), int(0)]),
        ("div", [Arg::Float(1.0), int(0)]),
        ("__getitem__", [ints(&[]), int(0)]),
    ] {
        assert!(bench.call(name, &args).is_err(), "{name}");
    }
}

#[test]
fn wrong_arguments_are_told_with_the_schema() {
    let source = source();
    let mut bench = Bench::new(&source);
    let x = Arg::Tensor(bench.input("x", "f32[n, 3]"));
    let error = bench.call("relu", &[x.clone(), int(1)]).unwrap_err();
    assert_eq!(
        error,
        "gets 2 arguments; it is called as aten::relu(Tensor self) -> Tensor"
    );
    let error = bench.call("t", &[int(1)]).unwrap_err();
    assert!(
        error.starts_with("`self` cannot be the integer 1"),
        "{error}"
    );
    let twice = bench.call_with("t", std::slice::from_ref(&x), &[("self", x.clone())]);
    assert!(twice.unwrap_err().starts_with("gets `self` twice"));
    let other = bench.call_with("t", std::slice::from_ref(&x), &[("y", int(1))]);
    assert!(other.unwrap_err().starts_with("has no parameter `y`"));
    assert!(
        bench
            .call("add.Complex", &[x.clone(), x])
            .unwrap_err()
            .contains("`Complex`")
    );
    assert!(bench.functions.find(&Named::aten("fft_rfft")).is_none());
    assert!(bench.functions.find(&Named::aten("_")).is_none());
}
