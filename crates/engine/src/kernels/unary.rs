//! Kernels of one operand, element by element.

use syncarp_ir::DType;

use super::elementwise::same_length;
use super::vector::wide;
use super::walk::{map, pair};
use crate::kernel::{Class, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

/// Kernels on floats and, where a second function is given, on integers; a third is for u64 where
/// its bits do not behave as those of i64.
macro_rules! unary {
    ($(
        $name:ident = $op:literal, |$x:ident| $real:expr $(, int $int:expr $(, u64 $long:expr)?)?;
    )*) => {
        $(
            struct $name;

            impl Kernel for $name {
                const OP: &'static str = $op;

                fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
                    same_length(&spec.operands[0], &spec.results[0])?;
                    let dtype = spec.results[0].dtype;
                    match Class::of(dtype) {
                        Class::Real => Ok(Prepared::new(move |io| {
                            map(io.real(0), io.out(0), |$x: T| $real);
                        })),
                        $(
                            $(Class::Int if dtype == DType::U64 => Ok(Prepared::new(move |io| {
                                let f: fn(u64) -> u64 = $long;
                                map(io.int(0), io.out_int(0), |x: i64| f(x as u64) as i64);
                            })),)?
                            Class::Int => Ok(Prepared::new(move |io| {
                                let f: fn(i64) -> i64 = $int;
                                map(io.int(0), io.out_int(0), |x| dtype.wrap(f(x)));
                            })),
                        )?
                        #[allow(unreachable_patterns)]
                        _ => Err(KernelError(format!("no kernel for {dtype}"))),
                    }
                }
            }
        )*

        fn register_all(registry: &mut KernelRegistry) -> Result<(), KernelError> {
            $(registry.register::<$name>()?;)*
            Ok(())
        }
    };
}

unary! {
    Neg = "neg", |x| -x, int i64::wrapping_neg;
    Abs = "abs", |x| x.abs(), int i64::wrapping_abs, u64 |x| x;
    Sign = "sign", |x| {
        let side = if x > T::ZERO { T::ONE } else { T::ZERO };
        let side = if x < T::ZERO { -T::ONE } else { side };
        if x.is_nan() { x } else { side }
    }, int i64::signum, u64 |x| x.min(1);
    Square = "square", |x| x * x, int |x| x.wrapping_mul(x);
    // A comparison that keeps NaN.
    Relu = "relu", |x| if x <= T::ZERO { T::ZERO } else { x };
    Sigmoid = "sigmoid", |x| T::ONE / (T::ONE + (-x).exp_straight());
    Silu = "silu", |x| x / (T::ONE + (-x).exp_straight());
    Tanh = "tanh", |x| x.tanh_straight();
    Exp = "exp", |x| x.exp_straight();
    Expm1 = "expm1", |x| x.exp_m1();
    Log = "log", |x| x.ln();
    Log1p = "log1p", |x| x.ln_1p();
    Sqrt = "sqrt", |x| x.sqrt();
    Rsqrt = "rsqrt", |x| T::ONE / x.sqrt();
    Reciprocal = "reciprocal", |x| T::ONE / x;
    Sin = "sin", |x| x.sin();
    Cos = "cos", |x| x.cos();
    Tan = "tan", |x| x.tan();
    Asin = "asin", |x| x.asin();
    Acos = "acos", |x| x.acos();
    Atan = "atan", |x| x.atan();
    Sinh = "sinh", |x| x.sinh();
    Cosh = "cosh", |x| x.cosh();
    Asinh = "asinh", |x| x.asinh();
    Acosh = "acosh", |x| x.acosh();
    Atanh = "atanh", |x| x.atanh();
    Erf = "erf", |x| x.erf_straight();
    Floor = "floor", |x| x.floor();
    Ceil = "ceil", |x| x.ceil();
    Round = "round", |x| x.round();
    Trunc = "trunc", |x| x.trunc();
}

/// The square root of two by pi.
const ROOT: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
const CUBIC: f64 = 0.044715;

fn is_tanh(spec: &Spec<'_>) -> bool {
    spec.attrs
        .str("approximate")
        .is_some_and(|a| &**a == "tanh")
}

struct Gelu;

impl Kernel for Gelu {
    const OP: &'static str = "gelu";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        same_length(&spec.operands[0], &spec.results[0])?;
        let number = T::from_f64;
        let (half, root, cubic) = (number(0.5), number(ROOT), number(CUBIC));
        let scale = number(std::f64::consts::FRAC_1_SQRT_2);
        Ok(if is_tanh(spec) {
            Prepared::new(move |io| {
                map(io.real(0), io.out(0), |x: T| {
                    let t = (root * (x + cubic * (x * x * x))).tanh_straight();
                    half * x * (T::ONE + t)
                });
            })
        } else {
            Prepared::new(move |io| {
                map(io.real(0), io.out(0), |x: T| {
                    x * half * (T::ONE + (x * scale).erf_straight())
                });
            })
        })
    }
}

