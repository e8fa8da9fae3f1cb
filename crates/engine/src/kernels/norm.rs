//! Normalisations by statistics of the batch, of given ones, and of the last dims:
//! `batch_norm_train`, `batch_norm_eval`, `layer_norm`, and the gradients of the first and last.

use crate::kernel::{Arg, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

use super::vector::{centered_dot, centered_squares, sum, wide};

pub(crate) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<BatchNormTrain>()?;
    registry.register::<BatchNormGrad>()?;
    registry.register::<BatchNormEval>()?;
    registry.register::<LayerNorm>()?;
    registry.register::<LayerNormGrad>()
}

/// A tensor [n, c, ...] seen as (samples, channels, run), a run being all of a sample's channel.
#[derive(Clone, Copy, Debug)]
struct Channels {
    samples: usize,
    channels: usize,
    run: usize,
}

impl Channels {
    fn of(arg: &Arg) -> Result<Channels, KernelError> {
        match arg.dims.as_slice() {
            [samples, channels, rest @ ..] => Ok(Channels {
                samples: *samples,
                channels: *channels,
                run: rest.iter().product(),
            }),
            dims => Err(KernelError(format!(
                "x must have dims [n, c, ...], not {dims:?}"
            ))),
        }
    }

    /// How many elements a channel has.
    fn count<T: Real>(&self) -> T {
        T::from_f64((self.samples * self.run) as f64)
    }

    /// Whether channels lie side by side, so that loops run over them.
    fn side_by_side(&self) -> bool {
        self.run == 1
    }

    /// Every run's channel and place in the tensor.
    fn runs(self) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> {
        let Channels {
            samples,
            channels,
            run,
        } = self;
        (0..samples * channels).map(move |i| (i % channels, i * run..(i + 1) * run))
    }
}

/// For each channel, the sum of what `run` makes of its runs or, where channels lie side by side,
/// what `rows` adds to the sums.
fn totals<T: Real>(
    shape: Channels,
    out: &mut [T],
    rows: impl FnOnce(&mut [T]),
    run: impl Fn(usize, std::ops::Range<usize>) -> T,
) {
    out.fill(T::ZERO);
    if shape.side_by_side() {
        rows(out);
        return;
    }
    for (channel, range) in shape.runs() {
        out[channel] += run(channel, range);
    }
}

wide! {
    fn add_rows<T: Real>(x: &[T], out: &mut [T]) {
        for x in x.chunks_exact(out.len().max(1)) {
            for (out, x) in out.iter_mut().zip(x) {
                *out += *x;
            }
        }
    }
}

wide! {
    fn add_squares<T: Real>(x: &[T], mean: &[T], out: &mut [T]) {
        for x in x.chunks_exact(out.len().max(1)) {
            for ((out, x), mean) in out.iter_mut().zip(x).zip(mean) {
                *out += (*x - *mean) * (*x - *mean);
            }
        }
    }
}

wide! {
    fn add_dots<T: Real>(dy: &[T], x: &[T], mean: &[T], out: &mut [T]) {
        let width = out.len().max(1);
        for (dy, x) in dy.chunks_exact(width).zip(x.chunks_exact(width)) {
            for (((out, dy), x), mean) in out.iter_mut().zip(dy).zip(x).zip(mean) {
                *out += *dy * (*x - *mean);
            }
        }
    }
}

wide! {
    /// Writes `(x - mean) scale + beta`, each of a channel.
    fn normalize<T: Real>(
        shape: Channels,
        x: &[T],
        mean: &[T],
        scale: &[T],
        beta: &[T],
        y: &mut [T],
    ) {
        if shape.side_by_side() {
            let width = shape.channels.max(1);
            for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                let channels = mean.iter().zip(scale).zip(beta);
                for ((y, x), ((mean, scale), beta)) in y.iter_mut().zip(x).zip(channels) {
                    *y = (*x - *mean) * *scale + *beta;
                }
            }
            return;
        }
        for (c, range) in shape.runs() {
            let (mean, scale, beta) = (mean[c], scale[c], beta[c]);
            for (y, x) in y[range.clone()].iter_mut().zip(&x[range]) {
                *y = (*x - mean) * scale + beta;
            }
        }
    }
}

struct BatchNormTrain;

