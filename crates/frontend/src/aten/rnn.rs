//! Recurrent networks: layers and directions of the ops of one layer and one direction.

use syncarp_ir::{Attrs, Value, Values};

use super::arg::Arg;
use super::call::Call;
use super::{Function, Lowered};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &[
            "aten::lstm.input(Tensor input, Tensor[] hx, Tensor[] params, bool has_biases, \
             int num_layers, float dropout, bool train, bool bidirectional, bool batch_first) \
             -> (Tensor, Tensor, Tensor)",
        ],
        lower: |c| {
            let hx = c.tensors("hx")?;
            let [h, cell] = hx[..] else {
                return Err("`hx` is the hidden state and the cell's".to_owned());
            };
            layers(c, "lstm", Attrs::new(), &[h, cell])
        },
    },
    Function {
        schemas: &[
            "aten::gru.input(Tensor input, Tensor hx, Tensor[] params, bool has_biases, \
             int num_layers, float dropout, bool train, bool bidirectional, bool batch_first) \
             -> (Tensor, Tensor)",
        ],
        lower: |c| {
            let h = c.tensor("hx")?;
            let attrs = Attrs::new().with("linear_before_reset", true);
            layers(c, "gru", attrs, &[h])
        },
    },
    Function {
        schemas: &[
            "aten::rnn_tanh.input(Tensor input, Tensor hx, Tensor[] params, bool has_biases, \
             int num_layers, float dropout, bool train, bool bidirectional, bool batch_first) \
             -> (Tensor, Tensor)",
        ],
        lower: |c| {
            let h = c.tensor("hx")?;
            layers(c, "rnn", Attrs::new().with("nonlinearity", "tanh"), &[h])
        },
    },
    Function {
        schemas: &[
            "aten::rnn_relu.input(Tensor input, Tensor hx, Tensor[] params, bool has_biases, \
             int num_layers, float dropout, bool train, bool bidirectional, bool batch_first) \
             -> (Tensor, Tensor)",
        ],
        lower: |c| {
            let h = c.tensor("hx")?;
            layers(c, "rnn", Attrs::new().with("nonlinearity", "relu"), &[h])
        },
    },
    Function {
        schemas: &[
            "aten::lstm_cell(Tensor input, Tensor[] hx, Tensor w_ih, Tensor w_hh, \
             Tensor? b_ih=None, Tensor? b_hh=None) -> (Tensor, Tensor)",
        ],
        lower: |c| {
            let hx = c.tensors("hx")?;
            let [h, cell] = hx[..] else {
                return Err("`hx` is the hidden state and the cell's".to_owned());
            };
            let made = step(c, "lstm", Attrs::new(), &[h, cell])?;
            Arg::list(vec![Arg::Tensor(made[1]), Arg::Tensor(made[2])])
        },
    },
    Function {
        schemas: &[
            "aten::gru_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, \
             Tensor? b_ih=None, Tensor? b_hh=None) -> Tensor",
        ],
        lower: |c| {
            let h = c.tensor("hx")?;
            let made = step(
                c,
                "gru",
                Attrs::new().with("linear_before_reset", true),
                &[h],
            )?;
            Ok(Arg::Tensor(made[1]))
        },
    },
    Function {
        schemas: &[
            "aten::rnn_tanh_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, \
             Tensor? b_ih=None, Tensor? b_hh=None) -> Tensor",
        ],
        lower: |c| {
            let h = c.tensor("hx")?;
            let made = step(c, "rnn", Attrs::new().with("nonlinearity", "tanh"), &[h])?;
            Ok(Arg::Tensor(made[1]))
        },
    },
    Function {
        schemas: &[
            "aten::rnn_relu_cell(Tensor input, Tensor hx, Tensor w_ih, Tensor w_hh, \
             Tensor? b_ih=None, Tensor? b_hh=None) -> Tensor",
        ],
        lower: |c| {
            let h = c.tensor("hx")?;
            let made = step(c, "rnn", Attrs::new().with("nonlinearity", "relu"), &[h])?;
            Ok(Arg::Tensor(made[1]))
        },
    },
];

/// The most layers of a network.
const MAX_LAYERS: i64 = 256;

