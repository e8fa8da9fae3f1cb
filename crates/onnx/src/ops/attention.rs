//! Attention and what belongs to it.

use syncarp_ir::{Attrs, DType, Dim, Value};

use super::Op;
use crate::call::{Call, Lowered, Miss, one};
use crate::item::Item;

pub(super) const OPS: &[Op] = &[
    Op::new("Attention", attention),
    Op::new("RotaryEmbedding", rotary),
    Op::new("LinearAttention", linear_attention),
];

/// How many steps of a recurrence are written out.
pub(super) const MAX_STEPS: u64 = 10_000;

/// [n, l, heads d] as [n, heads, l, d].
fn heads(c: &mut Call<'_, '_>, x: Value, heads: Option<i64>) -> Result<Value, Miss> {
    let dims = c.dims(x)?;
    let [n, length, hidden] = &dims[..] else {
        return match dims.len() {
            4 => Ok(x),
            rank => Err(format!("takes three or four dims, not {rank}").into()),
        };
    };
    let heads = heads
        .and_then(|heads| u64::try_from(heads).ok())
        .filter(|heads| *heads > 0);
    let heads = Dim::Known(heads.ok_or("the number of heads is missing")?);
    let each = hidden
        .floor_div(&heads)
        .filter(|each| each.times(&heads).as_ref() == Some(hidden));
    let each = each.ok_or("the heads do not divide the hidden size")?;
    let split = c.reshape(x, &[n.clone(), length.clone(), heads, each])?;
    c.transpose(split, &[0, 2, 1, 3])
}

/// Each head so many times, one after the other.
fn repeat_heads(c: &mut Call<'_, '_>, x: Value, wanted: &Dim) -> Result<Value, Miss> {
    let dims = c.dims(x)?;
    if dims[1] == *wanted {
        return Ok(x);
    }
    let times = wanted
        .floor_div(&dims[1])
        .filter(|t| t.times(&dims[1]).as_ref() == Some(wanted));
    let times = times.ok_or("the heads of queries and keys do not divide")?;
    let (n, own) = (dims[0].clone(), dims[1].clone());
    let longer = c.unsqueeze(x, &[2])?;
    let mut wide = vec![n.clone(), own, times];
    wide.extend_from_slice(&dims[2..]);
    let wide = c.expand(longer, &wide)?;
    let mut flat = vec![n, wanted.clone()];
    flat.extend_from_slice(&dims[2..]);
    c.reshape(wide, &flat)
}

/// What is added to the scores: 0 where a key is attended to, else minus infinity.
struct Bias {
    sum: Option<Value>,
    dtype: DType,
    /// Whether a row may have no key at all.
    empty_rows: bool,
}

impl Bias {
    fn add(&mut self, c: &mut Call<'_, '_>, bias: Value) -> Result<(), Miss> {
        self.sum = Some(match self.sum {
            Some(sum) => c.add(sum, bias)?,
            None => bias,
        });
        Ok(())
    }

    fn allow(&mut self, c: &mut Call<'_, '_>, allowed: Value) -> Result<(), Miss> {
        let yes = c.constant(self.dtype, 0.0)?;
        let no = c.constant(self.dtype, f64::NEG_INFINITY)?;
        let bias = c.select(allowed, yes, no)?;
        self.add(c, bias)
    }
}

