//! Kernels that make one element of many. The order of every sum is fixed by the shape alone.

use super::elementwise::wrapped;
use super::shape::axis;
use super::walk::{map, strides, vectorised};
use crate::kernel::{Class, Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

/// How many partial results a row has: two registers of f32, so that operations overlap.
const LANES: usize = 16;

/// How many rows are combined one after the other before the result joins the others. Sums of many
/// rows so lose no more digits than sums of this many and of their number by this.
const BLOCK: usize = 64;

/// A shape as the reduction sees it: dims of size 1 left out, neighbours that are both reduced or
/// both kept joined, and how far apart results lie (zero where reduced).
struct Plan {
    /// Size, distance in the operand, distance in the result.
    dims: Vec<(usize, usize, usize)>,
    /// The number of results.
    results: usize,
}

impl Plan {
    fn new(dims: &[usize], reduced: &[bool]) -> Self {
        let mut joined: Vec<(usize, bool)> = Vec::new();
        for (size, reduced) in dims.iter().zip(reduced).filter(|(size, _)| **size != 1) {
            match joined.last_mut() {
                Some((count, same)) if same == reduced => *count *= size,
                _ => joined.push((*size, *reduced)),
            }
        }
        let (mut operand, mut result) = (1, 1);
        let mut dims = Vec::new();
        for (size, reduced) in joined.iter().rev() {
            dims.push((*size, operand, if *reduced { 0 } else { result }));
            operand *= size;
            if !reduced {
                result *= size;
            }
        }
        dims.reverse();
        Plan { dims, results: result }
    }

    /// Where scratch memory is needed: for the results of one block of rows of the outermost
    /// reduced dim, if that has several blocks.
    fn scratch(&self) -> usize {
        let outer = self.dims.iter().position(|(_, _, result)| *result == 0);
        match outer {
            Some(at) if at + 1 < self.dims.len() && self.dims[at].0 > BLOCK => {
                self.dims[at + 1..].iter().filter(|d| d.2 > 0).map(|d| d.0).product()
            }
            _ => 0,
        }
    }
}

/// How elements are combined.
trait Combine<E>: Copy {
    /// What combines with an element to that element.
    fn neutral(self) -> E;
    /// The part of an element.
    fn part(self, x: E) -> E;
    /// Two parts in one.
    fn join(self, a: E, b: E) -> E;
}

macro_rules! combine {
    ($($(#[$meta:meta])* $name:ident: $neutral:expr, |$x:ident| $part:expr, |$a:ident, $b:ident| $join:expr;)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy)]
        struct $name;

        impl<T: Real> Combine<T> for $name {
            #[inline(always)]
            fn neutral(self) -> T {
                $neutral
            }
            #[inline(always)]
            fn part(self, $x: T) -> T {
                $part
            }
            #[inline(always)]
            fn join(self, $a: T, $b: T) -> T {
                $join
            }
        }
    )*};
}

combine! {
    Plus: T::ZERO, |x| x, |a, b| a + b;
    Squares: T::ZERO, |x| x * x, |a, b| a + b;
    Times: T::ONE, |x| x, |a, b| a * b;
    /// NaN, once there, stays.
    Larger: T::NEG_INFINITY, |x| x, |a, b| if (b > a) | b.is_nan() { b } else { a };
    /// NaN, once there, stays.
    Smaller: -T::NEG_INFINITY, |x| x, |a, b| if (b < a) | b.is_nan() { b } else { a };
}

/// A combination of integers.
#[derive(Clone, Copy)]
struct Whole {
    neutral: i64,
    join: fn(i64, i64) -> i64,
}

impl Combine<i64> for Whole {
    fn neutral(self) -> i64 {
        self.neutral
    }
    fn part(self, x: i64) -> i64 {
        x
    }
    fn join(self, a: i64, b: i64) -> i64 {
        (self.join)(a, b)
    }
}

/// All elements of a row combined: in lanes, and a long row in halves.
#[inline(always)]
fn row<E: Copy, C: Combine<E>>(x: &[E], c: C) -> E {
    let mut lanes = [c.neutral(); LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    if chunks.len() <= BLOCK {
        for chunk in chunks {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane = c.join(*lane, c.part(*x));
            }
        }
    } else {
        for block in chunks.chunks(BLOCK) {
            let mut part = [c.neutral(); LANES];
            for chunk in block {
                for (lane, x) in part.iter_mut().zip(chunk) {
                    *lane = c.join(*lane, c.part(*x));
                }
            }
            for (lane, part) in lanes.iter_mut().zip(part) {
                *lane = c.join(*lane, part);
            }
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane = c.join(*lane, c.part(*x));
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = c.join(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

vectorised! {
    /// Rows of one length combined to one element each.
    fn rows[E: Copy](x: &[E], length: usize, out: &mut [E], c: C) where [C: Combine<E>] {
        for (x, out) in x.chunks_exact(length).zip(out) {
            *out = c.join(*out, row(x, c));
        }
    }
}

vectorised! {
    /// Rows one after the other combined to one row.
    fn columns[E: Copy](x: &[E], out: &mut [E], c: C) where [C: Combine<E>] {
        let length = out.len();
        let mut quads = x.chunks_exact(4 * length);
        for quad in &mut quads {
            let (ab, cd) = quad.split_at(2 * length);
            let ((a, b), (d, e)) = (ab.split_at(length), cd.split_at(length));
            for ((((out, a), b), d), e) in out.iter_mut().zip(a).zip(b).zip(d).zip(e) {
                let left = c.join(c.part(*a), c.part(*b));
                let right = c.join(c.part(*d), c.part(*e));
                *out = c.join(*out, c.join(left, right));
            }
        }
        for x in quads.remainder().chunks_exact(length) {
            for (out, x) in out.iter_mut().zip(x) {
                *out = c.join(*out, c.part(*x));
            }
        }
    }
}

/// Combines `x`, which has the given dims, into the results.
fn combine<E: Copy, C: Combine<E>>(
    dims: &[(usize, usize, usize)],
    x: &[E],
    out: &mut [E],
    c: C,
) {
    match dims {
        [] => out[0] = c.join(out[0], c.part(x[0])),
        [(_, _, 0)] => rows(x, x.len(), out, c),
        [(_, _, _)] => columns(x, out, c),
        [(_, _, result), (length, _, 0)] if *result > 0 => rows(x, *length, out, c),
        [(_, _, 0), (_, _, result)] if *result > 0 => columns(x, out, c),
        [(_, operand, result), rest @ ..] => {
            let width = if *result > 0 { *result } else { out.len() };
            for (i, x) in x.chunks_exact(*operand).enumerate() {
                let at = i * result;
                combine(rest, x, &mut out[at..at + width], c);
            }
        }
    }
}

/// Combines `x` into the results, the outermost reduced dim block by block.
fn reduce<E: Copy, C: Combine<E>>(plan: &Plan, x: &[E], out: &mut [E], part: &mut [E], c: C) {
    out.fill(c.neutral());
    if x.is_empty() {
        return;
    }
    match plan.dims[..] {
        // A leading kept dim: each of its places is a reduction of its own.
        [(_, operand, result), ref rest @ ..] if result > 0 && !part.is_empty() => {
            for (x, out) in x.chunks_exact(operand).zip(out.chunks_exact_mut(result)) {
                blocks(rest, x, out, part, c);
            }
        }
        ref dims if !part.is_empty() => blocks(dims, x, out, part, c),
        ref dims => combine(dims, x, out, c),
    }
}

fn blocks<E: Copy, C: Combine<E>>(
    dims: &[(usize, usize, usize)],
    x: &[E],
    out: &mut [E],
    part: &mut [E],
    c: C,
) {
    let [(_, operand, _), ..] = dims else {
        return;
    };
    let part = &mut part[..out.len()];
    for x in x.chunks(BLOCK * operand) {
        part.fill(c.neutral());
        combine(dims, x, part, c);
        for (out, part) in out.iter_mut().zip(&*part) {
            *out = c.join(*out, *part);
        }
    }
}

/// Which dims of operand 0 the attribute `axes` names; all where it is left out.
fn reduced(spec: &Spec<'_>) -> Result<Vec<bool>, KernelError> {
    let rank = spec.operands[0].dims.len();
    let Some(axes) = spec.attrs.ints("axes") else {
        return Ok(vec![true; rank]);
    };
    let mut marks = vec![false; rank];
    for axis in axes {
        let axis = syncarp_ir::normalize_axis(*axis, rank).map_err(|e| KernelError(e.message))?;
        marks[axis] = true;
    }
    Ok(marks)
}

/// The plan of a reduction whose result has as many elements as dims that stay say.
fn planned(spec: &Spec<'_>, reduced: &[bool]) -> Result<Plan, KernelError> {
    let (x, y) = (&spec.operands[0], &spec.results[0]);
    let plan = Plan::new(&x.dims, reduced);
    if plan.results != y.len() {
        let (x, y) = (&x.dims, &y.dims);
        return Err(KernelError(format!("dims {x:?} do not reduce to {y:?}")));
    }
    Ok(plan)
}

/// A kernel that reduces floats with `c`, then maps results with `finish`; integers with `whole`.
fn reduction<T: Real, C: Combine<T> + Send + Sync + 'static>(
    spec: &Spec<'_>,
    reduced: &[bool],
    c: C,
    whole: Option<Whole>,
    divisor: Option<T>,
) -> Result<Prepared<T>, KernelError> {
    let plan = planned(spec, reduced)?;
    let dtype = spec.results[0].dtype;
    match (Class::of(dtype), whole) {
        (Class::Real, _) => {
            Ok(Prepared::with_scratch(plan.scratch(), move |io| {
                let part = if plan.scratch() > 0 { io.scratch() } else { &mut [] };
                let out = io.out(0);
                reduce(&plan, io.real(0), out, part, c);
                if let Some(divisor) = divisor {
                    out.iter_mut().for_each(|y| *y /= divisor);
                }
            }))
        }
        // Integers wrap and lose no digits, so no blocks are needed.
        (Class::Int, Some(whole)) => Ok(Prepared::new(move |io| {
            let out = io.out_int(0);
            reduce(&plan, io.int(0), out, &mut [], whole);
            out.iter_mut().for_each(|y| *y = wrapped(dtype, *y));
        })),
        _ => Err(KernelError(format!("no kernel for {dtype}"))),
    }
}

macro_rules! fold {
    ($($name:ident = $op:literal, $combine:expr, $neutral:expr, $join:expr;)*) => {$(
        struct $name;

        impl Kernel for $name {
            const OP: &'static str = $op;

            fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
                let whole = Whole { neutral: $neutral, join: $join };
                reduction(spec, &reduced(spec)?, $combine, Some(whole), None)
            }
        }
    )*};
}

fold! {
    Sum = "sum", Plus, 0, i64::wrapping_add;
    Prod = "prod", Times, 1, i64::wrapping_mul;
    ReduceMax = "reduce_max", Larger, i64::MIN, i64::max;
    ReduceMin = "reduce_min", Smaller, i64::MAX, i64::min;
}

/// The number of elements that make one result.
fn counted(dims: &[usize], reduced: &[bool]) -> f64 {
    dims.iter().zip(reduced).filter(|(_, r)| **r).map(|(d, _)| *d as f64).product()
}

struct Mean;

impl Kernel for Mean {
    const OP: &'static str = "mean";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let reduced = reduced(spec)?;
        let count = T::from_f64(counted(&spec.operands[0].dims, &reduced));
        reduction(spec, &reduced, Plus, None, Some(count))
    }
}

struct Count;

impl Kernel for Count {
    const OP: &'static str = "count";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let count = T::from_f64(counted(&spec.operands[0].dims, &reduced(spec)?));
        Ok(Prepared::new(move |io| io.out(0)[0] = count))
    }
}

struct SumSquares;

impl Kernel for SumSquares {
    const OP: &'static str = "sum_squares";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let all = vec![true; spec.operands[0].dims.len()];
        reduction(spec, &all, Squares, None, None)
    }
}

struct SumTo;

impl Kernel for SumTo {
    const OP: &'static str = "sum_to";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (x, y) = (&spec.operands[0].dims, &spec.results[0].dims);
        let wrong = || KernelError(format!("dims {x:?} do not sum to {y:?}"));
        let missing = x.len().checked_sub(y.len()).ok_or_else(wrong)?;
        let mut marks = vec![true; missing];
        for (x, y) in x[missing..].iter().zip(y) {
            if x != y && *y != 1 {
                return Err(wrong());
            }
            marks.push(x != y);
        }
        let whole = Whole { neutral: 0, join: i64::wrapping_add };
        reduction(spec, &marks, Plus, Some(whole), None)
    }
}

