//! Kernels of comparisons, logic, choices and casts.

use syncarp_ir::DType;

use super::elementwise::{order, same_length, walk};
use super::walk::{map, zip2, zip3};
use crate::kernel::{Class, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

/// Kernels of comparisons, for whatever elements the operands have.
macro_rules! compare {
    ($($name:ident = $op:literal, |$a:ident, $b:ident| $f:expr;)*) => {$(
        struct $name;

        impl Kernel for $name {
            const OP: &'static str = $op;

            fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
                let walk = walk::<2>(spec, 0)?;
                let order = order(spec.operands[0].dtype);
                Ok(match Class::of(spec.operands[0].dtype) {
                    Class::Real => Prepared::new(move |io| {
                        let f = |$a: T, $b: T| u8::from($f);
                        zip2(&walk, io.real(0), io.real(1), io.out_bool(0), f);
                    }),
                    Class::Int => Prepared::new(move |io| {
                        let f = |$a: i64, $b: i64| {
                            let ($a, $b) = ($a ^ order, $b ^ order);
                            u8::from($f)
                        };
                        zip2(&walk, io.int(0), io.int(1), io.out_bool(0), f);
                    }),
                    Class::Bool => Prepared::new(move |io| {
                        let f = |$a: u8, $b: u8| u8::from($f);
                        zip2(&walk, io.bool(0), io.bool(1), io.out_bool(0), f);
                    }),
                })
            }
        }
    )*};
}

compare! {
    Eq = "eq", |a, b| a == b;
    Ne = "ne", |a, b| a != b;
    Lt = "lt", |a, b| a < b;
    Le = "le", |a, b| a <= b;
    Gt = "gt", |a, b| a > b;
    Ge = "ge", |a, b| a >= b;
}

macro_rules! logical {
    ($($name:ident = $op:literal, |$a:ident, $b:ident| $f:expr;)*) => {$(
        struct $name;

        impl Kernel for $name {
            const OP: &'static str = $op;

            fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
                let walk = walk::<2>(spec, 0)?;
                Ok(Prepared::new(move |io| {
                    zip2(&walk, io.bool(0), io.bool(1), io.out_bool(0), |$a: u8, $b: u8| $f);
                }))
            }
        }
    )*};
}

logical! {
    LogicalAnd = "logical_and", |a, b| a & b;
    LogicalOr = "logical_or", |a, b| a | b;
    LogicalXor = "logical_xor", |a, b| a ^ b;
}

struct LogicalNot;

impl Kernel for LogicalNot {
    const OP: &'static str = "logical_not";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        same_length(&spec.operands[0], &spec.results[0])?;
        Ok(Prepared::new(|io| {
            map(io.bool(0), io.out_bool(0), |x: u8| x ^ 1)
        }))
    }
}

struct Where;

impl Kernel for Where {
    const OP: &'static str = "where";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        fn choose<E>(condition: u8, a: E, b: E) -> E {
            if condition != 0 { a } else { b }
        }
        let walk = walk::<3>(spec, 0)?;
        Ok(match Class::of(spec.results[0].dtype) {
            Class::Real => Prepared::new(move |io| {
                zip3(
                    &walk,
                    io.bool(0),
                    io.real(1),
                    io.real(2),
                    io.out(0),
                    choose::<T>,
                );
            }),
            Class::Int => Prepared::new(move |io| {
                zip3(
                    &walk,
                    io.bool(0),
                    io.int(1),
                    io.int(2),
                    io.out_int(0),
                    choose::<i64>,
                );
            }),
            Class::Bool => Prepared::new(move |io| {
                zip3(
                    &walk,
                    io.bool(0),
                    io.bool(1),
                    io.bool(2),
                    io.out_bool(0),
                    choose::<u8>,
                );
            }),
        })
    }
}

struct Cast;

