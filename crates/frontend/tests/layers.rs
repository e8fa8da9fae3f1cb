//! Every layer's outgoing type, states and initialisers, as PyTorch has them.

mod common;

use common::{graph, lower, mistake, op_names, output, states, try_lower};
use syncarp_frontend::{LayerRegistry, Only};
use syncarp_ir::DType;

/// One layer: what goes in, the layer, what comes out.
#[track_caller]
fn gives(dims: &[u64], layer: &str, expected: &str) {
    let plan = lower(layer, dims);
    assert_eq!(output(&plan).to_string(), expected, "{layer} of {dims:?}");
}

#[test]
fn linear_layers() {
    gives(&[64], "{ linear = 10 }", "f32[n, 10]");
    gives(
        &[7, 64],
        "{ Linear = { out_features = 10 } }",
        "f32[n, 7, 10]",
    );
    let plan = lower("{ linear = { out = 10, in-features = 64 } }", &[64]);
    assert_eq!(
        states(&plan),
        [
            "0.weight: f32[10, 64] trainable Uniform(-0.125, 0.125)",
            "0.bias: f32[10] trainable Uniform(-0.125, 0.125)",
        ]
    );
    let plan = lower(
        "{ linear = { out = 3, bias = false, init = \"zeros\" } }",
        &[4],
    );
    assert_eq!(
        states(&plan),
        ["0.weight: f32[3, 4] trainable Constant(0.0)"]
    );
}

#[test]
fn initialisers_are_declared_by_parameter() {
    let plan = lower(
        "{ name = \"fc\", linear = { out = 8, init = { weight = { name = \"xavier_normal\", gain = 2 }, \
         bias = 0.5 } } }",
        &[8],
    );
    let deviation = 2.0 * (2.0f64 / 16.0).sqrt();
    assert_eq!(
        states(&plan),
        [
            format!("fc.weight: f32[8, 8] trainable Normal(0.0, {deviation:?})"),
            "fc.bias: f32[8] trainable Constant(0.5)".to_owned(),
        ]
    );
}

#[test]
fn float_dtypes_carry_over() {
    let plan = try_lower("layers = [{ linear = 2 }]", DType::F64, &[4]).unwrap();
    assert_eq!(output(&plan).to_string(), "f64[n, 2]");
    assert!(states(&plan)[0].starts_with("0.weight: f64[2, 4]"));
}

#[test]
fn convolutions() {
    gives(
        &[3, 8, 8],
        "{ conv2d = [16, 3] }"
            .replace("[16, 3]", "{ out = 16, kernel = 3 }")
            .as_str(),
        "f32[n, 16, 6, 6]",
    );
    gives(
        &[3, 9, 8],
        "{ Conv2d = { out_channels = 4, kernel_size = [3, 5], stride = 2, padding = [1, 2] } }",
        "f32[n, 4, 5, 4]",
    );
    gives(
        &[4, 9, 9],
        "{ conv2d = { out = 6, kernel = 3, dilation = 2, groups = 2 } }",
        "f32[n, 6, 5, 5]",
    );
    gives(
        &[3, 8, 7],
        "{ conv2d = { out = 2, kernel = [4, 3], padding = \"same\" } }",
        "f32[n, 2, 8, 7]",
    );
    gives(
        &[3, 8, 8],
        "{ conv2d = { out = 2, kernel = 3, padding = \"valid\" } }",
        "f32[n, 2, 6, 6]",
    );
    gives(
        &[3, 10],
        "{ conv1d = { out = 5, kernel = 4, stride = 3 } }",
        "f32[n, 5, 3]",
    );
    gives(
        &[3, 10],
        "{ Conv1d = { out = 5, kernel = 4, padding = \"same\" } }",
        "f32[n, 5, 10]",
    );
    let plan = lower(
        "{ conv2d = { out = 6, kernel = 2, groups = 2 } }",
        &[8, 4, 4],
    );
    assert_eq!(
        states(&plan),
        [
            "0.weight: f32[6, 4, 2, 2] trainable Uniform(-0.25, 0.25)",
            "0.bias: f32[6] trainable Uniform(-0.25, 0.25)",
        ]
    );
    assert_eq!(op_names(&plan), ["conv2d"]);
    let same = lower(
        "{ conv2d = { out = 6, kernel = 2, padding = \"same\" } }",
        &[8, 4, 4],
    );
    assert_eq!(op_names(&same), ["pad", "conv2d"]);
    let plan = lower(
        "{ conv1d = { out = 6, kernel = 4, bias = false } }",
        &[4, 9],
    );
    assert_eq!(
        states(&plan),
        ["0.weight: f32[6, 4, 4] trainable Uniform(-0.25, 0.25)"]
    );
}

