//! Pooling with a window that slides: `max_pool2d`, `avg_pool2d` and their gradients.
//!
//! A row of the result is worked out tap by tap, so that loops run along rows and need no branch.

use super::slide::{Window, pair};
use super::vector::wide;
use crate::kernel::{Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

pub(crate) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<MaxPool2d>()?;
    registry.register::<MaxPool2dGrad>()?;
    registry.register::<AvgPool2d>()?;
    registry.register::<AvgPool2dGrad>()
}

/// The planes of images [n, c, h, w].
///
/// # Errors
/// Where the dims are not four.
pub(super) fn planes(dims: &[usize]) -> Result<(usize, [usize; 2]), KernelError> {
    match *dims {
        [n, c, h, w] => Ok((n * c, [h, w])),
        _ => Err(KernelError(format!(
            "dims {dims:?} are not those of images"
        ))),
    }
}

/// The planes of images and of what they are pooled to.
pub(super) fn both(x: &[usize], y: &[usize]) -> Result<[[usize; 2]; 2], KernelError> {
    let ((of_x, image), (of_y, result)) = (planes(x)?, planes(y)?);
    if of_x != of_y {
        return Err(KernelError(format!(
            "dims {x:?} and {y:?} differ in planes"
        )));
    }
    Ok([image, result])
}

/// A tap of a row of windows: it meets the image in the windows from `first` to `end`, in the first
/// of them at column `at`.
struct Tap {
    first: usize,
    end: usize,
    at: usize,
}

/// One axis of a pooling window.
struct Axis {
    stride: usize,
    taps: Vec<Tap>,
    /// For every window, the first place of the image in it, if any is.
    starts: Vec<Option<usize>>,
    /// For every window, how many places it has, of the image alone and with its padding.
    counts: Vec<[usize; 2]>,
}

impl Axis {
    fn of(window: &Window, axis: usize) -> Axis {
        let (size, count) = (window.image[axis], window.result[axis]);
        let (stride, padding) = (window.stride[axis], window.padding[axis]);
        let taps: Vec<Tap> = (0..window.kernel[axis])
            .map(|k| {
                let behind = k * window.dilation[axis];
                let first = padding.saturating_sub(behind).div_ceil(stride);
                let end = (size + padding).saturating_sub(behind).div_ceil(stride);
                let at = (first * stride + behind).saturating_sub(padding);
                let end = end.clamp(first, count.max(first));
                Tap { first, end, at }
            })
            .collect();
        let places = |o: usize| {
            let meeting = taps.iter().filter(move |t| (t.first..t.end).contains(&o));
            meeting.map(move |t| t.at + (o - t.first) * stride)
        };
        let counts = (0..count).map(|o| {
            // Where a window reaches over the far padding, that is cut off.
            let far = (size + 2 * padding).saturating_sub(o * stride);
            [places(o).count(), window.kernel[axis].min(far)]
        });
        Axis {
            stride,
            starts: (0..count).map(|o| places(o).next()).collect(),
            counts: counts.collect(),
            taps,
        }
    }

    /// The place of a tap in a window, if it meets the image there.
    fn place(&self, tap: &Tap, window: usize) -> Option<usize> {
        (tap.first..tap.end)
            .contains(&window)
            .then(|| tap.at + (window - tap.first) * self.stride)
    }
}

/// A pooling window over planes.
struct Pool {
    image: [usize; 2],
    result: [usize; 2],
    stride: [usize; 2],
    /// The window's side, where it is one of the usual squares and every one lies in the image
    /// whole.
    square: Option<usize>,
    y: Axis,
    x: Axis,
}

impl Pool {
    fn read(spec: &Spec<'_>, x: &[usize], y: &[usize]) -> Result<Pool, KernelError> {
        let [image, result] = both(x, y)?;
        let kernel = pair(spec, "kernel", [0, 0])?;
        let window = Window::read(spec, image, result, kernel, kernel)?;
        let [y, x] = [0, 1].map(|axis| Axis::of(&window, axis));
        let whole = [&y, &x]
            .iter()
            .zip(result)
            .all(|(axis, count)| axis.taps.iter().all(|t| (t.first, t.end) == (0, count)));
        let square = (whole && kernel[0] == kernel[1] && window.dilation == [1, 1])
            .then_some(kernel[0])
            .filter(|side| matches!(side, 2 | 3));
        Ok(Pool {
            image,
            result,
            stride: window.stride,
            square,
            y,
            x,
        })
    }

    /// For every window, by what the sum over it is divided: padding counts or does not.
    fn divisors<T: Real>(&self, padding: bool) -> Vec<T> {
        let count = |counts: &[usize; 2]| counts[usize::from(padding)];
        let counts = self.y.counts.iter().flat_map(|y| {
            let across = self.x.counts.iter();
            across.map(move |x| count(y) * count(x))
        });
        // A window without any place sums to zero, which it must stay.
        counts.map(|c| T::from_f64(c.max(1) as f64)).collect()
    }