impl Kernel for Cast {
    const OP: &'static str = "cast";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (from, to) = (spec.operands[0].dtype, spec.results[0].dtype);
        same_length(&spec.operands[0], &spec.results[0])?;
        let (low, high) = bounds(to);
        Ok(match (Class::of(from), Class::of(to)) {
            // Whatever the float dtype, an engine computes in one precision.
            (Class::Real, Class::Real) => Prepared::new(|io| io.out(0).copy_from_slice(io.real(0))),
            (Class::Real, Class::Int) if to == DType::U64 => Prepared::new(|io| {
                map(io.real(0), io.out_int(0), |x: T| x.to_f64() as u64 as i64);
            }),
            (Class::Real, Class::Int) => Prepared::new(move |io| {
                let f = move |x: T| (x.to_f64() as i64).clamp(low, high);
                map(io.real(0), io.out_int(0), f);
            }),
            (Class::Real, Class::Bool) => Prepared::new(|io| {
                map(io.real(0), io.out_bool(0), |x: T| u8::from(x != T::ZERO));
            }),
            (Class::Int, Class::Real) if from == DType::U64 => Prepared::new(|io| {
                map(io.int(0), io.out(0), |x: i64| T::from_f64(x as u64 as f64));
            }),
            (Class::Int, Class::Real) => Prepared::new(|io| {
                map(io.int(0), io.out(0), |x: i64| T::from_f64(x as f64));
            }),
            (Class::Int, Class::Int) => Prepared::new(move |io| {
                map(io.int(0), io.out_int(0), move |x: i64| to.wrap(x));
            }),
            (Class::Int, Class::Bool) => Prepared::new(|io| {
                map(io.int(0), io.out_bool(0), |x: i64| u8::from(x != 0));
            }),
            (Class::Bool, Class::Real) => Prepared::new(|io| {
                map(
                    io.bool(0),
                    io.out(0),
                    |x: u8| if x != 0 { T::ONE } else { T::ZERO },
                );
            }),
            (Class::Bool, Class::Int) => Prepared::new(|io| {
                map(io.bool(0), io.out_int(0), |x: u8| i64::from(x));
            }),
            (Class::Bool, Class::Bool) => {
                Prepared::new(|io| io.out_bool(0).copy_from_slice(io.bool(0)))
            }
        })
    }
}