#[test]
fn norms() {
    let plan = lower("\"batch-norm\"", &[5, 4, 4]);
    assert_eq!(output(&plan).to_string(), "f32[n, 5, 4, 4]");
    assert_eq!(
        states(&plan),
        [
            "0.weight: f32[5] trainable Constant(1.0)",
            "0.bias: f32[5] trainable Constant(0.0)",
            "0.running_mean: f32[5] buffer Constant(0.0)",
            "0.running_var: f32[5] buffer Constant(1.0)",
        ]
    );
    let updates: Vec<String> = graph(&plan)
        .outputs()
        .iter()
        .map(|o| format!("{:?}", o.key))
        .collect();
    assert_eq!(updates[1..], ["Update(s2)", "Update(s3)"]);
    gives(&[5], "{ BatchNorm1d = 5 }", "f32[n, 5]");
    let plan = lower("{ batch-norm = { affine = false } }", &[5]);
    assert_eq!(states(&plan).len(), 2);

    gives(&[3, 6], "\"LayerNorm\"", "f32[n, 3, 6]");
    let plan = lower("{ layer-norm = [3, 6] }", &[2, 3, 6]);
    assert_eq!(
        states(&plan),
        [
            "0.weight: f32[3, 6] trainable Constant(1.0)",
            "0.bias: f32[3, 6] trainable Constant(0.0)",
        ]
    );
    assert_eq!(
        states(&lower("{ layer-norm = { bias = false } }", &[6])).len(),
        1
    );
    assert_eq!(
        states(&lower("{ layer-norm = { affine = false } }", &[6])).len(),
        0
    );

    let plan = lower("{ group-norm = 2 }", &[6, 5]);
    assert_eq!(output(&plan).to_string(), "f32[n, 6, 5]");
    assert_eq!(
        states(&plan),
        [
            "0.weight: f32[6] trainable Constant(1.0)",
            "0.bias: f32[6] trainable Constant(0.0)",
        ]
    );
    gives(&[6, 5, 5], "\"InstanceNorm2d\"", "f32[n, 6, 5, 5]");
    assert_eq!(states(&lower("\"instance-norm\"", &[6, 5])).len(), 0);
    assert_eq!(
        states(&lower("{ instance-norm = { affine = true } }", &[6, 5])).len(),
        2
    );
}

#[test]
fn dropout_draws_from_its_path_and_shares_the_step() {
    let plan = lower("\"dropout\", { name = \"d\", Dropout = 0.25 }", &[5]);
    assert_eq!(output(&plan).to_string(), "f32[n, 5]");
    let graph = graph(&plan);
    let drops: Vec<_> = graph
        .nodes()
        .filter(|n| graph.op_name(*n) == "dropout")
        .collect();
    let path = |n| graph.attrs(n).stream("stream").unwrap().path.to_string();
    assert_eq!(
        drops.iter().map(|n| path(*n)).collect::<Vec<_>>(),
        ["0", "d"]
    );
    let step = graph.operands(drops[0])[2];
    assert_eq!(step, graph.operands(drops[1])[2]);
    assert_eq!(graph.ty(step).to_string(), "i64[]");
    let p = graph.def(graph.operands(drops[1])[1]);
    assert_eq!(graph.attrs(p).float("value"), Some(0.25));
}