fn attention(c: &mut Call<'_, '_>) -> Lowered {
    let (q, k, v) = (c.x(0)?, c.x(1)?, c.x(2)?);
    let flat = c.rank(q)? == 3;
    let (of_q, of_kv) = (c.int_attr("q_num_heads"), c.int_attr("kv_num_heads"));
    let q = heads(c, q, of_q)?;
    let (mut k, mut v) = (heads(c, k, of_kv)?, heads(c, v, of_kv)?);
    let past = match (c.x_opt(4)?, c.x_opt(5)?) {
        (Some(key), Some(value)) => {
            let before = c.dims(key)?;
            k = c.concat(&[key, k], 2)?;
            v = c.concat(&[value, v], 2)?;
            Some(before.get(2).cloned().ok_or("past keys have four dims")?)
        }
        _ => None,
    };
    let present = (k, v);
    let (dims, keys) = (c.dims(q)?, c.dims(k)?);
    let (length, total) = (dims[2].clone(), keys[2].clone());
    let dtype = c.dtype(q)?;
    let k = repeat_heads(c, k, &dims[1])?;
    let v = repeat_heads(c, v, &dims[1])?;
    let width = dims[3]
        .known()
        .filter(|width| *width > 0)
        .ok_or("the heads' size has to be known")?;
    let plain = 1.0 / (width as f64).sqrt();
    let scale = c
        .float_attr("scale")
        .filter(|scale| *scale != 0.0)
        .unwrap_or(plain);
    let softcap = c.float_or("softcap", 0.0);

    let mut bias = Bias {
        sum: None,
        dtype,
        empty_rows: false,
    };
    if let Some(mask) = c.x_opt(3)? {
        bias.empty_rows = true;
        let mask = widen(c, mask, &total, dtype)?;
        match c.dtype(mask)? {
            DType::Bool => bias.allow(c, mask)?,
            _ => bias.add(c, mask)?,
        }
    }
    let valid = match c.x_opt(6)? {
        Some(valid) => Some(c.cast(valid, DType::I64)?),
        None => None,
    };
    let windows = (
        c.int_or("left_window_size", -1),
        c.int_or("right_window_size", -1),
    );
    if c.flag("is_causal") || windows != (-1, -1) {
        let far = distances(c, &length, &total, past.as_ref(), valid)?;
        bias.empty_rows |= valid.is_some();
        if c.flag("is_causal") {
            let allowed = c.by("ge", far, 0.0)?;
            bias.allow(c, allowed)?;
        }
        if windows.0 >= 0 {
            bias.empty_rows = true;
            let allowed = c.by("le", far, windows.0 as f64)?;
            bias.allow(c, allowed)?;
        }
        if windows.1 >= 0 {
            let allowed = c.by("ge", far, -windows.1 as f64)?;
            bias.allow(c, allowed)?;
        }
    }
    if let Some(valid) = valid {
        bias.empty_rows = true;
        let column = c.reshape(
            valid,
            &[dims[0].clone(), Dim::Known(1), Dim::Known(1), Dim::Known(1)],
        )?;
        let places = c.iota(DType::I64, std::slice::from_ref(&total), 0)?;
        let allowed = c.emit("lt", &[places, column])?;
        bias.allow(c, allowed)?;
    }

    let mode = c.int_or("qk_matmul_output_mode", 0);
    let (y, shown) = if softcap == 0.0 && !c.asks(3) && !bias.empty_rows {
        let q = match (scale / plain - 1.0).abs() < 1e-6 {
            true => q,
            false => c.by("mul", q, scale / plain)?,
        };
        let operands: Vec<Value> = [q, k, v].into_iter().chain(bias.sum).collect();
        (c.emit("scaled_dot_product_attention", &operands)?, None)
    } else {
        scores(c, [q, k, v], scale, softcap, &bias, mode)?
    };
    let y = match flat {
        true => {
            let y = c.transpose(y, &[0, 2, 1, 3])?;
            super::shape::flatten_last(c, y)?
        }
        false => y,
    };
    let mut results: Vec<Item> = vec![y.into(), present.0.into(), present.1.into()];
    results.extend(shown.map(Item::from));
    Ok(results)
}

/// A mask for fewer keys than there are: the others are not attended to.
fn widen(c: &mut Call<'_, '_>, mask: Value, total: &Dim, dtype: DType) -> Result<Value, Miss> {
    let dims = c.dims(mask)?;
    let own = dims.last().ok_or("a mask has dims")?;
    if own == total || *own == Dim::Known(1) && total.known().is_none() {
        return Ok(mask);
    }
    let more = total.minus(own).and_then(|more| more.known());
    let more = more.ok_or("the mask does not fit the keys")? as i64;
    let mut high = vec![0; dims.len()];
    high[dims.len() - 1] = more;
    let outside = match c.dtype(mask)? {
        DType::Bool => c.constant(DType::Bool, false)?,
        _ => c.constant(dtype, f64::NEG_INFINITY)?,
    };
    super::slice::border(c, mask, outside, &vec![0; dims.len()], &high, "constant")
}

