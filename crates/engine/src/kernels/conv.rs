//! Convolutions of images and their gradients.

use super::conv_channels::{Sums, WeightLayout, WeightSums};
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

    fn taps(&self) -> usize {
        self.window.kernel[0] * self.window.kernel[1]
    }
}

struct Conv2d;

impl Kernel for Conv2d {
    const OP: &'static str = "conv2d";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (x, weight) = (&spec.operands[0].dims, &spec.operands[1].dims);
        let conv = Conv::read(spec, x, weight, &spec.results[0].dims)?;
        let layout = WeightLayout {
            group: conv.out * conv.into * conv.taps(),
            out: conv.into * conv.taps(),
            term: conv.taps(),
        };
        let [height, width] = conv.window.result;
        let slide = Slide::forward(&conv.window);
        let sums = Sums::new(
            slide,
            conv.groups,
            conv.into,
            conv.out,
            layout,
            height * width,
        );
        Ok(Prepared::with_scratch(sums.scratch::<T>(), move |io| {
            let bias = io.has(2).then(|| io.real(2));
            let (x, weight) = (io.real(0), io.real(1));
            let (y, scratch) = (io.out(0), io.scratch());
            sums.run(x, weight, bias, y, scratch);
        }))
    }
}

struct Conv2dGradInput;

impl Kernel for Conv2dGradInput {
    const OP: &'static str = "conv2d_grad_input";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (dy, weight) = (&spec.operands[0].dims, &spec.operands[1].dims);
        let conv = Conv::read(spec, &spec.results[0].dims, weight, dy)?;
        let layout = WeightLayout {
            group: conv.out * conv.into * conv.taps(),
            out: conv.taps(),
            term: conv.into * conv.taps(),
        };
        let [height, width] = conv.window.image;
        let slide = Slide::backward(&conv.window);
        let sums = Sums::new(
            slide,
            conv.groups,
            conv.out,
            conv.into,
            layout,
            height * width,
        );
        Ok(Prepared::with_scratch(sums.scratch::<T>(), move |io| {
            let (dy, weight) = (io.real(0), io.real(1));
            let (dx, scratch) = (io.out(0), io.scratch());
            sums.run(dy, weight, None, dx, scratch);
        }))
    }
}

struct Conv2dGradWeight;

impl Kernel for Conv2dGradWeight {
    const OP: &'static str = "conv2d_grad_weight";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (x, dy) = (&spec.operands[0].dims, &spec.operands[1].dims);
        let conv = Conv::read(spec, x, &spec.results[0].dims, dy)?;
        let [height, width] = conv.window.result;
        let slide = Slide::forward(&conv.window);
        let sums = WeightSums::new(slide, conv.groups, conv.into, conv.out, height * width);
        Ok(Prepared::with_scratch(sums.scratch::<T>(), move |io| {
            let (x, dy) = (io.real(0), io.real(1));
            let (dweight, scratch) = (io.out(0), io.scratch());
            sums.run(x, dy, dweight, scratch);
        }))
    }
}
