//! Embeddings.

use syncarp_diag::Located;
use syncarp_ir::{Attrs, DType, Distribution, Value};

use super::INIT;
use crate::context::LayerContext;
use crate::registry::{Argument, LayerFn};

const ROWS: Argument = Argument::required(
    &["num_embeddings", "rows"],
    "The number of rows, one for each index.",
);
const WIDTH: Argument = Argument::required(&["embedding_dim", "dim"], "The size of a row.");

pub(super) const EMBEDDING: LayerFn = LayerFn {
    names: &["embedding"],
    doc: "A learned row for each index, integers [...] to [..., dim] (`torch.nn.Embedding`). An \
          index outside the rows gives NaN. States: `weight` [rows, dim].",
    arguments: &[ROWS, WIDTH, INIT],
    lower: embedding,
};

fn embedding(cx: &mut LayerContext<'_, '_>) -> Result<Value, Located> {
    let rows = cx.args.usize(&ROWS)? as u64;
    let width = cx.args.usize(&WIDTH)? as u64;
    let mut index = cx.input();
    match cx.ty().dtype {
        None | Some(DType::I64) => {}
        Some(DType::U8 | DType::I8 | DType::I32) => {
            index = cx.emit1("cast", &[index], Attrs::new().with("to", DType::I64))?;
        }
        Some(dtype) => {
            return Err(cx.error(format!(
                "expects integers, not {dtype}; put `{{ cast = \"i64\" }}` before it"
            )));
        }
    }
    let normal = Distribution::Normal(0.0, 1.0);
    let weight = cx.parameter("weight", DType::F32, &[rows, width], normal)?;
    cx.emit1("embedding", &[weight, index], Attrs::new())
}