/// Kernels of gradients from what an activation read or gave, and dy, of one shape.
macro_rules! slope {
    ($($name:ident = $op:literal, |$x:ident, $dy:ident| $f:expr;)*) => {
        $(
            struct $name;

            impl Kernel for $name {
                const OP: &'static str = $op;

                fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
                    same_length(&spec.operands[0], &spec.results[0])?;
                    same_length(&spec.operands[1], &spec.results[0])?;
                    Ok(Prepared::new(|io| {
                        pair(io.real(0), io.real(1), io.out(0), |$x: T, $dy: T| $f);
                    }))
                }
            }
        )*

        fn register_slopes(registry: &mut KernelRegistry) -> Result<(), KernelError> {
            $(registry.register::<$name>()?;)*
            Ok(())
        }
    };
}

slope! {
    ReluGrad = "relu_grad", |y, dy| if y <= T::ZERO { T::ZERO } else { dy };
    TanhGrad = "tanh_grad", |y, dy| dy * (T::ONE - y * y);
    SigmoidGrad = "sigmoid_grad", |y, dy| dy * (T::ONE - y) * y;
    SiluGrad = "silu_grad", |x, dy| {
        let s = T::ONE / (T::ONE + (-x).exp_straight());
        dy * (s * (T::ONE + x * (T::ONE - s)))
    };
}

struct GeluGrad;

wide! {
    fn gelu_grad<T: Real>(x: &[T], dy: &[T], out: &mut [T]) {
        let (half, root) = (T::from_f64(0.5), T::from_f64(ROOT));
        let scale = T::from_f64(std::f64::consts::FRAC_1_SQRT_2);
        for ((out, x), dy) in out.iter_mut().zip(x).zip(dy) {
            let (x, dy) = (*x, *dy);
            let distribution = half * (T::ONE + (x * scale).erf_straight());
            let density = (-half * x * x).exp_straight() * (half * root);
            *out = dy * (distribution + x * density);
        }
    }
}

wide! {
    fn gelu_tanh_grad<T: Real>(x: &[T], dy: &[T], out: &mut [T]) {
        let (half, root, cubic) = (T::from_f64(0.5), T::from_f64(ROOT), T::from_f64(CUBIC));
        let three = T::from_f64(3.0);
        for ((out, x), dy) in out.iter_mut().zip(x).zip(dy) {
            let (x, dy) = (*x, *dy);
            let t = (root * (x + cubic * (x * x * x))).tanh_straight();
            let inner = root * (T::ONE + three * cubic * (x * x));
            *out = dy * (half * (T::ONE + t) + half * x * (T::ONE - t * t) * inner);
        }
    }
}

impl Kernel for GeluGrad {
    const OP: &'static str = "gelu_grad";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        same_length(&spec.operands[0], &spec.results[0])?;
        same_length(&spec.operands[1], &spec.results[0])?;
        Ok(if is_tanh(spec) {
            Prepared::new(|io| gelu_tanh_grad::<T>(io.real(0), io.real(1), io.out(0)))
        } else {
            Prepared::new(|io| gelu_grad::<T>(io.real(0), io.real(1), io.out(0)))
        })
    }
}

struct Copy;

impl Kernel for Copy {
    const OP: &'static str = "copy";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        same_length(&spec.operands[0], &spec.results[0])?;
        Ok(match Class::of(spec.results[0].dtype) {
            Class::Real => Prepared::new(|io| io.out(0).copy_from_slice(io.real(0))),
            Class::Int => Prepared::new(|io| io.out_int(0).copy_from_slice(io.int(0))),
            Class::Bool => Prepared::new(|io| io.out_bool(0).copy_from_slice(io.bool(0))),
        })
    }
}

/// All of this engine's devices see one memory, so that moving is copying.
struct ToDevice;

