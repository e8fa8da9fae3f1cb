//! Random ops: `dropout`.

use rand_chacha::rand_core::RngCore;
use syncarp_ir::stream::generator;

use crate::kernel::{Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

pub(crate) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Dropout>()
}

/// The key of the generator of a node's stream.
pub(super) fn key(spec: &Spec<'_>) -> Result<[u8; 32], KernelError> {
    let stream = spec.attrs.stream("stream");
    let stream = stream.ok_or_else(|| KernelError("`stream` is missing".to_owned()))?;
    if stream.seed.is_none() {
        let path = &stream.path;
        return Err(KernelError(format!(
            "the stream of `{path}` has no seed yet"
        )));
    }
    Ok(stream.generator_key())
}

struct Dropout;

impl Kernel for Dropout {
    const OP: &'static str = "dropout";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let key = key(spec)?;
        Ok(Prepared::new(move |io| {
            let x = io.real(0);
            let p = io.scalar(1);
            let step = io.int(2)[0];
            let (y, mask) = (io.out(0), io.out(1));
            let scale = T::ONE / (T::ONE - p);
            let least = threshold(p.to_f64());
            // The same bits, so that a negative step has a stream of its own.
            let mut rng = generator(key, step as u64);
            for mask in mask.iter_mut() {
                let kept = rng.next_u32() >> 8 >= least;
                *mask = if kept { scale } else { T::ZERO };
            }
            for ((y, x), mask) in y.iter_mut().zip(x).zip(mask.iter()) {
                *y = *x * *mask;
            }
        }))
    }
}

/// The least 24-bit number whose unit float is not below `p`; zero for NaN, with which
/// no number is below it.
pub(super) fn threshold(p: f64) -> u32 {
    (p * 16_777_216.0).ceil().clamp(0.0, 16_777_216.0) as u32
}

#[cfg(test)]
mod tests {
    use syncarp_ir::stream::unit;
    use syncarp_ir::{Attrs, DType, StreamKey};

    use super::*;
    use crate::kernel::{Arg, Buffer, run_once};

    fn drop(x: &[f32], p: f32, step: i64, seed: Option<u64>) -> Result<Vec<Vec<f32>>, KernelError> {
        let stream = StreamKey {
            seed,
            path: "drop".into(),
            occurrence: 1,
        };
        let attrs = Attrs::new().with("stream", stream);
        let arg = |dtype, dims: &[usize]| Arg {
            dtype,
            dims: dims.to_vec(),
        };
        let full = arg(DType::F32, &[x.len()]);
        let operands = [full.clone(), arg(DType::F32, &[]), arg(DType::I64, &[])];
        let results = [full.clone(), full];
        let spec = Spec {
            attrs: &attrs,
            operands: &operands,
            results: &results,
        };
        let values = [
            Buffer::Real(x.to_vec()),
            Buffer::Real(vec![p]),
            Buffer::Int(vec![step]),
        ];
        let out = run_once::<f32, Dropout>(&spec, &values)?;
        Ok(out.iter().map(|b| b.real().unwrap().to_vec()).collect())
    }

    #[test]
    fn it_draws_one_word_an_element_from_the_stream_of_the_step() {
        let x: Vec<f32> = (0..1000).map(|i| i as f32 + 1.0).collect();
        let out = drop(&x, 0.3, 5, Some(9)).unwrap();
        let stream = StreamKey {
            seed: Some(9),
            path: "drop".into(),
            occurrence: 1,
        };
        let mut rng = stream.at(5);
        for i in 0..x.len() {
            let kept = unit(rng.next_u32()) >= f64::from(0.3f32);
            let mask = if kept { 1.0 / (1.0 - 0.3f32) } else { 0.0 };
            assert_eq!((out[1][i], out[0][i]), (mask, x[i] * mask));
        }
        assert_ne!(out, drop(&x, 0.3, 6, Some(9)).unwrap());
        assert_eq!(out, drop(&x, 0.3, 5, Some(9)).unwrap());
    }

    #[test]
    fn the_extremes_drop_all_and_nothing() {
        let x = [1.0, 2.0, 3.0];
        assert_eq!(drop(&x, 1.0, 0, Some(0)).unwrap(), [[0.0; 3], [0.0; 3]]);
        assert_eq!(drop(&x, 0.0, 0, Some(0)).unwrap(), [x, [1.0; 3]]);
        assert!(
            drop(&x, f32::NAN, 0, Some(0)).unwrap()[0]
                .iter()
                .all(|y| y.is_nan())
        );
        assert!(drop(&[], 0.5, 0, Some(0)).unwrap()[0].is_empty());
        assert!(drop(&x, 0.5, 0, None).unwrap_err().0.contains("no seed"));
    }
}
