//! Every function once at least, by the types and ops that come of it.

use std::sync::Arc;

use syncarp_diag::Source;
use syncarp_ir::{
    DType, Dim, Distribution, GraphBuilder, Initial, OutputKey, StateKind, StreamKey, TRAIN,
    TensorType, Value, print,
};

use super::arg::Arg;
use super::call::Call;
use super::schema::Named;
use super::{Functions, Lowered};
use crate::draft::Draft;

/// A graph in the making with some inputs, and functions called in it.
struct Bench<'a> {
    draft: Draft<'a>,
    functions: Functions,
}

fn source() -> Source {
    Source::new("t", "")
}

impl<'a> Bench<'a> {
    fn new(source: &'a Source) -> Self {
        let b = GraphBuilder::new(Arc::new(syncarp_ops::standard()));
        let functions = Functions::standard();
        Bench {
            draft: Draft::new("m", source, b, &[]),
            functions,
        }
    }

    /// An input of this type, such as `f32[n, 3]`; `?` for one of which nothing is known.
    fn input(&mut self, name: &str, ty: &str) -> Value {
        let known = match ty.split_once('[') {
            None => TensorType::unknown(),
            Some((dtype, dims)) => {
                let dims = dims
                    .trim_end_matches(']')
                    .split(", ")
                    .filter(|d| !d.is_empty());
                let dims = dims.map(|d| d.parse().map_or_else(|_| Dim::symbol(d), Dim::Known));
                TensorType::new(DType::from_name(dtype).unwrap(), dims)
            }
        };
        self.draft.input_of(name, &known).unwrap()
    }

    fn call(&mut self, name: &str, args: &[Arg]) -> Lowered {
        self.call_with(name, args, &[])
    }

    fn call_with(&mut self, name: &str, args: &[Arg], keywords: &[(&str, Arg)]) -> Lowered {
        let named = match name.strip_prefix("F.") {
            Some(name) => Named::functional(name),
            None => Named::aten(name),
        };
        let function = self
            .functions
            .find(&named)
            .unwrap_or_else(|| panic!("no {name}"));
        Call::new(&mut self.draft, "p", function, &named, args, keywords)?.lower()
    }

    fn ty(&self, arg: &Arg) -> String {
        match arg {
            Arg::Tensor(value) => self.draft.b.ty(*value).to_string(),
            Arg::List(_) => {
                let items = arg.items().unwrap().iter().map(|item| self.ty(item));
                items.collect::<Vec<_>>().join(" ")
            }
            other => other.to_string(),
        }
    }

    /// The ops so far, but for what comes from outside.
    fn ops(&self) -> Vec<&'static str> {
        let graph = self.draft.b.graph();
        let names = graph.nodes().map(|node| graph.op_name(node));
        names
            .filter(|name| !["input", "constant", "state"].contains(name))
            .collect()
    }
}

fn int(number: i64) -> Arg {
    Arg::Int(number)
}

fn ints(numbers: &[i64]) -> Arg {
    Arg::list(numbers.iter().copied().map(Arg::Int).collect()).unwrap()
}

