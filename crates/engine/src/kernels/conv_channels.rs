//! Convolutions with channels in the lanes of vectors: a tile is some pixels by some channels of the
//! result, and its sums stay in registers from the first term to the last.
//!
//! Every element of a result is summed in one order, which depends on nothing but the shapes, and
//! multiplications and additions stay apart, so that processors of different width agree.

use std::ops::Range;

use super::slide::{Phase, Slide};
use super::tile::{self, NARROW, ROWS, WIDE};
use super::vector::wide;
use crate::real::Real;

/// How a weight lies in memory, as distances between groups, between channels of the result and
/// between channels that are summed over; taps follow one another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WeightLayout {
    pub group: usize,
    pub out: usize,
    pub term: usize,
}

impl WeightLayout {
    /// The layout for the gradient to the image, which sums over the other channels.
    pub(crate) fn transposed(self) -> WeightLayout {
        WeightLayout {
            group: self.group,
            out: self.term,
            term: self.out,
        }
    }
}

/// The number of blocks that channels make, and their width.
fn blocks<T>(channels: usize) -> (usize, usize) {
    let width = tile::width::<T>(channels);
    (channels.div_ceil(width), width)
}

/// How many pixels are summed before they are written: a multiple of the rows of a tile.
const STAGE: usize = 4 * ROWS;

/// A phase's tables for a number of channels that are summed over.
struct Table {
    pixels: Vec<usize>,
    /// As many as `pixels`, and some more so that tiles are whole.
    bases: Vec<usize>,
    /// The place of every term behind a base, channel after channel.
    offsets: Vec<usize>,
    taps: Vec<usize>,
}

impl Table {
    fn new(phase: &Phase, channels: usize, plane: usize) -> Table {
        let mut bases = phase.bases.clone();
        let last = bases.last().copied();
        bases.resize(bases.len().next_multiple_of(ROWS), last.unwrap_or(0));
        let offsets = (0..channels).flat_map(|c| phase.offsets.iter().map(move |o| c * plane + o));
        Table {
            pixels: phase.pixels.clone(),
            bases,
            offsets: offsets.collect(),
            taps: phase.taps.clone(),
        }
    }
}

/// A sum over channels and taps for every channel and pixel of a result.
pub(crate) struct Sums {
    slide: Slide,
    tables: Vec<Table>,
    groups: usize,
    /// Channels of a group that are summed over.
    terms: usize,
    /// Channels of a group of the result.
    outs: usize,
    weight: WeightLayout,
    /// The elements of a plane of the result.
    result: usize,
}

impl Sums {
    pub(crate) fn new(
        slide: Slide,
        groups: usize,
        terms: usize,
        outs: usize,
        weight: WeightLayout,
        result: usize,
    ) -> Sums {
        let plane = slide.plane();
        let phases = slide.phases.iter();
        let tables = phases.map(|p| Table::new(p, terms, plane)).collect();
        Sums {
            slide,
            tables,
            groups,
            terms,
            outs,
            weight,
            result,
        }
    }

    /// The floats of a padded image.
    fn padded(&self) -> usize {
        self.groups * self.terms * self.slide.plane()
    }

    /// The floats of scratch that a run takes.
    pub(crate) fn scratch<T>(&self) -> usize {
        let (blocks, width) = blocks::<T>(self.outs);
        let terms: usize = self.tables.iter().map(|t| t.offsets.len()).sum();
        self.padded() + self.groups * blocks * width * terms
    }

    /// Writes the sums over all images of a batch, each started at the bias where there is one.
    pub(crate) fn run<T: Real>(
        &self,
        source: &[T],
        weight: &[T],
        bias: Option<&[T]>,
        result: &mut [T],
        scratch: &mut [T],
    ) {
        match blocks::<T>(self.outs).1 {
            WIDE => self.run_wide::<T, WIDE>(source, weight, bias, result, scratch),
            _ => self.run_wide::<T, NARROW>(source, weight, bias, result, scratch),
        }
    }

