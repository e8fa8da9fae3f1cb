//! Parts of tensors, and borders around them.

use syncarp_ir::{Attrs, DType, Dim, Value};

use super::Op;
use crate::call::{Call, Lowered, Miss, one};
use crate::item::Item;
use crate::known::{self, Num};

pub(super) const OPS: &[Op] = &[
    Op::new("Slice", slice),
    Op::new("Split", split),
    Op::new("Pad", pad),
    Op::new("CenterCropPad", center_crop_pad),
];

/// One range of an axis, as a file says it.
struct Range {
    axis: usize,
    start: Num,
    end: Num,
    step: i64,
}

fn slice(c: &mut Call<'_, '_>) -> Lowered {
    let ty = c.ty_of(0)?;
    let rank = ty.rank().ok_or("the rank of its operand has to be known")?;
    let list = |c: &mut Call<'_, '_>, index: usize, name: &str| -> Result<Option<Vec<Num>>, Miss> {
        if c.version < 10 {
            let items = c.ints_attr(name);
            return Ok(items.map(|items| items.iter().map(|item| Num::Int(*item)).collect()));
        }
        if !c.has(index) {
            return Ok(None);
        }
        let known = c.must_know(index)?;
        Ok(Some(
            known.nums().ok_or("bounds are whole numbers")?.to_vec(),
        ))
    };
    let starts = list(c, 1, "starts")?.ok_or("`starts` is missing")?;
    let ends = list(c, 2, "ends")?.ok_or("`ends` is missing")?;
    let numbers = |nums: Option<Vec<Num>>| -> Result<Option<Vec<i64>>, Miss> {
        let ints = nums.map(|nums| nums.iter().map(Num::int).collect::<Option<Vec<i64>>>());
        match ints {
            Some(None) => Err("axes and steps are numbers".into()),
            Some(ints) => Ok(ints),
            None => Ok(None),
        }
    };
    let axes = numbers(list(c, 3, "axes")?)?;
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let axes = c.axes(&axes, rank)?;
    let steps = if c.version < 10 {
        None
    } else {
        numbers(list(c, 4, "steps")?)?
    };
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    let lengths = [starts.len(), ends.len(), axes.len(), steps.len()];
    if lengths.iter().any(|length| *length != lengths[0]) {
        return Err(format!("starts, ends, axes and steps are {lengths:?} many").into());
    }
    let ranges = starts.into_iter().zip(ends).zip(axes).zip(steps);
    let ranges: Vec<Range> = ranges
        .map(|(((start, end), axis), step)| Range {
            axis,
            start,
            end,
            step,
        })
        .collect();
    if let Some(x) = c.foldable(0) {
        let mut known = known::reshape(&x, x.dims.clone()).ok_or("is too large")?;
        let mut whole = true;
        for range in &ranges {
            let Some((start, count)) = range.places(known.dims[range.axis]) else {
                whole = false;
                break;
            };
            let sliced = known::slice(&known, range.axis, start, range.step, count);
            known = sliced.ok_or("lies outside its operand")?;
        }
        if whole {
            return one(known);
        }
    }
    let mut x = c.x(0)?;
    for range in &ranges {
        x = range.emit(c, x)?;
    }
    one(x)
}

impl Range {
    /// The first place and how many there are, on an axis of this size; none where bounds are dims.
    fn places(&self, size: u64) -> Option<(i64, u64)> {
        let (start, end) = (self.start.int()?, self.end.int()?);
        let size = i64::try_from(size).ok()?;
        let count = |at: i64| if at < 0 { at.saturating_add(size) } else { at };
        let (low, high) = if self.step > 0 {
            (0, size)
        } else {
            (-1, size - 1)
        };
        let start = count(start).clamp(low.max(0), high.max(0));
        let end = count(end).clamp(low, high);
        if size == 0 || self.step == 0 {
            return Some((0, 0));
        }
        let reach = if self.step > 0 {
            end - start
        } else {
            start - end
        };
        let steps = self.step.unsigned_abs();
        let count = u64::try_from(reach).unwrap_or(0).div_ceil(steps);
        Some((start, count))
    }

