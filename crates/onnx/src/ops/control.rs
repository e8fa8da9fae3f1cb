//! Branches and loops: walked while the model is read, as often as they run.

use syncarp_ir::{DType, Dim};

use super::Op;
use crate::call::{Call, Lowered, Miss};
use crate::item::{Item, Tensor};
use crate::known::{self, Known, Num};
use crate::proto::GraphProto;

pub(super) const OPS: &[Op] = &[
    Op::new("If", branch),
    Op::new("Loop", repeat),
    Op::new("Scan", scan),
];

/// The most turns of a loop.
const MAX_TURNS: i64 = 100_000;

/// Walks a body once and gives its outputs.
pub(super) fn body<'m>(
    c: &mut Call<'_, 'm>,
    graph: &'m GraphProto,
    inputs: Vec<Item>,
    turn: &str,
) -> Result<Vec<Item>, Miss> {
    if inputs.len() > graph.input.len() {
        let (given, takes) = (inputs.len(), graph.input.len());
        return Err(format!("the body takes {takes} values, but gets {given}").into());
    }
    let mut scope = c.scope.inner(format!("{}{turn}/", c.path));
    for (input, item) in graph.input.iter().zip(inputs) {
        scope.set(&input.name, item);
    }
    c.im.enter(|im| {
        im.initializers(graph, &mut scope)?;
        im.nodes(&graph.node, &mut scope)
    })?;
    let outputs = graph.output.iter().map(|output| {
        let item = scope.get(&output.name).cloned();
        let name = crate::error::shown(&output.name);
        item.ok_or_else(|| Miss::Because(format!("the body gives no `{name}`")))
    });
    outputs.collect()
}

/// The truth of an item, where it is known.
fn truth(c: &mut Call<'_, '_>, item: &Item) -> Option<bool> {
    let Item::Tensor(tensor) = item else {
        return None;
    };
    let known = c.im.known(tensor, true)?;
    known.ints()?.first().map(|item| *item != 0)
}

/// One branch where the condition is known; else both, and the results chosen element by element,
/// which is the same because ops have no effects.
fn branch(c: &mut Call<'_, '_>) -> Lowered {
    let (then, other) = (c.graph_attr("then_branch")?, c.graph_attr("else_branch")?);
    let condition = c.item(0)?.clone();
    match truth(c, &condition) {
        Some(true) => return body(c, then, Vec::new(), ""),
        Some(false) => return body(c, other, Vec::new(), ""),
        None => {}
    }
    let condition = c.x(0)?;
    let condition = c.reshape(condition, &[])?;
    let (yes, no) = (
        body(c, then, Vec::new(), "then")?,
        body(c, other, Vec::new(), "else")?,
    );
    if yes.len() != no.len() {
        return Err("the branches give different numbers of results".into());
    }
    let mut results = Vec::with_capacity(yes.len());
    for (yes, no) in yes.into_iter().zip(no) {
        results.push(match (yes, no) {
            (Item::Tensor(yes), Item::Tensor(no)) => {
                let (a, b) = (c.im.ty(&yes), c.im.ty(&no));
                if a != b {
                    let what = format!(
                        "the branches give {a} and {b}; make the condition a constant, or give it \
                         if it is an input"
                    );
                    return Err(Miss::Unknown(what, condition));
                }
                let (yes, no) = (c.value(&yes)?, c.value(&no)?);
                Item::from(c.select(condition, yes, no)?)
            }
            (Item::Lost, _) | (_, Item::Lost) => Item::Lost,
            _ => {
                let what = "the branches give sequences; make the condition a constant";
                return Err(Miss::Unknown(what.to_owned(), condition));
            }
        });
    }
    Ok(results)
}

/// Tensors of one shape one after the other along a new axis.
fn stacked(c: &mut Call<'_, '_>, items: Vec<Item>, axis: i64) -> Result<Item, Miss> {
    let mut tensors = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Item::Tensor(tensor) => tensors.push(tensor),
            Item::Lost => return Ok(Item::Lost),
            _ => return Err("what is collected is no tensor".into()),
        }
    }
    let first = tensors
        .first()
        .ok_or("a loop that never runs gives no known shape")?;
    let rank =
        c.im.ty(first)
            .rank()
            .ok_or("the rank of what is collected has to be known")?;
    let axis = c.axis(axis, rank + 1)?;
    let known: Option<Vec<_>> = tensors.iter().map(|t| c.im.known(t, false)).collect();
    if let Some(known) = known {
        let longer = known.iter().map(|known| {
            let mut dims = known.dims.clone();
            dims.insert(axis, 1);
            known::reshape(known, dims)
        });
        let longer: Option<Vec<Known>> = longer.collect();
        let whole = longer.and_then(|l| known::concat(&l.iter().collect::<Vec<_>>(), axis));
        if let Some(whole) = whole {
            return Ok(whole.into());
        }
    }
    let mut values = Vec::with_capacity(tensors.len());
    for tensor in &tensors {
        let value = c.value(tensor)?;
        values.push(c.unsqueeze(value, &[axis as i64])?);
    }
    Ok(c.concat(&values, axis)?.into())
}