impl Kernel for ToDevice {
    const OP: &'static str = "to_device";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        Copy::prepare(spec)
    }
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    register_all(registry)?;
    register_slopes(registry)?;
    registry.register::<ToDevice>()?;
    registry.register::<Gelu>()?;
    registry.register::<GeluGrad>()?;
    registry.register::<Copy>()
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use super::*;
    use crate::kernel::{Arg, Buffer, Precision, run_once};

    fn run<T: Precision, K: Kernel>(x: &[f64], attrs: &Attrs) -> Vec<f64> {
        let args = [Arg {
            dtype: DType::F32,
            dims: vec![x.len()],
        }];
        let spec = Spec {
            attrs,
            operands: &args,
            results: &args,
        };
        let x = Buffer::Real(x.iter().map(|x| T::from_f64(*x)).collect());
        let got = run_once::<T, K>(&spec, &[x]).unwrap();
        got[0].real().unwrap().iter().map(|x| x.to_f64()).collect()
    }

    fn check<K: Kernel>(x: &[f64], want: impl Fn(f64) -> f64) {
        let attrs = Attrs::new();
        let (wide, narrow) = (run::<f64, K>(x, &attrs), run::<f32, K>(x, &attrs));
        for (i, x) in x.iter().enumerate() {
            let want = want(*x);
            let near = |got: f64, tolerance: f64| {
                got == want || (got - want).abs() <= tolerance * want.abs().max(1e-3)
            };
            assert!(
                near(wide[i], 1e-13),
                "{}({x}) is {}, not {want}",
                K::OP,
                wide[i]
            );
            assert!(
                near(narrow[i], 1e-6),
                "{}({x}) is {}, not {want}",
                K::OP,
                narrow[i]
            );
        }
    }

    #[test]
    fn functions_agree_with_the_standard_ones() {
        let any: Vec<f64> = (-400..=400).map(|i| f64::from(i) / 32.0).collect();
        let above: Vec<f64> = (1..=400).map(|i| f64::from(i) / 32.0).collect();
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        check::<Neg>(&any, |x| -x);
        check::<Abs>(&any, f64::abs);
        check::<Square>(&any, |x| x * x);
        check::<Relu>(&any, |x| x.max(0.0));
        check::<Sigmoid>(&any, sigmoid);
        check::<Silu>(&any, |x| x * sigmoid(x));
        check::<Tanh>(&any, f64::tanh);
        check::<Exp>(&any, f64::exp);
        check::<Expm1>(&any, f64::exp_m1);
        check::<Log>(&above, f64::ln);
        check::<Log1p>(&above, f64::ln_1p);
        check::<Sqrt>(&above, f64::sqrt);
        check::<Rsqrt>(&above, |x| 1.0 / x.sqrt());
        check::<Reciprocal>(&above, |x| 1.0 / x);
        check::<Sin>(&any, f64::sin);
        check::<Cos>(&any, f64::cos);
        check::<Erf>(&any, libm::erf);
        check::<Floor>(&any, f64::floor);
        check::<Ceil>(&any, f64::ceil);
        check::<Round>(&any, f64::round_ties_even);
        check::<Sign>(&any, |x| if x == 0.0 { 0.0 } else { x.signum() });
    }

    #[test]
    fn extremes_stay_what_they_are() {
        let x = [f64::INFINITY, -f64::INFINITY, f64::NAN, 1e-30];
        let attrs = Attrs::new();
        let tanh = run::<f32, Tanh>(&x, &attrs);
        assert_eq!(tanh[..2], [1.0, -1.0]);
        assert!(tanh[2].is_nan() && (tanh[3] / 1e-30 - 1.0).abs() < 1e-6);
        let sigmoid = run::<f32, Sigmoid>(&x, &attrs);
        assert_eq!(sigmoid[..2], [1.0, 0.0]);
        assert!(sigmoid[2].is_nan());
        assert!(run::<f32, Relu>(&x, &attrs)[2].is_nan());
        assert!(run::<f32, Sign>(&x, &attrs)[2].is_nan());
        assert!(run::<f32, Relu>(&[], &attrs).is_empty());
    }

    #[test]
    fn gelu_and_its_slope() {
        let normal = |x: f64| 0.5 * (1.0 + libm::erf(x / 2f64.sqrt()));
        let tanh = |x: f64| {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        };
        let exact = |x: f64| x * normal(x);
        let x: Vec<f64> = (-60..=60).map(|i| f64::from(i) / 10.0).collect();
        let shape = || Arg {
            dtype: DType::F64,
            dims: vec![x.len()],
        };
        for (attrs, f) in [
            (Attrs::new(), &exact as &dyn Fn(f64) -> f64),
            (Attrs::new().with("approximate", "none"), &exact),
            (Attrs::new().with("approximate", "tanh"), &tanh),
        ] {
            let got = run::<f64, Gelu>(&x, &attrs);
            let (operands, results) = ([shape(), shape()], [shape()]);
            let spec = Spec {
                attrs: &attrs,
                operands: &operands,
                results: &results,
            };
            let buffers = [Buffer::Real(x.clone()), Buffer::Real(vec![2.0; x.len()])];
            let slope = run_once::<f64, GeluGrad>(&spec, &buffers).unwrap();
            let slope = slope[0].real().unwrap();
            for (i, x) in x.iter().enumerate() {
                assert!((got[i] - f(*x)).abs() < 1e-13);
                let step = 1e-6;
                let want = (f(x + step) - f(x - step)) / step;
                assert!(
                    (slope[i] - want).abs() < 1e-8,
                    "at {x}: {} not {want}",
                    slope[i]
                );
            }
        }
    }

    fn pairs<K: Kernel>(a: &[f64], b: &[f64]) -> Vec<f64> {
        let attrs = Attrs::new();
        let arg = || Arg {
            dtype: DType::F64,
            dims: vec![a.len()],
        };
        let (operands, results) = ([arg(), arg()], [arg()]);
        let spec = Spec {
            attrs: &attrs,
            operands: &operands,
            results: &results,
        };
        let buffers = [Buffer::Real(a.to_vec()), Buffer::Real(b.to_vec())];
        let got = run_once::<f64, K>(&spec, &buffers).unwrap();
        got[0].real().unwrap().to_vec()
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
}