struct ProdGrad;

impl Kernel for ProdGrad {
    const OP: &'static str = "prod_grad";

    /// Every element gets the product of those before it, then times that of those after it.
    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let plan = Plan::new(&spec.operands[0].dims, &reduced(spec)?);
        if plan.results != spec.operands[1].len() {
            return Err(KernelError("dy does not have the dims of the product".to_owned()));
        }
        let dims = plan.dims;
        let place = move |mut flat: usize| {
            let mut place = 0;
            for (_, operand, result) in &dims {
                place += flat / operand * result;
                flat %= operand;
            }
            place
        };
        Ok(Prepared::with_scratch(plan.results, move |io| {
            let (x, dy, dx) = (io.real(0), io.real(1), io.out(0));
            let running = io.scratch();
            running.fill(T::ONE);
            for (i, (x, dx)) in x.iter().zip(dx.iter_mut()).enumerate() {
                let product = &mut running[place(i)];
                *dx = *product;
                *product *= *x;
            }
            running[..dy.len()].copy_from_slice(dy);
            for (i, (x, dx)) in x.iter().zip(dx.iter_mut()).enumerate().rev() {
                let product = &mut running[place(i)];
                *dx *= *product;
                *product *= *x;
            }
        }))
    }
}

/// An axis with what stands before and after it: the numbers of places around and within.
fn around(spec: &Spec<'_>) -> Result<(usize, usize), KernelError> {
    let dims = &spec.operands[0].dims;
    let axis = axis(spec, dims.len())?;
    Ok((dims[axis], strides(dims)[axis].unsigned_abs()))
}