/// Demands that a function of `x` and more gives these types by these ops, and that without any
/// knowledge of x it either does by the same ops or asks for the shape.
fn gives(name: &str, x: &str, rest: &[Arg], expected: &str, ops: &[&str]) {
    let source = source();
    let mut bench = Bench::new(&source);
    let x = Arg::Tensor(bench.input("x", x));
    let args: Vec<Arg> = std::iter::once(x).chain(rest.iter().cloned()).collect();
    let given = bench
        .call(name, &args)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(bench.ty(&given), expected, "{name}");
    assert_eq!(bench.ops(), ops, "{name}");
    let mut bench = Bench::new(&source);
    let x = Arg::Tensor(bench.input("x", "?"));
    let args: Vec<Arg> = std::iter::once(x).chain(rest.iter().cloned()).collect();
    if let Err(error) = bench.call(name, &args) {
        assert!(
            error.contains("the shape has to be known"),
            "{name} of unknown type: {error}"
        );
    }
}

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
fn shapes() {
    let x = "f32[n, 4, 6]";
    gives("flatten", x, &[int(1), int(-1)], "f32[n, 24]", &["flatten"]);
    gives("view", x, &[ints(&[-1, 12])], "f32[2*n, 12]", &["reshape"]);
    gives(
        "reshape",
        x,
        &[Arg::list(vec![Arg::Dim(Dim::symbol("n")), int(-1)]).unwrap()],
        "f32[n, 24]",
        &["reshape"],
    );
    gives(
        "permute",
        x,
        &[ints(&[0, 2, -2])],
        "f32[n, 6, 4]",
        &["transpose"],
    );
    gives(
        "transpose",
        x,
        &[int(-1), int(1)],
        "f32[n, 6, 4]",
        &["transpose"],
    );
    gives("t", "f32[n, 3]", &[], "f32[3, n]", &["transpose"]);
    gives("t", "f32[n]", &[], "f32[n]", &[]);
    gives("squeeze", "f32[n, 1, 3, 1]", &[], "f32[n, 3]", &["squeeze"]);
    gives(
        "squeeze",
        "f32[n, 1, 3]",
        &[int(1)],
        "f32[n, 3]",
        &["squeeze"],
    );
    gives("squeeze", "f32[n, 1, 3]", &[int(2)], "f32[n, 1, 3]", &[]);
    gives(
        "unsqueeze",
        x,
        &[int(-1)],
        "f32[n, 4, 6, 1]",
        &["unsqueeze"],
    );
    gives(
        "expand",
        "f32[n, 1]",
        &[ints(&[5, -1, 3])],
        "f32[5, n, 3]",
        &["expand"],
    );
    gives(
        "select",
        x,
        &[int(1), int(-1)],
        "f32[n, 6]",
        &["slice", "squeeze"],
    );
    gives(
        "select",
        x,
        &[int(1), int(0)],
        "f32[n, 6]",
        &["slice", "squeeze"],
    );
    let end = int(i64::MAX);
    gives(
        "slice",
        x,
        &[int(2), int(1), end.clone(), int(2)],
        "f32[n, 4, 3]",
        &["slice"],
    );
    gives(
        "slice",
        x,
        &[int(2), int(-100), int(3), int(1)],
        "f32[n, 4, 3]",
        &["slice"],
    );
    gives("slice", x, &[int(0), int(0), end, int(1)], x, &[]);
    gives(
        "chunk",
        "f32[n, 7]",
        &[int(3), int(1)],
        "f32[n, 3] f32[n, 3] f32[n, 1]",
        &["slice"; 3],
    );
    gives(
        "split",
        "f32[n, 7]",
        &[int(4), int(-1)],
        "f32[n, 4] f32[n, 3]",
        &["slice"; 2],
    );
    gives(
        "split",
        "f32[n, 7]",
        &[ints(&[2, 5]), int(1)],
        "f32[n, 2] f32[n, 5]",
        &["slice"; 2],
    );
    gives("size", x, &[int(1)], "the integer 4", &[]);
    gives(
        "size",
        x,
        &[],
        "the size n the integer 4 the integer 6",
        &[],
    );
    let source = source();
    let mut bench = Bench::new(&source);
    let x = Arg::Tensor(bench.input("x", "f32[n, 4]"));
    let list = || Arg::list(vec![x.clone(), x.clone()]).unwrap();
    for (name, axis, ty) in [
        ("cat", -1, "f32[n, 8]"),
        ("stack", -1, "f32[n, 4, 2]"),
        ("stack", 0, "f32[2, n, 4]"),
    ] {
        let given = bench.call(name, &[list(), int(axis)]).unwrap();
        assert_eq!(bench.ty(&given), ty, "{name}");
    }
    let alone = Arg::list(vec![x.clone()]).unwrap();
    assert_eq!(bench.call("cat", &[alone]).unwrap(), x);
    assert!(bench.call("cat", &[ints(&[])]).is_err());
    for (name, args) in [
        ("view", vec![x.clone(), ints(&[-1, -1])]),
        ("view", vec![x.clone(), ints(&[-1, 3])]),
        ("view", vec![x.clone(), ints(&[i64::MAX, i64::MAX, -1])]),
        ("view", vec![x.clone(), ints(&[-2])]),
        ("permute", vec![x.clone(), ints(&[0, 5])]),
        ("chunk", vec![x.clone(), int(2), int(0)]),
        ("chunk", vec![x.clone(), int(0), int(1)]),
        ("split", vec![x.clone(), ints(&[1, 2]), int(1)]),
        (
            "split",
            vec![x.clone(), ints(&[i64::MAX, i64::MAX]), int(1)],
        ),
        ("select", vec![x.clone(), int(1), int(i64::MAX)]),
        ("select", vec![x.clone(), int(7), int(0)]),
        ("unsqueeze", vec![x.clone(), int(i64::MIN)]),
        ("slice", vec![x.clone(), int(1), int(0), Arg::None, int(0)]),
        ("transpose", vec![x.clone(), int(0), int(2)]),
    ] {
        assert!(bench.call(name, &args).is_err(), "{name}");
    }
}

