//! Recurrent layers of one or two directions.
//!
//! What the IR's recurrent ops say is said by them. The rest (other activations, clipping, peepholes,
//! sequences of their own lengths) is written out step by step.

use syncarp_ir::{Attrs, Dim, Value};

use super::Op;
use super::attention::MAX_STEPS;
use crate::call::{Call, Lowered, Miss};
use crate::item::Item;

pub(super) const OPS: &[Op] = &[
    Op::new("LSTM", |c| layer(c, Kind::Lstm)),
    Op::new("GRU", |c| layer(c, Kind::Gru)),
    Op::new("RNN", |c| layer(c, Kind::Rnn)),
];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Lstm,
    Gru,
    Rnn,
}

impl Kind {
    fn gates(self) -> i64 {
        match self {
            Kind::Lstm => 4,
            Kind::Gru => 3,
            Kind::Rnn => 1,
        }
    }

    fn activations(self) -> &'static [&'static str] {
        match self {
            Kind::Lstm => &["Sigmoid", "Tanh", "Tanh"],
            Kind::Gru => &["Sigmoid", "Tanh"],
            Kind::Rnn => &["Tanh"],
        }
    }
}

/// A function of a gate, with its numbers.
#[derive(Clone, PartialEq)]
struct Activation {
    name: String,
    alpha: Option<f64>,
    beta: Option<f64>,
}

impl Activation {
    fn emit(&self, c: &mut Call<'_, '_>, x: Value) -> Result<Value, Miss> {
        let (alpha, beta) = (self.alpha, self.beta);
        match self.name.as_str() {
            "sigmoid" => c.emit("sigmoid", &[x]),
            "tanh" => c.emit("tanh", &[x]),
            "relu" => c.emit("relu", &[x]),
            "softsign" => c.emit("softsign", &[x]),
            "softplus" => c.by("softplus", x, 1.0),
            "elu" => c.by("elu", x, alpha.unwrap_or(1.0)),
            "leakyrelu" => c.by("leaky_relu", x, alpha.unwrap_or(0.01)),
            "affine" => {
                let x = c.by("mul", x, alpha.unwrap_or(1.0))?;
                c.by("add", x, beta.unwrap_or(0.0))
            }
            "scaledtanh" => {
                let x = c.by("mul", x, beta.unwrap_or(1.0))?;
                let x = c.emit("tanh", &[x])?;
                c.by("mul", x, alpha.unwrap_or(1.0))
            }
            "hardsigmoid" => {
                let x = c.by("mul", x, alpha.unwrap_or(0.2))?;
                let x = c.by("add", x, beta.unwrap_or(0.5))?;
                let (low, high) = (c.number(x, 0.0)?, c.number(x, 1.0)?);
                c.emit("clamp", &[x, low, high])
            }
            "thresholdedrelu" => {
                let above = c.by("gt", x, alpha.unwrap_or(1.0))?;
                let zero = c.number(x, 0.0)?;
                c.select(above, x, zero)
            }
            other => Err(format!("there is no activation `{other}`").into()),
        }
    }
}

/// The activations of all directions; numbers go to those that take some, in order.
fn activations(
    c: &Call<'_, '_>,
    kind: Kind,
    directions: usize,
) -> Result<Vec<Vec<Activation>>, Miss> {
    let each = kind.activations();
    let names: Vec<String> = match c.strs_attr("activations") {
        Some(names) if !names.is_empty() => names,
        _ => (0..directions)
            .flat_map(|_| each.iter().map(|name| (*name).to_owned()))
            .collect(),
    };
    // The format's default for this op names those of two directions.
    if names.len() < directions * each.len() {
        return Err(format!("has {} activations", names.len()).into());
    }
    let mut alphas = c
        .floats_attr("activation_alpha")
        .unwrap_or_default()
        .into_iter();
    let mut betas = c
        .floats_attr("activation_beta")
        .unwrap_or_default()
        .into_iter();
    let made = names.iter().map(|name| {
        let name = name.to_lowercase();
        let takes = |list: &[&str]| list.contains(&name.as_str());
        let alpha = takes(&[
            "affine",
            "leakyrelu",
            "thresholdedrelu",
            "scaledtanh",
            "hardsigmoid",
            "elu",
        ]);
        let beta = takes(&["affine", "scaledtanh", "hardsigmoid"]);
        Activation {
            alpha: if alpha { alphas.next() } else { None },
            beta: if beta { betas.next() } else { None },
            name,
        }
    });
    let made: Vec<Activation> = made.collect();
    Ok(made
        .chunks(each.len())
        .take(directions)
        .map(<[Activation]>::to_vec)
        .collect())
}