struct Argmax;

impl Kernel for Argmax {
    const OP: &'static str = "argmax";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        fn search<E: Copy>(
            x: &[E],
            (size, inner): (usize, usize),
            out: &mut [i64],
            beats: impl Fn(E, E) -> bool,
        ) {
            if x.is_empty() {
                out.fill(0);
                return;
            }
            for (x, out) in x.chunks_exact(size * inner).zip(out.chunks_exact_mut(inner)) {
                for (at, out) in out.iter_mut().enumerate() {
                    let mut best = 0;
                    for i in 1..size {
                        if beats(x[i * inner + at], x[best * inner + at]) {
                            best = i;
                        }
                    }
                    *out = best as i64;
                }
            }
        }
        let around = around(spec)?;
        match Class::of(spec.operands[0].dtype) {
            Class::Real => Ok(Prepared::new(move |io| {
                // The first NaN beats numbers, and nothing beats it.
                let beats = |a: T, b: T| a > b || (a.is_nan() && !b.is_nan());
                search(io.real(0), around, io.out_int(0), beats);
            })),
            Class::Int => Ok(Prepared::new(move |io| {
                search(io.int(0), around, io.out_int(0), |a, b| a > b);
            })),
            Class::Bool => Err(KernelError("no kernel for bool".to_owned())),
        }
    }
}