/// The smallest and the largest integer of a dtype, as their bits are held.
pub(super) fn bounds(dtype: DType) -> (i64, i64) {
    match dtype {
        DType::U64 => (0, u64::MAX as i64),
        _ => {
            let bits = 8 * dtype.size() as u32;
            match dtype.is_unsigned() {
                true => (0, (1 << bits) - 1),
                false => (i64::MIN >> (64 - bits), i64::MAX >> (64 - bits)),
            }
        }
    }
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Eq>()?;
    registry.register::<Ne>()?;
    registry.register::<Lt>()?;
    registry.register::<Le>()?;
    registry.register::<Gt>()?;
    registry.register::<Ge>()?;
    registry.register::<LogicalAnd>()?;
    registry.register::<LogicalOr>()?;
    registry.register::<LogicalXor>()?;
    registry.register::<LogicalNot>()?;
    registry.register::<Where>()?;
    registry.register::<Cast>()
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use super::*;
    use crate::kernel::{Buffer, run_once};
    use crate::kernels::elementwise::testing::{SHAPES, arg, at, floats};

    #[test]
    fn comparisons_broadcast_by_the_definition() {
        for (a, b, y) in SHAPES {
            let (x, z) = (floats(a.iter().product(), 1), floats(b.iter().product(), 2));
            let attrs = Attrs::new();
            let operands = [arg(DType::F64, a), arg(DType::F64, b)];
            let buffers = [Buffer::Real(x.clone()), Buffer::Real(z.clone())];
            let results = [arg(DType::Bool, y)];
            let spec = Spec {
                attrs: &attrs,
                operands: &operands,
                results: &results,
            };
            let got = run_once::<f64, Lt>(&spec, &buffers).unwrap();
            let n: usize = y.iter().product();
            let less = (0..n).map(|i| u8::from(at(&x, a, y, i) < at(&z, b, y, i)));
            assert_eq!(got[0], Buffer::Bool(less.collect()));
        }
    }

    #[test]
    fn elements_of_u64_compare_without_sign() {
        let attrs = Attrs::new();
        let less = |dtype: DType| {
            let spec = Spec {
                attrs: &attrs,
                operands: &[arg(dtype, &[3]), arg(dtype, &[3])],
                results: &[arg(DType::Bool, &[3])],
            };
            let buffers = [Buffer::Int(vec![-1, 1, 4]), Buffer::Int(vec![1, -1, 4])];
            run_once::<f32, Lt>(&spec, &buffers).unwrap().remove(0)
        };
        assert_eq!(less(DType::U64), Buffer::Bool(vec![0, 1, 0]));
        assert_eq!(less(DType::I64), Buffer::Bool(vec![1, 0, 0]));
    }

    #[test]
    fn choices_broadcast_by_the_definition() {
        for (a, b, y) in SHAPES {
            for c in [*a, *b, *y] {
                let n: usize = y.iter().product();
                let condition: Vec<u8> = (0..c.iter().product::<usize>())
                    .map(|i| (i % 3 == 1) as u8)
                    .collect();
                let (x, z) = (floats(a.iter().product(), 3), floats(b.iter().product(), 4));
                let attrs = Attrs::new();
                let operands = [arg(DType::Bool, c), arg(DType::F32, a), arg(DType::F32, b)];
                let results = [arg(DType::F32, y)];
                let spec = Spec {
                    attrs: &attrs,
                    operands: &operands,
                    results: &results,
                };
                let buffers = [
                    Buffer::Bool(condition.clone()),
                    Buffer::Real(x.clone()),
                    Buffer::Real(z.clone()),
                ];
                let got = run_once::<f64, Where>(&spec, &buffers).unwrap();
                let want = (0..n).map(|i| match at(&condition, c, y, i) {
                    1 => at(&x, a, y, i),
                    _ => at(&z, b, y, i),
                });
                assert_eq!(got[0], Buffer::Real(want.collect()));
            }
        }
    }

    #[test]
    fn casts_saturate_from_floats_and_wrap_from_integers() {
        let attrs = Attrs::new();
        let cast = |from: DType, to: DType, x: Buffer<f32>, n: usize| {
            let (operands, results) = ([arg(from, &[n])], [arg(to, &[n])]);
            let spec = Spec {
                attrs: &attrs,
                operands: &operands,
                results: &results,
            };
            run_once::<f32, Cast>(&spec, &[x]).unwrap().remove(0)
        };
        let x = || Buffer::Real(vec![-1.7, 300.0, f32::NAN, 0.0]);
        assert_eq!(
            cast(DType::F32, DType::U8, x(), 4),
            Buffer::Int(vec![0, 255, 0, 0])
        );
        assert_eq!(
            cast(DType::F32, DType::I64, x(), 4),
            Buffer::Int(vec![-1, 300, 0, 0])
        );
        assert_eq!(
            cast(DType::F32, DType::Bool, x(), 4),
            Buffer::Bool(vec![1, 1, 1, 0])
        );
        for (to, low, high) in [
            (DType::I16, i64::from(i16::MIN), i64::from(i16::MAX)),
            (DType::U16, 0, i64::from(u16::MAX)),
            (DType::I32, i64::from(i32::MIN), i64::from(i32::MAX)),
            (DType::U32, 0, i64::from(u32::MAX)),
            (DType::U64, 0, u64::MAX as i64),
            (DType::I64, i64::MIN, i64::MAX),
        ] {
            let far = Buffer::Real(vec![-1e30, 1e30]);
            assert_eq!(cast(DType::F32, to, far, 2), Buffer::Int(vec![low, high]));
        }
        let two = 2f32.powi(63);
        assert_eq!(
            cast(DType::F32, DType::U64, Buffer::Real(vec![two]), 1),
            Buffer::Int(vec![i64::MIN])
        );
        assert_eq!(
            cast(DType::U64, DType::F32, Buffer::Int(vec![i64::MIN]), 1),
            Buffer::Real(vec![two])
        );
        let n = || Buffer::Int(vec![-1, 300]);
        assert_eq!(
            cast(DType::I64, DType::U8, n(), 2),
            Buffer::Int(vec![255, 44])
        );
        assert_eq!(
            cast(DType::I64, DType::F32, n(), 2),
            Buffer::Real(vec![-1.0, 300.0])
        );
        assert_eq!(
            cast(DType::I64, DType::Bool, n(), 2),
            Buffer::Bool(vec![1, 1])
        );
        let t = || Buffer::Bool(vec![0, 1]);
        assert_eq!(
            cast(DType::Bool, DType::F32, t(), 2),
            Buffer::Real(vec![0.0, 1.0])
        );
        assert_eq!(
            cast(DType::Bool, DType::I8, t(), 2),
            Buffer::Int(vec![0, 1])
        );
    }
}