    fn emit(&self, c: &mut Call<'_, '_>, x: Value) -> Result<Value, Miss> {
        if self.step == 0 {
            return Err("a step is not 0".into());
        }
        let size = c.dims(x)?[self.axis].clone();
        let attrs = Attrs::new().with("axis", self.axis as i64);
        if let Some(known) = size.known()
            && let Some((start, count)) = self.places(known)
        {
            let known = known as i64;
            if self.step > 0 {
                if start == 0 && self.step == 1 && count as i64 == known {
                    return Ok(x);
                }
                let end = (start + count as i64 * self.step).min(known).max(start);
                let attrs = attrs.with("start", start).with("end", end);
                let attrs = if self.step == 1 {
                    attrs
                } else {
                    attrs.with("step", self.step)
                };
                return c.with("slice", &[x], attrs);
            }
            // Backwards: the same elements of the axis turned round.
            let turned = c.with(
                "reverse",
                &[x],
                Attrs::new().with("axes", vec![self.axis as i64]),
            )?;
            let start = known - 1 - start;
            let step = -self.step;
            let end = (start + count as i64 * step).min(known).max(start);
            let attrs = attrs.with("start", start).with("end", end);
            let attrs = if step == 1 {
                attrs
            } else {
                attrs.with("step", step)
            };
            return c.with("slice", &[turned], attrs);
        }
        self.emit_open(c, x, &size, attrs)
    }

    /// On an axis whose size is bound later: from some place on, or up to one.
    fn emit_open(
        &self,
        c: &mut Call<'_, '_>,
        x: Value,
        size: &Dim,
        attrs: Attrs,
    ) -> Result<Value, Miss> {
        let open = "what it takes of an axis whose size is not known cannot be said; give the shapes \
                    of the model's inputs";
        let all = Num::from(size);
        let backwards = self.step < 0;
        let x = match (backwards, self.start.int(), self.end.int()) {
            (false, ..) => x,
            // All of it, turned round.
            (true, Some(-1 | i64::MAX), Some(end)) if end <= -i64::from(i32::MAX) => c.with(
                "reverse",
                &[x],
                Attrs::new().with("axes", vec![self.axis as i64]),
            )?,
            (true, ..) => return Err(open.into()),
        };
        let step = self.step.abs();
        let attrs = if step == 1 {
            attrs
        } else {
            attrs.with("step", step)
        };
        if backwards {
            return match step {
                1 => Ok(x),
                _ => c.with("slice", &[x], attrs.with("start", 0i64)),
            };
        }
        // Places as the op has them: a number from the front, or a negative one from the end.
        let place = |num: &Num| -> Result<Option<i64>, Miss> {
            match num {
                Num::Int(at) if *at >= i64::from(i32::MAX) => Ok(None),
                Num::Int(at) => Ok(Some(*at)),
                num if *num == all => Ok(None),
                num => match num.sub(&all).and_then(|far| far.int()) {
                    Some(far) if far < 0 => Ok(Some(far)),
                    Some(_) => Ok(None),
                    None => Err(open.into()),
                },
            }
        };
        let Some(start) = place(&self.start)? else {
            return Err(open.into());
        };
        let end = place(&self.end)?;
        if start == 0 && end.is_none() && step == 1 {
            return Ok(x);
        }
        let attrs = attrs.with("start", start);
        let attrs = match end {
            Some(end) => attrs.with("end", end),
            None => attrs,
        };
        c.with("slice", &[x], attrs)
    }
}

fn split(c: &mut Call<'_, '_>) -> Lowered {
    let ty = c.ty_of(0)?;
    let dims = ty
        .dims()
        .ok_or("the shape of its operand has to be known")?;
    let axis = c.axis(c.int_or("axis", 0), dims.len())?;
    let results = c.node.output.len();
    let sizes = match c.version < 13 {
        true => c.ints_attr("split").map(<[i64]>::to_vec),
        false => c.ints_opt(1)?,
    };
    let sizes = match sizes {
        Some(sizes) => sizes,
        None => {
            let size = dims[axis]
                .known()
                .ok_or("the axis that is split has no known size")? as i64;
            let parts = c.int_or("num_outputs", results as i64).clamp(1, 1 << 20);
            // The last one is smaller where they do not divide.
            let each = (size + parts - 1) / parts;
            let start = |part: i64| (part * each).min(size);
            (0..parts)
                .map(|part| start(part + 1) - start(part))
                .collect()
        }
    };
    if sizes.len() < results || sizes.iter().any(|size| *size < 0) {
        return Err(format!("splits into {sizes:?}, but has {results} results").into());
    }
    let total = sizes
        .iter()
        .try_fold(0i64, |sum, size| sum.checked_add(*size));
    if let Some(size) = dims[axis].known()
        && total != i64::try_from(size).ok()
    {
        return Err(format!("splits {size} into {sizes:?}").into());
    }
    let mut start = 0;
    let mut parts = Vec::with_capacity(sizes.len());
    for size in sizes {
        let end = start + size;
        let known = c.foldable(0);
        let known = known.and_then(|x| known::slice(&x, axis, start, 1, size as u64));
        parts.push(match known {
            Some(known) => Item::from(known),
            None => {
                let x = c.x(0)?;
                Item::from(c.slice(x, axis, start, end)?)
            }
        });
        start = end;
    }
    Ok(parts)
}

