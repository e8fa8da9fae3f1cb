//! Sequences and optionals, whose lengths are known while the model is read: they never get into the
//! graph, only their tensors do.

use std::rc::Rc;

use syncarp_ir::DType;

use super::Op;
use crate::call::{Call, Lowered, Miss, one};
use crate::item::{Item, Tensor};
use crate::known::{Known, Num};

pub(super) const OPS: &[Op] = &[
    Op::new("SequenceEmpty", |_| Ok(vec![Item::Sequence(Rc::new([]))])),
    Op::new("SequenceConstruct", |c| {
        let tensors = (0..c.operands.len()).map(|index| c.tensor(index));
        Ok(vec![Item::Sequence(tensors.collect::<Result<_, _>>()?)])
    }),
    Op::new("SequenceInsert", |c| {
        let mut items = items(c)?;
        let at = if c.has(2) {
            c.int(2)?
        } else {
            items.len() as i64
        };
        let at = place(at, items.len(), true)?;
        items.insert(at, c.tensor(1)?);
        Ok(vec![Item::Sequence(items.into())])
    }),
    Op::new("SequenceErase", |c| {
        let mut items = items(c)?;
        let at = if c.has(1) { c.int(1)? } else { -1 };
        items.remove(place(at, items.len(), false)?);
        Ok(vec![Item::Sequence(items.into())])
    }),
    Op::new("SequenceAt", |c| {
        let items = items(c)?;
        let at = c.int(1)?;
        Ok(vec![Item::Tensor(
            items[place(at, items.len(), false)?].clone(),
        )])
    }),
    Op::new("SequenceLength", |c| {
        let count = items(c)?.len() as i64;
        one(Known::scalar(DType::I64, Num::Int(count)))
    }),
    Op::new("ConcatFromSequence", |c| {
        let mut values = Vec::new();
        for item in items(c)? {
            values.push(c.value(&item)?);
        }
        let first = *values.first().ok_or("the sequence is empty")?;
        let fresh = c.flag("new_axis");
        let rank = c.rank(first)? + usize::from(fresh);
        let axis = c.axis(c.int_or("axis", 0), rank)?;
        if fresh {
            for value in &mut values {
                *value = c.unsqueeze(*value, &[axis as i64])?;
            }
        }
        one(c.concat(&values, axis)?)
    }),
    Op::new("SplitToSequence", split),
    Op::new("SequenceMap", map),
    Op::new("Optional", |c| {
        Ok(vec![
            c.operands
                .first()
                .cloned()
                .flatten()
                .unwrap_or(Item::Nothing),
        ])
    }),
    Op::new("OptionalHasElement", |c| {
        let there = i64::from(c.has(0));
        one(Known::scalar(DType::Bool, Num::Int(there)))
    }),
    Op::new("OptionalGetElement", |c| Ok(vec![c.item(0)?.clone()])),
];

/// The tensors of operand 0.
fn items(c: &Call<'_, '_>) -> Result<Vec<Tensor>, Miss> {
    match c.item(0)? {
        Item::Sequence(items) => Ok(items.to_vec()),
        _ => Err("operand 0 is no sequence".into()),
    }
}

fn place(at: i64, count: usize, behind: bool) -> Result<usize, Miss> {
    let counted = if at < 0 {
        at.saturating_add(count as i64)
    } else {
        at
    };
    let place = usize::try_from(counted).ok();
    let place = place.filter(|place| *place < count + usize::from(behind));
    place.ok_or_else(|| format!("there is no place {at} in a sequence of {count}").into())
}

fn split(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.x(0)?;
    let dims = c.dims(x)?;
    let axis = c.axis(c.int_or("axis", 0), dims.len())?;
    let size = dims[axis]
        .known()
        .ok_or("the axis that is split has no known size")? as i64;
    let (sizes, keep) = match c.has(1) {
        true => {
            let known = c.must_know(1)?;
            let sizes = known.ints().ok_or("sizes are numbers")?;
            match (known.rank(), &sizes[..]) {
                (0, [each]) if *each > 0 => {
                    let starts = (0..size).step_by(*each as usize);
                    (
                        starts.map(|start| (*each).min(size - start)).collect(),
                        true,
                    )
                }
                (0, _) => return Err("the parts have no size".into()),
                _ => (sizes, true),
            }
        }
        false => (
            vec![1; usize::try_from(size.min(1 << 20)).unwrap_or(0)],
            c.int_or("keepdims", 1) != 0,
        ),
    };
    let mut start = 0i64;
    let mut parts: Vec<Tensor> = Vec::new();
    for size in sizes {
        let end = start
            .checked_add(size)
            .filter(|_| size >= 0)
            .ok_or("a part's size is wrong")?;
        let part = c.slice(x, axis, start, end)?;
        let part = if keep {
            part
        } else {
            c.squeeze(part, &[axis as i64])?
        };
        parts.push(part.into());
        start = end;
    }
    Ok(vec![Item::Sequence(parts.into())])
}

/// A body once for each tensor of the first sequence, with those of the others beside it.
fn map(c: &mut Call<'_, '_>) -> Lowered {
    let graph = c.graph_attr("body")?;
    let count = items(c)?.len();
    let mut collected: Vec<Vec<Tensor>> = vec![Vec::new(); graph.output.len()];
    for turn in 0..count {
        let mut inputs = Vec::new();
        for operand in c.operands.iter().flatten() {
            inputs.push(match operand {
                Item::Sequence(items) => {
                    let item = items
                        .get(turn)
                        .ok_or("the sequences are of different lengths")?;
                    Item::Tensor(item.clone())
                }
                other => other.clone(),
            });
        }
        let results = super::control::body(c, graph, inputs, &format!("[{turn}]"))?;
        for (all, item) in collected.iter_mut().zip(results) {
            match item {
                Item::Tensor(tensor) => all.push(tensor),
                Item::Lost => return Ok(vec![Item::Lost; graph.output.len()]),
                _ => return Err("the body gives no tensor".into()),
            }
        }
    }
    Ok(collected
        .into_iter()
        .map(|items| Item::Sequence(items.into()))
        .collect())
}