/// How far each query is behind each key: [l, s], or [n, 1, l, s] where samples differ.
fn distances(
    c: &mut Call<'_, '_>,
    length: &Dim,
    total: &Dim,
    past: Option<&Dim>,
    valid: Option<Value>,
) -> Result<Value, Miss> {
    let plane = [length.clone(), total.clone()];
    let rows = c.iota(DType::I64, &plane, 0)?;
    let columns = c.iota(DType::I64, &plane, 1)?;
    let far = c.sub(rows, columns)?;
    let size = |c: &mut Call<'_, '_>, dim: &Dim| {
        let known = crate::known::Known::scalar(DType::I64, dim.into());
        c.value(&known.into())
    };
    match (past, valid) {
        (Some(before), _) => {
            let before = size(c, before)?;
            c.add(far, before)
        }
        (None, Some(valid)) => {
            let length = size(c, length)?;
            let offset = c.sub(valid, length)?;
            let n = c.dims(valid)?[0].clone();
            let column = c.reshape(offset, &[n, Dim::Known(1), Dim::Known(1), Dim::Known(1)])?;
            c.add(far, column)
        }
        (None, None) => Ok(far),
    }
}

/// Attention step by step, and the scores at the step that `mode` names.
fn scores(
    c: &mut Call<'_, '_>,
    [q, k, v]: [Value; 3],
    scale: f64,
    softcap: f64,
    bias: &Bias,
    mode: i64,
) -> Result<(Value, Option<Value>), Miss> {
    let q = c.by("mul", q, scale)?;
    let attrs = Attrs::new().with("transpose_b", true);
    let plain = c.with("matmul", &[q, k], attrs)?;
    let mut capped = plain;
    if softcap != 0.0 {
        capped = c.by("div", capped, softcap)?;
        capped = c.emit("tanh", &[capped])?;
        capped = c.by("mul", capped, softcap)?;
    }
    let biased = match bias.sum {
        Some(sum) => c.add(capped, sum)?,
        None => capped,
    };
    let mut shares = c.with("softmax", &[biased], Attrs::new().with("axis", -1i64))?;
    if let Some(sum) = bias.sum.filter(|_| bias.empty_rows) {
        // A row without any key attends to nothing.
        let axis = c.rank(sum)? as i64 - 1;
        let most = c.reduce("reduce_max", sum, &[axis], true)?;
        let none = c.by("eq", most, f64::NEG_INFINITY)?;
        let zero = c.number(shares, 0.0)?;
        shares = c.select(none, zero, shares)?;
    }
    let y = c.emit("matmul", &[shares, v])?;
    let shown = match mode {
        1 => capped,
        2 => biased,
        3 => shares,
        _ => plain,
    };
    Ok((y, Some(shown)))
}

/// Pairs of elements turned by the angles of their places.
fn rotary(c: &mut Call<'_, '_>) -> Lowered {
    let (x, cos, sin, places) = (c.x(0)?, c.x(1)?, c.x(2)?, c.x_opt(3)?);
    let given = c.dims(x)?;
    let x = match given.len() {
        4 => c.transpose(x, &[0, 2, 1, 3])?,
        _ => {
            let split = heads(c, x, c.int_attr("num_heads"))?;
            c.transpose(split, &[0, 2, 1, 3])?
        }
    };
    let dims = c.dims(x)?;
    let size = dims[3].known().ok_or("the heads' size has to be known")? as i64;
    let turned = match c.int_or("rotary_embedding_dim", 0) {
        0 => size,
        part if (2..=size).contains(&part) => part,
        part => return Err(format!("`rotary_embedding_dim` is {part} of {size}").into()),
    };
    let half = turned / 2;
    let mut angles = |table: Value| -> Result<Value, Miss> {
        let rows = match places {
            Some(places) => c.with("gather", &[table, places], Attrs::new().with("axis", 0i64))?,
            None => table,
        };
        c.unsqueeze(rows, &[2])
    };
    let (cos, sin) = (angles(cos)?, angles(sin)?);
    let part = c.slice(x, 3, 0, turned)?;
    let (first, second) = match c.flag("interleaved") {
        true => {
            let mut every = |start: i64| {
                let attrs = Attrs::new().with("axis", 3i64).with("start", start);
                c.with("slice", &[part], attrs.with("step", 2i64))
            };
            (every(0)?, every(1)?)
        }
        false => (c.slice(part, 3, 0, half)?, c.slice(part, 3, half, turned)?),
    };
    let (a, b) = (c.mul(cos, first)?, c.mul(sin, second)?);
    let real = c.sub(a, b)?;
    let (a, b) = (c.mul(sin, first)?, c.mul(cos, second)?);
    let imaginary = c.add(a, b)?;
    let mut y = match c.flag("interleaved") {
        true => {
            let (real, imaginary) = (c.unsqueeze(real, &[-1])?, c.unsqueeze(imaginary, &[-1])?);
            let pairs = c.concat(&[real, imaginary], 4)?;
            let dims = c.dims(part)?;
            c.reshape(pairs, &dims)?
        }
        false => c.concat(&[real, imaginary], 3)?,
    };
    if turned < size {
        let rest = c.slice(x, 3, turned, size)?;
        y = c.concat(&[y, rest], 3)?;
    }
    match given.len() {
        4 => one(c.transpose(y, &[0, 2, 1, 3])?),
        _ => one(c.reshape(y, &given)?),
    }
}

