//! Pooling against plain loops over windows.

use syncarp_ir::{Attrs, DType};

use super::*;
use crate::kernel::{Arg, Buffer, run_once};

/// A window on both axes over images [n, c, h, w].
#[derive(Clone, Copy, Debug)]
struct Case {
    x: [usize; 4],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    ceil: bool,
}

const PLAIN: Case = Case {
    x: [2, 2, 6, 8],
    kernel: [2, 2],
    stride: [2, 2],
    padding: [0, 0],
    dilation: [1, 1],
    ceil: false,
};

#[rustfmt::skip]
const CASES: &[Case] = &[
    PLAIN,
    Case { x: [2, 3, 7, 9], kernel: [3, 3], padding: [1, 1], ..PLAIN },
    Case { x: [2, 3, 7, 9], kernel: [3, 2], padding: [1, 1], stride: [1, 3], ceil: true, ..PLAIN },
    Case { x: [1, 2, 7, 7], kernel: [3, 3], padding: [1, 1], stride: [3, 2], ceil: true, ..PLAIN },
    Case { x: [1, 2, 5, 6], kernel: [2, 4], padding: [1, 2], stride: [3, 5], ceil: true, ..PLAIN },
    Case { x: [1, 2, 2, 1], kernel: [5, 3], padding: [2, 1], stride: [1, 1], ..PLAIN },
    Case { x: [1, 2, 2, 2], kernel: [3, 3], stride: [2, 2], ceil: true, ..PLAIN },
    Case { x: [0, 2, 4, 4], ..PLAIN },
    Case { x: [2, 2, 8, 7], kernel: [3, 3], stride: [1, 2], ..PLAIN },
    Case { x: [2, 2, 7, 5], stride: [3, 1], ..PLAIN },
    Case { x: [1, 1, 20, 40], kernel: [3, 1], stride: [1, 1], ..PLAIN },
];

impl Case {
    fn attrs(&self) -> Attrs {
        let ints = |pair: [usize; 2]| pair.map(|p| p as i64).to_vec();
        Attrs::new()
            .with("kernel", ints(self.kernel))
            .with("stride", ints(self.stride))
            .with("padding", ints(self.padding))
            .with("ceil_mode", self.ceil)
    }

    /// How many windows there are along an axis, by the rule as it is usually written.
    fn count(&self, axis: usize) -> usize {
        let (size, stride) = (self.x[axis + 2] as i64, self.stride[axis] as i64);
        let reach = ((self.kernel[axis] - 1) * self.dilation[axis] + 1) as i64;
        let padding = self.padding[axis] as i64;
        let more = if self.ceil { stride - 1 } else { 0 };
        let mut count = (size + 2 * padding - reach + more) / stride + 1;
        if self.ceil && (count - 1) * stride >= size + padding {
            count -= 1;
        }
        count as usize
    }

    fn args(&self) -> (Arg, Arg) {
        let [n, c, _, _] = self.x;
        let arg = |dims: [usize; 4]| Arg {
            dtype: DType::F64,
            dims: dims.to_vec(),
        };
        (arg(self.x), arg([n, c, self.count(0), self.count(1)]))
    }

    /// For every window of all planes, the places of the image in it.
    fn windows(&self) -> Vec<Vec<usize>> {
        let [n, c, h, w] = self.x;
        let mut windows = Vec::new();
        for plane in 0..n * c {
            for y in 0..self.count(0) {
                for x in 0..self.count(1) {
                    let mut window = Vec::new();
                    for (ky, kx) in (0..self.kernel[0])
                        .flat_map(|ky| (0..self.kernel[1]).map(move |kx| (ky, kx)))
                    {
                        let row = y * self.stride[0] + ky * self.dilation[0];
                        let column = x * self.stride[1] + kx * self.dilation[1];
                        let row = row.wrapping_sub(self.padding[0]);
                        let column = column.wrapping_sub(self.padding[1]);
                        if row < h && column < w {
                            window.push((plane * h + row) * w + column);
                        }
                    }
                    windows.push(window);
                }
            }
        }
        windows
    }

    /// For every window of a plane, how many places it has with the near and far padding.
    fn padded(&self) -> Vec<usize> {
        let along = |axis: usize| {
            let end = self.x[axis + 2] + 2 * self.padding[axis];
            let length = move |o: usize| {
                let start = o * self.stride[axis];
                (start + self.kernel[axis]).min(end) - start
            };
            (0..self.count(axis)).map(length)
        };
        along(0)
            .flat_map(|y| along(1).map(move |x| x * y))
            .collect()
    }
}

/// Numbers with many equal ones among them.
fn numbers(count: usize, seed: usize) -> Vec<f64> {
    (0..count)
        .map(|i| ((i * 7 + seed) * 31 % 101 % 7) as f64 - 3.0)
        .collect()
}

fn run<K: Kernel>(
    attrs: &Attrs,
    operands: &[(Arg, Buffer<f64>)],
    results: &[Arg],
) -> Vec<Buffer<f64>> {
    let (args, values): (Vec<_>, Vec<_>) = operands.iter().cloned().unzip();
    let spec = Spec {
        attrs,
        operands: &args,
        results,
    };
    run_once::<f64, K>(&spec, &values).expect("it is prepared")
}

