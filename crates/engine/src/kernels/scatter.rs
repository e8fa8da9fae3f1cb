//! Putting elements and slices where an index says: `scatter_elements`, `scatter_nd`.

use syncarp_ir::DType;

use super::element::{Element, by_class};
use super::gather::{Lists, Places};
use crate::kernel::{Io, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

/// What becomes of an element that is there.
#[derive(Clone, Copy)]
enum Reduction {
    None,
    Add,
    Mul,
    Max,
    Min,
}

impl Reduction {
    fn of(spec: &Spec<'_>) -> Result<Self, KernelError> {
        Ok(match spec.attrs.str("reduction").map_or("none", |r| &**r) {
            "none" => Reduction::None,
            "add" => Reduction::Add,
            "mul" => Reduction::Mul,
            "max" => Reduction::Max,
            "min" => Reduction::Min,
            other => return Err(KernelError(format!("no reduction is called {other:?}"))),
        })
    }
}

/// What an index leads to.
trait Leads {
    /// Calls `visit` for every update in order with where it goes, if anywhere.
    fn each(&self, index: &[i64], visit: impl FnMut(usize, Option<usize>));
    /// How many elements an update has.
    fn slice(&self) -> usize;
}

impl Leads for Places {
    #[inline(always)]
    fn each(&self, index: &[i64], visit: impl FnMut(usize, Option<usize>)) {
        Places::each(self, index, visit);
    }
    #[inline(always)]
    fn slice(&self) -> usize {
        1
    }
}

impl Leads for Lists {
    #[inline(always)]
    fn each(&self, index: &[i64], visit: impl FnMut(usize, Option<usize>)) {
        Lists::each(self, index, visit);
    }
    #[inline(always)]
    fn slice(&self) -> usize {
        self.slice
    }
}

struct Plan<P> {
    reduction: Reduction,
    dtype: DType,
    places: P,
}

/// Copies operand 0, then joins each update with what is there.
#[inline(always)]
fn put<T: Real, E: Element<T>, P: Leads>(
    io: &mut Io<'_, T>,
    plan: &Plan<P>,
    join: impl Fn(E, E) -> E,
) {
    let (x, index, updates) = (E::read(io, 0), io.int(1), E::read(io, 2));
    let out = E::out(io, 0);
    out.copy_from_slice(x);
    if updates.is_empty() {
        return;
    }
    let slice = plan.places.slice();
    plan.places.each(index, |at, to| {
        let Some(to) = to else { return };
        let new = &updates[at * slice..][..slice];
        for (out, new) in out[to..to + slice].iter_mut().zip(new) {
            *out = join(*out, *new);
        }
    });
}

fn scatter<T: Real, E: Element<T>, P: Leads>(io: &mut Io<'_, T>, plan: &Plan<P>) {
    let dtype = plan.dtype;
    match plan.reduction {
        Reduction::None => put(io, plan, |_: E, new| new),
        Reduction::Add => put(io, plan, |old: E, new| old.plus(new, dtype)),
        Reduction::Mul => put(io, plan, |old: E, new| old.times(new, dtype)),
        Reduction::Max => put(
            io,
            plan,
            |old: E, new| {
                if new.above(old, dtype) { new } else { old }
            },
        ),
        Reduction::Min => put(
            io,
            plan,
            |old: E, new| {
                if new.below(old, dtype) { new } else { old }
            },
        ),
    }
}

struct ScatterElements;

impl Kernel for ScatterElements {
    const OP: &'static str = "scatter_elements";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let [x, index, updates] = [&spec.operands[0], &spec.operands[1], &spec.operands[2]];
        if updates.dims != index.dims || spec.results[0].dims != x.dims {
            let message = "updates must have the dims of the index";
            return Err(KernelError(message.to_owned()));
        }
        let plan = Plan {
            reduction: Reduction::of(spec)?,
            dtype: x.dtype,
            places: Places::of(spec, &x.dims, &index.dims)?,
        };
        fn run<T: Real, E: Element<T>>(io: &mut Io<'_, T>, plan: &Plan<Places>) {
            scatter::<T, E, Places>(io, plan);
        }
        Ok(by_class!(x.dtype, T, run, plan))
    }
}

struct ScatterNd;

