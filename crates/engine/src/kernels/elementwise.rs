//! Kernels of two and three operands that broadcast: arithmetic, comparisons, choices, casts.

use syncarp_ir::DType;

use super::walk::{Walk, map, zip2, zip3};
use crate::kernel::{Arg, Class, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

/// An integer as one of the dtype: what lies outside wraps.
pub(crate) fn wrapped(dtype: DType, value: i64) -> i64 {
    match dtype {
        DType::U8 => i64::from(value as u8),
        DType::I8 => i64::from(value as i8),
        DType::I32 => i64::from(value as i32),
        _ => value,
    }
}

/// The walk over a node's result with `N` operands from the `first` on.
fn walk<const N: usize>(spec: &Spec<'_>, first: usize) -> Result<Walk<N>, KernelError> {
    let operands = std::array::from_fn(|i| &spec.operands[first + i].dims[..]);
    Walk::broadcast(&spec.results[0].dims, operands)
}

/// Kernels of arithmetic on floats and, where a second function is given, on integers.
macro_rules! binary {
    ($($name:ident = $op:literal, |$a:ident, $b:ident| $real:expr $(, int $int:expr)?;)*) => {$(
        struct $name;

        impl Kernel for $name {
            const OP: &'static str = $op;

            fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
                let walk = walk::<2>(spec, 0)?;
                let dtype = spec.results[0].dtype;
                match Class::of(dtype) {
                    Class::Real => Ok(Prepared::new(move |io| {
                        zip2(&walk, io.real(0), io.real(1), io.out(0), |$a: T, $b: T| $real);
                    })),
                    $(Class::Int => Ok(Prepared::new(move |io| {
                        let f: fn(i64, i64) -> i64 = $int;
                        let f = |a, b| wrapped(dtype, f(a, b));
                        zip2(&walk, io.int(0), io.int(1), io.out_int(0), f);
                    })),)?
                    #[allow(unreachable_patterns)]
                    _ => Err(KernelError(format!("no kernel for {dtype}"))),
                }
            }
        }
    )*};
}

binary! {
    Add = "add", |a, b| a + b, int i64::wrapping_add;
    Sub = "sub", |a, b| a - b, int i64::wrapping_sub;
    Mul = "mul", |a, b| a * b, int i64::wrapping_mul;
    Div = "div", |a, b| a / b, int |a, b| if b == 0 { 0 } else { a.wrapping_div(b) };
    // A comparison with NaN fails and leaves b, which is right where b is the one that is NaN.
    Maximum = "maximum", |a, b| {
        let larger = if a > b { a } else { b };
        if a.is_nan() { a } else { larger }
    }, int i64::max;
    Minimum = "minimum", |a, b| {
        let smaller = if a < b { a } else { b };
        if a.is_nan() { a } else { smaller }
    }, int i64::min;
    Pow = "pow", |a, b| a.powf(b);
    LeakyRelu = "leaky_relu", |x, slope| if x > T::ZERO { x } else { x * slope };
    Elu = "elu", |x, alpha| if x > T::ZERO { x } else { alpha * x.exp_m1() };
    ReluGrad = "relu_grad", |y, dy| if y <= T::ZERO { T::ZERO } else { dy };
    TanhGrad = "tanh_grad", |y, dy| dy * (T::ONE - y * y);
    SigmoidGrad = "sigmoid_grad", |y, dy| dy * (T::ONE - y) * y;
    SiluGrad = "silu_grad", |x, dy| {
        let s = T::ONE / (T::ONE + (-x).exp_straight());
        dy * (s * (T::ONE + x * (T::ONE - s)))
    };
}