/// A loop whose turns can be counted while the model is read.
fn repeat(c: &mut Call<'_, '_>) -> Lowered {
    let graph = c.graph_attr("body")?;
    let most = if c.has(0) { c.int(0)? } else { i64::MAX };
    let mut goes = match c.has(1) {
        true => {
            let condition = c.item(1)?.clone();
            match truth(c, &condition) {
                Some(goes) => goes,
                None => c.must_know(1)?.ints().is_some_and(|items| items != [0]),
            }
        }
        false => true,
    };
    let carried = c.operands.len().saturating_sub(2);
    let mut state: Vec<Item> = Vec::with_capacity(carried);
    for operand in c.operands.iter().skip(2) {
        state.push(operand.clone().unwrap_or(Item::Nothing));
    }
    let scans = graph.output.len().checked_sub(carried + 1);
    let scans = scans.ok_or("the body gives back too little")?;
    let mut collected: Vec<Vec<Item>> = vec![Vec::new(); scans];
    let mut turn = 0;
    while goes && turn < most {
        if turn >= MAX_TURNS {
            return Err(format!("the loop has more than {MAX_TURNS} turns").into());
        }
        let mut inputs = vec![
            Item::from(Known::scalar(DType::I64, Num::Int(turn))),
            Item::from(Known::scalar(DType::Bool, Num::Int(1))),
        ];
        inputs.append(&mut state);
        let mut results = body(c, graph, inputs, &format!("[{turn}]"))?.into_iter();
        let again = results.next().unwrap_or(Item::Lost);
        goes = match (&again, truth(c, &again)) {
            (_, Some(goes)) => goes,
            // Told already.
            (Item::Lost, None) => false,
            (Item::Tensor(Tensor::Value(value)), None) => {
                let what = "when the loop ends has to be known while the model is read; only loops \
                            of a known number of turns are supported";
                return Err(Miss::Unknown(what.to_owned(), *value));
            }
            _ => return Err("when the loop ends has to be known".into()),
        };
        state = results.by_ref().take(carried).collect();
        for (all, item) in collected.iter_mut().zip(results) {
            all.push(item);
        }
        turn += 1;
    }
    let mut results = state;
    for items in collected {
        results.push(stacked(c, items, 0)?);
    }
    Ok(results)
}

