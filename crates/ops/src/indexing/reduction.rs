//! What scattering does where an element is there already, and the gradients of that.

use syncarp_ir::{
    AttrDefault, AttrKind, AttrSpec, Attrs, BuildError, DType, Gradient, GradientError,
    GraphBuilder, Infer, TypeError, Value,
};

use super::zeros_like;
use crate::emit::Emit;

pub(super) const REDUCTION: AttrSpec = AttrSpec::optional(
    "reduction",
    AttrKind::Str,
    "What becomes of the element that is there: \"none\", the update takes its place (of several the \
     last), or \"add\", \"mul\", \"max\", \"min\", it is joined with each update in order.",
)
.or(AttrDefault::Str("none"));

/// What becomes of the element that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reduction {
    None,
    Add,
    Mul,
    Max,
    Min,
}

fn read(attrs: &Attrs) -> Result<Reduction, TypeError> {
    Ok(match attrs.str("reduction").map_or("none", |r| &**r) {
        "none" => Reduction::None,
        "add" => Reduction::Add,
        "mul" => Reduction::Mul,
        "max" => Reduction::Max,
        "min" => Reduction::Min,
        other => {
            return Err(TypeError::new(format!(
                "`reduction` must be \"none\", \"add\", \"mul\", \"max\" or \"min\", not {other:?}"
            )));
        }
    })
}

/// The dtype of what is scattered into and of updates.
pub(super) fn dtype(cx: &Infer<'_>) -> Result<Option<DType>, TypeError> {
    read(cx.attrs)?;
    match (cx.operand(0)?.dtype, cx.operand(2)?.dtype) {
        (Some(x), Some(updates)) if x != updates => Err(TypeError::new(format!(
            "operand 2 must be {x} as operand 0 is, not {updates}"
        ))),
        (x, updates) => Ok(x.or(updates)),
    }
}

/// The gradients of a scattering op from those of its result: `gather` names the op that takes what
/// `scatter` puts, both with these attributes.
pub(super) fn gradient(
    cx: &mut Gradient<'_>,
    (gather, scatter): (&str, &str),
    place: &Attrs,
) -> Result<(), GradientError> {
    let Some(dy) = cx.arrived[0] else {
        return Ok(());
    };
    let wrong = |e: TypeError| BuildError::Invalid {
        op: scatter.to_owned(),
        message: e.message,
    };
    let reduction = read(cx.attrs).map_err(wrong)?;
    let rule = Rule {
        x: cx.operands[0],
        index: cx.operands[1],
        updates: cx.operands[2],
        y: cx.results[0],
        dy,
        gather,
        scatter,
        place,
    };
    let wants = [cx.wants(0), cx.wants(2)];
    let [dx, updates] = match reduction {
        Reduction::None => rule.replaced(cx.b, wants)?,
        Reduction::Add => {
            let updates = wants[1].then(|| rule.gather(cx.b, dy)).transpose()?;
            [Some(dy), updates]
        }
        Reduction::Mul => rule.multiplied(cx.b, wants)?,
        Reduction::Max | Reduction::Min => rule.chosen(cx.b, wants)?,
    };
    for (operand, gradient) in [(0, dx), (2, updates)] {
        if let (true, Some(gradient)) = (cx.wants(operand), gradient) {
            cx.give(operand, gradient);
        }
    }
    Ok(())
}

/// The values that gradients are made of.
struct Rule<'a> {
    x: Value,
    index: Value,
    updates: Value,
    y: Value,
    dy: Value,
    gather: &'a str,
    scatter: &'a str,
    place: &'a Attrs,
}

type Gradients = [Option<Value>; 2];

impl Rule<'_> {
    fn gather(&self, b: &mut GraphBuilder, from: Value) -> Result<Value, BuildError> {
        b.call_with(self.gather, &[from, self.index], self.place.clone())
    }

    fn scatter(
        &self,
        b: &mut GraphBuilder,
        into: Value,
        updates: Value,
        reduction: &str,
    ) -> Result<Value, BuildError> {
        let attrs = self.place.clone().with("reduction", reduction);
        b.call_with(self.scatter, &[into, self.index, updates], attrs)
    }

    fn replaced(&self, b: &mut GraphBuilder, wants: [bool; 2]) -> Result<Gradients, BuildError> {
        let mut gradients = [None; 2];
        if wants[0] {
            let zeros = zeros_like(b, self.updates)?;
            gradients[0] = Some(self.scatter(b, self.dy, zeros, "none")?);
        }
        if wants[1] {
            gradients[1] = Some(self.gather(b, self.dy)?);
        }
        Ok(gradients)
    }

    /// Products of all others, also where one of them is zero (ATen `scatter_reduce_backward`).
    fn multiplied(&self, b: &mut GraphBuilder, wants: [bool; 2]) -> Result<Gradients, BuildError> {
        let zero = b.number_like(self.x, 0.0)?;
        let one = b.number_like(self.x, 1.0)?;
        let mut gradients = [None; 2];
        if wants[0] {
            let nothing = b.call("eq", &[self.x, zero])?;
            let safe = b.select(nothing, one, self.x)?;
            let product = self.scatter(b, safe, self.updates, "mul")?;
            let weighted = b.mul(self.dy, product)?;
            gradients[0] = Some(b.div(weighted, safe)?);
        }
        if wants[1] {
            let nothing = b.call("eq", &[self.updates, zero])?;
            let ones = b.select(nothing, one, zero)?;
            let zeros = zeros_like(b, self.x)?;
            let counted = self.scatter(b, zeros, ones, "add")?;
            let counts = self.gather(b, counted)?;
            let several = b.call("gt", &[counts, one])?;
            // Where an update is the one zero, the product of the others; elsewhere all by itself.
            let safe = b.select(nothing, one, self.updates)?;
            let others = self.scatter(b, self.x, safe, "mul")?;
            let weighted = b.mul(self.dy, others)?;
            let alone = self.gather(b, weighted)?;
            let weighted = b.mul(self.dy, self.y)?;
            let whole = self.gather(b, weighted)?;
            let shared = b.div(whole, safe)?;
            let gradient = b.select(nothing, alone, shared)?;
            let none = b.call("logical_and", &[nothing, several])?;
            gradients[1] = Some(b.select(none, zero, gradient)?);
        }
        Ok(gradients)
    }

    /// Those that equal the result have equal parts (ATen `scatter_reduce_backward`).
    fn chosen(&self, b: &mut GraphBuilder, wants: [bool; 2]) -> Result<Gradients, BuildError> {
        let zero = b.number_like(self.x, 0.0)?;
        let one = b.number_like(self.x, 1.0)?;
        let kept = b.call("eq", &[self.x, self.y])?;
        let kept = b.select(kept, one, zero)?;
        let result = self.gather(b, self.y)?;
        let put = b.call("eq", &[self.updates, result])?;
        let put = b.select(put, one, zero)?;
        let count = self.scatter(b, kept, put, "add")?;
        // Where nothing equals the result, which is NaN then, nothing gets a part.
        let nobody = b.call("eq", &[count, zero])?;
        let count = b.select(nobody, one, count)?;
        let part = b.div(self.dy, count)?;
        let mut gradients = [None; 2];
        if wants[0] {
            gradients[0] = Some(b.mul(part, kept)?);
        }
        if wants[1] {
            let part = self.gather(b, part)?;
            gradients[1] = Some(b.mul(part, put)?);
        }
        Ok(gradients)
    }
}