    fn run_wide<T: Real, const N: usize>(
        &self,
        source: &[T],
        weight: &[T],
        bias: Option<&[T]>,
        result: &mut [T],
        scratch: &mut [T],
    ) {
        let image = self.groups * self.terms * self.slide.source();
        let out = self.groups * self.outs * self.result;
        if out == 0 || result.is_empty() {
            return;
        }
        let (padded, panels) = scratch.split_at_mut(self.padded());
        padded.fill(T::ZERO);
        self.pack::<T, N>(weight, panels);
        let zeros = [T::ZERO; N];
        for (at, result) in result.chunks_exact_mut(out).enumerate() {
            self.slide.pad(&source[at * image..][..image], padded);
            let mut packed = 0;
            for group in 0..self.groups {
                let plane = self.terms * self.slide.plane();
                let source = &padded[group * plane..][..plane];
                for block in self.blocks::<N>(group) {
                    let mut start = zeros;
                    if let Some(bias) = bias {
                        start[..block.len()].copy_from_slice(&bias[block.clone()]);
                    }
                    let result = &mut result[block.start * self.result..];
                    let result = &mut result[..block.len() * self.result];
                    for table in &self.tables {
                        let panel = &panels[packed..][..table.offsets.len() * N];
                        packed += panel.len();
                        sweep::<T, N>(source, table, panel, &start, result, self.result);
                    }
                }
            }
        }
    }

    /// The blocks of channels of the result in a group.
    fn blocks<const N: usize>(&self, group: usize) -> impl Iterator<Item = Range<usize>> + use<N> {
        let (first, end) = (group * self.outs, (group + 1) * self.outs);
        (first..end)
            .step_by(N)
            .map(move |start| start..(start + N).min(end))
    }

    /// Packs the weight as the sums take it: by group, block, phase, channel and tap, one row of
    /// the block's channels each, with zeros in channels that are missing.
    fn pack<T: Real, const N: usize>(&self, weight: &[T], panels: &mut [T]) {
        let (mut rows, _) = panels.as_chunks_mut::<N>();
        for group in 0..self.groups {
            let weight = &weight[group * self.weight.group..];
            for block in self.blocks::<N>(group) {
                let first = block.start - group * self.outs;
                for table in &self.tables {
                    let (panel, rest) = rows.split_at_mut(table.offsets.len());
                    rows = rest;
                    let taps = table.taps.len();
                    for (term, rows) in panel.chunks_exact_mut(taps.max(1)).enumerate() {
                        for (tap, row) in table.taps.iter().zip(rows) {
                            let at = term * self.weight.term + tap;
                            let (there, missing) = row.split_at_mut(block.len());
                            for (j, w) in there.iter_mut().enumerate() {
                                *w = weight[at + (first + j) * self.weight.out];
                            }
                            missing.fill(T::ZERO);
                        }
                    }
                }
            }
        }
    }
}

wide! {
    /// The sums of one block of channels over the pixels of one phase.
    fn sweep<T: Real, const N: usize>(
        source: &[T],
        table: &Table,
        panel: &[T],
        start: &[T; N],
        result: &mut [T],
        plane: usize,
    ) {
        let offsets = &table.offsets[..panel.len() / N];
        // Planes of some sizes put a pixel's channels all in one set of the cache, so channels are
        // written some pixels at a time.
        let mut staged = [[T::ZERO; N]; STAGE];
        for (bases, pixels) in table.bases.chunks(STAGE).zip(table.pixels.chunks(STAGE)) {
            let (tiles, _) = bases.as_chunks::<ROWS>();
            for (bases, staged) in tiles.iter().zip(staged.chunks_exact_mut(ROWS)) {
                // SAFETY: the slide's planes are large enough for every base and offset of its
                // phases, and there are as many offsets as rows in the panel.
                let sums = unsafe {
                    tile::tile::<T, N>(source, *bases, |k| *offsets.get_unchecked(k), panel)
                };
                staged.copy_from_slice(&sums);
            }
            let (first, last) = (pixels[0], pixels[pixels.len() - 1]);
            let channels = result.chunks_exact_mut(plane).zip(start).enumerate();
            if last - first + 1 == pixels.len() {
                for (j, (out, start)) in channels {
                    for (out, sums) in out[first..=last].iter_mut().zip(&staged) {
                        *out = *start + sums[j];
                    }
                }
            } else {
                for (j, (out, start)) in channels {
                    for (pixel, sums) in pixels.iter().zip(&staged) {
                        out[*pixel] = *start + sums[j];
                    }
                }
            }
        }
    }
}

/// How many pixels are packed at once for the gradient to a weight.
const CHUNK: usize = 256;

/// The gradient to a weight: a sum over images and pixels for every channel of the result, channel
/// of the image and tap.
pub(crate) struct WeightSums {
    slide: Slide,
    bases: Vec<usize>,
    /// The pixels of the result and their places in the padded image.
    pixels: Vec<usize>,
    groups: usize,
    terms: usize,
    outs: usize,
    result: usize,
}

