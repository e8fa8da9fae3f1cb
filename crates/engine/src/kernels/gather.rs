//! Taking slices and elements from where an index says, and the ways back: `gather`,
//! `gather_elements`, `gather_nd`.

use super::element::{Element, by_class, place};
use super::shape::axis;
use super::walk::{Walk, strides};
use crate::kernel::{Io, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

/// The sizes around an axis: of what comes before it, itself, of what comes after it.
fn split(dims: &[usize], axis: usize) -> (usize, usize, usize) {
    let before = dims[..axis].iter().product();
    let after = dims[axis + 1..].iter().product();
    (before, dims[axis], after)
}

fn wrong(message: &str) -> KernelError {
    KernelError(message.to_owned())
}

/// What `gather` and its gradient walk over: an axis of `whole` in slices of `slice` elements,
/// `count` places taken from each of `outer` parts.
struct Slices {
    outer: usize,
    size: usize,
    slice: usize,
    count: usize,
}

impl Slices {
    fn of(
        spec: &Spec<'_>,
        whole: &[usize],
        count: usize,
        taken: usize,
    ) -> Result<Self, KernelError> {
        let (outer, size, slice) = split(whole, axis(spec, whole.len())?);
        if Some(taken) != outer.checked_mul(count).and_then(|n| n.checked_mul(slice)) {
            return Err(wrong("the slices do not have the dims of what they fill"));
        }
        Ok(Slices {
            outer,
            size,
            slice,
            count,
        })
    }
}

struct Gather;

impl Kernel for Gather {
    const OP: &'static str = "gather";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let [x, index] = [&spec.operands[0], &spec.operands[1]];
        let plan = Slices::of(spec, &x.dims, index.len(), spec.results[0].len())?;
        fn run<T: Real, E: Element<T>>(io: &mut Io<'_, T>, plan: &Slices) {
            let (x, index, out) = (E::read(io, 0), io.int(1), E::out(io, 0));
            if out.is_empty() {
                return;
            }
            let mut slices = out.chunks_exact_mut(plan.slice);
            for part in 0..plan.outer {
                for (index, out) in index.iter().zip(&mut slices) {
                    match place(*index, plan.size) {
                        Some(at) => {
                            let from = (part * plan.size + at) * plan.slice;
                            out.copy_from_slice(&x[from..from + plan.slice]);
                        }
                        None => out.fill(E::NOTHING),
                    }
                }
            }
        }
        Ok(by_class!(x.dtype, T, run, plan))
    }
}

struct GatherGrad;

impl Kernel for GatherGrad {
    const OP: &'static str = "gather_grad";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let [dy, index] = [&spec.operands[0], &spec.operands[1]];
        let plan = Slices::of(spec, &spec.results[0].dims, index.len(), dy.len())?;
        Ok(Prepared::new(move |io| {
            let (dy, index, out) = (io.real(0), io.int(1), io.out(0));
            out.fill(T::ZERO);
            if dy.is_empty() || plan.count == 0 {
                return;
            }
            for (part, dy) in dy.chunks_exact(plan.count * plan.slice).enumerate() {
                for (index, dy) in index.iter().zip(dy.chunks_exact(plan.slice)) {
                    if let Some(at) = place(*index, plan.size) {
                        let to = (part * plan.size + at) * plan.slice;
                        for (out, dy) in out[to..to + plan.slice].iter_mut().zip(dy) {
                            *out += *dy;
                        }
                    }
                }
            }
        }))
    }
}

/// A walk over all places of an index, with where each lies in `whole` but for the axis, of which
/// the size and the distance of neighbours are given beside.
pub(super) struct Places {
    pub walk: Walk<1>,
    pub size: usize,
    pub step: usize,
}

impl Places {
    pub fn of(spec: &Spec<'_>, whole: &[usize], index: &[usize]) -> Result<Self, KernelError> {
        let axis = axis(spec, whole.len())?;
        let fits = |(at, (whole, index)): (usize, (&usize, &usize))| at == axis || index <= whole;
        if whole.len() != index.len() || !whole.iter().zip(index).enumerate().all(fits) {
            return Err(KernelError(format!(
                "an index of dims {index:?} does not fit into {whole:?} beside axis {axis}"
            )));
        }
        let mut own = strides(whole);
        let step = own[axis].unsigned_abs();
        own[axis] = 0;
        Ok(Places {
            walk: Walk::new(index, [&own], [0])?,
            size: whole[axis],
            step,
        })
    }

    /// Calls `visit` for every place of the index in order with where it leads, if anywhere.
    #[inline(always)]
    pub fn each(&self, index: &[i64], mut visit: impl FnMut(usize, Option<usize>)) {
        let (n, step) = (self.walk.inner, self.walk.steps[0].unsigned_abs());
        let mut at = 0;
        self.walk.rows(|[base]| {
            for (i, index) in index[at..at + n].iter().enumerate() {
                let here = base + i * step;
                let to = place(*index, self.size).map(|along| here + along * self.step);
                visit(at + i, to);
            }
            at += n;
        });
    }
}