#[test]
fn shapes() {
    gives(&[3, 4, 5], "\"flatten\"", "f32[n, 60]");
    gives(&[3, 4, 5], "{ flatten = 2 }", "f32[n, 3, 20]");
    gives(
        &[3, 4, 5],
        "{ Flatten = { start_dim = 1, end_dim = 2 } }",
        "f32[n, 12, 5]",
    );
    gives(&[7], "\"flatten\"", "f32[n, 7]");
    gives(&[], "\"flatten\"", "f32[n, 1]");
    gives(
        &[12, 5],
        "{ unflatten = { dim = 1, sizes = [3, -1] } }",
        "f32[n, 3, 4, 5]",
    );
    gives(
        &[5, 12],
        "{ unflatten = { dim = -1, sizes = [3, 4] } }",
        "f32[n, 5, 3, 4]",
    );
    gives(&[64], "{ reshape = [1, 8, 8] }", "f32[n, 1, 8, 8]");
    gives(&[4, 6], "{ view = -1 }", "f32[n, 24]");
    gives(&[3, 4, 5], "{ permute = [0, 2, 3, 1] }", "f32[n, 4, 5, 3]");
    gives(&[3], "\"identity\"", "f32[n, 3]");
    gives(&[3], "{ cast = \"i64\" }", "i64[n, 3]");
}

#[test]
fn embeddings_take_integers() {
    for dtype in [DType::I64, DType::I32, DType::U8] {
        let block = "layers = [{ embedding = { rows = 100, dim = 16 } }]";
        let plan = try_lower(block, dtype, &[12]).unwrap();
        assert_eq!(output(&plan).to_string(), "f32[n, 12, 16]");
        assert_eq!(
            states(&plan),
            ["0.weight: f32[100, 16] trainable Normal(0.0, 1.0)"]
        );
    }
    let error = mistake("{ embedding = { rows = 10, dim = 4 } }", &[12]);
    assert!(
        error.contains("expects integers, not f32") && error.contains("cast"),
        "{error}"
    );
    gives(
        &[12],
        "{ cast = \"i64\" }, { embedding = { rows = 10, dim = 4 } }",
        "f32[n, 12, 4]",
    );
}

#[test]
fn pools() {
    gives(&[3, 8, 9], "{ max-pool2d = 2 }", "f32[n, 3, 4, 4]");
    gives(
        &[3, 8, 9],
        "{ MaxPool2d = { kernel_size = 2, ceil_mode = true } }",
        "f32[n, 3, 4, 5]",
    );
    gives(
        &[3, 8, 8],
        "{ max-pool2d = { kernel = 3, stride = 2, padding = 1 } }",
        "f32[n, 3, 4, 4]",
    );
    gives(&[3, 8, 8], "{ avg-pool2d = [2, 4] }", "f32[n, 3, 4, 2]");
    gives(&[3, 7, 5], "{ AdaptiveAvgPool2d = 1 }", "f32[n, 3, 1, 1]");
    gives(
        &[3, 7, 5],
        "{ adaptive-avg-pool2d = [2, 3] }",
        "f32[n, 3, 2, 3]",
    );
    gives(&[3, 7, 5], "\"global-avg-pool\"", "f32[n, 3]");
    gives(&[3, 7], "\"global-avg-pool\"", "f32[n, 3]");
}

#[test]
fn axes() {
    gives(&[3, 7], "{ mean = 1 }", "f32[n, 7]");
    gives(
        &[3, 7, 2],
        "{ mean = { dim = [1, -1], keepdim = true } }",
        "f32[n, 1, 7, 1]",
    );
    gives(&[3, 7], "\"softmax\"", "f32[n, 3, 7]");
    gives(&[3, 7], "{ LogSoftmax = 1 }", "f32[n, 3, 7]");
}

#[test]
fn attention_has_the_parameters_of_torch() {
    let plan = lower("{ MultiheadAttention = 4 }", &[10, 16]);
    assert_eq!(output(&plan).to_string(), "f32[n, 10, 16]");
    let xavier = (6.0f64 / (48.0 + 16.0)).sqrt();
    assert_eq!(
        states(&plan),
        [
            format!("0.in_proj_weight: f32[48, 16] trainable Uniform(-{xavier:?}, {xavier:?})"),
            "0.in_proj_bias: f32[48] trainable Constant(0.0)".to_owned(),
            "0.out_proj.weight: f32[16, 16] trainable Uniform(-0.25, 0.25)".to_owned(),
            "0.out_proj.bias: f32[16] trainable Constant(0.0)".to_owned(),
        ]
    );
    let plan = lower(
        "{ self-attention = { heads = 2, dropout = 0.1, bias = false } }",
        &[10, 16],
    );
    assert_eq!(output(&plan).to_string(), "f32[n, 10, 16]");
    assert_eq!(states(&plan).len(), 2);
    let graph = graph(&plan);
    let dropout = graph
        .nodes()
        .find(|n| graph.op_name(*n) == "dropout")
        .unwrap();
    assert_eq!(
        &*graph.attrs(dropout).stream("stream").unwrap().path,
        "0.dropout"
    );
}

