//! Kernels on the bits of integers, and of truth values where those are one bit.

use syncarp_ir::DType;

use super::elementwise::{same_length, walk};
use super::walk::{map, zip2};
use crate::kernel::{Class, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

/// Kernels on integers of a dtype and, where a second function is given, on truth values.
macro_rules! bits {
    ($(
        $name:ident = $op:literal, |$dtype:ident, $a:ident, $b:ident| $int:expr
            $(, bool |$c:ident, $d:ident| $bool:expr)?;
    )*) => {$(
        struct $name;

        impl Kernel for $name {
            const OP: &'static str = $op;

            fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
                let walk = walk::<2>(spec, 0)?;
                let $dtype = spec.results[0].dtype;
                match Class::of($dtype) {
                    Class::Int => Ok(Prepared::new(move |io| {
                        let f = |$a: i64, $b: i64| $dtype.wrap($int);
                        zip2(&walk, io.int(0), io.int(1), io.out_int(0), f);
                    })),
                    $(Class::Bool => Ok(Prepared::new(move |io| {
                        let f = |$c: u8, $d: u8| $bool;
                        zip2(&walk, io.bool(0), io.bool(1), io.out_bool(0), f);
                    })),)?
                    _ => Err(KernelError(format!("no kernel for {}", $dtype))),
                }
            }
        }
    )*};
}

bits! {
    BitwiseAnd = "bitwise_and", |_dtype, a, b| a & b, bool |a, b| a & b;
    BitwiseOr = "bitwise_or", |_dtype, a, b| a | b, bool |a, b| a | b;
    BitwiseXor = "bitwise_xor", |_dtype, a, b| a ^ b, bool |a, b| a ^ b;
    ShiftLeft = "shift_left", |dtype, a, b| match distance(dtype, b) {
        Some(distance) => a << distance,
        None => 0,
    };
    ShiftRight = "shift_right", |dtype, a, b| match (dtype.is_unsigned(), distance(dtype, b)) {
        (true, Some(distance)) => (a as u64 >> distance) as i64,
        (true, None) => 0,
        (false, distance) => a >> distance.unwrap_or(63),
    };
}

/// How far a shift goes; none where no bit stays.
#[inline(always)]
fn distance(dtype: DType, by: i64) -> Option<u32> {
    let bits = 8 * dtype.size() as i64;
    (0..bits).contains(&by).then_some(by as u32)
}

struct BitwiseNot;

impl Kernel for BitwiseNot {
    const OP: &'static str = "bitwise_not";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        same_length(&spec.operands[0], &spec.results[0])?;
        let dtype = spec.results[0].dtype;
        match Class::of(dtype) {
            Class::Int => Ok(Prepared::new(move |io| {
                map(io.int(0), io.out_int(0), |x: i64| dtype.wrap(!x));
            })),
            Class::Bool => Ok(Prepared::new(|io| {
                map(io.bool(0), io.out_bool(0), |x: u8| x ^ 1);
            })),
            Class::Real => Err(KernelError(format!("no kernel for {dtype}"))),
        }
    }
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<BitwiseNot>()?;
    registry.register::<BitwiseAnd>()?;
    registry.register::<BitwiseOr>()?;
    registry.register::<BitwiseXor>()?;
    registry.register::<ShiftLeft>()?;
    registry.register::<ShiftRight>()
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use super::*;
    use crate::kernel::Buffer;
    use crate::kernels::element::testing::{int, run};

    fn two<K: Kernel>(dtype: DType, a: i64, b: i64) -> i64 {
        let operands = [(dtype, &[1][..], int(&[a])), (dtype, &[1][..], int(&[b]))];
        match &run::<K>(&operands, &[(dtype, &[1])], &Attrs::new())[0] {
            Buffer::Int(v) => v[0],
            other => panic!("not integers: {other:?}"),
        }
    }

    fn not(dtype: DType, x: i64) -> Buffer<f64> {
        let operands = [(dtype, &[1][..], int(&[x]))];
        run::<BitwiseNot>(&operands, &[(dtype, &[1])], &Attrs::new()).remove(0)
    }

    #[test]
    fn bits_are_those_of_the_dtype() {
        assert_eq!(two::<BitwiseAnd>(DType::I32, -4, 7), 4);
        assert_eq!(two::<BitwiseOr>(DType::U8, 0xf0, 0x0f), 0xff);
        assert_eq!(two::<BitwiseXor>(DType::I8, -1, 1), -2);
        assert_eq!(not(DType::U8, 1), int(&[254]));
        assert_eq!(not(DType::I16, 1), int(&[-2]));
        assert_eq!(not(DType::U64, 0), int(&[-1]));
        let truth = [(DType::Bool, &[2][..], Buffer::Bool(vec![0, 1]))];
        let got = run::<BitwiseNot>(&truth, &[(DType::Bool, &[2])], &Attrs::new());
        assert_eq!(got, [Buffer::Bool(vec![1, 0])]);
        let two = [
            truth[0].clone(),
            (DType::Bool, &[][..], Buffer::Bool(vec![1])),
        ];
        let got = run::<BitwiseXor>(&two, &[(DType::Bool, &[2])], &Attrs::new());
        assert_eq!(got, [Buffer::Bool(vec![1, 0])]);
    }

    #[test]
    fn shifts_drop_what_leaves_the_dtype() {
        assert_eq!(two::<ShiftLeft>(DType::U8, 0x81, 1), 2);
        assert_eq!(two::<ShiftLeft>(DType::I8, 0x40, 1), -128);
        assert_eq!(two::<ShiftLeft>(DType::I64, 1, 63), i64::MIN);
        assert_eq!(two::<ShiftLeft>(DType::I64, 1, 64), 0);
        assert_eq!(two::<ShiftLeft>(DType::I32, 1, -1), 0);
        assert_eq!(two::<ShiftRight>(DType::I8, -128, 3), -16);
        assert_eq!(two::<ShiftRight>(DType::I8, -128, 8), -1);
        assert_eq!(two::<ShiftRight>(DType::I32, 5, i64::MAX), 0);
        assert_eq!(two::<ShiftRight>(DType::U64, -1, 63), 1);
        assert_eq!(two::<ShiftRight>(DType::U64, -1, 64), 0);
        assert_eq!(two::<ShiftRight>(DType::U16, 0x8000, 15), 1);
    }
}