    /// The elements of a plane of the images.
    fn image(&self) -> usize {
        self.image[0] * self.image[1]
    }

    /// The elements of a plane of the result.
    fn result(&self) -> usize {
        self.result[0] * self.result[1]
    }

    /// Whether there is nothing to pool.
    fn is_empty(&self) -> bool {
        self.image() == 0 || self.result() == 0
    }

    /// Calls `row` for every row of windows and every row of the image that it meets, in order.
    fn rows(&self, mut row: impl FnMut(usize, usize)) {
        for window in 0..self.result[0] {
            for place in self.y.taps.iter().filter_map(|t| self.y.place(t, window)) {
                row(window, place);
            }
        }
    }
}

struct MaxPool2d;

impl Kernel for MaxPool2d {
    const OP: &'static str = "max_pool2d";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let pool = Pool::read(spec, &spec.operands[0].dims, &spec.results[0].dims)?;
        let starts = pool.y.starts.iter().flat_map(|y| {
            let across = pool.x.starts.iter();
            across.map(move |x| y.zip(*x))
        });
        let width = pool.image[1];
        let starts: Vec<i64> = starts
            .map(|start| start.map_or(-1, |(y, x)| (y * width + x) as i64))
            .collect();
        Ok(Prepared::new(move |io| {
            let x = io.real(0);
            let (y, index) = (io.out(0), io.out_int(1));
            if pool.is_empty() {
                y.fill(T::NEG_INFINITY);
                index.fill(-1);
                return;
            }
            let planes = x.chunks_exact(pool.image());
            let results = y.chunks_exact_mut(starts.len());
            let indices = index.chunks_exact_mut(starts.len());
            for ((x, y), index) in planes.zip(results).zip(indices) {
                y.fill(T::NEG_INFINITY);
                index.copy_from_slice(&starts);
                match pool.square {
                    Some(2) => largest::<T, 2>(&pool, x, y, index),
                    Some(_) => largest::<T, 3>(&pool, x, y, index),
                    None => pool.max(x, y, index),
                }
            }
        }))
    }
}

impl Pool {
    fn max<T: Real>(&self, x: &[T], y: &mut [T], index: &mut [i64]) {
        let ([_, width], [_, columns]) = (self.image, self.result);
        self.rows(|window, place| {
            let x = &x[place * width..][..width];
            let y = &mut y[window * columns..][..columns];
            let index = &mut index[window * columns..][..columns];
            for tap in &self.x.taps {
                let x = x.get(tap.at..).unwrap_or_default();
                let from = (place * width + tap.at) as i64;
                let best = y[tap.first..tap.end].iter_mut();
                let best = best.zip(&mut index[tap.first..tap.end]);
                for (i, (best, index)) in best.enumerate() {
                    let at = i * self.x.stride;
                    let value = x[at];
                    let better = (value > *best) | value.is_nan();
                    *best = if better { value } else { *best };
                    *index = if better { from + at as i64 } else { *index };
                }
            }
        });
    }
}

wide! {
    /// The largest elements of whole squares, each beginning with what is there.
    fn largest<T: Real, const N: usize>(pool: &Pool, x: &[T], y: &mut [T], index: &mut [i64]) {
        let ([_, width], [down, across]) = (pool.image, pool.stride);
        let rows = y.chunks_exact_mut(pool.result[1]);
        for (row, (y, index)) in rows.zip(index.chunks_exact_mut(pool.result[1])).enumerate() {
            let from = row * down * width;
            let x: [&[T]; N] = std::array::from_fn(|k| &x[from + k * width..][..width]);
            for (column, (best, index)) in y.iter_mut().zip(index).enumerate() {
                let at = column * across;
                let (mut most, mut place) = (*best, *index);
                for (k, x) in x.iter().enumerate() {
                    let first = (from + k * width + at) as i64;
                    for (j, value) in x[at..][..N].iter().enumerate() {
                        let better = (*value > most) | value.is_nan();
                        most = if better { *value } else { most };
                        place = if better { first + j as i64 } else { place };
                    }
                }
                (*best, *index) = (most, place);
            }
        }
    }
}

struct MaxPool2dGrad;

impl Kernel for MaxPool2dGrad {
    const OP: &'static str = "max_pool2d_grad";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let [image, result] = both(&spec.results[0].dims, &spec.operands[0].dims)?;
        let (image, result) = (image[0] * image[1], result[0] * result[1]);
        Ok(Prepared::new(move |io| {
            let (dy, index) = (io.real(0), io.int(1));
            let dx = io.out(0);
            dx.fill(T::ZERO);
            if image == 0 || result == 0 {
                return;
            }
            let planes = dx.chunks_exact_mut(image);
            let results = dy.chunks_exact(result).zip(index.chunks_exact(result));
            for (dx, (dy, index)) in planes.zip(results) {
                for (dy, index) in dy.iter().zip(index) {
                    // A window that meets no place of the image has none to give to.
                    let place = usize::try_from(*index).ok().and_then(|i| dx.get_mut(i));
                    if let Some(dx) = place {
                        *dx += *dy;
                    }
                }
            }
        }))
    }
}

