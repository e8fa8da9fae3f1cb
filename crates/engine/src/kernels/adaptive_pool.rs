//! Pooling to a size that is asked for: `adaptive_avg_pool2d` and its gradient.

use std::ops::Range;

use super::pool::both;
use super::vector::sum;
use crate::kernel::{Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

pub(crate) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<AdaptiveAvgPool2d>()?;
    registry.register::<AdaptiveAvgPool2dGrad>()
}

/// The windows along one axis, each as long as it takes to cover its share.
fn windows(size: usize, count: usize) -> Vec<Range<usize>> {
    (0..count)
        .map(|i| i * size / count..((i + 1) * size).div_ceil(count))
        .collect()
}

/// The windows over planes.
struct Cover {
    image: [usize; 2],
    rows: Vec<Range<usize>>,
    columns: Vec<Range<usize>>,
}

impl Cover {
    fn read(x: &[usize], y: &[usize]) -> Result<Cover, KernelError> {
        let [image, result] = both(x, y)?;
        if image.contains(&0) {
            return Err(KernelError(format!("images {x:?} have no pixels")));
        }
        Ok(Cover {
            image,
            rows: windows(image[0], result[0]),
            columns: windows(image[1], result[1]),
        })
    }

    /// The elements of a plane of the images.
    fn image(&self) -> usize {
        self.image[0] * self.image[1]
    }

    /// The elements of a plane of the result.
    fn result(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    /// The windows of a plane in order.
    fn windows(&self) -> impl Iterator<Item = (&Range<usize>, &Range<usize>)> {
        let rows = self.rows.iter();
        rows.flat_map(|rows| self.columns.iter().map(move |columns| (rows, columns)))
    }

    /// The stretches of a plane that a window is made of: its rows, or all of them as one where
    /// they lie end to end.
    fn stretches(
        &self,
        rows: &Range<usize>,
        columns: &Range<usize>,
    ) -> impl Iterator<Item = Range<usize>> + use<> {
        let width = self.image[1];
        let (count, length) = match columns.len() == width {
            true => (1, rows.len() * width),
            false => (rows.len(), columns.len()),
        };
        let first = rows.start * width + columns.start;
        (0..count).map(move |row| first + row * width..first + row * width + length)
    }
}

/// The number of elements of a window.
fn size<T: Real>(rows: &Range<usize>, columns: &Range<usize>) -> T {
    T::from_f64((rows.len() * columns.len()) as f64)
}

struct AdaptiveAvgPool2d;

impl Kernel for AdaptiveAvgPool2d {
    const OP: &'static str = "adaptive_avg_pool2d";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let cover = Cover::read(&spec.operands[0].dims, &spec.results[0].dims)?;
        Ok(Prepared::new(move |io| {
            let x = io.real(0);
            let y = io.out(0);
            let planes = x.chunks_exact(cover.image());
            for (x, y) in planes.zip(y.chunks_exact_mut(cover.result().max(1))) {
                for (y, (rows, columns)) in y.iter_mut().zip(cover.windows()) {
                    let mut total = T::ZERO;
                    for stretch in cover.stretches(rows, columns) {
                        total += sum(&x[stretch]);
                    }
                    *y = total / size(rows, columns);
                }
            }
        }))
    }
}

struct AdaptiveAvgPool2dGrad;

impl Kernel for AdaptiveAvgPool2dGrad {
    const OP: &'static str = "adaptive_avg_pool2d_grad";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let cover = Cover::read(&spec.results[0].dims, &spec.operands[0].dims)?;
        Ok(Prepared::new(move |io| {
            let dy = io.real(0);
            let dx = io.out(0);
            dx.fill(T::ZERO);
            let planes = dx.chunks_exact_mut(cover.image());
            for (dx, dy) in planes.zip(dy.chunks_exact(cover.result().max(1))) {
                for (dy, (rows, columns)) in dy.iter().zip(cover.windows()) {
                    let part = *dy / size(rows, columns);
                    for stretch in cover.stretches(rows, columns) {
                        for dx in &mut dx[stretch] {
                            *dx += part;
                        }
                    }
                }
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use super::*;
    use crate::kernel::{Arg, Buffer, run_once};

    fn run<K: Kernel>(operand: &[usize], values: &[f64], result: &[usize]) -> Vec<f64> {
        let arg = |dims: &[usize]| Arg {
            dtype: DType::F64,
            dims: dims.to_vec(),
        };
        let (operands, results) = ([arg(operand)], [arg(result)]);
        let spec = Spec {
            attrs: &Attrs::new(),
            operands: &operands,
            results: &results,
        };
        let got = run_once::<f64, K>(&spec, &[Buffer::Real(values.to_vec())]);
        got.expect("it is prepared")[0]
            .real()
            .expect("floats")
            .to_vec()
    }

    #[test]
    fn windows_cover_every_share_and_overlap_where_it_is_broken() {
        assert_eq!(windows(5, 3), [0..2, 1..4, 3..5]);
        assert_eq!(windows(4, 2), [0..2, 2..4]);
        assert_eq!(windows(2, 3), [0..1, 0..2, 1..2]);
    }

    #[test]
    fn means_and_their_gradients_agree_with_plain_loops() {
        for ([h, w], [oh, ow]) in [
            ([4, 6], [2, 3]),
            ([5, 7], [3, 2]),
            ([7, 5], [1, 1]),
            ([6, 5], [3, 1]),
            ([2, 3], [3, 5]),
        ] {
            let (x_dims, y_dims) = ([2, 3, h, w], [2, 3, oh, ow]);
            let x: Vec<f64> = (0..6 * h * w).map(|i| (i * 31 % 17) as f64).collect();
            let dy: Vec<f64> = (0..6 * oh * ow).map(|i| (i * 29 % 13) as f64).collect();
            let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
            for i in 0..dy.len() {
                let (plane, row, column) = (i / ow / oh, i / ow % oh, i % ow);
                let rows = row * h / oh..((row + 1) * h).div_ceil(oh);
                let columns = column * w / ow..((column + 1) * w).div_ceil(ow);
                let count = (rows.len() * columns.len()) as f64;
                for place in rows.flat_map(|r| columns.clone().map(move |c| r * w + c)) {
                    y[i] += x[plane * h * w + place] / count;
                    dx[plane * h * w + place] += dy[i] / count;
                }
            }
            let close = |a: &[f64], b: &[f64]| {
                let near = a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
                assert!(a.len() == b.len() && near, "{a:?} {b:?}");
            };
            close(&run::<AdaptiveAvgPool2d>(&x_dims, &x, &y_dims), &y);
            close(&run::<AdaptiveAvgPool2dGrad>(&y_dims, &dy, &x_dims), &dx);
        }
        assert!(run::<AdaptiveAvgPool2d>(&[0, 3, 4, 4], &[], &[0, 3, 1, 1]).is_empty());
    }
}
