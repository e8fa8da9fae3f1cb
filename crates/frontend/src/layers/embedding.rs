//! Embeddings.

use syncarp_diag::Located;
use syncarp_ir::{Attrs, DType, Distribution, Value};

use super::{DEVICE, DTYPE, INIT};
use crate::context::LayerContext;
use crate::registry::{Argument, LayerFn, Only};

const ROWS: Argument = Argument::required(
    &["num_embeddings", "rows"],
    "The number of rows, one for each index.",
);
const WIDTH: Argument = Argument::required(&["embedding_dim", "dim"], "The size of a row.");

const PADDING_ROW: Argument = Argument::only(
    &["padding_idx"],
    Only::Nothing,
    "every row is learned here; a row that is not needs a layer of its own",
);
const MAX_NORM: Argument = Argument::only(
    &["max_norm"],
    Only::Nothing,
    "rows are not scaled while they are read here; leave `max_norm` out",
);
const NORM_TYPE: Argument = Argument::only(
    &["norm_type"],
    Only::Anything,
    "It says something of `max_norm` only.",
);
const BY_FREQUENCY: Argument = Argument::only(
    &["scale_grad_by_freq"],
    Only::Bool(false),
    "gradients of all rows count alike here",
);
const SPARSE: Argument = Argument::only(
    &["sparse"],
    Only::Anything,
    "How gradients lie in memory is planned by the engine.",
);

pub(super) const EMBEDDING: LayerFn = LayerFn {
    names: &["embedding"],
    doc: "A learned row for each index, integers [...] to [..., dim] (`torch.nn.Embedding`). An \
          index outside the rows gives NaN. States: `weight` [rows, dim].",
    arguments: &[
        ROWS,
        WIDTH,
        INIT,
        PADDING_ROW,
        MAX_NORM,
        NORM_TYPE,
        BY_FREQUENCY,
        SPARSE,
        DEVICE,
        DTYPE,
    ],
    lower: embedding,
};

fn embedding(cx: &mut LayerContext<'_, '_>) -> Result<Value, Located> {
    let rows = cx.args.usize(&ROWS)? as u64;
    let width = cx.args.usize(&WIDTH)? as u64;
    let mut index = cx.input();
    match cx.ty().dtype {
        None | Some(DType::I64) => {}
        Some(dtype) if dtype.is_integer() => {
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
