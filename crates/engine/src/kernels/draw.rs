//! Drawing from streams: `bernoulli`, `uniform`, `normal`.

use rand_chacha::rand_core::RngCore;
use syncarp_ir::stream::{generator, unit};

use super::elementwise::same_length;
use super::random::{key, threshold};
use crate::kernel::{Class, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

struct Bernoulli;

impl Kernel for Bernoulli {
    const OP: &'static str = "bernoulli";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        same_length(&spec.operands[0], &spec.results[0])?;
        let key = key(spec)?;
        /// One word an element, whether or not it matters.
        fn toss<T: Real, E>(p: &[T], out: &mut [E], mut rng: impl RngCore, faces: [E; 2])
        where
            E: Copy,
        {
            for (p, out) in p.iter().zip(out) {
                let below = rng.next_u32() >> 8 < threshold(p.to_f64());
                *out = faces[usize::from(below)];
            }
        }
        Ok(match Class::of(spec.results[0].dtype) {
            Class::Real => Prepared::new(move |io| {
                let rng = generator(key, io.int(1)[0] as u64);
                toss(io.real(0), io.out(0), rng, [T::ZERO, T::ONE]);
            }),
            Class::Int => Prepared::new(move |io| {
                let rng = generator(key, io.int(1)[0] as u64);
                toss(io.real(0), io.out_int(0), rng, [0, 1]);
            }),
            Class::Bool => Prepared::new(move |io| {
                let rng = generator(key, io.int(1)[0] as u64);
                toss(io.real(0), io.out_bool(0), rng, [0, 1]);
            }),
        })
    }
}

struct Uniform;

impl Kernel for Uniform {
    const OP: &'static str = "uniform";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let key = key(spec)?;
        Ok(Prepared::new(move |io| {
            let mut rng = generator(key, io.int(0)[0] as u64);
            for out in io.out(0) {
                *out = T::from_f64(unit(rng.next_u32()));
            }
        }))
    }
}

struct Normal;

impl Kernel for Normal {
    const OP: &'static str = "normal";

    /// Box and Muller (1958), as first values are drawn.
    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let key = key(spec)?;
        Ok(Prepared::new(move |io| {
            let mut rng = generator(key, io.int(0)[0] as u64);
            for out in io.out(0) {
                let radius = (-2.0 * (1.0 - unit(rng.next_u32())).ln()).sqrt();
                let angle = std::f64::consts::TAU * unit(rng.next_u32());
                *out = T::from_f64(radius * angle.cos());
            }
        }))
    }
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Bernoulli>()?;
    registry.register::<Uniform>()?;
    registry.register::<Normal>()
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType, Distribution, StreamKey};

    use super::*;
    use crate::kernel::Buffer;
    use crate::kernels::element::testing::{int, real, run};

    fn stream() -> StreamKey {
        StreamKey {
            seed: Some(9),
            path: "noise".into(),
            occurrence: 1,
        }
    }

    fn at<K: Kernel>(step: i64, count: usize) -> Vec<f64> {
        let attrs = Attrs::new().with("stream", stream());
        let operands = [(DType::I64, &[][..], int(&[step]))];
        let got = run::<K>(&operands, &[(DType::F64, &[count])], &attrs);
        got[0].real().unwrap().to_vec()
    }

    #[test]
    fn floats_are_drawn_as_first_values_are() {
        let mut want = vec![0.0; 500];
        Distribution::Uniform(0.0, 1.0).fill(&stream(), &mut want);
        assert_eq!(at::<Uniform>(0, 500), want);
        Distribution::Normal(0.0, 1.0).fill(&stream(), &mut want);
        assert_eq!(at::<Normal>(0, 500), want);
        assert_ne!(at::<Uniform>(1, 500), at::<Uniform>(0, 500));
        assert_ne!(at::<Normal>(-1, 500), at::<Normal>(1, 500));
        assert!(at::<Uniform>(0, 0).is_empty());
    }

    #[test]
    fn normal_numbers_have_their_mean_and_deviation() {
        let x = at::<Normal>(3, 40_000);
        let mean = x.iter().sum::<f64>() / 40_000.0;
        let variance = x.iter().map(|x| x * x).sum::<f64>() / 40_000.0;
        // Five standard deviations of either.
        assert!(
            mean.abs() < 0.025 && (variance - 1.0).abs() < 0.036,
            "{mean} {variance}"
        );
    }

    #[test]
    fn a_coin_falls_as_its_word_says() {
        let p: Vec<f64> = (0..1000).map(|i| f64::from(i % 5) / 4.0).collect();
        let attrs = Attrs::new().with("stream", stream());
        let operands = [
            (DType::F64, &[1000][..], real(&p)),
            (DType::I64, &[][..], int(&[5])),
        ];
        let mut rng = stream().at(5);
        let want: Vec<u8> = p
            .iter()
            .map(|p| u8::from(unit(rng.next_u32()) < *p))
            .collect();
        let got = run::<Bernoulli>(&operands, &[(DType::Bool, &[1000])], &attrs);
        assert_eq!(got, [Buffer::Bool(want.clone())]);
        let got = run::<Bernoulli>(&operands, &[(DType::F64, &[1000])], &attrs);
        let floats: Vec<f64> = want.iter().map(|x| f64::from(*x)).collect();
        assert_eq!(got, [real(&floats)]);
        let got = run::<Bernoulli>(&operands, &[(DType::U8, &[1000])], &attrs);
        assert_eq!(
            got,
            [Buffer::Int(want.iter().map(|x| i64::from(*x)).collect())]
        );
        let never = [
            (DType::F64, &[1][..], real(&[f64::NAN])),
            (DType::I64, &[][..], int(&[0])),
        ];
        assert_eq!(
            run::<Bernoulli>(&never, &[(DType::F64, &[1])], &attrs),
            [real(&[0.0])]
        );
    }
}