/// Whether padding counts in a mean.
fn counts_padding(spec: &Spec<'_>) -> bool {
    spec.attrs.bool("count_include_pad").unwrap_or(true)
}

struct AvgPool2d;

impl Kernel for AvgPool2d {
    const OP: &'static str = "avg_pool2d";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let pool = Pool::read(spec, &spec.operands[0].dims, &spec.results[0].dims)?;
        let divisors = pool.divisors::<T>(counts_padding(spec));
        Ok(Prepared::new(move |io| {
            let x = io.real(0);
            let y = io.out(0);
            y.fill(T::ZERO);
            if pool.is_empty() {
                return;
            }
            let planes = x.chunks_exact(pool.image());
            for (x, y) in planes.zip(y.chunks_exact_mut(divisors.len())) {
                match pool.square {
                    Some(2) => add_squares::<T, 2>(&pool, x, y),
                    Some(_) => add_squares::<T, 3>(&pool, x, y),
                    None => pool.add(x, y),
                }
                for (y, divisor) in y.iter_mut().zip(&divisors) {
                    *y /= *divisor;
                }
            }
        }))
    }
}

impl Pool {
    /// Adds the elements of every window.
    fn add<T: Real>(&self, x: &[T], y: &mut [T]) {
        let ([_, width], [_, columns]) = (self.image, self.result);
        self.rows(|window, place| {
            let x = &x[place * width..][..width];
            let y = &mut y[window * columns..][..columns];
            for tap in &self.x.taps {
                let x = x.get(tap.at..).unwrap_or_default();
                let x = x.iter().step_by(self.x.stride);
                for (y, x) in y[tap.first..tap.end].iter_mut().zip(x) {
                    *y += *x;
                }
            }
        });
    }

    /// Adds a part to every element of its window.
    fn spread<T: Real>(&self, parts: &[T], dx: &mut [T]) {
        let ([_, width], [_, columns]) = (self.image, self.result);
        self.rows(|window, place| {
            let dx = &mut dx[place * width..][..width];
            let parts = &parts[window * columns..][..columns];
            for tap in &self.x.taps {
                let dx = dx.get_mut(tap.at..).unwrap_or_default();
                let dx = dx.iter_mut().step_by(self.x.stride);
                for (dx, part) in dx.zip(&parts[tap.first..tap.end]) {
                    *dx += *part;
                }
            }
        });
    }
}

wide! {
    /// Adds the elements of whole squares.
    fn add_squares<T: Real, const N: usize>(pool: &Pool, x: &[T], y: &mut [T]) {
        let ([_, width], [down, across]) = (pool.image, pool.stride);
        for (row, y) in y.chunks_exact_mut(pool.result[1]).enumerate() {
            let from = row * down * width;
            let x: [&[T]; N] = std::array::from_fn(|k| &x[from + k * width..][..width]);
            for (column, y) in y.iter_mut().enumerate() {
                for x in x {
                    for x in &x[column * across..][..N] {
                        *y += *x;
                    }
                }
            }
        }
    }
}

wide! {
    /// Adds a part to every element of its whole square.
    fn spread_squares<T: Real, const N: usize>(pool: &Pool, parts: &[T], dx: &mut [T]) {
        let ([_, width], [down, across]) = (pool.image, pool.stride);
        for (row, parts) in parts.chunks_exact(pool.result[1]).enumerate() {
            for k in 0..N {
                let dx = &mut dx[(row * down + k) * width..][..width];
                for (column, part) in parts.iter().enumerate() {
                    for dx in &mut dx[column * across..][..N] {
                        *dx += *part;
                    }
                }
            }
        }
    }
}

struct AvgPool2dGrad;

impl Kernel for AvgPool2dGrad {
    const OP: &'static str = "avg_pool2d_grad";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let pool = Pool::read(spec, &spec.results[0].dims, &spec.operands[0].dims)?;
        let divisors = pool.divisors::<T>(counts_padding(spec));
        Ok(Prepared::with_scratch(pool.result(), move |io| {
            let dy = io.real(0);
            let (dx, scratch) = (io.out(0), io.scratch());
            dx.fill(T::ZERO);
            if pool.is_empty() {
                return;
            }
            let parts = &mut scratch[..divisors.len()];
            let planes = dx.chunks_exact_mut(pool.image());
            for (dx, dy) in planes.zip(dy.chunks_exact(divisors.len())) {
                for ((part, dy), divisor) in parts.iter_mut().zip(dy).zip(&divisors) {
                    *part = *dy / *divisor;
                }
                match pool.square {
                    Some(2) => spread_squares::<T, 2>(&pool, parts, dx),
                    Some(_) => spread_squares::<T, 3>(&pool, parts, dx),
                    None => pool.spread(parts, dx),
                }
            }
        }))
    }
}

#[cfg(test)]
mod tests;