#[test]
fn activations_keep_the_type() {
    for layer in [
        "relu",
        "ReLU6",
        "SELU",
        "SiLU",
        "swish",
        "Mish",
        "Tanh",
        "Sigmoid",
        "LogSigmoid",
        "Hardswish",
        "hard-sigmoid",
        "Softsign",
        "LeakyReLU",
        "leaky_relu",
        "ELU",
        "Softplus",
        "Hardtanh",
        "GELU",
        "PReLU",
    ] {
        gives(&[3, 4], &format!("\"{layer}\""), "f32[n, 3, 4]");
    }
    gives(&[3, 4], "{ leaky-relu = 0.2 }", "f32[n, 3, 4]");
    gives(&[3, 4], "{ gelu = \"tanh\" }", "f32[n, 3, 4]");
    gives(
        &[3, 4],
        "{ hardtanh = { min_val = 0, max_val = 6 } }",
        "f32[n, 3, 4]",
    );
    let plan = lower("{ prelu = 3 }, { prelu = { init = 0.1 } }", &[3, 4]);
    assert_eq!(
        states(&plan),
        [
            "0.weight: f32[3] trainable Constant(0.25)",
            "1.weight: f32[1] trainable Constant(0.1)",
        ]
    );
}

#[test]
fn numbers_that_may_differ_between_models_are_operands() {
    let plan = lower(
        "{ leaky-relu = 0.2 }, { batch-norm = { eps = 0.5, momentum = 0.25 } }",
        &[3],
    );
    let graph = graph(&plan);
    let constants: Vec<_> = graph
        .nodes()
        .filter(|n| graph.op_name(*n) == "constant")
        .map(|n| graph.attrs(n).float("value").unwrap())
        .collect();
    assert_eq!(constants, [0.2, 0.5, 0.25]);
}

/// Every layer reads exactly the arguments that it declares, for a layer that does not would refuse
/// what its documentation promises.
#[test]
fn declared_arguments_are_read() {
    let layers = LayerRegistry::standard();
    let samples: &[(&str, DType, &[u64])] = &[
        ("rows", DType::I64, &[4]),
        ("scale_factor", DType::F32, &[3, 4, 4]),
        ("kernel", DType::F32, &[4, 8, 8]),
        ("heads", DType::F32, &[4, 8]),
        ("", DType::F32, &[4, 8]),
    ];
    for layer in layers.iter() {
        let name = layer.names()[0];
        for argument in layer.arguments() {
            let only = match argument.only {
                None => None,
                Some(Only::Nothing) => continue,
                Some(Only::Anything) => Some("2".to_owned()),
                Some(Only::Bool(flag)) => Some(flag.to_string()),
                Some(Only::Str(word)) => Some(format!("{word:?}")),
            };
            for spelling in argument.names {
                let mut args = Vec::new();
                for other in layer.arguments() {
                    let this = other.names[0] == argument.names[0];
                    if other.default.is_none() || this {
                        let key = if this { spelling } else { &other.names[0] };
                        let value = only.as_deref().filter(|_| this);
                        let value = value.unwrap_or_else(|| sample(name, other.names[0]));
                        args.push(format!("{key} = {value}"));
                    }
                }
                let all: Vec<&str> = layer
                    .arguments()
                    .iter()
                    .flat_map(|a| a.names)
                    .copied()
                    .collect();
                let (_, dtype, dims) = samples
                    .iter()
                    .find(|(has, ..)| has.is_empty() || all.contains(has))
                    .unwrap();
                let dims: &[u64] = match name {
                    "conv1d" => &[4, 8],
                    "adaptive-avg-pool2d" | "zero-pad2d" => &[4, 8, 8],
                    _ => dims,
                };
                let block = format!("layers = [{{ {name} = {{ {} }} }}]", args.join(", "));
                let done = try_lower(&block, *dtype, dims);
                assert!(done.is_ok(), "{block} of {dims:?}: {}", done.unwrap_err());
            }
        }
    }
}

