//! The best elements of an axis: `top_k`. The places of the best so far lie in the result as a heap
//! whose first is the worst of them; sorting it in the end needs no more memory.

use syncarp_ir::DType;

use super::element::{Element, by_class};
use super::shape::axis;
use super::walk::strides;
use crate::kernel::{Io, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

struct TopK;

struct Plan {
    size: usize,
    k: usize,
    /// How far neighbours on the axis lie apart.
    inner: usize,
    largest: bool,
    dtype: DType,
}

impl Kernel for TopK {
    const OP: &'static str = "top_k";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (x, y) = (&spec.operands[0], &spec.results[0]);
        let axis = axis(spec, x.dims.len())?;
        let plan = Plan {
            size: x.dims[axis],
            k: y.dims.get(axis).copied().unwrap_or(0),
            inner: strides(&x.dims)[axis].unsigned_abs(),
            largest: spec.attrs.bool("largest").unwrap_or(true),
            dtype: x.dtype,
        };
        let mut want = x.dims.clone();
        want[axis] = plan.k;
        if plan.k > plan.size || want != y.dims || y.dims != spec.results[1].dims {
            let (x, y) = (&x.dims, &y.dims);
            return Err(KernelError(format!("dims {x:?} do not give {y:?}")));
        }
        fn run<T: Real, E: Element<T>>(io: &mut Io<'_, T>, plan: &Plan) {
            let dtype = plan.dtype;
            match plan.largest {
                true => best(io, plan, |a: E, b| a.above(b, dtype)),
                // NaN counts as largest here, too.
                false => best(io, plan, |a: E, b| b.above(a, dtype)),
            }
        }
        Ok(by_class!(x.dtype, T, run, plan))
    }
}

fn best<T: Real, E: Element<T>>(
    io: &mut Io<'_, T>,
    plan: &Plan,
    beats: impl Fn(E, E) -> bool + Copy,
) {
    let (x, values, places) = (E::read(io, 0), E::out(io, 0), io.out_int(1));
    if values.is_empty() {
        return;
    }
    let (inner, k) = (plan.inner, plan.k);
    let parts = values
        .chunks_exact_mut(k * inner)
        .zip(places.chunks_exact_mut(k * inner));
    for (x, (values, places)) in x.chunks_exact(plan.size * inner).zip(parts) {
        for lane in 0..inner {
            // Of equal elements the first goes first.
            let first = |a: i64, b: i64| {
                let [x, y] = [a, b].map(|place| x[place as usize * inner + lane]);
                beats(x, y) || (a < b && !beats(y, x))
            };
            let mut heap = Heap {
                places: &mut places[lane..],
                inner,
                first,
            };
            for place in 0..k {
                heap.set(place, place as i64);
            }
            for top in (0..k / 2).rev() {
                heap.sink(top, k);
            }
            for place in k..plan.size {
                let place = place as i64;
                if (heap.first)(place, heap.get(0)) {
                    heap.set(0, place);
                    heap.sink(0, k);
                }
            }
            for end in (1..k).rev() {
                let (worst, last) = (heap.get(0), heap.get(end));
                heap.set(0, last);
                heap.set(end, worst);
                heap.sink(0, end);
            }
            for at in 0..k {
                let place = heap.get(at) as usize;
                values[at * inner + lane] = x[place * inner + lane];
            }
        }
    }
}

/// Places so far apart, each no sooner in order than the two below it.
struct Heap<'a, F> {
    places: &'a mut [i64],
    inner: usize,
    first: F,
}

impl<F: Fn(i64, i64) -> bool> Heap<'_, F> {
    fn get(&self, at: usize) -> i64 {
        self.places[at * self.inner]
    }

    fn set(&mut self, at: usize, place: i64) {
        self.places[at * self.inner] = place;
    }

    /// Moves what is at `top` down to where it belongs among the first `len`.
    fn sink(&mut self, mut top: usize, len: usize) {
        loop {
            let (left, right) = (2 * top + 1, 2 * top + 2);
            let mut worst = top;
            for below in [left, right] {
                if below < len && (self.first)(self.get(worst), self.get(below)) {
                    worst = below;
                }
            }
            if worst == top {
                return;
            }
            let (here, there) = (self.get(top), self.get(worst));
            self.set(top, there);
            self.set(worst, here);
            top = worst;
        }
    }
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<TopK>()
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use super::*;
    use crate::kernel::Buffer;
    use crate::kernels::element::testing::{int, real, run};

    const I: DType = DType::I64;

    fn of(k: usize, axis: i64, largest: bool) -> Attrs {
        let attrs = Attrs::new().with("k", k as i64).with("axis", axis);
        attrs.with("largest", largest)
    }

    #[test]
    fn every_number_of_the_best_is_as_sorting_says() {
        for (size, inner) in [(1, 1), (7, 1), (16, 3), (33, 2)] {
            let x: Vec<f64> = (0..2 * size * inner)
                .map(|i| ((i * 37 + 5) % 11) as f64)
                .collect();
            for largest in [true, false] {
                for k in 0..=size {
                    let operands = [(DType::F64, &[2, size, inner][..], real(&x))];
                    let dims = [2, k, inner];
                    let results = [(DType::F64, &dims[..]), (I, &dims[..])];
                    let got = run::<TopK>(&operands, &results, &of(k, 1, largest));
                    let (mut values, mut places) =
                        (vec![0.0; 2 * k * inner], vec![0; 2 * k * inner]);
                    for part in 0..2 {
                        for lane in 0..inner {
                            let at = |i: usize| x[(part * size + i) * inner + lane];
                            let mut order: Vec<usize> = (0..size).collect();
                            let sign = if largest { -1.0 } else { 1.0 };
                            order.sort_by(|a, b| (sign * at(*a)).total_cmp(&(sign * at(*b))));
                            for (i, place) in order[..k].iter().enumerate() {
                                values[(part * k + i) * inner + lane] = at(*place);
                                places[(part * k + i) * inner + lane] = *place as i64;
                            }
                        }
                    }
                    assert_eq!(got, [real(&values), int(&places)], "{size} {inner} {k}");
                }
            }
        }
    }

    #[test]
    fn not_a_number_is_largest() {
        let x = || real(&[1.0, f64::NAN, f64::INFINITY, f64::NAN]);
        let operands = [(DType::F64, &[4][..], x())];
        let results = [(DType::F64, &[4][..]), (I, &[4][..])];
        let got = run::<TopK>(&operands, &results, &of(4, 0, true));
        assert_eq!(got[1], int(&[1, 3, 2, 0]));
        let got = run::<TopK>(&operands, &results, &of(4, 0, false));
        assert_eq!(got[1], int(&[0, 2, 1, 3]));
        assert!(matches!(&got[0], Buffer::Real(v) if v[0] == 1.0 && v[3].is_nan()));
    }

    #[test]
    fn elements_of_u64_are_never_negative() {
        let operands = [(DType::U64, &[3][..], int(&[5, -1, 7]))];
        let results = [(DType::U64, &[2][..]), (I, &[2][..])];
        let got = run::<TopK>(&operands, &results, &of(2, -1, true));
        assert_eq!(got, [int(&[-1, 7]), int(&[1, 2])]);
    }
}