/// What one direction computes with.
struct Direction {
    x: Value,
    weight: Value,
    recurrent: Value,
    /// Of the input and of the state, [gates h] each.
    biases: Option<(Value, Value)>,
    lengths: Option<Value>,
    h: Value,
    c: Option<Value>,
    peepholes: Option<Value>,
    activations: Vec<Activation>,
    clip: Option<f64>,
    reverse: bool,
    hidden: i64,
}

fn layer(c: &mut Call<'_, '_>, kind: Kind) -> Lowered {
    let (x, weight, recurrent) = (c.x(0)?, c.x(1)?, c.x(2)?);
    let (bias, lengths, first) = (c.x_opt(3)?, c.x_opt(4)?, c.x_opt(5)?);
    let (cell, peepholes) = match kind {
        Kind::Lstm => (c.x_opt(6)?, c.x_opt(7)?),
        _ => (None, None),
    };
    let across = c.int_or("layout", 0) == 1;
    let x = if across { c.swap(x, 0, 1)? } else { x };
    let dims = c.dims(x)?;
    let [_, n, _] = &dims[..] else {
        return Err("takes x [t, n, i]".into());
    };
    let sizes = c.sizes(recurrent)?;
    let &[directions, _, hidden] = &sizes[..] else {
        return Err("takes weights of the state [directions, gates h, h]".into());
    };
    let turns: &[bool] = match (c.str_or("direction", "forward")?, directions) {
        ("forward", 1) => &[false],
        ("reverse", 1) => &[true],
        ("bidirectional", 2) => &[false, true],
        (name, count) => return Err(format!("`direction` is `{name}` for {count}").into()),
    };
    let activations = activations(c, kind, turns.len())?;
    let dtype = c.dtype(x)?;
    let wide = hidden as i64 * kind.gates();
    let (mut sequences, mut states, mut cells) = (Vec::new(), Vec::new(), Vec::new());
    for (at, reverse) in turns.iter().enumerate() {
        let part = |c: &mut Call<'_, '_>, value: Value, axis: usize| -> Result<Value, Miss> {
            let part = c.slice(value, axis, at as i64, at as i64 + 1)?;
            c.squeeze(part, &[axis as i64])
        };
        let start = |c: &mut Call<'_, '_>, value: Option<Value>| match value {
            Some(value) => part(c, value, usize::from(across)),
            None => c.filled(dtype, 0.0, &[n.clone(), Dim::Known(hidden)]),
        };
        let biases = match bias {
            Some(bias) => {
                let both = part(c, bias, 0)?;
                Some((
                    c.slice(both, 0, 0, wide)?,
                    c.slice(both, 0, wide, 2 * wide)?,
                ))
            }
            None => None,
        };
        let direction = Direction {
            x,
            weight: part(c, weight, 0)?,
            recurrent: part(c, recurrent, 0)?,
            biases,
            lengths,
            h: start(c, first)?,
            c: if kind == Kind::Lstm {
                Some(start(c, cell)?)
            } else {
                None
            },
            peepholes: peepholes.map(|all| part(c, all, 0)).transpose()?,
            activations: activations[at].clone(),
            clip: c.float_attr("clip"),
            reverse: *reverse,
            hidden: hidden as i64,
        };
        let (y, h, cell) = match whole(c, kind, &direction)? {
            Some(results) => results,
            None => steps(c, kind, &direction)?,
        };
        // y is [t, n, h]: the directions come second.
        sequences.push(c.unsqueeze(y, &[1])?);
        states.push(c.unsqueeze(h, &[0])?);
        if let Some(cell) = cell {
            cells.push(c.unsqueeze(cell, &[0])?);
        }
    }
    let y = c.concat(&sequences, 1)?;
    let y = if across {
        c.transpose(y, &[2, 0, 1, 3])?
    } else {
        y
    };
    let mut results: Vec<Item> = vec![y.into()];
    for parts in [states, cells] {
        if parts.is_empty() {
            continue;
        }
        let all = c.concat(&parts, 0)?;
        let all = if across { c.swap(all, 0, 1)? } else { all };
        results.push(all.into());
    }
    Ok(results)
}