fn max(case: &Case, x: &[f64]) -> (Vec<f64>, Vec<i64>) {
    let dilation = case.dilation.map(|d| d as i64).to_vec();
    let attrs = case.attrs().with("dilation", dilation);
    let (arg, y) = case.args();
    let index = Arg {
        dtype: DType::I64,
        dims: y.dims.clone(),
    };
    let got = run::<MaxPool2d>(&attrs, &[(arg, Buffer::Real(x.to_vec()))], &[y, index]);
    match <[_; 2]>::try_from(got).expect("two results") {
        [Buffer::Real(y), Buffer::Int(index)] => (y, index),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_largest_is_the_first_of_equal_ones() {
    let dilated = [
        Case {
            x: [2, 2, 9, 8],
            kernel: [3, 2],
            dilation: [2, 3],
            padding: [2, 1],
            ..PLAIN
        },
        Case {
            x: [1, 2, 6, 6],
            kernel: [2, 2],
            dilation: [3, 2],
            stride: [1, 1],
            ceil: true,
            ..PLAIN
        },
    ];
    for case in CASES.iter().chain(&dilated) {
        let (arg, result) = case.args();
        let plane = (case.x[2] * case.x[3]) as i64;
        let x = numbers(arg.len(), 3);
        let (y, index) = max(case, &x);
        let dy = numbers(y.len(), 4);
        let mut dx = vec![0.0; x.len()];
        let windows = case.windows();
        assert_eq!(windows.len(), y.len(), "{case:?}");
        for (i, window) in windows.iter().enumerate() {
            let largest = window
                .iter()
                .map(|p| x[*p])
                .fold(f64::NEG_INFINITY, f64::max);
            let first = *window
                .iter()
                .find(|p| x[**p] == largest)
                .expect("not empty");
            assert_eq!(y[i], largest, "{case:?}");
            assert_eq!(index[i], first as i64 % plane, "{case:?}");
            dx[first] += dy[i];
        }
        let attrs = Attrs::new();
        let indices = Arg {
            dtype: DType::I64,
            dims: result.dims.clone(),
        };
        let operands = [(result, Buffer::Real(dy)), (indices, Buffer::Int(index))];
        assert_eq!(
            run::<MaxPool2dGrad>(&attrs, &operands, &[arg]),
            [Buffer::Real(dx)]
        );
    }
}

#[test]
fn nan_is_largest_and_nothing_is_larger_than_an_empty_window() {
    let x = [
        f64::NAN,
        5.0,
        f64::NEG_INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        1.0,
    ];
    let case = Case {
        x: [1, 1, 1, 6],
        kernel: [1, 2],
        stride: [1, 2],
        ..PLAIN
    };
    let (y, index) = max(&case, &x);
    assert!(y[0].is_nan() && y[2].is_nan());
    assert_eq!((y[1], &index[..]), (f64::NEG_INFINITY, &[0, 2, 4][..]));
    // A window about an image of one pixel, which falls between its taps.
    let around = Case {
        x: [1, 1, 1, 1],
        dilation: [2, 2],
        padding: [1, 1],
        ..PLAIN
    };
    assert_eq!(max(&around, &[3.0]), (vec![f64::NEG_INFINITY], vec![-1]));
    let arg = |dtype| Arg {
        dtype,
        dims: vec![1; 4],
    };
    let (real, int) = (arg(DType::F64), arg(DType::I64));
    for index in [-1, 1, i64::MAX] {
        let operands = [
            (real.clone(), Buffer::Real(vec![2.0])),
            (int.clone(), Buffer::Int(vec![index])),
        ];
        let got = run::<MaxPool2dGrad>(&Attrs::new(), &operands, std::slice::from_ref(&real));
        assert_eq!(got, [Buffer::Real(vec![0.0])]);
    }
}

#[test]
fn means_count_padding_or_not() {
    for case in CASES {
        for padding in [true, false] {
            let attrs = case.attrs().with("count_include_pad", padding);
            let (arg, result) = case.args();
            let x = numbers(arg.len(), 5);
            let dy = numbers(result.len(), 6);
            let padded = case.padded();
            let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
            for (i, window) in case.windows().iter().enumerate() {
                let count = if padding {
                    padded[i % padded.len()]
                } else {
                    window.len()
                };
                for place in window {
                    y[i] += x[*place];
                    dx[*place] += dy[i] / count as f64;
                }
                y[i] /= count as f64;
            }
            let operands = [(arg.clone(), Buffer::Real(x))];
            let got = run::<AvgPool2d>(&attrs, &operands, std::slice::from_ref(&result));
            assert_eq!(got, [Buffer::Real(y)], "{case:?}");
            let got = run::<AvgPool2dGrad>(&attrs, &[(result, Buffer::Real(dy))], &[arg]);
            let got = got[0].real().expect("floats");
            let close = got.iter().zip(&dx).all(|(a, b)| (a - b).abs() < 1e-12);
            assert!(close, "{case:?}: {got:?} {dx:?}");
        }
    }
}
