//! How many elements become one: rows in lanes, columns row by row, long sums in blocks. The order
//! is fixed by the shape alone.

use super::walk::vectorised;
use crate::real::Real;

/// How many partial results a row has: two registers of f32, so that operations overlap.
const LANES: usize = 16;

/// How many rows are combined one after the other; blocks of so many are joined two by two, so that
/// long sums lose hardly more digits than those of one block.
const BLOCK: usize = 64;

/// A shape as the reduction sees it: dims of size 1 left out, neighbours that are both reduced or
/// both kept joined, and how far apart results lie (zero where reduced).
pub(super) struct Plan {
    /// Size, distance in the operand, distance in the result.
    pub dims: Vec<(usize, usize, usize)>,
    /// The number of results.
    pub results: usize,
}

impl Plan {
    pub fn new(dims: &[usize], reduced: &[bool]) -> Self {
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
        Plan {
            dims,
            results: result,
        }
    }

    /// The scratch memory for joining blocks of rows of the outermost reduced dim, if there are
    /// several: the results of a block, and those of each power of two of blocks.
    pub fn scratch(&self) -> usize {
        let outer = self.dims.iter().position(|(_, _, result)| *result == 0);
        match outer {
            Some(at) if at + 1 < self.dims.len() && self.dims[at].0 > BLOCK => {
                let kept = self.dims[at + 1..].iter().filter(|d| d.2 > 0);
                let levels = self.dims[at].0.div_ceil(BLOCK).ilog2() as usize + 1;
                kept.map(|d| d.0).product::<usize>() * (levels + 1)
            }
            _ => 0,
        }
    }
}

/// How elements are combined.
pub(super) trait Combine<E>: Copy {
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
        pub(super) struct $name;

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
pub(super) struct Whole {
    pub neutral: i64,
    pub join: fn(i64, i64) -> i64,
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

/// Some lines of lanes combined, in registers.
#[inline(always)]
fn lines<E: Copy, C: Combine<E>>(lines: &[[E; LANES]], c: C) -> [E; LANES] {
    let mut lanes = [c.neutral(); LANES];
    for line in lines {
        for (lane, x) in lanes.iter_mut().zip(line) {
            *lane = c.join(*lane, c.part(*x));
        }
    }
    lanes
}

/// All elements of a row combined: in lanes, and a long row in halves.
#[inline(always)]
fn row<E: Copy, C: Combine<E>>(x: &[E], c: C) -> E {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes;
    if chunks.len() <= BLOCK {
        lanes = lines(chunks, c);
    } else {
        lanes = [c.neutral(); LANES];
        // Blocks are joined like the digits of a binary counter: level l holds 2^l blocks.
        let mut levels = [lanes; usize::BITS as usize];
        let blocks = chunks.chunks(BLOCK);
        let count = blocks.len();
        for (index, block) in blocks.enumerate() {
            let mut part = lines(block, c);
            let full = index.trailing_ones() as usize;
            for level in &levels[..full] {
                for (part, lane) in part.iter_mut().zip(level) {
                    *part = c.join(*lane, *part);
                }
            }
            levels[full] = part;
        }
        for (level, parts) in levels.iter().enumerate() {
            if count >> level & 1 == 1 {
                for (lane, part) in lanes.iter_mut().zip(parts) {
                    *lane = c.join(*part, *lane);
                }
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
fn combine<E: Copy, C: Combine<E>>(dims: &[(usize, usize, usize)], x: &[E], out: &mut [E], c: C) {
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
pub(super) fn reduce<E: Copy, C: Combine<E>>(
    plan: &Plan,
    x: &[E],
    out: &mut [E],
    part: &mut [E],
    c: C,
) {
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
    // Joined like the digits of a binary counter: level l holds 2^l blocks.
    let width = out.len();
    let (part, levels) = part.split_at_mut(width);
    let blocks = x.chunks(BLOCK * operand);
    let count = blocks.len();
    for (index, x) in blocks.enumerate() {
        part.fill(c.neutral());
        combine(dims, x, part, c);
        let full = index.trailing_ones() as usize;
        for level in levels.chunks_exact(width).take(full) {
            for (part, level) in part.iter_mut().zip(level) {
                *part = c.join(*level, *part);
            }
        }
        levels[full * width..][..width].copy_from_slice(part);
    }
    for (level, parts) in levels.chunks_exact(width).enumerate() {
        if count.checked_shr(level as u32).unwrap_or(0) & 1 == 1 {
            for (out, part) in out.iter_mut().zip(parts) {
                *out = c.join(*part, *out);
            }
        }
    }
}
