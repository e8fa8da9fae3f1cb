//! Kernels of arithmetic on operands that broadcast.

use syncarp_ir::DType;

use super::walk::{Walk, zip2, zip3};
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
pub(super) fn walk<const N: usize>(spec: &Spec<'_>, first: usize) -> Result<Walk<N>, KernelError> {
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
    registry.register::<LeakyReluGrad>()?;
    registry.register::<EluGrad>()
}

/// What the tests of broadcasting kernels compare with.
#[cfg(test)]
pub(super) mod testing {
    use syncarp_ir::DType;

    use crate::kernel::Arg;

    pub fn arg(dtype: DType, dims: &[usize]) -> Arg {
        Arg {
            dtype,
            dims: dims.to_vec(),
        }
    }

    pub fn floats(n: usize, salt: usize) -> Vec<f64> {
        (0..n)
            .map(|i| ((i * 37 + salt * 11) % 19) as f64 - 9.0)
            .collect()
    }

    /// The element of a broadcast tensor at a place in the result, by the definition.
    pub fn at<E: Copy>(tensor: &[E], dims: &[usize], result: &[usize], mut place: usize) -> E {
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

    pub const SHAPES: &[(&[usize], &[usize], &[usize])] = &[
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
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use super::testing::{SHAPES, arg, at, floats};
    use super::*;
    use crate::kernel::{Buffer, run_once};

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
}