#[test]
fn reductions() {
    let x = "f32[n, 4, 6]";
    gives(
        "mean",
        x,
        &[ints(&[-1, 1]), Arg::Bool(false), Arg::None],
        "f32[n]",
        &["mean"],
    );
    gives("mean", x, &[], "f32[]", &["mean"]);
    gives(
        "sum",
        x,
        &[ints(&[1]), Arg::Bool(true), Arg::None],
        "f32[n, 1, 6]",
        &["sum"],
    );
    gives("sum", "i32[n]", &[], "i64[]", &["cast", "sum"]);
    gives("amax", x, &[int(2)], "f32[n, 4]", &["reduce_max"]);
    gives("amin", x, &[ints(&[])], "f32[]", &["reduce_min"]);
    gives("prod", x, &[int(1)], "f32[n, 6]", &["prod"]);
    gives("argmax", x, &[int(1)], "i64[n, 6]", &["argmax"]);
}

#[test]
fn pools() {
    let x = "f32[n, 3, 8, 8]";
    gives(
        "max_pool2d",
        x,
        &[ints(&[2, 2])],
        "f32[n, 3, 4, 4]",
        &["max_pool2d"],
    );
    gives(
        "F.max_pool2d",
        x,
        &[int(3), int(1), int(1)],
        "f32[n, 3, 8, 8]",
        &["max_pool2d"],
    );
    gives(
        "F._max_pool2d",
        x,
        &[int(2), Arg::None],
        "f32[n, 3, 4, 4]",
        &["max_pool2d"],
    );
    gives(
        "avg_pool2d",
        x,
        &[int(2)],
        "f32[n, 3, 4, 4]",
        &["avg_pool2d"],
    );
    gives(
        "adaptive_avg_pool2d",
        x,
        &[ints(&[1, 1])],
        "f32[n, 3, 1, 1]",
        &["adaptive_avg_pool2d"],
    );
    let hole = Arg::list(vec![Arg::None, int(2)]).unwrap();
    gives(
        "F.adaptive_avg_pool2d",
        x,
        &[hole],
        "f32[n, 3, 8, 2]",
        &["adaptive_avg_pool2d"],
    );
}