/// All layers and directions. `states` are [layers * directions, n, hidden] each.
fn layers(c: &mut Call<'_, '_>, op: &str, attrs: Attrs, states: &[Value]) -> Lowered {
    let params = c.tensors("params")?;
    let count = c.int("num_layers")?;
    if !(1..=MAX_LAYERS).contains(&count) {
        return Err(format!("there are 1 to {MAX_LAYERS} layers"));
    }
    let each = if c.bool("has_biases")? { 4 } else { 2 };
    let directions = if c.bool("bidirectional")? { 2 } else { 1 };
    if params.len() != each * directions * count as usize {
        return Err(format!(
            "{} parameters are not {each} for each of {} directions of layers; projections are \
             not known here",
            params.len(),
            directions * count as usize
        ));
    }
    let mut x = c.tensor("input")?;
    let rank = c.ty(x).rank().ok_or_else(super::call::unknown_size)?;
    let one = || Attrs::new().with("axes", vec![1i64]);
    let swap = [1, 0, 2];
    let batch_first = c.bool("batch_first")?;
    let mut states = states.to_vec();
    match (rank, batch_first) {
        (2, _) => {
            // One sequence without a batch.
            x = c.emit("unsqueeze", &[x], one())?;
            for state in &mut states {
                *state = c.emit("unsqueeze", &[*state], one())?;
            }
        }
        (3, true) => x = c.permuted(x, &swap)?,
        (3, false) => {}
        _ => return Err(format!("takes sequences of 3 dims, not {rank}")),
    }
    let dropout = c.number("dropout")?;
    let train = c.bool("train")?;
    let mut last: Vec<Vec<Value>> = vec![Vec::new(); states.len()];
    for (place, weights) in params.chunks(each * directions).enumerate() {
        if place > 0 && train && dropout > 0.0 {
            x = c.dropout(x, dropout)?;
        }
        let mut outputs = Vec::with_capacity(directions);
        for (direction, weights) in weights.chunks(each).enumerate() {
            let at = (place * directions + direction) as i64;
            let mut operands = vec![x];
            for state in &states {
                let row = c.cut(*state, 0, at, Some(at + 1))?;
                operands.push(c.emit("squeeze", &[row], Attrs::new().with("axes", vec![0i64]))?);
            }
            operands.extend(weights);
            let mut attrs = attrs.clone();
            if direction == 1 {
                attrs.set("reverse", true);
            }
            let made = c.emit_all(op, &operands, attrs)?;
            outputs.push(made[0]);
            for (last, state) in last.iter_mut().zip(&made[1..]) {
                let attrs = Attrs::new().with("axes", vec![0i64]);
                last.push(c.emit("unsqueeze", &[*state], attrs)?);
            }
        }
        x = c.joined(&outputs, 2)?;
    }
    let mut results = Vec::with_capacity(1 + last.len());
    results.push(match (rank, batch_first) {
        (2, _) => c.emit("squeeze", &[x], one())?,
        (_, true) => c.permuted(x, &swap)?,
        _ => x,
    });
    for states in last {
        let state = c.joined(&states, 0)?;
        results.push(match rank {
            2 => c.emit("squeeze", &[state], one())?,
            _ => state,
        });
    }
    Arg::list(results.into_iter().map(Arg::Tensor).collect())
}

/// One step of one layer.
fn step(c: &mut Call<'_, '_>, op: &str, attrs: Attrs, states: &[Value]) -> Result<Values, String> {
    let x = c.tensor("input")?;
    let rank = c.ty(x).rank().ok_or_else(super::call::unknown_size)?;
    if rank != 2 {
        return Err(format!("takes a batch of 2 dims, not {rank}"));
    }
    let x = c.emit("unsqueeze", &[x], Attrs::new().with("axes", vec![0i64]))?;
    let mut operands = vec![x];
    operands.extend(states);
    operands.extend([c.tensor("w_ih")?, c.tensor("w_hh")?]);
    operands.extend(c.tensor_opt("b_ih")?);
    operands.extend(c.tensor_opt("b_hh")?);
    c.emit_all(op, &operands, attrs)
}