impl Kernel for BatchNormTrain {
    const OP: &'static str = "batch_norm_train";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let shape = Channels::of(&spec.operands[0])?;
        Ok(Prepared::with_scratch(shape.channels, move |io| {
            let [x, gamma, beta, old_mean, old_var] = [0, 1, 2, 3, 4].map(|i| io.real(i));
            let (eps, momentum) = (io.scalar(5), io.scalar(6));
            let [y, new_mean, new_var, mean, inverse] = [0, 1, 2, 3, 4].map(|i| io.out(i));
            let scale = &mut io.scratch()[..shape.channels];
            let count: T = shape.count();
            totals(
                shape,
                mean,
                |out| add_rows(x, out),
                |_, range| sum(&x[range]),
            );
            mean.iter_mut().for_each(|mean| *mean /= count);
            let squares = &mut *scale;
            totals(
                shape,
                squares,
                |out| add_squares(x, mean, out),
                |c, range| centered_squares(&x[range], mean[c]),
            );
            let keep = T::ONE - momentum;
            for c in 0..shape.channels {
                let squares = scale[c];
                inverse[c] = T::ONE / (squares / count + eps).sqrt();
                new_mean[c] = keep * old_mean[c] + momentum * mean[c];
                new_var[c] = keep * old_var[c] + momentum * (squares / (count - T::ONE));
                scale[c] = gamma[c] * inverse[c];
            }
            normalize(shape, x, mean, scale, beta, y);
        }))
    }
}

struct BatchNormEval;

impl Kernel for BatchNormEval {
    const OP: &'static str = "batch_norm_eval";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let shape = Channels::of(&spec.operands[0])?;
        Ok(Prepared::with_scratch(shape.channels, move |io| {
            let [x, gamma, beta, mean, var] = [0, 1, 2, 3, 4].map(|i| io.real(i));
            let eps: T = io.scalar(5);
            let scale = &mut io.scratch()[..shape.channels];
            for ((scale, gamma), var) in scale.iter_mut().zip(gamma).zip(var) {
                *scale = *gamma * (T::ONE / (*var + eps).sqrt());
            }
            normalize(shape, x, mean, scale, beta, io.out(0));
        }))
    }
}

struct BatchNormGrad;

impl Kernel for BatchNormGrad {
    const OP: &'static str = "batch_norm_grad";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let shape = Channels::of(&spec.operands[0])?;
        Ok(Prepared::with_scratch(3 * shape.channels, move |io| {
            let [x, dy, gamma, mean, inverse] = [0, 1, 2, 3, 4].map(|i| io.real(i));
            let [dx, dgamma, dbeta] = [0, 1, 2].map(|i| io.out(i));
            let (scale, scratch) = io.scratch().split_at_mut(shape.channels);
            let (shift, rest) = scratch.split_at_mut(shape.channels);
            let slope = &mut rest[..shape.channels];
            let count: T = shape.count();
            totals(
                shape,
                dbeta,
                |out| add_rows(dy, out),
                |_, range| sum(&dy[range]),
            );
            totals(
                shape,
                dgamma,
                |out| add_dots(dy, x, mean, out),
                |c, range| centered_dot(&dy[range.clone()], &x[range], mean[c]),
            );
            for c in 0..shape.channels {
                scale[c] = gamma[c] * inverse[c];
                shift[c] = dbeta[c] / count;
                slope[c] = dgamma[c] * inverse[c] * inverse[c] / count;
                dgamma[c] *= inverse[c];
            }
            batch_gradient(shape, [x, dy, mean, scale, shift, slope], dx);
        }))
    }
}

wide! {
    /// Writes `scale (dy - shift - (x - mean) slope)`, each but dy and x of a channel.
    fn batch_gradient<T: Real>(shape: Channels, operands: [&[T]; 6], dx: &mut [T]) {
        let [x, dy, mean, scale, shift, slope] = operands;
        if shape.side_by_side() {
            let width = shape.channels.max(1);
            let rows = x.chunks_exact(width).zip(dy.chunks_exact(width));
            for (dx, (x, dy)) in dx.chunks_exact_mut(width).zip(rows) {
                let channels = mean.iter().zip(scale).zip(shift).zip(slope);
                let rows = dx.iter_mut().zip(x).zip(dy);
                for (((dx, x), dy), (((mean, scale), shift), slope)) in rows.zip(channels) {
                    *dx = *scale * (*dy - *shift - (*x - *mean) * *slope);
                }
            }
            return;
        }
        for (c, range) in shape.runs() {
            let (mean, scale, shift, slope) = (mean[c], scale[c], shift[c], slope[c]);
            let rows = x[range.clone()].iter().zip(&dy[range.clone()]);
            for (dx, (x, dy)) in dx[range].iter_mut().zip(rows) {
                *dx = scale * (*dy - shift - (*x - mean) * slope);
            }
        }
    }
}

