//! Layers that make images larger.

use syncarp_diag::Located;
use syncarp_ir::{Attrs, Dim, Value};

use crate::context::LayerContext;
use crate::registry::{Argument, LayerFn, Only};

const PADDING: Argument = Argument::required(
    &["padding"],
    "The zeros on every side, or an array of those left, right, above and below.",
);
const FACTOR: Argument = Argument::required(
    &["scale_factor", "factor"],
    "How often each pixel is repeated, a number or one for each axis.",
);
const SIZE: Argument = Argument::only(
    &["size"],
    Only::Nothing,
    "images grow by whole factors here; write `scale_factor`",
);
const MODE: Argument = Argument::only(
    &["mode"],
    Only::Str("nearest"),
    "pixels are repeated here; another mode needs a layer of its own",
);
const CORNERS: Argument = Argument::only(
    &["align_corners"],
    Only::Nothing,
    "it says nothing of repeated pixels; leave `align_corners` out",
);

const IMAGES: &str = "images [n, channels, height, width]";

/// No image is larger: a slip of the pen is not to take all memory.
const MOST: i64 = 1 << 16;

pub(super) const ZERO_PAD: LayerFn = LayerFn {
    names: &["zero-pad2d"],
    doc: "Zeros around images [n, channels, height, width] (`torch.nn.ZeroPad2d`).",
    arguments: &[PADDING],
    lower: pad,
};

pub(super) const UPSAMPLE: LayerFn = LayerFn {
    names: &["upsample"],
    doc: "Images [n, channels, height, width] with every pixel repeated along both axes \
          (`torch.nn.Upsample` by a whole factor, nearest).",
    arguments: &[FACTOR, SIZE, MODE, CORNERS],
    lower: upsample,
};

fn pad(cx: &mut LayerContext<'_, '_>) -> Result<Value, Located> {
    let written = cx.args.usizes(&PADDING)?;
    let [left, right, above, below] = match written[..] {
        [all] => [all; 4],
        [left, right, above, below] => [left, right, above, below],
        _ => return Err(cx.error_at(&PADDING, "`padding` is one number, or four")),
    }
    .map(|n| i64::try_from(n).unwrap_or(MOST));
    if [left, right, above, below].iter().any(|n| *n >= MOST) {
        return Err(cx.error_at(&PADDING, format!("`padding` is below {MOST}")));
    }
    cx.rank(4, 4, IMAGES)?;
    let dtype = cx.float()?;
    let zero = cx.number(dtype, 0.0)?;
    let attrs = Attrs::new()
        .with("low", vec![0, 0, above, left])
        .with("high", vec![0, 0, below, right]);
    cx.emit1("pad", &[cx.input(), zero], attrs)
}

fn upsample(cx: &mut LayerContext<'_, '_>) -> Result<Value, Located> {
    let written = cx.args.value(&FACTOR)?;
    let whole = |value: &syncarp_sweep::Value| {
        let number = value.as_f64()?;
        let fits = number.fract() == 0.0 && (1.0..MOST as f64).contains(&number);
        fits.then_some(number as u64)
    };
    let factors: Option<Vec<u64>> = match &written.value {
        syncarp_sweep::Value::Array(items) => items.iter().map(|item| whole(&item.value)).collect(),
        one => whole(one).map(|one| vec![one; 2]),
    };
    let Some([high, wide]) = factors.as_deref() else {
        let message = "`scale_factor` is a whole number of at least 1, or two of them";
        return Err(cx.error_at(&FACTOR, message));
    };
    cx.rank(4, 4, IMAGES)?;
    let Some([n, channels, height, width]) = cx.ty().dims() else {
        return Err(cx.error("expects images whose dims are known"));
    };
    let (n, channels, height, width) = (n.clone(), channels.clone(), height.clone(), width.clone());
    let (high, wide, one) = (Dim::Known(*high), Dim::Known(*wide), Dim::Known(1));
    let grown = height.times(&high).zip(width.times(&wide));
    let (tall, broad) = grown.ok_or_else(|| cx.error("the images become too large"))?;
    let apart = [&n, &channels, &height, &one, &width, &one].map(Clone::clone);
    let repeated = [&n, &channels, &height, &high, &width, &wide].map(Clone::clone);
    let whole = [n, channels, tall, broad];
    let dims = |dims: &[Dim]| Attrs::new().with("dims", dims);
    let x = cx.emit1("reshape", &[cx.input()], dims(&apart))?;
    let x = cx.emit1("expand", &[x], dims(&repeated))?;
    cx.emit1("reshape", &[x], dims(&whole))
}
