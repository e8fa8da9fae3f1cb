//! Kernels that do the same with elements of any class.

use syncarp_ir::DType;

use super::elementwise::order;
use crate::kernel::Io;
use crate::real::Real;

/// What slots hold, seen from a kernel that computes in `T`.
pub(super) trait Element<T: Real>: Copy + PartialEq + Send + Sync + 'static {
    /// What stands where there is nothing to take.
    const NOTHING: Self;
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;

    fn read<'a>(io: &Io<'a, T>, operand: usize) -> &'a [Self];
    fn out<'a>(io: &mut Io<'a, T>, result: usize) -> &'a mut [Self];
    /// The sum, wrapped to the dtype.
    fn plus(self, other: Self, dtype: DType) -> Self;
    /// The product, wrapped to the dtype.
    fn times(self, other: Self, dtype: DType) -> Self;
    /// Whether it is larger; NaN is larger than numbers.
    fn above(self, other: Self, dtype: DType) -> bool;
    /// Whether it is smaller; NaN is smaller than numbers.
    fn below(self, other: Self, dtype: DType) -> bool;
}

impl<T: Real> Element<T> for T {
    const NOTHING: T = T::NAN;
    const ZERO: T = <T as Real>::ZERO;
    const ONE: T = <T as Real>::ONE;

    fn read<'a>(io: &Io<'a, T>, operand: usize) -> &'a [T] {
        io.real(operand)
    }
    fn out<'a>(io: &mut Io<'a, T>, result: usize) -> &'a mut [T] {
        io.out(result)
    }
    #[inline(always)]
    fn plus(self, other: T, _: DType) -> T {
        self + other
    }
    #[inline(always)]
    fn times(self, other: T, _: DType) -> T {
        self * other
    }
    #[inline(always)]
    fn above(self, other: T, _: DType) -> bool {
        self > other || (self.is_nan() && !other.is_nan())
    }
    #[inline(always)]
    fn below(self, other: T, _: DType) -> bool {
        self < other || (self.is_nan() && !other.is_nan())
    }
}

impl<T: Real> Element<T> for i64 {
    const NOTHING: i64 = 0;
    const ZERO: i64 = 0;
    const ONE: i64 = 1;

    fn read<'a>(io: &Io<'a, T>, operand: usize) -> &'a [i64] {
        io.int(operand)
    }
    fn out<'a>(io: &mut Io<'a, T>, result: usize) -> &'a mut [i64] {
        io.out_int(result)
    }
    #[inline(always)]
    fn plus(self, other: i64, dtype: DType) -> i64 {
        dtype.wrap(self.wrapping_add(other))
    }
    #[inline(always)]
    fn times(self, other: i64, dtype: DType) -> i64 {
        dtype.wrap(self.wrapping_mul(other))
    }
    #[inline(always)]
    fn above(self, other: i64, dtype: DType) -> bool {
        self ^ order(dtype) > other ^ order(dtype)
    }
    #[inline(always)]
    fn below(self, other: i64, dtype: DType) -> bool {
        self ^ order(dtype) < other ^ order(dtype)
    }
}

/// Truth values: the sum says whether one holds, the product whether all do.
impl<T: Real> Element<T> for u8 {
    const NOTHING: u8 = 0;
    const ZERO: u8 = 0;
    const ONE: u8 = 1;

    fn read<'a>(io: &Io<'a, T>, operand: usize) -> &'a [u8] {
        io.bool(operand)
    }
    fn out<'a>(io: &mut Io<'a, T>, result: usize) -> &'a mut [u8] {
        io.out_bool(result)
    }
    fn plus(self, other: u8, _: DType) -> u8 {
        self | other
    }
    fn times(self, other: u8, _: DType) -> u8 {
        self & other
    }
    fn above(self, other: u8, _: DType) -> bool {
        self > other
    }
    fn below(self, other: u8, _: DType) -> bool {
        self < other
    }
}

/// A kernel for elements of a dtype: a function generic over the float type and the element, and
/// what it is given beside the slots.
macro_rules! by_class {
    ($dtype:expr, $t:ident, $run:ident, $plan:expr) => {{
        let plan = $plan;
        match $crate::kernel::Class::of($dtype) {
            $crate::kernel::Class::Real => {
                $crate::kernel::Prepared::new(move |io| $run::<$t, $t>(io, &plan))
            }
            $crate::kernel::Class::Int => {
                $crate::kernel::Prepared::new(move |io| $run::<$t, i64>(io, &plan))
            }
            $crate::kernel::Class::Bool => {
                $crate::kernel::Prepared::new(move |io| $run::<$t, u8>(io, &plan))
            }
        }
    }};
}
pub(super) use by_class;

/// A place on an axis of this size, counted from the end where negative; none where there is no
/// such.
#[inline(always)]
pub(super) fn place(index: i64, size: usize) -> Option<usize> {
    let counted = match index < 0 {
        true => index.checked_add(i64::try_from(size).ok()?)?,
        false => index,
    };
    usize::try_from(counted).ok().filter(|at| *at < size)
}

/// What the tests of such kernels run them with.
#[cfg(test)]
pub(super) mod testing {
    use syncarp_ir::{Attrs, DType};

    use crate::kernel::{Arg, Buffer, Kernel, Spec, run_once};

    pub fn arg(dtype: DType, dims: &[usize]) -> Arg {
        Arg {
            dtype,
            dims: dims.to_vec(),
        }
    }

    /// Runs a kernel on operands and gives its results.
    pub fn run<K: Kernel>(
        operands: &[(DType, &[usize], Buffer<f64>)],
        results: &[(DType, &[usize])],
        attrs: &Attrs,
    ) -> Vec<Buffer<f64>> {
        let args: Vec<Arg> = operands
            .iter()
            .map(|(dtype, dims, _)| arg(*dtype, dims))
            .collect();
        let outs: Vec<Arg> = results
            .iter()
            .map(|(dtype, dims)| arg(*dtype, dims))
            .collect();
        let spec = Spec {
            attrs,
            operands: &args,
            results: &outs,
        };
        let buffers: Vec<Buffer<f64>> =
            operands.iter().map(|(.., buffer)| buffer.clone()).collect();
        run_once::<f64, K>(&spec, &buffers).expect("the kernel takes it")
    }

    pub fn real(values: &[f64]) -> Buffer<f64> {
        Buffer::Real(values.to_vec())
    }

    pub fn int(values: &[i64]) -> Buffer<f64> {
        Buffer::Int(values.to_vec())
    }

    #[test]
    fn places_count_from_both_ends() {
        let place = super::place;
        assert_eq!([0, 2, -1, -3].map(|i| place(i, 3)), [0, 2, 2, 0].map(Some));
        assert_eq!([3, -4, i64::MIN, i64::MAX].map(|i| place(i, 3)), [None; 4]);
        assert_eq!(place(0, 0), None);
    }
}
