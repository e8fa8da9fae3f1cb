//! Activations.

use syncarp_diag::Located;
use syncarp_ir::{Attrs, Distribution, Value};

use super::{DEVICE, DTYPE, INIT, INPLACE};
use crate::context::LayerContext;
use crate::registry::{Argument, LayerError, LayerFn, LayerRegistry};

const SLOPE: Argument = Argument::optional(
    &["negative_slope", "slope"],
    "0.01",
    "The slope below zero.",
);
const ALPHA: Argument = Argument::optional(&["alpha"], "1", "The scale below zero.");
const BETA: Argument = Argument::optional(&["beta"], "1", "The sharpness.");
const THRESHOLD: Argument = Argument::optional(
    &["threshold"],
    "20",
    "Where `beta * x` above it stays as it is.",
);
const APPROXIMATE: Argument = Argument::optional(
    &["approximate"],
    "\"none\"",
    "\"none\" for the error function, \"tanh\" for the approximation by it.",
);
const LOW: Argument = Argument::optional(&["min_val", "low"], "-1", "The least.");
const HIGH: Argument = Argument::optional(&["max_val", "high"], "1", "The most.");
const COUNT: Argument = Argument::optional(
    &["num_parameters"],
    "1",
    "1 for one slope, or the number of channels (axis 1) for one each.",
);

/// A layer that is one op of the incoming value alone.
macro_rules! plain {
    ($names:expr, $op:literal, $doc:literal) => {
        LayerFn {
            names: &$names,
            doc: $doc,
            arguments: &[INPLACE],
            lower: |cx| {
                cx.float()?;
                cx.emit1($op, &[cx.input()], Attrs::new())
            },
        }
    };
}

const ACTIVATIONS: &[LayerFn] = &[
    plain!(
        ["relu"],
        "relu",
        "The element, and 0 below zero (`torch.nn.ReLU`)."
    ),
    plain!(
        ["relu6"],
        "relu6",
        "The element between 0 and 6 (`torch.nn.ReLU6`)."
    ),
    plain!(
        ["selu"],
        "selu",
        "The self-normalising unit (`torch.nn.SELU`)."
    ),
    plain!(
        ["silu", "swish"],
        "silu",
        "The element times its sigmoid (`torch.nn.SiLU`)."
    ),
    plain!(
        ["mish"],
        "mish",
        "The element times the tanh of its softplus (`torch.nn.Mish`)."
    ),
    plain!(
        ["tanh"],
        "tanh",
        "The hyperbolic tangent (`torch.nn.Tanh`)."
    ),
    plain!(
        ["sigmoid"],
        "sigmoid",
        "The logistic function (`torch.nn.Sigmoid`)."
    ),
    plain!(
        ["log-sigmoid"],
        "logsigmoid",
        "The logarithm of the sigmoid (`torch.nn.LogSigmoid`)."
    ),
    plain!(
        ["hardswish"],
        "hardswish",
        "`x * relu6(x + 3) / 6` (`torch.nn.Hardswish`)."
    ),
    plain!(
        ["hardsigmoid"],
        "hardsigmoid",
        "`relu6(x + 3) / 6` (`torch.nn.Hardsigmoid`)."
    ),
    plain!(
        ["softsign"],
        "softsign",
        "`x / (1 + |x|)` (`torch.nn.Softsign`)."
    ),
    LayerFn {
        names: &["leaky-relu"],
        doc: "The element, times a slope below zero (`torch.nn.LeakyReLU`).",
        arguments: &[SLOPE, INPLACE],
        lower: |cx| numbers(cx, "leaky_relu", &[(SLOPE, 0.01)]),
    },
    LayerFn {
        names: &["elu"],
        doc: "The element, and `alpha * (exp(x) - 1)` below zero (`torch.nn.ELU`).",
        arguments: &[ALPHA, INPLACE],
        lower: |cx| numbers(cx, "elu", &[(ALPHA, 1.0)]),
    },
    LayerFn {
        names: &["softplus"],
        doc: "A smooth relu, `log(1 + exp(beta * x)) / beta` (`torch.nn.Softplus`).",
        arguments: &[BETA, THRESHOLD],
        lower: |cx| numbers(cx, "softplus", &[(BETA, 1.0), (THRESHOLD, 20.0)]),
    },
    LayerFn {
        names: &["hardtanh"],
        doc: "The element between two bounds (`torch.nn.Hardtanh`).",
        arguments: &[LOW, HIGH, INPLACE],
        lower: |cx| numbers(cx, "hardtanh", &[(LOW, -1.0), (HIGH, 1.0)]),
    },
    LayerFn {
        names: &["gelu"],
        doc: "The element times the normal distribution function at it (`torch.nn.GELU`).",
        arguments: &[APPROXIMATE],
        lower: gelu,
    },
    LayerFn {
        names: &["prelu"],
        doc: "The element, times a learned slope below zero (`torch.nn.PReLU`). States: `weight` \
              [1] or [channels], 0.25 at first.",
        arguments: &[COUNT, INIT, DEVICE, DTYPE],
        lower: prelu,
    },
];

pub(super) fn register(layers: &mut LayerRegistry) -> Result<(), LayerError> {
    ACTIVATIONS
        .iter()
        .try_for_each(|layer| layers.register(*layer))
}

/// An op of the incoming value and numbers, which are operands so that layers that differ in them
/// alone still batch.
fn numbers(
    cx: &mut LayerContext<'_, '_>,
    op: &str,
    numbers: &[(Argument, f64)],
) -> Result<Value, Located> {
    let mut read = Vec::with_capacity(numbers.len());
    for (argument, default) in numbers {
        let number = cx.args.f64_opt(argument)?.unwrap_or(*default);
        if !number.is_finite() {
            let name = argument.names[0];
            return Err(cx.error_at(argument, format!("`{name}` is a finite number")));
        }
        read.push(number);
    }
    let dtype = cx.float()?;
    let mut operands = vec![cx.input()];
    for number in read {
        operands.push(cx.number(dtype, number)?);
    }
    cx.emit1(op, &operands, Attrs::new())
}

fn gelu(cx: &mut LayerContext<'_, '_>) -> Result<Value, Located> {
    let approximate = cx.args.str_opt(&APPROXIMATE)?.unwrap_or("none");
    if !["none", "tanh"].contains(&approximate) {
        return Err(cx.error_at(&APPROXIMATE, "`approximate` is \"none\" or \"tanh\""));
    }
    cx.float()?;
    cx.emit1(
        "gelu",
        &[cx.input()],
        Attrs::new().with("approximate", approximate),
    )
}

fn prelu(cx: &mut LayerContext<'_, '_>) -> Result<Value, Located> {
    let count = cx.args.usize_opt(&COUNT)?.unwrap_or(1);
    let dtype = cx.float()?;
    if count != 1 {
        cx.rank(2, usize::MAX, "[n, channels, ...]")?;
        cx.size(1, &COUNT, Some(count))?;
    }
    let quarter = Distribution::Constant(0.25);
    let weight = cx.parameter("weight", dtype, &[count as u64], quarter)?;
    cx.emit1("prelu", &[cx.input(), weight], Attrs::new())
}