struct Cumsum;

impl Kernel for Cumsum {
    const OP: &'static str = "cumsum";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        fn sums<E: Copy>(
            x: &[E],
            (size, inner): (usize, usize),
            reverse: bool,
            out: &mut [E],
            add: impl Fn(E, E) -> E,
        ) {
            if x.is_empty() {
                return;
            }
            let slab = size * inner;
            for (x, out) in x.chunks_exact(slab).zip(out.chunks_exact_mut(slab)) {
                let first = if reverse { slab - inner } else { 0 };
                out[first..first + inner].copy_from_slice(&x[first..first + inner]);
                for step in 1..size {
                    let row = if reverse { size - 1 - step } else { step } * inner;
                    let before = if reverse { row + inner } else { row - inner };
                    for i in 0..inner {
                        out[row + i] = add(out[before + i], x[row + i]);
                    }
                }
            }
        }
        let around = around(spec)?;
        let reverse = spec.attrs.bool("reverse").unwrap_or(false);
        let dtype = spec.results[0].dtype;
        match Class::of(dtype) {
            Class::Real => Ok(Prepared::new(move |io| {
                sums(io.real(0), around, reverse, io.out(0), |a, b| a + b);
            })),
            Class::Int => Ok(Prepared::new(move |io| {
                let add = |a: i64, b: i64| wrapped(dtype, a.wrapping_add(b));
                sums(io.int(0), around, reverse, io.out_int(0), add);
            })),
            Class::Bool => Err(KernelError("no kernel for bool".to_owned())),
        }
    }
}

pub(super) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Sum>()?;
    registry.register::<Prod>()?;
    registry.register::<ReduceMax>()?;
    registry.register::<ReduceMin>()?;
    registry.register::<Mean>()?;
    registry.register::<Count>()?;
    registry.register::<SumSquares>()?;
    registry.register::<SumTo>()?;
    registry.register::<ProdGrad>()?;
    registry.register::<Argmax>()?;
    registry.register::<Cumsum>()
}
