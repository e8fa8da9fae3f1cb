//! How a window slides: its attributes and the sizes that come of them.

use syncarp_ir::{AttrDefault, AttrKind, AttrSpec, Attrs, Dim, Infer, Shape, TypeError};

/// Attributes are kept below this, so that no sum or product of a few of them overflows.
const LIMIT: i64 = 1 << 30;

pub(super) const STRIDE: AttrSpec = AttrSpec::optional(
    "stride",
    AttrKind::Ints,
    "The steps between windows along each axis.",
)
.or(AttrDefault::Each(1));
pub(super) const PADDING: AttrSpec = AttrSpec::optional(
    "padding",
    AttrKind::Ints,
    "The elements added on either side of each axis.",
)
.or(AttrDefault::Each(0));
pub(super) const DILATION: AttrSpec = AttrSpec::optional(
    "dilation",
    AttrKind::Ints,
    "The distances between the elements of a window along each axis.",
)
.or(AttrDefault::Each(1));
pub(super) const GROUPS: AttrSpec = AttrSpec::optional(
    "groups",
    AttrKind::Int,
    "The number of groups of channels that do not meet.",
)
.or(AttrDefault::Int(1));
pub(super) const KERNEL: AttrSpec =
    AttrSpec::required("kernel", AttrKind::Ints, "The window's height and width.");
pub(super) const POOL_STRIDE: AttrSpec = AttrSpec::optional(
    "stride",
    AttrKind::Ints,
    "The steps between windows along each axis.",
)
.or(AttrDefault::As("kernel"));
pub(super) const CEIL_MODE: AttrSpec = AttrSpec::optional(
    "ceil_mode",
    AttrKind::Bool,
    "Whether a last window may reach over the far edge, unless it would begin beyond the image.",
)
.or(AttrDefault::Bool(false));
pub(super) const DIMS: AttrSpec =
    AttrSpec::required("dims", AttrKind::Dims, "The dims of the forward op's `x`.");

/// How windows lie along the `N` spatial axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps<const N: usize> {
    pub stride: [u64; N],
    pub padding: [u64; N],
    pub dilation: [u64; N],
}

impl<const N: usize> Steps<N> {
    /// Reads `stride`, `padding` and `dilation`.
    pub(super) fn read(attrs: &Attrs, stride: [u64; N]) -> Result<Self, TypeError> {
        Ok(Steps {
            stride: list(attrs, "stride", Some(stride), 1)?,
            padding: list(attrs, "padding", Some([0; N]), 0)?,
            dilation: list(attrs, "dilation", Some([1; N]), 1)?,
        })
    }

    /// The same as attributes, every one written down.
    pub(super) fn attrs(&self) -> Attrs {
        Attrs::new()
            .with("stride", ints(&self.stride))
            .with("padding", ints(&self.padding))
            .with("dilation", ints(&self.dilation))
    }
}

/// Numbers as an attribute holds them.
pub(super) fn ints(numbers: &[u64]) -> Vec<i64> {
    numbers.iter().map(|n| *n as i64).collect()
}

/// A list of one number for each axis, none below `least`.
pub(super) fn list<const N: usize>(
    attrs: &Attrs,
    name: &str,
    default: Option<[u64; N]>,
    least: i64,
) -> Result<[u64; N], TypeError> {
    let Some(given) = attrs.ints(name) else {
        let missing = || TypeError::new(format!("attribute `{name}` is missing"));
        return default.ok_or_else(missing);
    };
    let wrong = |what: &str| TypeError::new(format!("`{name}` must be {what}, not {given:?}"));
    let given: [i64; N] = given
        .try_into()
        .map_err(|_| wrong(&format!("{N} numbers")))?;
    if given.iter().any(|g| *g < least) {
        return Err(wrong(&format!("at least {least}")));
    }
    if given.iter().any(|g| *g >= LIMIT) {
        return Err(wrong("below 2^30"));
    }
    Ok(given.map(i64::unsigned_abs))
}

/// The number of groups.
pub(super) fn groups(attrs: &Attrs) -> Result<u64, TypeError> {
    match attrs.int("groups").unwrap_or(1) {
        groups @ 1..LIMIT => Ok(groups.unsigned_abs()),
        groups => Err(TypeError::new(format!(
            "`groups` must be positive, not {groups}"
        ))),
    }
}