/// How many elements the normalised dims have together.
fn row(spec: &Spec<'_>) -> Result<usize, KernelError> {
    let dims = &spec.operands[0].dims;
    let axes = spec.attrs.int("axes").and_then(|k| usize::try_from(k).ok());
    let axes = axes.filter(|k| *k <= dims.len());
    let axes = axes.ok_or_else(|| KernelError(format!("`axes` does not fit {dims:?}")))?;
    Ok(dims[dims.len() - axes..].iter().product())
}

struct LayerNorm;

impl Kernel for LayerNorm {
    const OP: &'static str = "layer_norm";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let width = row(spec)?;
        Ok(Prepared::new(move |io| {
            let [x, gamma, beta] = [0, 1, 2].map(|i| io.real(i));
            let eps = io.scalar(3);
            let [y, mean, inverse] = [0, 1, 2].map(|i| io.out(i));
            if width == 0 {
                // The mean of nothing is no number.
                mean.fill(T::NAN);
                inverse.fill(T::NAN);
                return;
            }
            let count = T::from_f64(width as f64);
            let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width));
            for ((x, y), (mean, inverse)) in rows.zip(mean.iter_mut().zip(inverse)) {
                *mean = sum(x) / count;
                *inverse = T::ONE / (centered_squares(x, *mean) / count + eps).sqrt();
                layer(x, gamma, beta, *mean, *inverse, y);
            }
        }))
    }
}

wide! {
    fn layer<T: Real>(x: &[T], gamma: &[T], beta: &[T], mean: T, inverse: T, y: &mut [T]) {
        for (((y, x), gamma), beta) in y.iter_mut().zip(x).zip(gamma).zip(beta) {
            *y = (*x - mean) * inverse * *gamma + *beta;
        }
    }
}

struct LayerNormGrad;

impl Kernel for LayerNormGrad {
    const OP: &'static str = "layer_norm_grad";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let width = row(spec)?;
        Ok(Prepared::with_scratch(width, move |io| {
            let [x, dy, gamma, mean, inverse] = [0, 1, 2, 3, 4].map(|i| io.real(i));
            let [dx, dgamma, dbeta] = [0, 1, 2].map(|i| io.out(i));
            let scaled = &mut io.scratch()[..width];
            dgamma.fill(T::ZERO);
            dbeta.fill(T::ZERO);
            if width == 0 {
                return;
            }
            let count = T::from_f64(width as f64);
            let rows = x.chunks_exact(width).zip(dy.chunks_exact(width));
            let rows = rows.zip(dx.chunks_exact_mut(width));
            for (((x, dy), dx), (mean, inverse)) in rows.zip(mean.iter().zip(inverse)) {
                let (mean, inverse) = (*mean, *inverse);
                accumulate([x, dy, gamma], mean, inverse, [&mut *scaled, dgamma, dbeta]);
                let shift = sum(scaled) / count;
                let slope = centered_dot(scaled, x, mean) * inverse * inverse / count;
                layer_gradient(scaled, x, [mean, inverse, shift, slope], dx);
            }
        }))
    }
}

wide! {
    /// Writes `dy gamma`, and adds a row to the gradients of gamma and beta.
    fn accumulate<T: Real>(operands: [&[T]; 3], mean: T, inverse: T, results: [&mut [T]; 3]) {
        let [x, dy, gamma] = operands;
        let [scaled, dgamma, dbeta] = results;
        let operands = x.iter().zip(dy).zip(gamma);
        let results = scaled.iter_mut().zip(dgamma).zip(dbeta);
        for (((x, dy), gamma), ((scaled, dgamma), dbeta)) in operands.zip(results) {
            *scaled = *dy * *gamma;
            *dgamma += *dy * ((*x - mean) * inverse);
            *dbeta += *dy;
        }
    }
}