fn sample(layer: &str, argument: &str) -> &'static str {
    match (layer, argument) {
        (_, "in_features") => "8",
        (_, "in_channels" | "num_features" | "num_channels" | "num_parameters") => "4",
        (_, "bias" | "affine" | "elementwise_affine" | "ceil_mode" | "count_include_pad") => "true",
        (_, "keepdim") => "true",
        (_, "init") => "{}",
        (_, "normalized_shape" | "embed_dim") => "8",
        (_, "approximate") => "\"tanh\"",
        (_, "to") => "\"f64\"",
        (_, "p" | "dropout" | "momentum" | "eps") => "0.5",
        (_, "unflattened_size") => "[2, 2]",
        ("reshape", "dims") => "[2, 16]",
        ("permute", "dims") => "[0, 2, 1]",
        (_, "end_dim" | "dilation" | "padding" | "dim") => "1",
        _ => "2",
    }
}

#[test]
fn images_grow() {
    gives(&[3, 4, 5], "{ zero-pad2d = 2 }", "f32[n, 3, 8, 9]");
    gives(
        &[3, 4, 5],
        "{ zero-pad2d = [1, 2, 3, 4] }",
        "f32[n, 3, 11, 8]",
    );
    gives(&[3, 4, 5], "{ upsample = 3 }", "f32[n, 3, 12, 15]");
    gives(
        &[3, 4, 5],
        "{ upsample = { factor = [1, 2.0], mode = \"nearest\" } }",
        "f32[n, 3, 4, 10]",
    );
    for (layer, message) in [
        ("{ zero-pad2d = [1, 2] }", "one number, or four"),
        ("{ zero-pad2d = 9999999999999999 }", "is below 65536"),
        ("{ upsample = 1.5 }", "whole number of at least 1"),
        ("{ upsample = 0 }", "whole number of at least 1"),
        (
            "{ upsample = { factor = 2, mode = \"bilinear\" } }",
            "pixels are repeated here",
        ),
    ] {
        let error = mistake(layer, &[3, 4, 4]);
        assert!(error.contains(message), "{layer}: {error}");
    }
    assert!(mistake("{ upsample = 2 }", &[3]).contains("expects images"));
}

#[test]
fn what_must_be_as_it_is_cannot_be_otherwise() {
    for (layer, message) in [
        ("{ relu = { inplace = true } }", None),
        ("{ batch-norm = { track_running_stats = true } }", None),
        (
            "{ batch-norm = { track_running_stats = false } }",
            Some("needs running statistics"),
        ),
        (
            "{ conv2d = { out = 2, kernel = 1, padding_mode = \"reflect\" } }",
            Some("`padding_mode` of `conv2d` cannot be reflect"),
        ),
        (
            "{ max-pool2d = { kernel = 2, return_indices = true } }",
            Some("not their places"),
        ),
        ("{ relu = true }", Some("takes no argument without a name")),
    ] {
        match (
            common::try_lower(&format!("layers = [{layer}]"), DType::F32, &[3, 4, 4]),
            message,
        ) {
            (Ok(_), None) => {}
            (Err(error), Some(message)) => {
                assert!(error.to_string().contains(message), "{layer}: {error}");
            }
            (done, _) => panic!("{layer}: {:?}", done.map(|_| ())),
        }
    }
}

#[test]
fn layers_are_described() {
    let text = LayerRegistry::standard().describe();
    for line in [
        "### `linear`, `dense`",
        "## Fully connected",
        "| **`out_features`**, `out` | required | The outgoing size. |",
        "| `in_features`, `in` | inferred | The incoming size of the last axis. |",
        "| **`negative_slope`**, `slope` | `0.01` | The slope below zero. |",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}");
    }
}