struct GatherElements;

impl Kernel for GatherElements {
    const OP: &'static str = "gather_elements";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let [x, index] = [&spec.operands[0], &spec.operands[1]];
        if spec.results[0].dims != index.dims {
            return Err(wrong("the result must have the dims of the index"));
        }
        let plan = Places::of(spec, &x.dims, &index.dims)?;
        fn run<T: Real, E: Element<T>>(io: &mut Io<'_, T>, plan: &Places) {
            let (x, index, out) = (E::read(io, 0), io.int(1), E::out(io, 0));
            plan.each(index, |at, from| {
                out[at] = from.map_or(E::NOTHING, |from| x[from]);
            });
        }
        Ok(by_class!(x.dtype, T, run, plan))
    }
}

/// What lists of places lead to: `batches` parts of `part` elements, in each `count` lists of as
/// many places as there are `axes`, of which the size and the distance of neighbours is given, each
/// to a slice of `slice` elements.
pub(super) struct Lists {
    part: usize,
    count: usize,
    axes: Vec<(usize, usize)>,
    pub slice: usize,
}

impl Lists {
    pub fn of(
        spec: &Spec<'_>,
        whole: &[usize],
        index: &[usize],
        taken: usize,
    ) -> Result<Self, KernelError> {
        let batch = usize::try_from(spec.attrs.int("batch_dims").unwrap_or(0)).ok();
        let (batch, (depth, places)) = batch
            .zip(index.split_last())
            .filter(|(batch, (_, places))| *batch <= places.len() && *batch <= whole.len())
            .ok_or_else(|| wrong("the index has too few dims"))?;
        let end = batch.checked_add(*depth).filter(|end| *end <= whole.len());
        let end = end.ok_or_else(|| wrong("the index names more dims than there are"))?;
        let own = strides(whole);
        let axes = (batch..end)
            .map(|d| (whole[d], own[d].unsigned_abs()))
            .collect();
        let plan = Lists {
            part: whole[batch..].iter().product(),
            count: places[batch..].iter().product(),
            axes,
            slice: whole[end..].iter().product(),
        };
        let lists: usize = places.iter().product();
        if whole[..batch] != places[..batch] || lists.checked_mul(plan.slice) != Some(taken) {
            return Err(wrong("the slices do not have the dims of what they fill"));
        }
        Ok(plan)
    }

    /// Where a list leads in its part.
    #[inline(always)]
    fn within(&self, list: &[i64]) -> Option<usize> {
        let mut all = 0;
        for (index, (size, step)) in list.iter().zip(&self.axes) {
            all += place(*index, *size)? * step;
        }
        Some(all)
    }

    /// Calls `visit` for every list in order with where it leads, if anywhere.
    #[inline(always)]
    pub fn each(&self, index: &[i64], mut visit: impl FnMut(usize, Option<usize>)) {
        for (at, list) in index.chunks_exact(self.axes.len().max(1)).enumerate() {
            let base = at / self.count * self.part;
            visit(at, self.within(list).map(|within| base + within));
        }
    }
}

struct GatherNd;

impl Kernel for GatherNd {
    const OP: &'static str = "gather_nd";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let [x, index] = [&spec.operands[0], &spec.operands[1]];
        let plan = Lists::of(spec, &x.dims, &index.dims, spec.results[0].len())?;
        fn run<T: Real, E: Element<T>>(io: &mut Io<'_, T>, plan: &Lists) {
            let (x, index, out) = (E::read(io, 0), io.int(1), E::out(io, 0));
            if out.is_empty() {
                return;
            }
            plan.each(index, |at, from| {
                let out = &mut out[at * plan.slice..][..plan.slice];
                match from {
                    Some(from) => out.copy_from_slice(&x[from..from + plan.slice]),
                    None => out.fill(E::NOTHING),
                }
            });
        }
        Ok(by_class!(x.dtype, T, run, plan))
    }
}

struct GatherNdGrad;

