//! How the window of a convolution slides: which places of a padded image every pixel of a result
//! takes its terms from, worked out once for bound shapes.

use std::ops::Range;

use crate::kernel::{KernelError, Spec};

/// What a convolution does along one axis, or both, as `[height, width]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Window {
    /// Pixels of the image.
    pub image: [usize; 2],
    /// Pixels of the result.
    pub result: [usize; 2],
    /// Taps of the window.
    pub kernel: [usize; 2],
    /// Steps between windows.
    pub stride: [usize; 2],
    /// Zeros on either side of the image.
    pub padding: [usize; 2],
    /// Distances between taps.
    pub dilation: [usize; 2],
}

/// A pair of numbers that an attribute holds.
pub(crate) fn pair(
    spec: &Spec<'_>,
    name: &str,
    default: [usize; 2],
) -> Result<[usize; 2], KernelError> {
    let Some(given) = spec.attrs.ints(name) else {
        return Ok(default);
    };
    let numbers = given.iter().map(|g| usize::try_from(*g).ok());
    let numbers = numbers.collect::<Option<Vec<usize>>>().unwrap_or_default();
    let wrong = |_| KernelError(format!("`{name}` must be two numbers, not {given:?}"));
    numbers.try_into().map_err(wrong)
}

impl Window {
    /// Reads `stride`, `padding` and `dilation`.
    pub(crate) fn read(
        spec: &Spec<'_>,
        image: [usize; 2],
        result: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
    ) -> Result<Window, KernelError> {
        let window = Window {
            image,
            result,
            kernel,
            stride: pair(spec, "stride", stride)?,
            padding: pair(spec, "padding", [0, 0])?,
            dilation: pair(spec, "dilation", [1, 1])?,
        };
        if window.stride.contains(&0) || window.dilation.contains(&0) || kernel.contains(&0) {
            let message = "the window, its stride and its dilation must not be zero";
            return Err(KernelError(message.to_owned()));
        }
        Ok(window)
    }

    /// How many windows of a convolution fit, [height, width].
    pub(crate) fn counts(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let reach = (self.kernel[axis] - 1) * self.dilation[axis] + 1;
            let padded = self.image[axis] + 2 * self.padding[axis];
            let room = padded.checked_sub(reach);
            room.map_or(0, |room| room / self.stride[axis] + 1)
        })
    }
}

/// The pixels of a result that lie alike about their windows, along one axis.
#[derive(Clone, PartialEq, Eq, Debug)]
struct AxisPhase {
    /// Where the pixels are in the result, and where their windows begin in the padded image.
    pixels: Vec<(usize, usize)>,
    /// The taps that meet the image there, and how far behind the beginning they do.
    taps: Vec<(usize, usize)>,
}

/// One axis of a slide.
struct Axis {
    /// Zeros before the image.
    low: usize,
    /// The length with zeros on both sides.
    padded: usize,
    phases: Vec<AxisPhase>,
}

impl Axis {
    /// The axis of a convolution.
    fn forward(window: &Window, axis: usize) -> Axis {
        let (stride, dilation) = (window.stride[axis], window.dilation[axis]);
        let phase = AxisPhase {
            pixels: (0..window.result[axis]).map(|o| (o, o * stride)).collect(),
            taps: (0..window.kernel[axis])
                .map(|k| (k, k * dilation))
                .collect(),
        };
        Axis::of(window.padding[axis], vec![phase])
    }

    /// The axis of its gradient to the image: pixel `i` takes tap `k` from pixel
    /// `(i + padding - k dilation) / stride` of the result, where that divides. Pixels with equal
    /// `(i + padding) mod stride` meet equal taps, so they make a phase, in which the window moves
    /// by one.
    fn backward(window: &Window, axis: usize) -> Axis {
        let (stride, padding) = (window.stride[axis], window.padding[axis]);
        let taps: Vec<Vec<(usize, usize)>> = (0..stride.min(window.image[axis] + padding))
            .map(|rest| {
                let taps = (0..window.kernel[axis]).map(|k| (k, k * window.dilation[axis]));
                let taps = taps.filter(|(_, at)| at % stride == rest);
                taps.map(|(k, at)| (k, at / stride)).collect()
            })
            .collect();
        // The zeros that the farthest tap of the first pixel needs.
        let farthest = |rest: usize| taps[rest].iter().map(|(_, at)| *at).max().unwrap_or(0);
        let starts = (0..window.image[axis].min(stride)).map(|i| i + padding);
        let low = starts.map(|i| farthest(i % stride).saturating_sub(i / stride));
        let low = low.max().unwrap_or(0);
        let phases = (0..taps.len()).map(|rest| {
            let pixels = (0..window.image[axis]).filter(|i| (i + padding) % stride == rest);
            let far = farthest(rest);
            AxisPhase {
                pixels: pixels
                    .map(|i| (i, (i + padding) / stride + low - far))
                    .collect(),
                taps: taps[rest].iter().map(|(k, at)| (*k, far - at)).collect(),
            }
        });
        Axis::of(low, phases.filter(|p| !p.pixels.is_empty()).collect())
    }

