//! Many models in one graph, with half of each in common and work for every kind of pass.

use std::sync::Arc;

use syncarp_ir::core_ops::INPUT;
use syncarp_ir::{
    Attrs, DType, Data, Dim, EVAL, GraphBuilder, Model, ModelEntry, OpRegistry, OutputKey, Plan,
    Role, Value,
};

/// So many models of so many nodes over one input, in one eval graph. The first half of every model
/// is the same; then each goes its own way. Of ten nodes three have another spelling, or do nothing.
pub fn blocks(ops: &Arc<OpRegistry>, models: usize, nodes: usize) -> Plan {
    let mut plan = Plan::default();
    let mut b = GraphBuilder::new(ops.clone());
    let input = |b: &mut GraphBuilder| {
        let attrs = Attrs::new()
            .with("model", Model::new(0))
            .with("name", "x")
            .with("dtype", DType::F32)
            .with("dims", vec![Dim::symbol("n"), Dim::Known(8), Dim::Known(8)]);
        b.emit1(INPUT, &[], attrs).expect("an input types")
    };
    let mut x = None;
    let mut outputs = Vec::new();
    for index in 0..models {
        let model = Model::new(index);
        plan.models.push(ModelEntry {
            name: format!("m{index}").into(),
            data: Some(Data::new(0)),
            states: Vec::new(),
        });
        b.set_origin(model, "x", Role::Forward);
        let x = *x.get_or_insert_with(|| input(&mut b));
        let mut state = Walk {
            recent: [x; 4],
            // The same numbers for all models in the first half.
            draw: 1,
        };
        let before = b.graph().len();
        for step in 0.. {
            let made = b.graph().len() - before;
            if made >= nodes {
                break;
            }
            if made == nodes / 2 || made == nodes / 2 + 1 {
                state.draw = 1 + index as u64;
            }
            b.set_origin(model, &format!("block{step}"), Role::Forward);
            state.step(&mut b);
        }
        outputs.push((model, state.recent[3]));
    }
    for (model, value) in outputs {
        b.output(OutputKey::Result(model, "y".into()), value);
    }
    plan.set_graph(EVAL, b.finish());
    plan
}

struct Walk {
    recent: [Value; 4],
    draw: u64,
}

impl Walk {
    /// A number from 0 on below a bound: the middle of a linear congruential generator.
    fn next(&mut self, bound: u64) -> usize {
        self.draw = self
            .draw
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.draw >> 33) % bound) as usize
    }

    fn step(&mut self, b: &mut GraphBuilder) {
        const UNARY: [&str; 6] = ["relu", "tanh", "sigmoid", "exp", "abs", "neg"];
        const BINARY: [&str; 4] = ["add", "mul", "sub", "maximum"];
        let last = self.recent[3];
        let call = |b: &mut GraphBuilder, op: &str, operands: &[Value], attrs: Attrs| {
            b.emit1(op, operands, attrs).expect("a block types")
        };
        let value = match self.next(10) {
            0..=3 => call(b, UNARY[self.next(6)], &[last], Attrs::new()),
            4..=6 => {
                let other = self.recent[self.next(3)];
                let mut pair = [other, last];
                pair.rotate_left(self.next(2));
                call(b, BINARY[self.next(4)], &pair, Attrs::new())
            }
            7 => {
                let flat = call(b, "flatten", &[last], Attrs::new().with("start", 1i64));
                let dims = b.ty(last).dims().unwrap_or_default().to_vec();
                call(b, "reshape", &[flat], Attrs::new().with("dims", dims))
            }
            8 => {
                let swap = || Attrs::new().with("permutation", vec![0, 2, 1]);
                let turned = call(b, "transpose", &[last], swap());
                call(b, "transpose", &[turned], swap())
            }
            _ => {
                let one = b.constant(DType::F32, 1.0).expect("a constant types");
                call(b, "mul", &[one, last], Attrs::new())
            }
        };
        self.recent.rotate_left(1);
        self.recent[3] = value;
    }
}