impl Kernel for GatherNdGrad {
    const OP: &'static str = "gather_nd_grad";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let [dy, index] = [&spec.operands[0], &spec.operands[1]];
        let plan = Lists::of(spec, &spec.results[0].dims, &index.dims, dy.len())?;
        Ok(Prepared::new(move |io| {
            let (dy, index, out) = (io.real(0), io.int(1), io.out(0));
            out.fill(T::ZERO);
            if dy.is_empty() {
                return;
            }
            plan.each(index, |at, to| {
                let Some(to) = to else { return };
                let dy = &dy[at * plan.slice..][..plan.slice];
                for (out, dy) in out[to..to + plan.slice].iter_mut().zip(dy) {
                    *out += *dy;
                }
            });
        }))
    }
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Gather>()?;
    registry.register::<GatherGrad>()?;
    registry.register::<GatherElements>()?;
    registry.register::<GatherNd>()?;
    registry.register::<GatherNdGrad>()
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use super::*;
    use crate::kernel::Buffer;
    use crate::kernels::element::testing::{int, real, run};

    const F: DType = DType::F64;
    const I: DType = DType::I64;

    #[test]
    fn slices_are_taken_and_given_back() {
        let along = Attrs::new().with("axis", 1i64);
        let x = real(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let index = || (I, &[4usize][..], int(&[2, -3, 2, 7]));
        let got = run::<Gather>(&[(F, &[2, 3], x), index()], &[(F, &[2, 4])], &along);
        let got = got[0].real().unwrap();
        assert_eq!(got[..3], [3.0, 1.0, 3.0]);
        assert_eq!(got[4..7], [6.0, 4.0, 6.0]);
        assert!(got[3].is_nan() && got[7].is_nan());
        let dy = real(&[1.0, 2.0, 4.0, 8.0, 10.0, 20.0, 40.0, 80.0]);
        let got = run::<GatherGrad>(&[(F, &[2, 4], dy), index()], &[(F, &[2, 3])], &along);
        assert_eq!(got[0], real(&[2.0, 0.0, 5.0, 20.0, 0.0, 50.0]));
        let none = [(F, &[2, 0][..], real(&[])), (I, &[1][..], int(&[0]))];
        let got = run::<Gather>(&none, &[(F, &[2, 1])], &along);
        assert!(got[0].real().unwrap().iter().all(|x| x.is_nan()));
        let none = [(F, &[2, 3][..], real(&[0.0; 6])), (I, &[0][..], int(&[]))];
        assert_eq!(run::<Gather>(&none, &[(F, &[2, 0])], &along), [real(&[])]);
    }

    #[test]
    fn whole_numbers_and_truth_values_are_taken_too() {
        let along = Attrs::new().with("axis", 0i64);
        let index = || (I, &[3usize][..], int(&[1, 5, 0]));
        let whole = [(DType::U8, &[2][..], int(&[7, 8])), index()];
        assert_eq!(
            run::<Gather>(&whole, &[(DType::U8, &[3])], &along),
            [int(&[8, 0, 7])]
        );
        let truth = [(DType::Bool, &[2][..], Buffer::Bool(vec![0, 1])), index()];
        let got = run::<Gather>(&truth, &[(DType::Bool, &[3])], &along);
        assert_eq!(got, [Buffer::Bool(vec![1, 0, 0])]);
    }

    #[test]
    fn elements_are_taken_one_by_one() {
        let x: Vec<f64> = (0..12).map(f64::from).collect();
        for (axis, index, dims, want) in [
            (0i64, vec![1, 0, -1], [1usize, 3], vec![4.0, 1.0, 10.0]),
            (1, vec![3, 0, -1, 1], [2, 2], vec![3.0, 0.0, 7.0, 5.0]),
            (1, vec![], [2, 0], vec![]),
        ] {
            let operands = [(F, &[3, 4][..], real(&x)), (I, &dims[..], int(&index))];
            let attrs = Attrs::new().with("axis", axis);
            let got = run::<GatherElements>(&operands, &[(F, &dims)], &attrs);
            assert_eq!(got, [real(&want)]);
        }
    }

    #[test]
    fn lists_of_places_lead_to_slices() {
        let x: Vec<f64> = (0..12).map(f64::from).collect();
        let x = || (F, &[2usize, 3, 2][..], real(&x));
        let none = Attrs::new();
        let index = (I, &[3, 2][..], int(&[1, -1, 0, 1, 2, 0]));
        let got = run::<GatherNd>(&[x(), index], &[(F, &[3, 2])], &none);
        let got = got[0].real().unwrap();
        assert_eq!(got[..4], [10.0, 11.0, 2.0, 3.0]);
        assert!(got[4].is_nan() && got[5].is_nan());
        let batch = Attrs::new().with("batch_dims", 1i64);
        let index = || (I, &[2usize, 2, 1][..], int(&[2, 2, 0, 1]));
        let got = run::<GatherNd>(&[x(), index()], &[(F, &[2, 2, 2])], &batch);
        assert_eq!(got, [real(&[4.0, 5.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])]);
        let dy = (
            F,
            &[2, 2, 2][..],
            real(&[1.0, 2.0, 10.0, 20.0, 3.0, 4.0, 5.0, 6.0]),
        );
        let got = run::<GatherNdGrad>(&[dy, index()], &[(F, &[2, 3, 2])], &batch);
        let want = [0.0, 0.0, 0.0, 0.0, 11.0, 22.0, 3.0, 4.0, 5.0, 6.0, 0.0, 0.0];
        assert_eq!(got, [real(&want)]);
    }
}
