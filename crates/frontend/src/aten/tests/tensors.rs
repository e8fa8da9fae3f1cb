//! Functions of shapes, reductions, products, pools and norms.

use syncarp_ir::{Distribution, Initial, OutputKey, StateKind, StreamKey, TRAIN, print};

use super::*;

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
    gives("sym_size", x, &[int(1)], "the integer 4", &[]);
    gives(
        "_unsafe_view",
        x,
        &[ints(&[-1, 24])],
        "f32[n, 24]",
        &["reshape"],
    );
    let sizes = ints(&[1, 3]);
    let parts = "f32[n, 1, 6] f32[n, 3, 6]";
    gives(
        "split_with_sizes",
        x,
        &[sizes, int(1)],
        parts,
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
        ("concat", 0, "f32[2*n, 4]"),
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
    let one = ints(&[1, 1]);
    let small = "f32[n, 3, 1, 1]";
    gives(
        "_adaptive_avg_pool2d",
        x,
        &[one],
        small,
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
    let mut plain = transposed.to_vec();
    plain[6] = Arg::Bool(false);
    // TorchScript's form has four flags more.
    plain.extend([(); 4].map(|()| Arg::Bool(false)));
    let given = bench.call("_convolution", &plain).unwrap();
    assert_eq!(bench.ty(&given), "f32[n, 4, 8, 8]");
    // The same way back, by the op that is for that.
    if let Err(error) = bench.call("convolution", &transposed) {
        assert!(error.contains("conv_transpose2d"), "{error}");
    }
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