/// A loop over the places of an axis.
fn scan(c: &mut Call<'_, '_>) -> Lowered {
    let graph = c.graph_attr("body")?;
    let mut operands: Vec<Item> = c
        .operands
        .iter()
        .cloned()
        .map(|item| item.unwrap_or(Item::Nothing))
        .collect();
    let batched = c.version < 9;
    if batched {
        // The lengths of the sequences come first; each sample is a scan of its own.
        if c.has(0) {
            return Err("scans of sequences of their own lengths are not supported".into());
        }
        operands.remove(0);
    }
    let scans = usize::try_from(c.int_or("num_scan_inputs", 0)).unwrap_or(usize::MAX);
    let carried = operands.len().checked_sub(scans).filter(|_| scans > 0);
    let carried = carried.ok_or("`num_scan_inputs` does not fit")?;
    let outputs = graph.output.len().checked_sub(carried);
    let outputs = outputs.ok_or("the body gives back too little")?;
    let lists = |c: &Call<'_, '_>, name: &str, count: usize| -> Result<Vec<i64>, Miss> {
        match c.ints_attr(name) {
            None => Ok(vec![0; count]),
            Some(items) if items.len() == count => Ok(items.to_vec()),
            Some(items) => Err(format!("`{name}` is {items:?}").into()),
        }
    };
    let axes = if batched {
        vec![0; scans]
    } else {
        lists(c, "scan_input_axes", scans)?
    };
    let turned = lists(
        c,
        if batched {
            "directions"
        } else {
            "scan_input_directions"
        },
        scans,
    )?;
    let axes_out = if batched {
        vec![0; outputs]
    } else {
        lists(c, "scan_output_axes", outputs)?
    };
    let turned_out = if batched {
        vec![0; outputs]
    } else {
        lists(c, "scan_output_directions", outputs)?
    };
    let mut values = Vec::new();
    for item in &operands[carried..] {
        match item {
            Item::Tensor(tensor) => values.push(c.value(tensor)?),
            _ => return Err("scans over tensors".into()),
        }
    }
    if batched {
        return batch(c, graph, &operands[..carried], values, outputs);
    }
    let mut state = operands[..carried].to_vec();
    let mut places = Vec::new();
    let mut length = None;
    for (value, axis) in values.iter().zip(&axes) {
        let dims = c.dims(*value)?;
        let axis = c.axis(*axis, dims.len())?;
        let size = dims[axis]
            .known()
            .ok_or("how long the scan is has to be known")?;
        if *length.get_or_insert(size) != size {
            return Err("scans over axes of different lengths".into());
        }
        places.push(axis);
    }
    let length = length.unwrap_or(0) as i64;
    if length > MAX_TURNS {
        return Err(format!("the scan has more than {MAX_TURNS} turns").into());
    }
    let mut collected: Vec<Vec<Item>> = vec![Vec::new(); outputs];
    for turn in 0..length {
        let mut inputs = std::mem::take(&mut state);
        for ((value, axis), turned) in values.iter().zip(&places).zip(&turned) {
            let at = if *turned == 0 {
                turn
            } else {
                length - 1 - turn
            };
            let part = c.slice(*value, *axis, at, at + 1)?;
            inputs.push(c.squeeze(part, &[*axis as i64])?.into());
        }
        let mut results = body(c, graph, inputs, &format!("[{turn}]"))?.into_iter();
        state = results.by_ref().take(carried).collect();
        for (all, item) in collected.iter_mut().zip(results) {
            all.push(item);
        }
    }
    let mut results = state;
    for ((mut items, axis), turned) in collected.into_iter().zip(axes_out).zip(turned_out) {
        if turned != 0 {
            items.reverse();
        }
        results.push(stacked(c, items, axis)?);
    }
    Ok(results)
}

/// The first form of a scan: [batch, length, ...], sample by sample.
fn batch<'m>(
    c: &mut Call<'_, 'm>,
    graph: &'m GraphProto,
    first: &[Item],
    values: Vec<syncarp_ir::Value>,
    outputs: usize,
) -> Lowered {
    let dims = c.dims(*values.first().ok_or("scans over tensors")?)?;
    let size = |axis: usize| dims.get(axis).and_then(Dim::known);
    let (samples, length) = size(0)
        .zip(size(1))
        .ok_or("how long the scan is has to be known")?;
    if samples.saturating_mul(length) > MAX_TURNS as u64 {
        return Err(format!("the scan has more than {MAX_TURNS} turns").into());
    }
    let mut finals: Vec<Vec<Item>> = vec![Vec::new(); first.len() + outputs];
    for sample in 0..samples as i64 {
        let part = |c: &mut Call<'_, 'm>, value, at: i64| -> Result<_, Miss> {
            let part = c.slice(value, 0, at, at + 1)?;
            c.squeeze(part, &[0])
        };
        let mut state = Vec::new();
        for item in first {
            let Item::Tensor(tensor) = item else {
                return Err("scans carry tensors".into());
            };
            let value = c.value(tensor)?;
            state.push(Item::from(part(c, value, sample)?));
        }
        let mut collected: Vec<Vec<Item>> = vec![Vec::new(); outputs];
        for turn in 0..length as i64 {
            let mut inputs = std::mem::take(&mut state);
            for value in &values {
                let row = part(c, *value, sample)?;
                inputs.push(part(c, row, turn)?.into());
            }
            let mut results = body(c, graph, inputs, &format!("[{sample}][{turn}]"))?.into_iter();
            state = results.by_ref().take(first.len()).collect();
            for (all, item) in collected.iter_mut().zip(results) {
                all.push(item);
            }
        }
        for items in collected {
            state.push(stacked(c, items, 0)?);
        }
        for (all, item) in finals.iter_mut().zip(state) {
            all.push(item);
        }
    }
    finals
        .into_iter()
        .map(|items| stacked(c, items, 0))
        .collect()
}
