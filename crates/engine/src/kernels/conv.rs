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

/// Up to how many channels a group of the result is better summed with pixels in the lanes.
const FEW: usize = 3;

/// Sums with channels or with pixels in the lanes, whichever suits the shapes.
fn sums<T: Real>(
    slide: Slide,
    (groups, terms, outs): (usize, usize, usize),
    layout: WeightLayout,
    [height, width]: [usize; 2],
) -> Prepared<T> {
    let result = height * width;
    if outs <= FEW
        && let Some(lines) = Lines::new(&slide, groups, terms, outs, layout, result)
    {
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
        if outs == 1
            && let Some(lines) = Lines::new(&slide, groups, terms, outs, conv.layout(), result)
        {
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

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use super::*;
    use crate::kernel::{Arg, Buffer, Precision, run_once};

    /// A convolution: the image's dims, outgoing channels, groups, and the window on both axes.
    #[derive(Clone, Copy, Debug)]
    struct Case {
        x: [usize; 4],
        out: usize,
        groups: usize,
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
    }

    const PLAIN: Case = Case {
        x: [2, 3, 5, 6],
        out: 4,
        groups: 1,
        kernel: [3, 3],
        stride: [1, 1],
        padding: [1, 1],
        dilation: [1, 1],
    };

    #[rustfmt::skip]
    const CASES: &[Case] = &[
        PLAIN,
        Case { x: [3, 1, 8, 8], out: 16, ..PLAIN },
        Case { x: [1, 20, 8, 8], out: 33, ..PLAIN },
        Case { x: [0, 3, 5, 6], ..PLAIN },
        Case { x: [2, 3, 5, 7], out: 17, kernel: [1, 1], padding: [0, 0], ..PLAIN },
        Case { x: [2, 2, 9, 7], out: 5, kernel: [2, 5], padding: [0, 3], ..PLAIN },
        Case { x: [2, 2, 9, 7], out: 5, stride: [2, 3], ..PLAIN },
        Case { x: [2, 2, 9, 11], out: 9, stride: [3, 2], padding: [2, 0], dilation: [2, 3], ..PLAIN },
        // The window is larger than the image, and padding reaches farther than the window.
        Case { x: [2, 2, 1, 2], out: 9, kernel: [5, 4], padding: [3, 4], ..PLAIN },
        Case { x: [2, 2, 4, 3], out: 9, kernel: [2, 1], padding: [4, 3], stride: [2, 2], ..PLAIN },
        // Steps that leave pixels out.
        Case { x: [2, 9, 7, 8], out: 9, kernel: [1, 2], stride: [3, 4], padding: [0, 1], ..PLAIN },
        Case { x: [2, 1, 7, 8], out: 1, kernel: [1, 1], stride: [2, 3], padding: [0, 1], ..PLAIN },
        Case { x: [1, 4, 1, 9], out: 9, kernel: [1, 3], padding: [0, 1], stride: [1, 2], ..PLAIN },
        Case { x: [2, 6, 5, 6], out: 9, groups: 3, ..PLAIN },
        Case { x: [2, 40, 4, 4], out: 36, groups: 2, stride: [2, 1], ..PLAIN },
        // Depthwise, once with two channels a group.
        Case { x: [2, 5, 6, 7], out: 5, groups: 5, ..PLAIN },
        Case { x: [2, 5, 6, 7], out: 10, groups: 5, kernel: [3, 2], dilation: [2, 1], ..PLAIN },
        Case { x: [2, 5, 6, 7], out: 5, groups: 5, stride: [2, 2], ..PLAIN },
        Case { x: [1, 3, 18, 19], out: 2, kernel: [5, 5], padding: [2, 2], ..PLAIN },
        Case { x: [1, 2, 21, 20], out: 9, kernel: [2, 2], padding: [0, 0], ..PLAIN },
        Case { x: [1, 0, 3, 3], out: 2, ..PLAIN },
        Case { x: [1, 2, 0, 3], padding: [2, 1], out: 2, ..PLAIN },
        Case { out: 0, ..PLAIN },
    ];

    /// The tensors of a case with numbers that small sums of products are exact in.
    struct Tensors {
        attrs: Attrs,
        x: Arg,
        weight: Arg,
        bias: Arg,
        y: Arg,
    }

    fn numbers<T: Real>(arg: &Arg, seed: usize) -> Vec<T> {
        let number = |i: usize| ((i * 7 + seed) * 31 % 101 % 17) as f64 / 4.0 - 2.0;
        (0..arg.len()).map(|i| T::from_f64(number(i))).collect()
    }

    impl Case {
        fn tensors(&self, dtype: DType) -> Tensors {
            let [n, c, h, w] = self.x;
            let size = |axis: usize, size: usize| {
                let reach = (self.kernel[axis] - 1) * self.dilation[axis] + 1;
                (size + 2 * self.padding[axis] - reach) / self.stride[axis] + 1
            };
            let arg = |dims: &[usize]| Arg {
                dtype,
                dims: dims.to_vec(),
            };
            let ints = |pair: [usize; 2]| pair.map(|p| p as i64).to_vec();
            let [kh, kw] = self.kernel;
            Tensors {
                attrs: Attrs::new()
                    .with("stride", ints(self.stride))
                    .with("padding", ints(self.padding))
                    .with("dilation", ints(self.dilation))
                    .with("groups", self.groups as i64),
                x: arg(&self.x),
                weight: arg(&[self.out, c / self.groups, kh, kw]),
                bias: arg(&[self.out]),
                y: arg(&[n, self.out, size(0, h), size(1, w)]),
            }
        }

        /// Calls `term` with the places in y, x and weight of every product there is.
        fn products(&self, t: &Tensors, mut term: impl FnMut(usize, usize, usize)) {
            let [n, c, h, w] = self.x;
            let (into, outs) = (c / self.groups, self.out / self.groups);
            let (oh, ow) = (t.y.dims[2], t.y.dims[3]);
            let [kh, kw] = self.kernel;
            for (image, o, y, x) in nest([n, self.out, oh, ow]) {
                for (i, ky, kx, _) in nest([into, kh, kw, 1]) {
                    let row = (y * self.stride[0] + ky * self.dilation[0])
                        .checked_sub(self.padding[0])
                        .filter(|row| *row < h);
                    let column = (x * self.stride[1] + kx * self.dilation[1])
                        .checked_sub(self.padding[1])
                        .filter(|column| *column < w);
                    let (Some(row), Some(column)) = (row, column) else {
                        continue;
                    };
                    let channel = o / outs * into + i;
                    term(
                        ((image * self.out + o) * oh + y) * ow + x,
                        ((image * c + channel) * h + row) * w + column,
                        ((o * into + i) * kh + ky) * kw + kx,
                    );
                }
            }
        }
    }

    fn nest(sizes: [usize; 4]) -> impl Iterator<Item = (usize, usize, usize, usize)> {
        let [a, b, c, d] = sizes;
        let total = a * b * c * d;
        (0..total).map(move |i| (i / d / c / b, i / d / c % b, i / d % c, i % d))
    }

    fn run<T: Precision, K: Kernel>(
        attrs: &Attrs,
        operands: &[(&Arg, Vec<T>)],
        result: &Arg,
    ) -> Vec<T> {
        let args: Vec<Arg> = operands.iter().map(|(arg, _)| (*arg).clone()).collect();
        let spec = Spec {
            attrs,
            operands: &args,
            results: std::slice::from_ref(result),
        };
        let values: Vec<_> = operands
            .iter()
            .map(|(_, v)| Buffer::Real(v.clone()))
            .collect();
        let results = run_once::<T, K>(&spec, &values).expect("it is prepared");
        results[0].real().expect("floats").to_vec()
    }

    /// All products of quarters are exact in either type, so sums in any order are equal.
    fn check<T: Precision>(case: &Case, dtype: DType) {
        let t = case.tensors(dtype);
        let (x, weight) = (numbers::<T>(&t.x, 1), numbers::<T>(&t.weight, 2));
        let (bias, dy) = (numbers::<T>(&t.bias, 3), numbers::<T>(&t.y, 4));

        let mut y = vec![T::ZERO; t.y.len()];
        let mut dx = vec![T::ZERO; t.x.len()];
        let mut dweight = vec![T::ZERO; t.weight.len()];
        case.products(&t, |at_y, at_x, at_w| {
            y[at_y] += x[at_x] * weight[at_w];
            dx[at_x] += dy[at_y] * weight[at_w];
            dweight[at_w] += dy[at_y] * x[at_x];
        });
        let operands = [(&t.x, x.clone()), (&t.weight, weight.clone())];
        assert_eq!(run::<T, Conv2d>(&t.attrs, &operands, &t.y), y, "{case:?}");
        let plane = t.y.dims[2] * t.y.dims[3];
        for (i, y) in y.iter_mut().enumerate() {
            *y += bias[i / plane % case.out];
        }
        let biased = [
            operands[0].clone(),
            operands[1].clone(),
            (&t.bias, bias.clone()),
        ];
        assert_eq!(run::<T, Conv2d>(&t.attrs, &biased, &t.y), y, "{case:?}");

        let operands = [(&t.y, dy.clone()), (&t.weight, weight)];
        let got = run::<T, Conv2dGradInput>(&t.attrs, &operands, &t.x);
        assert_eq!(got, dx, "{case:?}");
        let operands = [(&t.x, x), (&t.y, dy)];
        let got = run::<T, Conv2dGradWeight>(&t.attrs, &operands, &t.weight);
        assert_eq!(got, dweight, "{case:?}");
    }

    #[test]
    fn all_three_agree_with_plain_loops() {
        for case in CASES {
            check::<f64>(case, DType::F64);
            check::<f32>(case, DType::F32);
        }
    }

    #[test]
    fn gradients_are_the_differences_of_the_loss() {
        for case in [CASES[0], CASES[7], CASES[13], CASES[16]] {
            let t = case.tensors(DType::F64);
            let (x, weight) = (numbers(&t.x, 5), numbers(&t.weight, 6));
            let dy = numbers::<f64>(&t.y, 7);
            let loss = |x: &[f64], weight: &[f64]| -> f64 {
                let operands = [(&t.x, x.to_vec()), (&t.weight, weight.to_vec())];
                let y = run::<f64, Conv2d>(&t.attrs, &operands, &t.y);
                y.iter().zip(&dy).map(|(y, dy)| y * dy).sum()
            };
            let operands = [(&t.y, dy.clone()), (&t.weight, weight.clone())];
            let dx = run::<f64, Conv2dGradInput>(&t.attrs, &operands, &t.x);
            let operands = [(&t.x, x.clone()), (&t.y, dy.clone())];
            let dweight = run::<f64, Conv2dGradWeight>(&t.attrs, &operands, &t.weight);
            for i in (0..x.len()).step_by(5) {
                let mut moved = [x.clone(), x.clone()];
                moved[0][i] += 0.5;
                moved[1][i] -= 0.5;
                let slope = loss(&moved[0], &weight) - loss(&moved[1], &weight);
                assert!((slope - dx[i]).abs() < 1e-9, "{case:?}: {slope} {}", dx[i]);
            }
            for i in (0..weight.len()).step_by(3) {
                let mut moved = [weight.clone(), weight.clone()];
                moved[0][i] += 0.5;
                moved[1][i] -= 0.5;
                let slope = loss(&x, &moved[0]) - loss(&x, &moved[1]);
                let got = dweight[i];
                assert!((slope - got).abs() < 1e-9, "{case:?}: {slope} {got}");
            }
        }
    }

    #[test]
    fn an_image_has_the_same_bits_in_every_batch() {
        let case = Case {
            x: [3, 5, 9, 9],
            out: 18,
            ..PLAIN
        };
        let t = case.tensors(DType::F32);
        let thirds = |v: Vec<f32>| -> Vec<f32> { v.iter().map(|v| v / 3.0).collect() };
        let (x, weight) = (thirds(numbers(&t.x, 1)), thirds(numbers(&t.weight, 2)));
        let all = run::<f32, Conv2d>(
            &t.attrs,
            &[(&t.x, x.clone()), (&t.weight, weight.clone())],
            &t.y,
        );
        let alone = Case {
            x: [1, 5, 9, 9],
            ..case
        };
        let a = alone.tensors(DType::F32);
        let (image, result) = (a.x.len(), a.y.len());
        let second = x[image..2 * image].to_vec();
        let got = run::<f32, Conv2d>(&a.attrs, &[(&a.x, second), (&a.weight, weight)], &a.y);
        assert_eq!(got, all[result..2 * result]);
    }

    #[test]
    fn dims_that_do_not_fit_are_refused() {
        let t = PLAIN.tensors(DType::F64);
        let mut y = t.y.clone();
        y.dims[3] += 1;
        let operands = [t.x, t.weight];
        let spec = Spec {
            attrs: &t.attrs,
            operands: &operands,
            results: &[y],
        };
        let error = Conv2d::prepare::<f64>(&spec).err().expect("it is refused");
        assert!(error.0.contains("do not fit"));
    }
}
