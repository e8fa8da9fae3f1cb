//! Convolutions with pixels in the lanes of vectors, for groups of so few channels that channels
//! would leave most lanes empty, as in depthwise convolutions.
//!
//! A plane of a result is summed as one line that has the pitch of the padded image, so that a tap
//! is one shift of the whole line; what falls between the rows is left out at the end.

use super::conv_channels::WeightLayout;
use super::slide::{Phase, Slide};
use super::vector::wide;
use crate::real::Real;

/// How many places of a line are summed at once: four registers of f32.
const LINE: usize = 32;

/// A phase whose pixels lie about the padded image as they do in it.
struct Line {
    /// Where the first pixel's window begins.
    base: usize,
    /// The places of a line that hold pixels, and where these are in the result.
    places: Vec<(usize, usize)>,
    /// The length of a line, whole blocks.
    length: usize,
    /// The place of every term behind the base, channel after channel.
    offsets: Vec<usize>,
    taps: Vec<usize>,
}

impl Line {
    /// The line of a phase with pixels; none where its windows do not move by one.
    fn of(phase: &Phase, pitch: usize, channels: usize, plane: usize) -> Option<Line> {
        let [_, columns] = phase.size;
        let base = *phase.bases.first()?;
        let at = |i: usize| i / columns * pitch + i % columns;
        let bases = phase.bases.iter().enumerate();
        if !bases.clone().all(|(i, b)| *b == base + at(i)) {
            return None;
        }
        let places = phase.pixels.iter().enumerate().map(|(i, p)| (at(i), *p));
        let offsets = (0..channels).flat_map(|c| phase.offsets.iter().map(move |o| c * plane + o));
        Some(Line {
            base,
            places: places.collect(),
            length: (at(phase.bases.len() - 1) + 1).next_multiple_of(LINE),
            offsets: offsets.collect(),
            taps: phase.taps.clone(),
        })
    }
}

/// Sums of few channels a group, and the gradients to their weights.
pub(crate) struct Lines {
    slide: Slide,
    lines: Vec<Line>,
    groups: usize,
    /// Channels of a group that are summed over.
    terms: usize,
    /// Channels of a group of the result.
    outs: usize,
    weight: WeightLayout,
    /// The elements of a plane of the result.
    result: usize,
}

impl Lines {
    /// The plan; none where the windows of a phase do not move by one.
    pub(crate) fn new(
        slide: &Slide,
        groups: usize,
        terms: usize,
        outs: usize,
        weight: WeightLayout,
        result: usize,
    ) -> Option<Lines> {
        let (plane, pitch) = (slide.plane(), slide.padded[1]);
        let filled = slide.phases.iter().filter(|p| !p.pixels.is_empty());
        let lines = filled.map(|p| Line::of(p, pitch, terms, plane));
        Some(Lines {
            lines: lines.collect::<Option<_>>()?,
            slide: slide.clone(),
            groups,
            terms,
            outs,
            weight,
            result,
        })
    }

    /// The floats of a padded image, and as many zeros as the last tap of the last line may reach
    /// over its end.
    fn padded(&self) -> usize {
        let planes = self.groups * self.terms * self.slide.plane();
        planes + self.line() + self.lines.iter().map(|l| l.base).max().unwrap_or(0)
    }

    /// The length of the longest line.
    fn line(&self) -> usize {
        self.lines.iter().map(|l| l.length).max().unwrap_or(0)
    }

    /// The floats of scratch that a run takes, of either kind.
    pub(crate) fn scratch(&self) -> usize {
        self.padded() + self.line()
    }