#[test]
fn products() {
    let source = source();
    let mut bench = Bench::new(&source);
    let mut t = |ty: &str| Arg::Tensor(bench.input(ty, ty));
    let (x, w, v) = (t("f32[n, 3]"), t("f32[4, 3]"), t("f32[4]"));
    let (m, b) = (t("f32[3, 4]"), t("f32[n, 2, 3]"));
    let (image, kernel) = (t("f32[n, 3, 8, 8]"), t("f32[4, 3, 3, 3]"));
    let (line, short) = (t("f32[n, 3, 8]"), t("f32[4, 3, 3]"));
    let index = t("i32[n, 2]");
    let twos = ints(&[1, 1]);
    for (name, args, ty) in [
        ("matmul", vec![b.clone(), m.clone()], "f32[n, 2, 4]"),
        ("mm", vec![x.clone(), m.clone()], "f32[n, 4]"),
        ("bmm", vec![b.clone(), m.clone()], "f32[n, 2, 4]"),
        (
            "addmm",
            vec![v.clone(), x.clone(), m.clone(), int(2), Arg::Float(0.5)],
            "f32[n, 4]",
        ),
        ("linear", vec![x.clone(), w.clone(), v.clone()], "f32[n, 4]"),
        ("linear", vec![x.clone(), w.clone()], "f32[n, 4]"),
        (
            "conv2d",
            vec![image.clone(), kernel.clone(), Arg::None, int(2), int(1)],
            "f32[n, 4, 4, 4]",
        ),
        ("conv1d", vec![line, short], "f32[n, 4, 6]"),
        (
            "convolution",
            vec![
                image.clone(),
                kernel.clone(),
                v.clone(),
                twos.clone(),
                twos.clone(),
                twos.clone(),
                Arg::Bool(false),
                ints(&[0, 0]),
                int(1),
            ],
            "f32[n, 4, 8, 8]",
        ),
        ("embedding", vec![w.clone(), index], "f32[n, 2, 3]"),
        (
            "scaled_dot_product_attention",
            vec![b.clone(), b.clone(), b.clone()],
            "f32[n, 2, 3]",
        ),
    ] {
        let given = bench
            .call(name, &args)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(bench.ty(&given), ty, "{name}");
    }
    let transposed = [
        image,
        kernel,
        Arg::None,
        twos.clone(),
        twos.clone(),
        twos,
        Arg::Bool(true),
        ints(&[0, 0]),
        int(1),
    ];
    assert!(
        bench
            .call("convolution", &transposed)
            .unwrap_err()
            .contains("transposed")
    );
}

#[test]
fn batch_norm_updates_the_buffers_that_it_reads() {
    let source = source();
    let mut bench = Bench::new(&source);
    let x = Arg::Tensor(bench.input("x", "?"));
    let mut buffer = |path: &str| {
        let initial = Initial::Init(Distribution::Constant(0.0), StreamKey::unbound(path, 0));
        let ty = TensorType::fixed(DType::F32, &[3]);
        Arg::Tensor(
            bench
                .draft
                .state(path, ty, StateKind::Buffer, initial)
                .unwrap()
                .1,
        )
    };
    let (mean, var) = (buffer("mean"), buffer("var"));
    let args = |training: bool| {
        [
            x.clone(),
            Arg::None,
            Arg::None,
            mean.clone(),
            var.clone(),
            Arg::Bool(training),
            Arg::Float(0.1),
            Arg::Float(1e-5),
            Arg::Bool(true),
        ]
    };
    bench.call("batch_norm", &args(true)).unwrap();
    bench.call("batch_norm", &args(true)).unwrap();
    bench.call("batch_norm", &args(false)).unwrap();
    let order = [x.clone(), mean, var];
    let Arg::Tensor(last) = bench.call("F.batch_norm", &order).unwrap() else {
        panic!("a tensor");
    };
    assert_eq!(
        bench.ops(),
        [
            "batch_norm_train",
            "batch_norm_train",
            "batch_norm_eval",
            "batch_norm_eval"
        ]
    );
    let lonely = [x, Arg::None, Arg::None];
    assert!(bench.call("F.batch_norm", &lonely).is_err());
    let plan = bench.draft.finish(&[("output", last)]);
    let graph = plan.graph(TRAIN).unwrap();
    let trains: Vec<_> = graph
        .nodes()
        .filter(|n| graph.op_name(*n) == "batch_norm_train")
        .collect();
    // The second goes on from what the first made of the statistics.
    assert_eq!(graph.operands(trains[1])[3], graph.result(trains[0], 1));
    let updates = graph
        .outputs()
        .iter()
        .filter(|o| matches!(o.key, OutputKey::Update(_)));
    let updates: Vec<Value> = updates.map(|o| o.value).collect();
    assert_eq!(
        updates,
        [graph.result(trains[1], 1), graph.result(trains[1], 2)]
    );
    assert!(syncarp_ir::verify(&plan).is_empty(), "{}", print(&plan));
}

#[test]
fn other_norms() {
    let x = "f32[n, 4, 6]";
    gives("layer_norm", x, &[ints(&[6])], x, &["layer_norm"]);
    gives("group_norm", x, &[int(2)], x, &["group_norm"]);
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
