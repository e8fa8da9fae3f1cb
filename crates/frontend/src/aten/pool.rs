//! Pools over images [n, channels, height, width].

use syncarp_ir::Attrs;

use super::arg::Arg;
use super::call::Call;
use super::{Function, Lowered};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &[
            "aten::max_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], \
             int[2] padding=0, int[2] dilation=1, bool ceil_mode=False) -> Tensor",
            "functional::max_pool2d(Tensor self, int[2] kernel_size, int[2]? stride=None, \
             int[2] padding=0, int[2] dilation=1, bool ceil_mode=False, \
             bool return_indices=False) -> Tensor",
            "functional::_max_pool2d(Tensor self, int[2] kernel_size, int[2]? stride=None, \
             int[2] padding=0, int[2] dilation=1, bool ceil_mode=False, \
             bool return_indices=False) -> Tensor",
        ],
        lower: |c| {
            if c.has("return_indices") && c.bool("return_indices")? {
                return Err("no indices are given back here".to_owned());
            }
            let dilation = c.window("dilation", 2, None, 1)?;
            let attrs = pool(c)?.with("dilation", dilation);
            let x = c.tensor("self")?;
            c.give_with("max_pool2d", &[x], attrs)
        },
    },
    Function {
        schemas: &[
            "aten::avg_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], \
             int[2] padding=0, bool ceil_mode=False, bool count_include_pad=True, \
             int? divisor_override=None) -> Tensor",
        ],
        lower: |c| {
            if c.int_opt("divisor_override")?.is_some() {
                return Err("a mean is divided by the number of its elements here".to_owned());
            }
            let count = c.bool("count_include_pad")?;
            let attrs = pool(c)?.with("count_include_pad", count);
            let x = c.tensor("self")?;
            c.give_with("avg_pool2d", &[x], attrs)
        },
    },
    Function {
        schemas: &[
            "aten::adaptive_avg_pool2d(Tensor self, SymInt[2] output_size) -> Tensor",
            "aten::_adaptive_avg_pool2d(Tensor self, SymInt[2] output_size) -> Tensor",
        ],
        lower: adaptive,
    },
];

fn pool(c: &Call<'_, '_>) -> Result<Attrs, String> {
    let kernel = c.window("kernel_size", 2, None, 1)?;
    Ok(Attrs::new()
        .with("stride", c.window("stride", 2, Some(&kernel), 1)?)
        .with("kernel", kernel)
        .with("padding", c.window("padding", 2, None, 0)?)
        .with("ceil_mode", c.bool("ceil_mode")?))
}

fn adaptive(c: &mut Call<'_, '_>) -> Lowered {
    let x = c.tensor("self")?;
    let holes = |items: &[Arg]| items.contains(&Arg::None);
    let output = match c.arg("output_size").items().filter(|items| holes(items)) {
        None => c.window("output_size", 2, None, 1)?,
        // What is left open stays as it is.
        Some(items) => {
            let items = items.to_vec();
            let dims = c.dims(x)?;
            let sizes = items
                .iter()
                .zip(dims.iter().skip(2))
                .map(|(item, dim)| match item {
                    Arg::Int(size) => Some(*size),
                    _ => dim.known().and_then(|size| i64::try_from(size).ok()),
                });
            sizes
                .collect::<Option<Vec<i64>>>()
                .ok_or("the image's size is not known")?
        }
    };
    c.give_with(
        "adaptive_avg_pool2d",
        &[x],
        Attrs::new().with("output", output),
    )
}