wide! {
    fn layer_gradient<T: Real>(scaled: &[T], x: &[T], row: [T; 4], dx: &mut [T]) {
        let [mean, inverse, shift, slope] = row;
        for ((dx, scaled), x) in dx.iter_mut().zip(scaled).zip(x) {
            *dx = inverse * (*scaled - shift - (*x - mean) * slope);
        }
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use super::*;
    use crate::kernel::{Buffer, run_once};

    fn numbers(len: usize, salt: usize) -> Vec<f64> {
        (0..len)
            .map(|i| ((i * 37 + salt * 11) % 29) as f64 * 0.13 - 1.7)
            .collect()
    }

    fn run<K: Kernel>(
        attrs: &Attrs,
        operands: &[(&[f64], &[usize])],
        results: &[&[usize]],
    ) -> Vec<Vec<f64>> {
        let arg = |dims: &[usize]| Arg {
            dtype: DType::F64,
            dims: dims.to_vec(),
        };
        let args: Vec<Arg> = operands.iter().map(|(_, dims)| arg(dims)).collect();
        let results: Vec<Arg> = results.iter().map(|dims| arg(dims)).collect();
        let spec = Spec {
            attrs,
            operands: &args,
            results: &results,
        };
        let values: Vec<_> = operands
            .iter()
            .map(|(v, _)| Buffer::Real(v.to_vec()))
            .collect();
        let out = run_once::<f64, K>(&spec, &values).unwrap();
        out.iter().map(|b| b.real().unwrap().to_vec()).collect()
    }

    fn close(got: f64, want: f64, tolerance: f64) {
        assert!(
            (got - want).abs() <= tolerance * want.abs().max(1.0),
            "{got} {want}"
        );
    }

    const EPS: f64 = 1e-3;

    fn train(x: &[f64], gamma: &[f64], beta: &[f64], dims: &[usize]) -> Vec<Vec<f64>> {
        let c = [dims[1]];
        let (mean, var) = (numbers(c[0], 8), vec![2.0; c[0]]);
        let operands: [(&[f64], &[usize]); 7] = [
            (x, dims),
            (gamma, &c),
            (beta, &c),
            (&mean, &c),
            (&var, &c),
            (&[EPS], &[]),
            (&[0.1], &[]),
        ];
        run::<BatchNormTrain>(&Attrs::new(), &operands, &[dims, &c, &c, &c, &c])
    }

    /// The elements of a channel.
    fn channel(x: &[f64], dims: &[usize], c: usize) -> Vec<f64> {
        let run: usize = dims[2..].iter().product();
        let of = |i: usize| i / run % dims[1];
        (0..x.len()).filter(|i| of(*i) == c).map(|i| x[i]).collect()
    }

    const SHAPES: [&[usize]; 5] = [&[6, 3], &[2, 3, 5], &[2, 3, 4, 9], &[7, 1], &[1, 2, 33]];

    #[test]
    fn training_normalises_by_the_batch_and_moves_the_running_statistics() {
        for dims in SHAPES {
            let len = dims.iter().product();
            let (x, gamma, beta) = (numbers(len, 1), numbers(dims[1], 2), numbers(dims[1], 3));
            let out = train(&x, &gamma, &beta, dims);
            for c in 0..dims[1] {
                let (xs, ys) = (channel(&x, dims, c), channel(&out[0], dims, c));
                let count = xs.len() as f64;
                let mean = xs.iter().sum::<f64>() / count;
                let squares: f64 = xs.iter().map(|x| (x - mean) * (x - mean)).sum();
                let inverse = 1.0 / (squares / count + EPS).sqrt();
                close(out[3][c], mean, 1e-13);
                close(out[4][c], inverse, 1e-13);
                close(out[1][c], 0.9 * numbers(dims[1], 8)[c] + 0.1 * mean, 1e-13);
                close(out[2][c], 0.9 * 2.0 + 0.1 * squares / (count - 1.0), 1e-13);
                for (x, y) in xs.iter().zip(ys) {
                    close(y, (x - mean) * inverse * gamma[c] + beta[c], 1e-12);
                }
            }
        }
    }

    #[test]
    fn a_single_element_has_no_unbiased_variance_and_an_empty_batch_no_mean() {
        let out = train(&[3.0], &[2.0], &[5.0], &[1, 1]);
        assert_eq!(out[0], [5.0]);
        assert!(out[2][0].is_nan());
        let out = train(&[], &[2.0], &[5.0], &[0, 1]);
        assert!(out[0].is_empty() && out[3][0].is_nan());
        let out = train(&[], &[], &[], &[2, 0, 3]);
        assert!(out.iter().all(|o| o.is_empty()));
    }

    /// What the tests differentiate: a weighted sum, so that no gradient is zero by symmetry.
    fn weighted(y: &[f64]) -> f64 {
        y.iter().zip(numbers(y.len(), 7)).map(|(y, w)| y * w).sum()
    }

    fn check_slopes(operands: &[Vec<f64>], exact: &[Vec<f64>], f: impl Fn(&[Vec<f64>]) -> f64) {
        for (at, exact) in exact.iter().enumerate() {
            assert_eq!(exact.len(), operands[at].len());
            for i in 0..exact.len() {
                let moved = |h: f64| {
                    let mut operands = operands.to_vec();
                    operands[at][i] += h;
                    f(&operands)
                };
                let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                close(exact[i], slope, 1e-7);
            }
        }
    }

    #[test]
    fn gradients_of_the_batch_norm_are_those_of_finite_differences() {
        for dims in SHAPES {
            let (len, c) = (dims.iter().product(), [dims[1]]);
            let operands = [numbers(len, 1), numbers(c[0], 2), numbers(c[0], 3)];
            let out = train(&operands[0], &operands[1], &operands[2], dims);
            let dy = numbers(len, 7);
            let inputs: [(&[f64], &[usize]); 5] = [
                (&operands[0], dims),
                (&dy, dims),
                (&operands[1], &c),
                (&out[3], &c),
                (&out[4], &c),
            ];
            let exact = run::<BatchNormGrad>(&Attrs::new(), &inputs, &[dims, &c, &c]);
            check_slopes(&operands, &exact, |o| {
                weighted(&train(&o[0], &o[1], &o[2], dims)[0])
            });
        }
    }

    #[test]
    fn evaluation_takes_the_statistics_as_they_are() {
        for dims in SHAPES {
            let (len, c) = (dims.iter().product(), [dims[1]]);
            let x = numbers(len, 1);
            let [gamma, beta, mean] = [2, 3, 4].map(|salt| numbers(c[0], salt));
            let var: Vec<f64> = mean.iter().map(|m| m * m).collect();
            let operands: [(&[f64], &[usize]); 6] = [
                (&x, dims),
                (&gamma, &c),
                (&beta, &c),
                (&mean, &c),
                (&var, &c),
                (&[EPS], &[]),
            ];
            let y = &run::<BatchNormEval>(&Attrs::new(), &operands, &[dims])[0];
            for c in 0..dims[1] {
                let rows = channel(&x, dims, c).into_iter().zip(channel(y, dims, c));
                for (x, y) in rows {
                    let normal = (x - mean[c]) / (var[c] + EPS).sqrt();
                    close(y, normal * gamma[c] + beta[c], 1e-12);
                }
            }
        }
    }

    const LAYERS: [(&[usize], i64); 5] = [
        (&[5, 3], 1),
        (&[2, 3, 17], 1),
        (&[2, 3, 17], 2),
        (&[2, 1], 1),
        (&[0, 4], 1),
    ];

    fn layer_of(o: &[Vec<f64>], dims: &[usize], axes: i64) -> Vec<Vec<f64>> {
        let (outer, inner) = dims.split_at(dims.len() - axes as usize);
        let operands: [(&[f64], &[usize]); 4] =
            [(&o[0], dims), (&o[1], inner), (&o[2], inner), (&[EPS], &[])];
        let attrs = Attrs::new().with("axes", axes);
        run::<super::LayerNorm>(&attrs, &operands, &[dims, outer, outer])
    }

    #[test]
    fn layers_are_normalised_row_by_row() {
        for (dims, axes) in LAYERS {
            let width: usize = dims[dims.len() - axes as usize..].iter().product();
            let len = dims.iter().product();
            let o = [numbers(len, 1), numbers(width, 2), numbers(width, 3)];
            let out = layer_of(&o, dims, axes);
            for (r, x) in o[0].chunks(width).enumerate() {
                let mean = x.iter().sum::<f64>() / width as f64;
                let var = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / width as f64;
                let inverse = 1.0 / (var + EPS).sqrt();
                close(out[1][r], mean, 1e-13);
                close(out[2][r], inverse, 1e-12);
                for (i, x) in x.iter().enumerate() {
                    close(
                        out[0][r * width + i],
                        (x - mean) * inverse * o[1][i] + o[2][i],
                        1e-12,
                    );
                }
            }
        }
        let empty = layer_of(&[vec![], vec![], vec![]], &[2, 0], 1);
        assert!(empty[0].is_empty() && empty[1].iter().all(|m| m.is_nan()));
    }

    #[test]
    fn gradients_of_the_layer_norm_are_those_of_finite_differences() {
        for (dims, axes) in LAYERS {
            let (outer, inner) = dims.split_at(dims.len() - axes as usize);
            let (len, width) = (dims.iter().product(), inner.iter().product());
            let o = [numbers(len, 1), numbers(width, 2), numbers(width, 3)];
            let out = layer_of(&o, dims, axes);
            let dy = numbers(len, 7);
            let inputs: [(&[f64], &[usize]); 5] = [
                (&o[0], dims),
                (&dy, dims),
                (&o[1], inner),
                (&out[1], outer),
                (&out[2], outer),
            ];
            let attrs = Attrs::new().with("axes", axes);
            let exact = run::<LayerNormGrad>(&attrs, &inputs, &[dims, inner, inner]);
            check_slopes(&o, &exact, |o| weighted(&layer_of(o, dims, axes)[0]));
        }
    }
}