/// A recurrence over a state [n, heads, dk, dv], step by step.
fn linear_attention(c: &mut Call<'_, '_>) -> Lowered {
    let (query, key, value) = (c.x(0)?, c.x(1)?, c.x(2)?);
    let (past, decay, beta) = (c.x_opt(3)?, c.x_opt(4)?, c.x_opt(5)?);
    let (of_q, of_kv) = (c.int_or("q_num_heads", 0), c.int_or("kv_num_heads", 0));
    let dtype = c.dtype(query)?;
    let (q, k, v) = (
        heads(c, query, Some(of_q))?,
        heads(c, key, Some(of_kv))?,
        heads(c, value, Some(of_kv))?,
    );
    let (dims, keys, values) = (c.dims(q)?, c.dims(k)?, c.dims(v)?);
    let steps = dims[2]
        .known()
        .filter(|steps| (1..=MAX_STEPS).contains(steps));
    let steps = steps.ok_or("the number of steps has to be known, and not too large")? as i64;
    let width = dims[3].known().ok_or("the heads' size has to be known")?;
    let rule = c.str_or("update_rule", "gated_delta")?;
    let decay = match decay.filter(|_| rule.contains("gated")) {
        Some(decay) => Some(heads(c, decay, Some(of_kv))?),
        None => None,
    };
    let beta = match beta.filter(|_| rule.contains("delta")) {
        Some(beta) => {
            let last = c.dims(beta)?.last().and_then(Dim::known).unwrap_or(1);
            Some(heads(c, beta, Some(last as i64))?)
        }
        None => None,
    };
    let mut state = match past {
        Some(past) => past,
        None => {
            let shape = [&keys[0], &keys[1], &keys[3], &values[3]].map(Dim::clone);
            c.filled(dtype, 0.0, &shape)?
        }
    };
    let kept = c.dtype(state)?;
    state = c.cast(state, dtype)?;
    let scale = c
        .float_attr("scale")
        .filter(|s| *s != 0.0)
        .unwrap_or((width as f64).powf(-0.5));
    let mut rows = Vec::new();
    for step in 0..steps {
        // Rows [n, heads, 1, d] of this step; columns have the last two dims swapped.
        let k = c.slice(k, 2, step, step + 1)?;
        let column = c.swap(k, 2, 3)?;
        let mut v = c.slice(v, 2, step, step + 1)?;
        if let Some(decay) = decay {
            let gate = c.slice(decay, 2, step, step + 1)?;
            let gate = c.emit("exp", &[gate])?;
            let gate = c.swap(gate, 2, 3)?;
            state = c.mul(state, gate)?;
        }
        if let Some(beta) = beta {
            let told = c.emit("matmul", &[k, state])?;
            let missing = c.sub(v, told)?;
            let beta = c.slice(beta, 2, step, step + 1)?;
            v = c.mul(missing, beta)?;
        }
        let written = c.emit("matmul", &[column, v])?;
        state = c.add(state, written)?;
        let read = repeat_heads(c, state, &dims[1])?;
        let q = c.slice(q, 2, step, step + 1)?;
        rows.push(c.emit("matmul", &[q, read])?);
    }
    let y = c.concat(&rows, 2)?;
    let y = c.by("mul", y, scale)?;
    let y = c.transpose(y, &[0, 2, 1, 3])?;
    let y = super::shape::flatten_last(c, y)?;
    let state = c.cast(state, kept)?;
    Ok(vec![y.into(), state.into()])
}
