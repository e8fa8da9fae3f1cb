//! Functions that no recorded program calls, each by the type that comes of it.

use super::*;

/// Calls a function of tensors of these types and more, and demands what comes of it. What it is
/// lowered to may lack an op that the registry of these tests does not have.
fn check(name: &str, types: &[&str], rest: &[Arg], expected: &str) {
    let source = source();
    let mut bench = Bench::new(&source);
    let tensors = types.iter().enumerate();
    let tensors = tensors.map(|(at, ty)| Arg::Tensor(bench.input(&format!("x{at}"), ty)));
    let args: Vec<Arg> = tensors
        .collect::<Vec<_>>()
        .into_iter()
        .chain(rest.iter().cloned())
        .collect();
    demand(&mut bench, name, &args, expected);
}

fn demand(bench: &mut Bench<'_>, name: &str, args: &[Arg], expected: &str) {
    match bench.call(name, args) {
        Ok(given) => assert_eq!(bench.ty(&given), expected, "{name}"),
        Err(error) => {
            let lacks = error.contains("no op is called") || error.contains("no attribute `mode`");
            assert!(lacks, "{name}: {error}");
        }
    }
}

#[test]
fn functions_and_what_they_give() {
    let (yes, no, none) = (|| Arg::Bool(true), || Arg::Bool(false), || Arg::None);
    let float = Arg::Float;
    check(
        "_adaptive_avg_pool1d",
        &["f32[n, 3, 8]"],
        &[ints(&[1])],
        "f32[n, 3, 1]",
    );
    check(
        "_batch_norm_no_update",
        &["f32[n, 4, 8, 8]", "f32[4]", "f32[4]", "f32[4]", "f32[4]"],
        &[float(0.1), float(1e-05)],
        "f32[n, 4, 8, 8] None None None",
    );
    check(
        "_batch_norm_with_update_functional",
        &["f32[n, 4, 8, 8]", "f32[4]", "f32[4]", "f32[4]", "f32[4]"],
        &[float(0.1), float(1e-05)],
        "f32[n, 4, 8, 8] f32[4] f32[4] None f32[4] f32[4]",
    );
    check(
        "_native_batch_norm_legit_functional",
        &["f32[n, 4, 8, 8]", "f32[4]", "f32[4]", "f32[4]", "f32[4]"],
        &[yes(), float(0.1), float(1e-05)],
        "f32[n, 4, 8, 8] f32[4] f32[4] f32[4] f32[4]",
    );
    check(
        "_native_batch_norm_legit_functional",
        &["f32[n, 4, 8, 8]", "f32[4]", "f32[4]", "f32[4]", "f32[4]"],
        &[no(), float(0.1), float(1e-05)],
        "f32[n, 4, 8, 8] None None f32[4] f32[4]",
    );
    check("_conj", &["f32[n, 4]"], &[], "f32[n, 4]");
    check("conj", &["f32[n, 4]"], &[], "f32[n, 4]");
    check("real", &["f32[n, 4]"], &[], "f32[n, 4]");
    check("resolve_conj", &["f32[n, 4]"], &[], "f32[n, 4]");
    check("resolve_neg", &["f32[n, 4]"], &[], "f32[n, 4]");
    check("lift", &["f32[n, 4]"], &[], "f32[n, 4]");
    check("lift_fresh", &["f32[n, 4]"], &[], "f32[n, 4]");
    check("requires_grad_", &["f32[n, 4]"], &[yes()], "f32[n, 4]");
    check(
        "_fused_rms_norm",
        &["f32[n, 8]"],
        &[ints(&[8]), none(), none()],
        "f32[n, 8] f32[n, 1]",
    );
    check(
        "_prelu_kernel",
        &["f32[n, 4]", "f32[1, 4]"],
        &[],
        "f32[n, 4]",
    );
    check("_safe_softmax", &["f32[n, 4]"], &[int(-1)], "f32[n, 4]");
    check(
        "_scaled_dot_product_attention_math",
        &["f32[n, 2, 5, 4]", "f32[n, 2, 5, 4]", "f32[n, 2, 5, 4]"],
        &[],
        "f32[n, 2, 5, 4] None None None None None None None None",
    );
    check(
        "_scaled_dot_product_flash_attention_for_cpu",
        &["f32[n, 2, 5, 4]", "f32[n, 2, 5, 4]", "f32[n, 2, 5, 4]"],
        &[float(0.0), yes()],
        "f32[n, 2, 5, 4] None None None None None None None None",
    );
    check(
        "_scaled_dot_product_flash_attention",
        &["f32[n, 2, 5, 4]", "f32[n, 2, 5, 4]", "f32[n, 2, 5, 4]"],
        &[],
        "f32[n, 2, 5, 4] None None None None None None None None",
    );
    check(
        "_scaled_dot_product_efficient_attention",
        &["f32[n, 2, 5, 4]", "f32[n, 2, 5, 4]", "f32[n, 2, 5, 4]"],
        &[none(), no()],
        "f32[n, 2, 5, 4] None None None None None None None None",
    );
    check(
        "_upsample_nearest_exact1d",
        &["f32[n, 3, 8]"],
        &[ints(&[4])],
        "f32[n, 3, 4]",
    );
    check(
        "_upsample_nearest_exact3d",
        &["f32[n, 2, 4, 8, 8]"],
        &[ints(&[2, 4, 4])],
        "f32[n, 2, 2, 4, 4]",
    );
    check(
        "upsample_nearest3d",
        &["f32[n, 2, 4, 8, 8]"],
        &[ints(&[2, 4, 4])],
        "f32[n, 2, 2, 4, 4]",
    );
    check(
        "_weight_norm_interface",
        &["f32[4, 3]", "f32[4, 1]"],
        &[],
        "f32[4, 3] f32[4, 1]",
    );
    check(
        "adaptive_max_pool3d",
        &["f32[n, 2, 4, 8, 8]"],
        &[ints(&[1, 1, 1])],
        "f32[n, 2, 1, 1, 1] None",
    );
    check(
        "max_pool1d_with_indices",
        &["f32[n, 3, 8]"],
        &[ints(&[2])],
        "f32[n, 3, 4] i64[n, 3, 4]",
    );
    check(
        "max_unpool2d",
        &["f32[n, 2, 4, 4]", "i64[n, 2, 4, 4]"],
        &[ints(&[8, 8])],
        "f32[n, 2, 8, 8]",
    );
    check("addmv", &["f32[n]", "f32[n, 4]", "f32[4]"], &[], "f32[n]");
    check("adjoint", &["f32[n, 3, 4]"], &[], "f32[n, 4, 3]");
    check("mH", &["f32[n, 3, 4]"], &[], "f32[n, 4, 3]");
    check("matrix_H", &["f32[n, 3, 4]"], &[], "f32[n, 4, 3]");
    check(
        "alpha_dropout",
        &["f32[n, 4, 8, 8]"],
        &[float(0.3), yes()],
        "f32[n, 4, 8, 8]",
    );
    check(
        "alpha_dropout_",
        &["f32[n, 4, 8, 8]"],
        &[float(0.3), yes()],
        "f32[n, 4, 8, 8]",
    );
    check(
        "alpha_dropout",
        &["f32[n, 4, 8, 8]"],
        &[float(0.3), no()],
        "f32[n, 4, 8, 8]",
    );
    check(
        "feature_alpha_dropout",
        &["f32[n, 4, 8, 8]"],
        &[float(0.3), yes()],
        "f32[n, 4, 8, 8]",
    );
    check(
        "feature_alpha_dropout_",
        &["f32[n, 4, 8, 8]"],
        &[float(0.3), yes()],
        "f32[n, 4, 8, 8]",
    );
    check(
        "feature_alpha_dropout",
        &["f32[n, 4, 8, 8]"],
        &[float(0.3), no()],
        "f32[n, 4, 8, 8]",
    );
    check(
        "feature_dropout",
        &["f32[n, 4, 8, 8]"],
        &[float(0.3), yes()],
        "f32[n, 4, 8, 8]",
    );
    check(
        "feature_dropout_",
        &["f32[n, 4, 8, 8]"],
        &[float(0.3), yes()],
        "f32[n, 4, 8, 8]",
    );
    check(
        "feature_dropout",
        &["f32[n, 4, 8, 8]"],
        &[float(0.3), no()],
        "f32[n, 4, 8, 8]",
    );
    check(
        "native_dropout",
        &["f32[n, 4]"],
        &[float(0.3), yes()],
        "f32[n, 4] bool[n, 4]",
    );
    check(
        "native_dropout",
        &["f32[n, 4]"],
        &[float(0.3), no()],
        "f32[n, 4] bool[n, 4]",
    );
    check("aminmax", &["f32[n, 4]"], &[], "f32[] f32[]");
    check("arctan2", &["f32[n, 4]", "f32[n, 4]"], &[], "f32[n, 4]");
    check("bitwise_left_shift", &["i64[n]"], &[int(2)], "i64[n]");
    check("bitwise_right_shift", &["i64[n]"], &[int(2)], "i64[n]");
    check("broadcast_to", &["f32[4]"], &[ints(&[3, 4])], "f32[3, 4]");
    check("clip", &["f32[n, 4]"], &[int(0), int(1)], "f32[n, 4]");
    check("clip", &["i64[n]"], &[int(0), none()], "i64[n]");
    check("empty_like", &["f32[n, 4]"], &[], "f32[n, 4]");
    check(
        "empty_permuted",
        &[],
        &[ints(&[2, 3]), ints(&[1, 0])],
        "f32[2, 3]",
    );
    check(
        "empty_strided",
        &[],
        &[ints(&[2, 3]), ints(&[1, 2])],
        "f32[2, 3]",
    );
    check("new_empty", &["f32[n, 4]"], &[ints(&[2])], "f32[2]");
    check(
        "new_empty_strided",
        &["f32[n, 4]"],
        &[ints(&[2]), ints(&[1])],
        "f32[2]",
    );
    check("fix", &["f32[n, 4]"], &[], "f32[n, 4]");
    check("ger", &["f32[n]", "f32[4]"], &[], "f32[n, 4]");
    check(
        "grid_sampler_2d",
        &["f32[n, 4, 8, 8]", "f32[n, 5, 6, 2]"],
        &[int(0), int(0), no()],
        "f32[n, 4, 5, 6]",
    );
    check(
        "grid_sampler_3d",
        &["f32[n, 2, 4, 8, 8]", "f32[n, 3, 5, 6, 3]"],
        &[int(1), int(1), yes()],
        "f32[n, 2, 3, 5, 6]",
    );
    check("log_sigmoid_forward", &["f32[n, 4]"], &[], "f32[n, 4] None");
    check("logical_or", &["bool[n]", "f32[n]"], &[], "bool[n]");
    check("logical_xor", &["bool[n]", "bool[n]"], &[], "bool[n]");
    check(
        "moveaxis",
        &["f32[n, 3, 4]"],
        &[int(0), int(-1)],
        "f32[3, 4, n]",
    );
    check(
        "native_batch_norm",
        &["f32[n, 4, 8, 8]", "f32[4]", "f32[4]", "f32[4]", "f32[4]"],
        &[no(), float(0.1), float(1e-05)],
        "f32[n, 4, 8, 8] None None",
    );
    check("nll_loss", &["f32[n, 4]", "i64[n]"], &[], "f32[]");
    check(
        "nll_loss_forward",
        &["f32[n, 4]", "i64[n]"],
        &[none(), int(1), int(-100)],
        "f32[] None",
    );
    check(
        "nll_loss2d_forward",
        &["f32[n, 4, 3, 3]", "i64[n, 3, 3]"],
        &[none(), int(0), int(-100)],
        "f32[n, 3, 3] None",
    );
    check("norm", &["f32[n, 4]"], &[], "f32[]");
    check(
        "normal_",
        &["f32[n, 4]"],
        &[float(1.0), float(2.0)],
        "f32[n, 4]",
    );
    check("normal_functional", &["f32[n, 4]"], &[], "f32[n, 4]");
    check(
        "uniform_",
        &["f32[n, 4]"],
        &[float(-1.0), float(1.0)],
        "f32[n, 4]",
    );
    check("numel", &["f32[3, 4]"], &[], "the integer 12");
    check("rand", &[], &[ints(&[2, 3])], "f32[2, 3]");
    check("randn", &[], &[ints(&[2, 3])], "f32[2, 3]");
    check("rand_like", &["f32[n, 4]"], &[], "f32[n, 4]");
    check("randn_like", &["f32[n, 4]"], &[], "f32[n, 4]");
    check("ravel", &["f32[3, 4]"], &[], "f32[12]");
    check(
        "reflection_pad1d",
        &["f32[n, 3, 8]"],
        &[ints(&[1, 2])],
        "f32[n, 3, 11]",
    );
    check(
        "reflection_pad2d",
        &["f32[n, 4, 8, 8]"],
        &[ints(&[1, 1, 2, 2])],
        "f32[n, 4, 12, 10]",
    );
    check(
        "reflection_pad3d",
        &["f32[n, 2, 4, 8, 8]"],
        &[ints(&[1, 1, 1, 1, 1, 1])],
        "f32[n, 2, 6, 10, 10]",
    );
    check(
        "replication_pad1d",
        &["f32[n, 3, 8]"],
        &[ints(&[1, 2])],
        "f32[n, 3, 11]",
    );
    check(
        "replication_pad2d",
        &["f32[n, 4, 8, 8]"],
        &[ints(&[1, 1, 2, 2])],
        "f32[n, 4, 12, 10]",
    );
    check(
        "replication_pad3d",
        &["f32[n, 2, 4, 8, 8]"],
        &[ints(&[1, 1, 1, 1, 1, 1])],
        "f32[n, 2, 6, 10, 10]",
    );
    check("reshape_as", &["f32[3, 4]", "f32[2, 6]"], &[], "f32[2, 6]");
    check("view_as", &["f32[3, 4]", "f32[2, 6]"], &[], "f32[2, 6]");
    check(
        "rnn_relu_cell",
        &["f32[n, 3]", "f32[n, 5]", "f32[5, 3]", "f32[5, 5]"],
        &[],
        "f32[n, 5]",
    );
    check(
        "rrelu_with_noise",
        &["f32[n, 4]", "f32[n, 4]"],
        &[],
        "f32[n, 4] f32[n, 4]",
    );
    check(
        "select_scatter",
        &["f32[n, 4]", "f32[n]"],
        &[int(1), int(-1)],
        "f32[n, 4]",
    );
    check("special_erf", &["f32[n, 4]"], &[], "f32[n, 4]");
    check("special_expit", &["i64[n]"], &[], "f32[n]");
    check(
        "swapdims",
        &["f32[n, 3, 4]"],
        &[int(1), int(2)],
        "f32[n, 4, 3]",
    );
    check("type_as", &["i64[n]", "f32[3]"], &[], "f32[n]");
    check(
        "unsafe_chunk",
        &["f32[n, 4]"],
        &[int(2), int(1)],
        "f32[n, 2] f32[n, 2]",
    );
    check(
        "unsafe_split",
        &["f32[n, 4]"],
        &[int(3), int(1)],
        "f32[n, 3] f32[n, 1]",
    );
    let four = [ints(&[2, 2, 1]), ints(&[2, 1, 9])];
    check("as_strided", &["f32[4]"], &four, "f32[2, 2, 1]");
    check("vdot", &["f32[4]", "f32[4]"], &[], "f32[]");
}