fn pad(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let rank = c.rank(x)?;
    let (pads, value) = match c.version < 11 {
        true => {
            let named = c.ints_attr("pads").or(c.ints_attr("paddings"));
            let pads = named.ok_or("`pads` is missing")?.to_vec();
            let value = c.float_or("value", 0.0);
            (pads, c.number(x, value)?)
        }
        false => {
            let pads = c.ints(1)?;
            let value = match c.x_opt(2)? {
                Some(value) => c.reshape(value, &[])?,
                None => match c.dtype(x)? {
                    DType::Bool => c.constant(DType::Bool, false)?,
                    _ => c.number(x, 0.0)?,
                },
            };
            (pads, value)
        }
    };
    let axes = match c.ints_opt(3)? {
        Some(axes) => c.axes(&axes, rank)?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(format!("{} pads for {} axes", pads.len(), axes.len()).into());
    }
    let (mut low, mut high) = (vec![0; rank], vec![0; rank]);
    for (at, axis) in axes.iter().enumerate() {
        low[*axis] = pads[at];
        high[*axis] = pads[at + axes.len()];
    }
    let mode = c.str_or("mode", "constant")?;
    one(border(c, x, value, &low, &high, mode)?)
}

/// A border; where it is negative, elements are taken away.
pub(super) fn border(
    c: &mut Call<'_, '_>,
    x: Value,
    value: Value,
    low: &[i64],
    high: &[i64],
    mode: &str,
) -> Result<Value, Miss> {
    let mut x = x;
    for axis in 0..low.len() {
        let (cut, end) = (low[axis].min(0).saturating_neg(), high[axis].min(0));
        if cut == 0 && end == 0 {
            continue;
        }
        let attrs = Attrs::new().with("axis", axis as i64).with("start", cut);
        let attrs = if end == 0 {
            attrs
        } else {
            attrs.with("end", end)
        };
        x = c.with("slice", &[x], attrs)?;
    }
    let positive = |pads: &[i64]| pads.iter().map(|pad| (*pad).max(0)).collect::<Vec<i64>>();
    let (low, high) = (positive(low), positive(high));
    if low.iter().chain(&high).all(|pad| *pad == 0) {
        return Ok(x);
    }
    let attrs = Attrs::new().with("low", low).with("high", high);
    let attrs = match mode {
        "constant" => attrs,
        mode => attrs.with("mode", mode),
    };
    c.with("pad", &[x, value], attrs)
}

fn center_crop_pad(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let sizes = c.sizes(x)?;
    let wanted = c.ints(1)?;
    let axes = match c.ints_attr("axes") {
        Some(axes) => c.axes(axes, sizes.len())?,
        None => (0..sizes.len()).collect(),
    };
    if wanted.len() != axes.len() {
        return Err(format!("{} sizes for {} axes", wanted.len(), axes.len()).into());
    }
    let (mut low, mut high) = (vec![0; sizes.len()], vec![0; sizes.len()]);
    for (axis, wanted) in axes.iter().zip(wanted) {
        let more = wanted - sizes[*axis] as i64;
        // Of an odd difference the larger half is behind, whether it is put in or taken away.
        low[*axis] = more / 2;
        high[*axis] = more - more / 2;
    }
    let value = match c.dtype(x)? {
        DType::Bool => c.constant(DType::Bool, false)?,
        _ => c.number(x, 0.0)?,
    };
    one(border(c, x, value, &low, &high, "constant")?)
}