    fn of(low: usize, phases: Vec<AxisPhase>) -> Axis {
        let ends = phases.iter().filter_map(|phase| {
            let base = phase.pixels.iter().map(|(_, base)| *base).max()?;
            let offset = phase.taps.iter().map(|(_, offset)| *offset).max()?;
            Some(base + offset + 1)
        });
        Axis {
            low,
            padded: ends.max().unwrap_or(0),
            phases,
        }
    }
}

/// The pixels of a result that take equal taps from about their bases.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Phase {
    /// How many rows and columns of pixels there are.
    pub size: [usize; 2],
    /// Where the pixels are in a plane of the result.
    pub pixels: Vec<usize>,
    /// Where their windows begin in a padded plane.
    pub bases: Vec<usize>,
    /// The taps, as places in a plane of the window.
    pub taps: Vec<usize>,
    /// How far behind a base each tap lies in a padded plane.
    pub offsets: Vec<usize>,
}

/// A sum over the window for every pixel of a plane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Slide {
    /// The height and width of a plane that terms come from.
    source: [usize; 2],
    /// The zeros above and to the left of it.
    low: [usize; 2],
    /// Its height and width with zeros about it, without what no window reaches.
    pub padded: [usize; 2],
    /// Every pixel of the result is in one of these.
    pub phases: Vec<Phase>,
}

impl Slide {
    /// The slide of a convolution, from image to result.
    pub(crate) fn forward(window: &Window) -> Slide {
        let [y, x] = [0, 1].map(|axis| Axis::forward(window, axis));
        Slide::of(window.image, window.result[1], window.kernel[1], &y, &x)
    }

    /// The slide of its gradient to the image, from result to image.
    pub(crate) fn backward(window: &Window) -> Slide {
        let [y, x] = [0, 1].map(|axis| Axis::backward(window, axis));
        Slide::of(window.result, window.image[1], window.kernel[1], &y, &x)
    }

    fn of(source: [usize; 2], width: usize, kernel_width: usize, y: &Axis, x: &Axis) -> Slide {
        let pitch = x.padded;
        let grid = |ys: &[(usize, usize)], xs: &[(usize, usize)], widths: [usize; 2]| {
            let points = ys.iter().flat_map(|y| xs.iter().map(move |x| (*y, *x)));
            points
                .map(|(y, x)| (y.0 * widths[0] + x.0, y.1 * widths[1] + x.1))
                .unzip()
        };
        let pairs = y
            .phases
            .iter()
            .flat_map(|y| x.phases.iter().map(move |x| (y, x)));
        let phases = pairs.map(|(y, x)| {
            let (pixels, bases) = grid(&y.pixels, &x.pixels, [width, pitch]);
            let (taps, offsets) = grid(&y.taps, &x.taps, [kernel_width, pitch]);
            Phase {
                size: [y.pixels.len(), x.pixels.len()],
                pixels,
                bases,
                taps,
                offsets,
            }
        });
        Slide {
            source,
            low: [y.low, x.low],
            padded: [y.padded, x.padded],
            phases: phases.collect(),
        }
    }

    /// The elements of a padded plane.
    pub(crate) fn plane(&self) -> usize {
        self.padded[0] * self.padded[1]
    }

    /// The elements of a plane that terms come from.
    pub(crate) fn source(&self) -> usize {
        self.source[0] * self.source[1]
    }

    /// Copies planes between their zeros, which must be there already.
    pub(crate) fn pad<T: Copy>(&self, planes: &[T], padded: &mut [T]) {
        let (plane, pitch) = (self.plane(), self.padded[1]);
        let height = self.source[0].min(self.padded[0].saturating_sub(self.low[0]));
        let columns = self.columns();
        if self.source() == 0 || plane == 0 || columns.is_empty() {
            return;
        }
        let planes = planes.chunks_exact(self.source());
        for (from, to) in planes.zip(padded.chunks_exact_mut(plane)) {
            let rows = from.chunks_exact(self.source[1]).take(height);
            let into = to.chunks_exact_mut(pitch).skip(self.low[0]);
            for (from, to) in rows.zip(into) {
                to[columns.clone()].copy_from_slice(&from[..columns.len()]);
            }
        }
    }

    /// The columns of a padded plane that the image is in.
    fn columns(&self) -> Range<usize> {
        let (low, end) = (self.low[1], self.padded[1]);
        low..(low + self.source[1]).min(end)
    }
}