type Ran = (Value, Value, Option<Value>);

/// As one op of the IR, where that says all of it.
fn whole(c: &mut Call<'_, '_>, kind: Kind, d: &Direction) -> Result<Option<Ran>, Miss> {
    if d.lengths.is_some() || d.peepholes.is_some() || d.clip.is_some() || c.flag("input_forget") {
        return Ok(None);
    }
    let names: Vec<&str> = d.activations.iter().map(|a| a.name.as_str()).collect();
    let usual = kind
        .activations()
        .iter()
        .map(|name| name.to_lowercase())
        .eq(names.iter().copied());
    let mut attrs = Attrs::new();
    if d.reverse {
        attrs.set("reverse", true);
    }
    // The gates in the IR's order, from places in the format's.
    let (op, order): (&str, &[i64]) = match kind {
        Kind::Lstm if usual => ("lstm", &[0, 2, 3, 1]),
        Kind::Gru if usual => {
            attrs.set("linear_before_reset", c.flag("linear_before_reset"));
            ("gru", &[1, 0, 2])
        }
        Kind::Rnn if names == ["tanh"] || names == ["relu"] => {
            attrs.set("nonlinearity", names[0]);
            ("rnn", &[0])
        }
        _ => return Ok(None),
    };
    let mut ordered = |value: Value| -> Result<Value, Miss> {
        if order.len() == 1 {
            return Ok(value);
        }
        let mut parts = Vec::new();
        for gate in order {
            parts.push(c.slice(value, 0, gate * d.hidden, (gate + 1) * d.hidden)?);
        }
        c.concat(&parts, 0)
    };
    let (weight, recurrent) = (ordered(d.weight)?, ordered(d.recurrent)?);
    let mut operands = vec![d.x, d.h];
    operands.extend(d.c);
    operands.extend([weight, recurrent]);
    if let Some((input, state)) = d.biases {
        operands.extend([ordered(input)?, ordered(state)?]);
    }
    let results = c.emit_all(op, &operands, attrs)?;
    Ok(Some((results[0], results[1], results.get(2).copied())))
}

/// Step by step.
fn steps(c: &mut Call<'_, '_>, kind: Kind, d: &Direction) -> Result<Ran, Miss> {
    let dims = c.dims(d.x)?;
    let count = dims[0]
        .known()
        .filter(|count| (1..=MAX_STEPS).contains(count));
    let count = count.ok_or("the number of steps has to be known, and not too large")? as i64;
    // All steps' inputs at once.
    let mut operands = vec![d.x, d.weight];
    operands.extend(d.biases.map(|(input, _)| input));
    let inputs = c.emit("linear", &operands)?;
    let (mut h, mut cell) = (d.h, d.c);
    let mut rows = Vec::new();
    let order: Vec<i64> = match d.reverse {
        true => (0..count).rev().collect(),
        false => (0..count).collect(),
    };
    for step in order {
        let x = c.slice(inputs, 0, step, step + 1)?;
        let x = c.squeeze(x, &[0])?;
        let (new, new_cell) = match (kind, cell) {
            (Kind::Lstm, Some(cell)) => {
                let (h, cell) = lstm(c, d, x, h, cell)?;
                (h, Some(cell))
            }
            (Kind::Gru, _) => (gru(c, d, x, h)?, None),
            _ => {
                let sum = against(c, d, x, h)?;
                (gate(c, d, sum, 0)?, None)
            }
        };
        match d.lengths {
            None => {
                rows.push(c.unsqueeze(new, &[0])?);
                (h, cell) = (new, new_cell);
            }
            Some(lengths) => {
                // Beyond its end a sequence gives zeros and keeps its state.
                let more = c.by("gt", lengths, step as f64)?;
                let more = c.unsqueeze(more, &[1])?;
                let zero = c.number(new, 0.0)?;
                let row = c.select(more, new, zero)?;
                rows.push(c.unsqueeze(row, &[0])?);
                h = c.select(more, new, h)?;
                cell = match (new_cell, cell) {
                    (Some(new), Some(old)) => Some(c.select(more, new, old)?),
                    _ => None,
                };
            }
        }
    }
    if d.reverse {
        rows.reverse();
    }
    Ok((c.concat(&rows, 0)?, h, cell))
}

