//! The kernel of constants, which an engine runs once.

use syncarp_ir::numbers;

use crate::kernel::{Class, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

struct Constant;

impl Kernel for Constant {
    const OP: &'static str = "constant";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let result = &spec.results[0];
        let value = spec.attrs.get("value");
        let wrong = || KernelError("`value` must be a number or a list of numbers".to_owned());
        let value = value.ok_or_else(wrong)?;
        // Integers beyond 2^53 would lose digits as floats.
        let whole: Option<Vec<i64>> = match value {
            syncarp_ir::Attr::Int(v) => Some(vec![*v]),
            syncarp_ir::Attr::Ints(v) => Some(v.to_vec()),
            _ => None,
        };
        let values = numbers(value).ok_or_else(wrong)?;
        let list = matches!(
            value,
            syncarp_ir::Attr::Ints(_) | syncarp_ir::Attr::Floats(_)
        );
        if list && values.len() != result.len() {
            let (count, dims) = (values.len(), &result.dims);
            return Err(KernelError(format!("{count} values do not fill {dims:?}")));
        }
        let dtype = result.dtype;
        Ok(match Class::of(dtype) {
            Class::Real => {
                let values: Vec<T> = values.into_iter().map(T::from_f64).collect();
                Prepared::new(move |io| fill(&values, io.out(0)))
            }
            Class::Int => {
                let whole = whole.unwrap_or_else(|| values.iter().map(|v| integer(*v)).collect());
                let values: Vec<i64> = whole.iter().map(|v| dtype.wrap(*v)).collect();
                Prepared::new(move |io| fill(&values, io.out_int(0)))
            }
            Class::Bool => {
                let values: Vec<u8> = values.iter().map(|v| u8::from(*v != 0.0)).collect();
                Prepared::new(move |io| fill(&values, io.out_bool(0)))
            }
        })
    }
}

/// A float as an integer; what only u64 holds as the same bits.
fn integer(value: f64) -> i64 {
    match value >= 2f64.powi(63) {
        true => value as u64 as i64,
        false => value as i64,
    }
}

/// Writes one value everywhere, or as many values as there are places.
fn fill<E: Copy>(values: &[E], out: &mut [E]) {
    match values {
        [value] => out.fill(*value),
        _ => out.copy_from_slice(values),
    }
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Constant>()
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attr, Attrs, DType};

    use super::*;
    use crate::kernel::{Arg, Buffer, run_once};

    fn constant(dtype: DType, dims: &[usize], value: Attr) -> Result<Buffer<f32>, KernelError> {
        let attrs = Attrs::new().with("value", value);
        let results = [Arg {
            dtype,
            dims: dims.to_vec(),
        }];
        let spec = Spec {
            attrs: &attrs,
            operands: &[],
            results: &results,
        };
        Ok(run_once::<f32, Constant>(&spec, &[])?.remove(0))
    }

    #[test]
    fn one_number_fills_and_a_list_is_laid_out() {
        let full = constant(DType::F32, &[2, 2], Attr::Float(1.5)).unwrap();
        assert_eq!(full, Buffer::Real(vec![1.5; 4]));
        let list = constant(DType::I64, &[2], vec![3i64, i64::MAX].into()).unwrap();
        assert_eq!(list, Buffer::Int(vec![3, i64::MAX]));
        assert_eq!(
            constant(DType::Bool, &[], Attr::Bool(true)).unwrap(),
            Buffer::Bool(vec![1])
        );
        assert_eq!(
            constant(DType::U8, &[1], Attr::Int(257)).unwrap(),
            Buffer::Int(vec![1])
        );
        let none: Vec<f64> = Vec::new();
        assert_eq!(
            constant(DType::F32, &[0], none.into()).unwrap(),
            Buffer::Real(vec![])
        );
        assert!(constant(DType::F32, &[3], vec![1.0, 2.0].into()).is_err());
    }
}