    /// Writes the sums over all images of a batch, each added to the bias where there is one.
    pub(crate) fn run<T: Real>(
        &self,
        source: &[T],
        weight: &[T],
        bias: Option<&[T]>,
        result: &mut [T],
        scratch: &mut [T],
    ) {
        let planes = self.groups * self.outs;
        if planes * self.result == 0 {
            return;
        }
        let image = self.groups * self.terms * self.slide.source();
        let (padded, sums) = scratch.split_at_mut(self.padded());
        padded.fill(T::ZERO);
        for (at, result) in result.chunks_exact_mut(planes * self.result).enumerate() {
            self.slide.pad(&source[at * image..][..image], padded);
            for (channel, result) in result.chunks_exact_mut(self.result).enumerate() {
                let (group, out) = (channel / self.outs, channel % self.outs);
                let source = &padded[group * self.terms * self.slide.plane()..];
                let first = group * self.weight.group + out * self.weight.out;
                // Where no channels are summed over, there is no weight to begin in.
                let weight = weight.get(first..).unwrap_or_default();
                let start = bias.map_or(T::ZERO, |bias| bias[channel]);
                for line in &self.lines {
                    let sums = &mut sums[..line.length];
                    shift_and_add(source, line, weight, self.weight.term, sums);
                    for (place, pixel) in &line.places {
                        result[*pixel] = start + sums[*place];
                    }
                }
            }
        }
    }

    /// Writes the gradient to the weight from all images of a batch and the gradients that arrived
    /// at the results.
    pub(crate) fn run_weight<T: Real>(
        &self,
        x: &[T],
        dy: &[T],
        dweight: &mut [T],
        scratch: &mut [T],
    ) {
        dweight.fill(T::ZERO);
        let planes = self.groups * self.outs;
        let image = self.groups * self.terms * self.slide.source();
        let Some(line) = self.lines.first().filter(|_| planes > 0) else {
            return;
        };
        let (padded, spread) = scratch.split_at_mut(self.padded());
        let spread = &mut spread[..line.length];
        padded.fill(T::ZERO);
        spread.fill(T::ZERO);
        let terms = line.offsets.len();
        for (at, dy) in dy.chunks_exact(planes * self.result).enumerate() {
            self.slide.pad(&x[at * image..][..image], padded);
            for (channel, dy) in dy.chunks_exact(self.result).enumerate() {
                for (place, pixel) in &line.places {
                    spread[*place] = dy[*pixel];
                }
                let group = channel / self.outs;
                let source = &padded[group * self.terms * self.slide.plane()..];
                let dweight = &mut dweight[channel * terms..][..terms];
                shift_and_dot(source, line, spread, dweight);
            }
        }
    }
}

wide! {
    /// The sums of a channel over a line: every term's line times its weight.
    fn shift_and_add<T: Real>(
        source: &[T],
        line: &Line,
        weight: &[T],
        term: usize,
        sums: &mut [T],
    ) {
        let taps = line.taps.len().max(1);
        for (at, out) in sums.chunks_exact_mut(LINE).enumerate() {
            let source = &source[line.base + at * LINE..];
            let mut sums = [T::ZERO; LINE];
            for (channel, offsets) in line.offsets.chunks_exact(taps).enumerate() {
                let weight = &weight[channel * term..];
                for (offset, tap) in offsets.iter().zip(&line.taps) {
                    let w = weight[*tap];
                    for (sum, x) in sums.iter_mut().zip(&source[*offset..][..LINE]) {
                        *sum += w * *x;
                    }
                }
            }
            out.copy_from_slice(&sums);
        }
    }
}

wide! {
    /// Adds to every tap of a channel the products of its line with another one.
    fn shift_and_dot<T: Real>(source: &[T], line: &Line, other: &[T], dweight: &mut [T]) {
        for (offset, dw) in line.offsets.iter().zip(dweight) {
            let source = &source[line.base + offset..][..other.len()];
            let mut sums = [T::ZERO; LINE];
            for (x, y) in source.chunks_exact(LINE).zip(other.chunks_exact(LINE)) {
                for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
                    *sum += *x * *y;
                }
            }
            let mut width = LINE / 2;
            while width > 0 {
                for i in 0..width {
                    sums[i] += sums[i + width];
                }
                width /= 2;
            }
            *dw += sums[0];
        }
    }
}