impl Kernel for ScatterNd {
    const OP: &'static str = "scatter_nd";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let [x, index, updates] = [&spec.operands[0], &spec.operands[1], &spec.operands[2]];
        let plan = Plan {
            reduction: Reduction::of(spec)?,
            dtype: x.dtype,
            places: Lists::of(spec, &x.dims, &index.dims, updates.len())?,
        };
        fn run<T: Real, E: Element<T>>(io: &mut Io<'_, T>, plan: &Plan<Lists>) {
            scatter::<T, E, Lists>(io, plan);
        }
        Ok(by_class!(x.dtype, T, run, plan))
    }
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<ScatterElements>()?;
    registry.register::<ScatterNd>()
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use super::*;
    use crate::kernel::Buffer;
    use crate::kernels::element::testing::{int, real, run};

    const F: DType = DType::F64;
    const I: DType = DType::I64;

    fn with(reduction: &str) -> Attrs {
        Attrs::new().with("axis", 0i64).with("reduction", reduction)
    }

    #[test]
    fn updates_are_joined_in_order() {
        for (reduction, want) in [
            ("none", [5.0, 2.0, 4.0]),
            ("add", [6.0, 2.0, 10.0]),
            ("mul", [5.0, 2.0, 36.0]),
            ("max", [5.0, 2.0, 4.0]),
            ("min", [1.0, 2.0, 3.0]),
        ] {
            let operands = [
                (F, &[3][..], real(&[1.0, 2.0, 3.0])),
                (I, &[4][..], int(&[2, -3, -1, 3])),
                (F, &[4][..], real(&[3.0, 5.0, 4.0, 9.0])),
            ];
            let got = run::<ScatterElements>(&operands, &[(F, &[3])], &with(reduction));
            assert_eq!(got, [real(&want)], "{reduction}");
        }
    }

    #[test]
    fn not_a_number_stays_once_there() {
        for reduction in ["max", "min"] {
            let operands = [
                (F, &[2][..], real(&[1.0, f64::NAN])),
                (I, &[3][..], int(&[0, 0, 1])),
                (F, &[3][..], real(&[f64::NAN, 7.0, 7.0])),
            ];
            let got = run::<ScatterElements>(&operands, &[(F, &[2])], &with(reduction));
            assert!(got[0].real().unwrap().iter().all(|x| x.is_nan()));
        }
    }

    #[test]
    fn whole_numbers_wrap_and_truth_values_are_joined() {
        let small = DType::U8;
        let operands = [
            (small, &[2][..], int(&[250, 3])),
            (I, &[2][..], int(&[0, 1])),
            (small, &[2][..], int(&[10, 100])),
        ];
        let got = run::<ScatterElements>(&operands, &[(small, &[2])], &with("add"));
        assert_eq!(got, [int(&[4, 103])]);
        let got = run::<ScatterElements>(&operands, &[(small, &[2])], &with("mul"));
        assert_eq!(got, [int(&[196, 44])]);
        let long = DType::U64;
        let operands = [
            (long, &[1][..], int(&[-1])),
            (I, &[1][..], int(&[0])),
            (long, &[1][..], int(&[5])),
        ];
        let got = run::<ScatterElements>(&operands, &[(long, &[1])], &with("max"));
        assert_eq!(got, [int(&[-1])]);
        let operands = [
            (DType::Bool, &[2][..], Buffer::Bool(vec![0, 1])),
            (I, &[2][..], int(&[0, 1])),
            (DType::Bool, &[2][..], Buffer::Bool(vec![1, 0])),
        ];
        let got = run::<ScatterElements>(&operands, &[(DType::Bool, &[2])], &with("add"));
        assert_eq!(got, [Buffer::Bool(vec![1, 1])]);
        let got = run::<ScatterElements>(&operands, &[(DType::Bool, &[2])], &with("min"));
        assert_eq!(got, [Buffer::Bool(vec![0, 0])]);
    }

    #[test]
    fn slices_go_where_lists_say() {
        let operands = [
            (F, &[3, 2][..], real(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
            (I, &[3, 1][..], int(&[-1, 0, 3])),
            (F, &[3, 2][..], real(&[10.0, 20.0, 30.0, 40.0, 50.0, 60.0])),
        ];
        let got = run::<ScatterNd>(&operands, &[(F, &[3, 2])], &Attrs::new());
        assert_eq!(got, [real(&[30.0, 40.0, 3.0, 4.0, 10.0, 20.0])]);
        let none = [
            (F, &[1, 0][..], real(&[])),
            (I, &[2, 1][..], int(&[0, 0])),
            (F, &[2, 0][..], real(&[])),
        ];
        let got = run::<ScatterNd>(&none, &[(F, &[1, 0])], &Attrs::new());
        assert_eq!(got, [real(&[])]);
    }
}