/// The input's part and the state's part together.
fn against(c: &mut Call<'_, '_>, d: &Direction, x: Value, h: Value) -> Result<Value, Miss> {
    let mut operands = vec![h, d.recurrent];
    operands.extend(d.biases.map(|(_, state)| state));
    let state = c.emit("linear", &operands)?;
    c.add(x, state)
}

/// A gate's function, after clipping.
fn gate(c: &mut Call<'_, '_>, d: &Direction, x: Value, which: usize) -> Result<Value, Miss> {
    let x = match d.clip {
        Some(clip) => {
            let (low, high) = (c.number(x, -clip)?, c.number(x, clip)?);
            c.emit("clamp", &[x, low, high])?
        }
        None => x,
    };
    d.activations[which].emit(c, x)
}

/// The part of one gate, in the format's order.
fn part(c: &mut Call<'_, '_>, d: &Direction, all: Value, gate: i64) -> Result<Value, Miss> {
    let axis = c.rank(all)? - 1;
    c.slice(all, axis, gate * d.hidden, (gate + 1) * d.hidden)
}

fn lstm(
    c: &mut Call<'_, '_>,
    d: &Direction,
    x: Value,
    h: Value,
    cell: Value,
) -> Result<(Value, Value), Miss> {
    let all = against(c, d, x, h)?;
    let peep = |c: &mut Call<'_, '_>, sum: Value, which: i64, cell: Value| match d.peepholes {
        Some(weights) => {
            let weight = part(c, d, weights, which)?;
            let seen = c.mul(weight, cell)?;
            c.add(sum, seen)
        }
        None => Ok(sum),
    };
    let input = part(c, d, all, 0)?;
    let input = peep(c, input, 0, cell)?;
    let input = gate(c, d, input, 0)?;
    let forget = if c.flag("input_forget") {
        let full = c.number(input, 1.0)?;
        c.sub(full, input)?
    } else {
        let forget = part(c, d, all, 2)?;
        let forget = peep(c, forget, 2, cell)?;
        gate(c, d, forget, 0)?
    };
    let fresh = part(c, d, all, 3)?;
    let fresh = gate(c, d, fresh, 1)?;
    let (kept, added) = (c.mul(forget, cell)?, c.mul(input, fresh)?);
    let cell = c.add(kept, added)?;
    let output = part(c, d, all, 1)?;
    let output = peep(c, output, 1, cell)?;
    let output = gate(c, d, output, 0)?;
    let shown = d.activations[2].emit(c, cell)?;
    Ok((c.mul(output, shown)?, cell))
}

fn gru(c: &mut Call<'_, '_>, d: &Direction, x: Value, h: Value) -> Result<Value, Miss> {
    let rows = |c: &mut Call<'_, '_>, value: Value, start: i64, end: i64| {
        c.slice(value, 0, start * d.hidden, end * d.hidden)
    };
    let affine = |c: &mut Call<'_, '_>, h: Value, start: i64, end: i64| -> Result<Value, Miss> {
        let mut operands = vec![h, rows(c, d.recurrent, start, end)?];
        if let Some((_, state)) = d.biases {
            operands.push(rows(c, state, start, end)?);
        }
        c.emit("linear", &operands)
    };
    let gates = affine(c, h, 0, 2)?;
    let of_x = c.slice(x, 1, 0, 2 * d.hidden)?;
    let gates = c.add(of_x, gates)?;
    let update = part(c, d, gates, 0)?;
    let update = gate(c, d, update, 0)?;
    let reset = part(c, d, gates, 1)?;
    let reset = gate(c, d, reset, 0)?;
    let of_x = part(c, d, x, 2)?;
    let of_h = match c.flag("linear_before_reset") {
        true => {
            let state = affine(c, h, 2, 3)?;
            c.mul(reset, state)?
        }
        false => {
            let h = c.mul(reset, h)?;
            affine(c, h, 2, 3)?
        }
    };
    let fresh = c.add(of_x, of_h)?;
    let fresh = gate(c, d, fresh, 1)?;
    let full = c.number(update, 1.0)?;
    let rest = c.sub(full, update)?;
    let (new, old) = (c.mul(rest, fresh)?, c.mul(update, h)?);
    c.add(new, old)
}