impl WeightSums {
    pub(crate) fn new(
        slide: Slide,
        groups: usize,
        terms: usize,
        outs: usize,
        result: usize,
    ) -> WeightSums {
        let plane = slide.plane();
        let (mut bases, mut pixels) = (Vec::new(), Vec::new());
        for phase in &slide.phases {
            let table = Table::new(phase, terms, plane);
            bases = table.offsets;
            pixels = phase.bases.clone();
        }
        bases.resize(bases.len().next_multiple_of(ROWS), 0);
        WeightSums {
            slide,
            bases,
            pixels,
            groups,
            terms,
            outs,
            result,
        }
    }

    fn padded(&self) -> usize {
        self.groups * self.terms * self.slide.plane()
    }

    /// The floats of scratch that a run takes.
    pub(crate) fn scratch<T>(&self) -> usize {
        let (blocks, width) = blocks::<T>(self.outs);
        let panel = CHUNK.min(self.pixels.len()) * width;
        self.padded() + panel + self.groups * blocks * self.bases.len() * width
    }

    /// Writes the gradient from all images of a batch and the gradients that arrived.
    pub(crate) fn run<T: Real>(&self, x: &[T], dy: &[T], dweight: &mut [T], scratch: &mut [T]) {
        match blocks::<T>(self.outs).1 {
            WIDE => self.run_wide::<T, WIDE>(x, dy, dweight, scratch),
            _ => self.run_wide::<T, NARROW>(x, dy, dweight, scratch),
        }
    }

    fn run_wide<T: Real, const N: usize>(
        &self,
        x: &[T],
        dy: &[T],
        dweight: &mut [T],
        scratch: &mut [T],
    ) {
        let image = self.groups * self.terms * self.slide.source();
        let out = self.groups * self.outs * self.result;
        let (padded, rest) = scratch.split_at_mut(self.padded());
        let (panel, sums) = rest.split_at_mut(CHUNK.min(self.pixels.len()) * N);
        padded.fill(T::ZERO);
        sums.fill(T::ZERO);
        let block_sums = self.bases.len() * N;
        let blocks = self.outs.div_ceil(N);
        if out > 0 {
            for (at, dy) in dy.chunks_exact(out).enumerate() {
                self.slide.pad(&x[at * image..][..image], padded);
                for group in 0..self.groups {
                    let plane = self.terms * self.slide.plane();
                    let source = &padded[group * plane..][..plane];
                    for block in 0..blocks {
                        let first = group * self.outs + block * N;
                        let count = N.min(self.outs - block * N);
                        let dy = &dy[first * self.result..][..count * self.result];
                        let sums = &mut sums[(group * blocks + block) * block_sums..];
                        let sums = &mut sums[..block_sums];
                        for (chunk, pixels) in self.pixels.chunks(CHUNK).enumerate() {
                            let dy = &dy[chunk * CHUNK..];
                            let panel = &mut panel[..pixels.len() * N];
                            tile::pack::<T, N>(dy, pixels.len(), (1, self.result), count, panel);
                            gather::<T, N>(source, &self.bases, pixels, panel, sums);
                        }
                    }
                }
            }
        }
        let taps = self.slide.phases.first().map_or(0, |p| p.taps.len()) * self.terms;
        if taps == 0 {
            return;
        }
        for (channel, dweight) in dweight.chunks_exact_mut(taps).enumerate() {
            let (group, lane) = (channel / self.outs, channel % self.outs);
            let sums = &sums[(group * blocks + lane / N) * block_sums..][..block_sums];
            for (dw, sums) in dweight.iter_mut().zip(sums.chunks_exact(N)) {
                *dw = sums[lane % N];
            }
        }
    }
}

wide! {
    /// Adds the products of taps with some pixels of a block of channels.
    fn gather<T: Real, const N: usize>(
        source: &[T],
        bases: &[usize],
        pixels: &[usize],
        panel: &[T],
        sums: &mut [T],
    ) {
        let (tiles, _) = bases.as_chunks::<ROWS>();
        let (rows, _) = sums.as_chunks_mut::<N>();
        for (bases, rows) in tiles.iter().zip(rows.chunks_exact_mut(ROWS)) {
            // SAFETY: the slide's planes are large enough for every base and offset of its phases,
            // and there are as many pixels as rows in the panel.
            let tile = unsafe {
                tile::tile::<T, N>(source, *bases, |k| *pixels.get_unchecked(k), panel)
            };
            for (row, sums) in rows.iter_mut().zip(&tile) {
                for (total, sum) in row.iter_mut().zip(sums) {
                    *total += *sum;
                }
            }
        }
    }
}
