//! Convolutions of images and their gradients.

use super::conv_channels::{Sums, WeightLayout, WeightSums};
use super::conv_pixels::Lines;
use super::slide::{Slide, Window};
use crate::kernel::{Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

pub(crate) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Conv2d>()?;
    registry.register::<Conv2dGradInput>()?;
    registry.register::<Conv2dGradWeight>()
}

/// The sizes of a convolution, whichever of its three tensors is the result.
struct Conv {
    window: Window,
    groups: usize,
    /// Incoming channels of a group.
    into: usize,
    /// Outgoing channels of a group.
    out: usize,
}

impl Conv {
    fn read(
        spec: &Spec<'_>,
        x: &[usize],
        weight: &[usize],
        y: &[usize],
    ) -> Result<Conv, KernelError> {
        let wrong = || KernelError(format!("dims {x:?}, {weight:?} and {y:?} do not fit"));
        let (&[n, c, h, w], &[o, into, kh, kw], &[yn, yo, yh, yw]) = (x, weight, y) else {
            return Err(wrong());
        };
        let groups = spec.attrs.int("groups").unwrap_or(1);
        let groups = usize::try_from(groups).unwrap_or(0);
        let window = Window::read(spec, [h, w], [yh, yw], [kh, kw], [1, 1])?;
        let fits = groups > 0 && o % groups == 0 && c == into * groups && (n, o) == (yn, yo);
        if !fits || window.counts() != window.result {
            return Err(wrong());
        }
        Ok(Conv {
            window,
            groups,
            into,
            out: o / groups,
        })
    }

    /// How the weight lies in memory.
    fn layout(&self) -> WeightLayout {
        let taps = self.window.kernel[0] * self.window.kernel[1];
        WeightLayout {
            group: self.out * self.into * taps,
            out: self.into * taps,
            term: taps,
        }
    }
}

/// Sums with channels or with pixels in the lanes, whichever suits the shapes.
fn sums<T: Real>(
    slide: Slide,
    (groups, terms, outs): (usize, usize, usize),
    layout: WeightLayout,
    [height, width]: [usize; 2],
) -> Prepared<T> {
    let result = height * width;
    if let Some(lines) = Lines::new(&slide, groups, terms, outs, layout, result) {
        return Prepared::with_scratch(lines.scratch(), move |io| {
            let bias = io.has(2).then(|| io.real(2));
            let (source, weight) = (io.real(0), io.real(1));
            let (result, scratch) = (io.out(0), io.scratch());
            lines.run(source, weight, bias, result, scratch);
        });
    }
    let sums = Sums::new(slide, groups, terms, outs, layout, result);
    Prepared::with_scratch(sums.scratch::<T>(), move |io| {
        let bias = io.has(2).then(|| io.real(2));
        let (source, weight) = (io.real(0), io.real(1));
        let (result, scratch) = (io.out(0), io.scratch());
        sums.run(source, weight, bias, result, scratch);
    })
}

struct Conv2d;

impl Kernel for Conv2d {
    const OP: &'static str = "conv2d";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (x, weight) = (&spec.operands[0].dims, &spec.operands[1].dims);
        let conv = Conv::read(spec, x, weight, &spec.results[0].dims)?;
        let channels = (conv.groups, conv.into, conv.out);
        let slide = Slide::forward(&conv.window);
        Ok(sums(slide, channels, conv.layout(), conv.window.result))
    }
}

struct Conv2dGradInput;

impl Kernel for Conv2dGradInput {
    const OP: &'static str = "conv2d_grad_input";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (dy, weight) = (&spec.operands[0].dims, &spec.operands[1].dims);
        let conv = Conv::read(spec, &spec.results[0].dims, weight, dy)?;
        let channels = (conv.groups, conv.out, conv.into);
        let slide = Slide::backward(&conv.window);
        let layout = conv.layout().transposed();
        Ok(sums(slide, channels, layout, conv.window.image))
    }
}

struct Conv2dGradWeight;

impl Kernel for Conv2dGradWeight {
    const OP: &'static str = "conv2d_grad_weight";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (x, dy) = (&spec.operands[0].dims, &spec.operands[1].dims);
        let conv = Conv::read(spec, x, &spec.results[0].dims, dy)?;
        let result = conv.window.result[0] * conv.window.result[1];
        let (groups, terms, outs) = (conv.groups, conv.into, conv.out);
        let slide = Slide::forward(&conv.window);
        if let Some(lines) = Lines::new(&slide, groups, terms, outs, conv.layout(), result) {
            return Ok(Prepared::with_scratch(lines.scratch(), move |io| {
                let (x, dy) = (io.real(0), io.real(1));
                let (dweight, scratch) = (io.out(0), io.scratch());
                lines.run_weight(x, dy, dweight, scratch);
            }));
        }
        let sums = WeightSums::new(slide, groups, terms, outs, result);
        Ok(Prepared::with_scratch(sums.scratch::<T>(), move |io| {
            let (x, dy) = (io.real(0), io.real(1));
            let (dweight, scratch) = (io.out(0), io.scratch());
            sums.run(x, dy, dweight, scratch);
        }))
    }
}