#[test]
fn functions_of_lists_and_places() {
    let source = source();
    let mut bench = Bench::new(&source);
    let mut t = |ty: &str| Arg::Tensor(bench.input(ty, ty));
    let (x, table, row) = (t("f32[n, 4]"), t("f32[4, 3]"), t("f32[3]"));
    let (index, pairs, part) = (t("i64[2]"), t("i64[2, 3]"), t("f32[2, 3]"));
    let mask = t("bool[4, 3]");
    let list =
        |items: &[&Arg]| Arg::list(items.iter().map(|item| (*item).clone()).collect()).unwrap();
    let (axis, sum) = (int(0), || Arg::Str("sum".into()));
    for (name, args, expected) in [
        (
            "_unsafe_index",
            vec![table.clone(), list(&[&index])],
            "f32[2, 3]",
        ),
        (
            "index",
            vec![table.clone(), list(&[&Arg::None, &index])],
            "f32[4, 2]",
        ),
        (
            "index",
            vec![table.clone(), list(&[&index, &index])],
            "f32[2]",
        ),
        (
            "_unsafe_index_put",
            vec![table.clone(), list(&[&index]), row.clone()],
            "f32[4, 3]",
        ),
        (
            "index_put_",
            vec![table.clone(), list(&[&mask]), row.clone()],
            "f32[4, 3]",
        ),
        (
            "index_copy",
            vec![table.clone(), axis.clone(), index.clone(), part.clone()],
            "f32[4, 3]",
        ),
        (
            "scatter_reduce",
            vec![table.clone(), axis, pairs, part, sum()],
            "f32[4, 3]",
        ),
        ("column_stack", vec![list(&[&x, &x])], "f32[n, 8]"),
        ("concatenate", vec![list(&[&x, &x]), int(1)], "f32[n, 8]"),
    ] {
        if name == "index_put_" {
            // Elements that a mask chooses get one number alone.
            assert!(bench.call(name, &args).unwrap_err().contains("by a mask"));
            continue;
        }
        demand(&mut bench, name, &args, expected);
    }
    for (name, args) in [
        (
            "masked_scatter",
            vec![table.clone(), mask.clone(), row.clone()],
        ),
        ("index", vec![table.clone(), list(&[&mask])]),
    ] {
        assert!(
            bench
                .call(name, &args)
                .unwrap_err()
                .contains("as the data says"),
            "{name}"
        );
    }
}