/// How many windows fit along one axis of a convolution.
pub(super) fn conv_size<const N: usize>(
    size: &Dim,
    kernel: &Dim,
    steps: &Steps<N>,
    axis: usize,
) -> Result<Dim, TypeError> {
    let one = Dim::Known(1);
    let count = || {
        let reach = kernel
            .minus(&one)?
            .times(&Dim::Known(steps.dilation[axis]))?
            .plus(&one)?;
        let padded = size.plus(&Dim::Known(2 * steps.padding[axis]))?;
        padded
            .minus(&reach)?
            .floor_div(&Dim::Known(steps.stride[axis]))?
            .plus(&one)
    };
    count().ok_or_else(|| {
        let (padding, dilation) = (steps.padding[axis], steps.dilation[axis]);
        TypeError::new(format!(
            "a window of {kernel} with dilation {dilation} does not fit in {size} with padding \
             {padding}"
        ))
    })
}

/// A pooling window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool {
    pub kernel: [u64; 2],
    pub steps: Steps<2>,
    pub ceil: bool,
}

impl Pool {
    /// Reads the attributes of a pooling op.
    pub(super) fn read(attrs: &Attrs) -> Result<Pool, TypeError> {
        let kernel = list(attrs, "kernel", None, 1)?;
        let steps = Steps::read(attrs, kernel)?;
        let ceil = attrs.bool("ceil_mode").unwrap_or(false);
        for ((kernel, dilation), padding) in kernel.iter().zip(steps.dilation).zip(steps.padding) {
            let reach = (kernel - 1) * dilation + 1;
            let half = reach / 2;
            if padding > half {
                return Err(TypeError::new(format!(
                    "`padding` must be at most half of the window's reach, {half}, not {padding}"
                )));
            }
        }
        Ok(Pool {
            kernel,
            steps,
            ceil,
        })
    }

    /// The same as attributes, every one written down but `dilation`, which means have not.
    pub(super) fn attrs(&self) -> Attrs {
        Attrs::new()
            .with("kernel", ints(&self.kernel))
            .with("stride", ints(&self.steps.stride))
            .with("padding", ints(&self.steps.padding))
            .with("ceil_mode", self.ceil)
    }

    /// The dims of the pooled images.
    pub(super) fn shape(&self, x: &[Dim]) -> Result<Shape, TypeError> {
        Ok(Shape::from_iter([
            x[0].clone(),
            x[1].clone(),
            self.size(&x[2], 0)?,
            self.size(&x[3], 1)?,
        ]))
    }

    /// How many windows there are along one axis.
    ///
    /// With `ceil_mode` the last window is dropped where it would begin beyond the near padding and
    /// the image. That happens exactly where `padding + stride` exceeds the window's reach, and
    /// then the count is the windows that begin before that point, so that it stays one quotient
    /// and works for symbols.
    fn size(&self, size: &Dim, axis: usize) -> Result<Dim, TypeError> {
        let (stride, padding) = (self.steps.stride[axis], self.steps.padding[axis]);
        let reach = (self.kernel[axis] - 1) * self.steps.dilation[axis] + 1;
        let (more, less) = if !self.ceil {
            (2 * padding + stride, reach)
        } else if padding + stride >= reach {
            (padding + stride, 1)
        } else {
            (2 * padding + 2 * stride, reach + 1)
        };
        let count = || {
            let least = size.plus(&Dim::Known(more))?.minus(&Dim::Known(less))?;
            let count = least.floor_div(&Dim::Known(stride))?;
            (count != Dim::Known(0)).then_some(count)
        };
        count().ok_or_else(|| {
            TypeError::new(format!(
                "a window that reaches {reach} does not fit in {size}"
            ))
        })
    }
}

/// Demands that a dim, where both are numbers, is what it should be.
pub(super) fn agree(what: &str, got: &Dim, want: &Dim) -> Result<(), TypeError> {
    match (got.known(), want.known()) {
        (Some(a), Some(b)) if a != b => {
            Err(TypeError::new(format!("{what} must be {want}, not {got}")))
        }
        _ => Ok(()),
    }
}

/// Demands that all dims, where they are numbers, are what they should be.
pub(super) fn agree_all(what: &str, got: &[Dim], want: &[Dim]) -> Result<(), TypeError> {
    for (axis, (got, want)) in got.iter().zip(want).enumerate() {
        agree(&format!("dim {axis} of {what}"), got, want)?;
    }
    Ok(())
}

/// The attribute `dims`, which must be those of images.
pub(super) fn image_dims<'a>(cx: &Infer<'a>) -> Result<&'a [Dim], TypeError> {
    let dims = crate::infer::dims_attr(cx, "dims")?;
    if dims.len() != 4 {
        return Err(TypeError::new(format!("`dims` must be four, not {dims:?}")));
    }
    Ok(dims)
}