/// Kernels of comparisons, for whatever elements the operands have.
macro_rules! compare {
    ($($name:ident = $op:literal, |$a:ident, $b:ident| $f:expr;)*) => {$(
        struct $name;

        impl Kernel for $name {
            const OP: &'static str = $op;

            fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
                let walk = walk::<2>(spec, 0)?;
                Ok(match Class::of(spec.operands[0].dtype) {
                    Class::Real => Prepared::new(move |io| {
                        let f = |$a: T, $b: T| u8::from($f);
                        zip2(&walk, io.real(0), io.real(1), io.out_bool(0), f);
                    }),
                    Class::Int => Prepared::new(move |io| {
                        let f = |$a: i64, $b: i64| u8::from($f);
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
}

struct LogicalNot;

impl Kernel for LogicalNot {
    const OP: &'static str = "logical_not";

    fn prepare<T: Real>(_: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
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

/// Gradients of activations with a parameter: x, the parameter, dy.
macro_rules! bent {
    ($($name:ident = $op:literal, |$x:ident, $p:ident, $dy:ident| $f:expr;)*) => {$(
        struct $name;

        impl Kernel for $name {
            const OP: &'static str = $op;

            fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
                let walk = walk::<3>(spec, 0)?;
                Ok(Prepared::new(move |io| {
                    let f = |$x: T, $p: T, $dy: T| $f;
                    zip3(&walk, io.real(0), io.real(1), io.real(2), io.out(0), f);
                }))
            }
        }
    )*};
}

bent! {
    LeakyReluGrad = "leaky_relu_grad", |x, slope, dy| if x > T::ZERO { dy } else { dy * slope };
    EluGrad = "elu_grad", |x, alpha, dy| if x > T::ZERO { dy } else { dy * alpha * x.exp() };
}

struct Cast;

impl Kernel for Cast {
    const OP: &'static str = "cast";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (from, to) = (spec.operands[0].dtype, spec.results[0].dtype);
        let (low, high) = bounds(to);
        Ok(match (Class::of(from), Class::of(to)) {
            // Whatever the float dtype, an engine computes in one precision.
            (Class::Real, Class::Real) => Prepared::new(|io| io.out(0).copy_from_slice(io.real(0))),
            (Class::Real, Class::Int) => Prepared::new(move |io| {
                let f = move |x: T| (x.to_f64() as i64).clamp(low, high);
                map(io.real(0), io.out_int(0), f);
            }),
            (Class::Real, Class::Bool) => Prepared::new(|io| {
                map(io.real(0), io.out_bool(0), |x: T| u8::from(x != T::ZERO));
            }),
            (Class::Int, Class::Real) => Prepared::new(|io| {
                map(io.int(0), io.out(0), |x: i64| T::from_f64(x as f64));
            }),
            (Class::Int, Class::Int) => Prepared::new(move |io| {
                map(io.int(0), io.out_int(0), move |x: i64| wrapped(to, x));
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

/// The smallest and the largest integer of a dtype.
fn bounds(dtype: DType) -> (i64, i64) {
    match dtype {
        DType::U8 => (0, 255),
        DType::I8 => (-128, 127),
        DType::I32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    }
}

/// Demands that an operand and a result have as many elements.
pub(crate) fn same_length(a: &Arg, b: &Arg) -> Result<(), KernelError> {
    if a.len() == b.len() {
        return Ok(());
    }
    let (a, b) = (&a.dims, &b.dims);
    Err(KernelError(format!(
        "dims {a:?} and {b:?} have different numbers of elements"
    )))
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Add>()?;
    registry.register::<Sub>()?;
    registry.register::<Mul>()?;
    registry.register::<Div>()?;
    registry.register::<Maximum>()?;
    registry.register::<Minimum>()?;
    registry.register::<Pow>()?;
    registry.register::<LeakyRelu>()?;
    registry.register::<Elu>()?;
    registry.register::<ReluGrad>()?;
    registry.register::<TanhGrad>()?;
    registry.register::<SigmoidGrad>()?;
    registry.register::<SiluGrad>()?;
    registry.register::<Eq>()?;
    registry.register::<Ne>()?;
    registry.register::<Lt>()?;
    registry.register::<Le>()?;
    registry.register::<Gt>()?;
    registry.register::<Ge>()?;
    registry.register::<LogicalAnd>()?;
    registry.register::<LogicalOr>()?;
    registry.register::<LogicalNot>()?;
    registry.register::<Where>()?;
    registry.register::<LeakyReluGrad>()?;
    registry.register::<EluGrad>()?;
    registry.register::<Cast>()
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use super::*;
    use crate::kernel::{Buffer, run_once};

    fn arg(dtype: DType, dims: &[usize]) -> Arg {
        Arg {
            dtype,
            dims: dims.to_vec(),
        }
    }

    fn floats(n: usize, salt: usize) -> Vec<f64> {
        (0..n)
            .map(|i| ((i * 37 + salt * 11) % 19) as f64 - 9.0)
            .collect()
    }

    /// The element of a broadcast tensor at a place in the result, by the definition.
    fn at<E: Copy>(tensor: &[E], dims: &[usize], result: &[usize], mut place: usize) -> E {
        let mut index = vec![0; result.len()];
        for d in (0..result.len()).rev() {
            index[d] = place % result[d];
            place /= result[d];
        }
        let index = &index[result.len() - dims.len()..];
        let flat = dims
            .iter()
            .zip(index)
            .fold(0, |f, (d, i)| f * d + if *d == 1 { 0 } else { *i });
        tensor[flat]
    }

    const SHAPES: &[(&[usize], &[usize], &[usize])] = &[
        (&[4, 5], &[4, 5], &[4, 5]),
        (&[4, 5], &[5], &[4, 5]),
        (&[4, 5], &[], &[4, 5]),
        (&[], &[4, 5], &[4, 5]),
        (&[4, 1], &[1, 5], &[4, 5]),
        (&[2, 3, 1, 5], &[3, 4, 1], &[2, 3, 4, 5]),
        (&[2, 3, 4, 5], &[1, 3, 1, 1], &[2, 3, 4, 5]),
        (&[2, 1, 2, 1, 2], &[1, 3, 1, 3, 1], &[2, 3, 2, 3, 2]),
        (&[0, 5], &[5], &[0, 5]),
        (&[3, 0], &[1], &[3, 0]),
        (&[], &[], &[]),
    ];

    #[test]
    fn arithmetic_broadcasts_by_the_definition() {
        for (a, b, y) in SHAPES {
            let (x, z) = (floats(a.iter().product(), 1), floats(b.iter().product(), 2));
            let attrs = Attrs::new();
            let operands = [arg(DType::F64, a), arg(DType::F64, b)];
            let results = [arg(DType::F64, y)];
            let spec = Spec {
                attrs: &attrs,
                operands: &operands,
                results: &results,
            };
            let buffers = [Buffer::Real(x.clone()), Buffer::Real(z.clone())];
            let want = |f: &dyn Fn(f64, f64) -> f64| {
                let n: usize = y.iter().product();
                Buffer::Real(
                    (0..n)
                        .map(|i| f(at(&x, a, y, i), at(&z, b, y, i)))
                        .collect(),
                )
            };
            let got = run_once::<f64, Sub>(&spec, &buffers).unwrap();
            assert_eq!(got[0], want(&|a, b| a - b), "{a:?} {b:?}");
            let got = run_once::<f64, Maximum>(&spec, &buffers).unwrap();
            assert_eq!(got[0], want(&|a, b| a.max(b)), "{a:?} {b:?}");
            let got = run_once::<f64, Minimum>(&spec, &buffers).unwrap();
            assert_eq!(got[0], want(&|a, b| a.min(b)), "{a:?} {b:?}");
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

    fn pairs<K: Kernel>(a: &[f64], b: &[f64]) -> Vec<f64> {
        let attrs = Attrs::new();
        let operands = [arg(DType::F64, &[a.len()]), arg(DType::F64, &[b.len()])];
        let results = [arg(DType::F64, &[a.len()])];
        let spec = Spec {
            attrs: &attrs,
            operands: &operands,
            results: &results,
        };
        let buffers = [Buffer::Real(a.to_vec()), Buffer::Real(b.to_vec())];
        run_once::<f64, K>(&spec, &buffers).unwrap()[0]
            .real()
            .unwrap()
            .to_vec()
    }

    #[test]
    fn not_a_number_wins_on_either_side() {
        let (a, b) = ([f64::NAN, 1.0, 2.0], [1.0, f64::NAN, 1.0]);
        for got in [pairs::<Maximum>(&a, &b), pairs::<Minimum>(&a, &b)] {
            assert!(got[0].is_nan() && got[1].is_nan() && !got[2].is_nan());
        }
    }

    #[test]
    fn gradients_of_activations_are_their_slopes() {
        let x = [-3.0, -0.5, 0.0, 0.5, 3.0];
        let dy = [2.0; 5];
        let relu: Vec<f64> = x.iter().map(|x: &f64| x.max(0.0)).collect();
        assert_eq!(pairs::<ReluGrad>(&relu, &dy), [0.0, 0.0, 0.0, 2.0, 2.0]);
        let silu = |x: f64| x / (1.0 + (-x).exp());
        let step = 1e-6;
        for (x, got) in x.iter().zip(pairs::<SiluGrad>(&x, &dy)) {
            let want = (silu(x + step) - silu(x - step)) / step;
            assert!((got - want).abs() < 1e-8, "{got} {want}");
        }
        let tanh: Vec<f64> = x.iter().map(|x: &f64| x.tanh()).collect();
        for (x, got) in x.iter().zip(pairs::<TanhGrad>(&tanh, &dy)) {
            assert!((got - 2.0 / x.cosh().powi(2)).abs() < 1e-12);
        }
    }

    fn whole<K: Kernel>(dtype: DType, a: i64, b: i64) -> i64 {
        let attrs = Attrs::new();
        let (operands, results) = ([arg(dtype, &[1]), arg(dtype, &[1])], [arg(dtype, &[1])]);
        let spec = Spec {
            attrs: &attrs,
            operands: &operands,
            results: &results,
        };
        let got = run_once::<f32, K>(&spec, &[Buffer::Int(vec![a]), Buffer::Int(vec![b])]);
        match &got.unwrap()[0] {
            Buffer::Int(v) => v[0],
            other => panic!("not integers: {other:?}"),
        }
    }

    #[test]
    fn integers_wrap_and_never_stop_the_program() {
        assert_eq!(whole::<Add>(DType::U8, 250, 10), 4);
        assert_eq!(whole::<Mul>(DType::I8, 100, 2), -56);
        assert_eq!(
            whole::<Sub>(DType::I32, i64::from(i32::MIN), 1),
            i64::from(i32::MAX)
        );
        assert_eq!(whole::<Add>(DType::I64, i64::MAX, 1), i64::MIN);
        assert_eq!(whole::<Div>(DType::I64, -7, 2), -3);
        assert_eq!(whole::<Div>(DType::I64, 7, 0), 0);
        assert_eq!(whole::<Div>(DType::I64, i64::MIN, -1), i64::MIN);
        assert_eq!(whole::<Maximum>(DType::I64, -7, 2), 2);
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
