//! Pools over sequences, images and volumes [n, channels, ...].

use syncarp_ir::{Attrs, DType, Value};

use super::arg::Arg;
use super::call::Call;
use super::{Function, Lowered};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &[
            "aten::max_pool1d(Tensor self, int[1] kernel_size, int[1] stride=[], \
             int[1] padding=0, int[1] dilation=1, bool ceil_mode=False) -> Tensor",
        ],
        lower: |c| largest(c, 1),
    },
    Function {
        schemas: &[
            "aten::max_pool1d_with_indices(Tensor self, int[1] kernel_size, \
             int[1] stride=[], int[1] padding=0, int[1] dilation=1, bool ceil_mode=False) \
             -> (Tensor, Tensor)",
        ],
        lower: |c| with_places(c, 1),
    },
    Function {
        schemas: &[
            "aten::avg_pool1d(Tensor self, int[1] kernel_size, int[1] stride=[], \
             int[1] padding=0, bool ceil_mode=False, bool count_include_pad=True) -> Tensor",
        ],
        lower: |c| mean(c, 1),
    },
    Function {
        schemas: &[
            "aten::adaptive_avg_pool1d(Tensor self, SymInt[1] output_size) -> Tensor",
            "aten::_adaptive_avg_pool1d(Tensor self, SymInt[1] output_size) -> Tensor",
        ],
        lower: |c| {
            let y = adaptive(c, 1, "adaptive_avg_pool1d")?;
            Ok(Arg::Tensor(y))
        },
    },
    Function {
        schemas: &[
            "aten::adaptive_max_pool1d(Tensor self, int[1] output_size) -> (Tensor, Tensor)",
        ],
        lower: |c| {
            let y = adaptive(c, 1, "adaptive_max_pool1d")?;
            Arg::list(vec![Arg::Tensor(y), Arg::None])
        },
    },
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
        lower: |c| largest(c, 2),
    },
    Function {
        schemas: &[
            "aten::max_pool2d_with_indices(Tensor self, int[2] kernel_size, \
             int[2] stride=[], int[2] padding=0, int[2] dilation=1, bool ceil_mode=False) \
             -> (Tensor, Tensor)",
        ],
        lower: |c| with_places(c, 2),
    },
    Function {
        schemas: &[
            "aten::avg_pool2d(Tensor self, int[2] kernel_size, int[2] stride=[], \
             int[2] padding=0, bool ceil_mode=False, bool count_include_pad=True, \
             int? divisor_override=None) -> Tensor",
        ],
        lower: |c| mean(c, 2),
    },
    Function {
        schemas: &[
            "aten::adaptive_avg_pool2d(Tensor self, SymInt[2] output_size) -> Tensor",
            "aten::_adaptive_avg_pool2d(Tensor self, SymInt[2] output_size) -> Tensor",
        ],
        lower: |c| {
            let y = adaptive(c, 2, "adaptive_avg_pool2d")?;
            Ok(Arg::Tensor(y))
        },
    },
    Function {
        schemas: &[
            "aten::adaptive_max_pool2d(Tensor self, int[2] output_size) -> (Tensor, Tensor)",
        ],
        lower: |c| {
            let y = adaptive(c, 2, "adaptive_max_pool2d")?;
            Arg::list(vec![Arg::Tensor(y), Arg::None])
        },
    },
    Function {
        schemas: &[
            "aten::max_pool3d(Tensor self, int[3] kernel_size, int[3] stride=[], \
             int[3] padding=0, int[3] dilation=1, bool ceil_mode=False) -> Tensor",
        ],
        lower: |c| largest(c, 3),
    },
    Function {
        schemas: &[
            "aten::max_pool3d_with_indices(Tensor self, int[3] kernel_size, \
             int[3] stride=[], int[3] padding=0, int[3] dilation=1, bool ceil_mode=False) \
             -> (Tensor, Tensor)",
        ],
        lower: |c| with_places(c, 3),
    },
    Function {
        schemas: &[
            "aten::avg_pool3d(Tensor self, int[3] kernel_size, int[3] stride=[], \
             int[3] padding=0, bool ceil_mode=False, bool count_include_pad=True, \
             int? divisor_override=None) -> Tensor",
        ],
        lower: |c| mean(c, 3),
    },
    Function {
        schemas: &[
            "aten::adaptive_avg_pool3d(Tensor self, SymInt[3] output_size) -> Tensor",
            "aten::_adaptive_avg_pool3d(Tensor self, SymInt[3] output_size) -> Tensor",
        ],
        lower: |c| {
            let y = adaptive(c, 3, "adaptive_avg_pool3d")?;
            Ok(Arg::Tensor(y))
        },
    },
    Function {
        schemas: &[
            "aten::adaptive_max_pool3d(Tensor self, int[3] output_size) -> (Tensor, Tensor)",
        ],
        lower: |c| {
            let y = adaptive(c, 3, "adaptive_max_pool3d")?;
            Arg::list(vec![Arg::Tensor(y), Arg::None])
        },
    },
    Function {
        schemas: &[
            "aten::max_unpool2d(Tensor self, Tensor indices, SymInt[2] output_size) -> Tensor",
        ],
        lower: |c| {
            let (x, places) = (c.tensor("self")?, c.tensor("indices")?);
            let dims = c.dims(x)?;
            let [lead @ .., height, width] = &dims[..] else {
                return Err("takes images".to_owned());
            };
            let sizes = super::shape::sizes(c, "output_size")?;
            let sizes = sizes
                .into_iter()
                .collect::<Option<Vec<_>>>()
                .ok_or("a size is left open")?;
            let flat = |height: &syncarp_ir::Dim, width: &syncarp_ir::Dim| {
                let mut dims = lead.to_vec();
                dims.push(height.times(width).ok_or("the image is too large")?);
                Ok::<_, String>(dims)
            };
            let [to_height, to_width] = &sizes[..] else {
                return Err("`output_size` has two sizes".to_owned());
            };
            let (small, large) = (flat(height, width)?, flat(to_height, to_width)?);
            let (x, places) = (c.reshaped(x, &small)?, c.reshaped(places, &small)?);
            let dtype = c.dtype(x);
            let empty = c.filled(dtype, 0.0, &large)?;
            let attrs = Attrs::new().with("axis", lead.len() as i64);
            let filled = c.emit("scatter_elements", &[empty, places, x], attrs)?;
            let whole: Vec<_> = lead.iter().chain(&sizes).cloned().collect();
            c.reshaped(filled, &whole).map(Arg::Tensor)
        },
    },
];

fn pool(c: &Call<'_, '_>, axes: usize) -> Result<Attrs, String> {
    let kernel = c.window("kernel_size", axes, None, 1)?;
    Ok(Attrs::new()
        .with("stride", c.window("stride", axes, Some(&kernel), 1)?)
        .with("kernel", kernel)
        .with("padding", c.window("padding", axes, None, 0)?)
        .with("ceil_mode", c.bool("ceil_mode")?))
}

/// The tensor with a batch, which it may come without, and whether it did.
pub(super) fn with_batch(
    c: &mut Call<'_, '_>,
    x: Value,
    axes: usize,
) -> Result<(Value, bool), String> {
    match c.ty(x).rank() {
        Some(rank) if rank == axes + 1 => {
            let attrs = Attrs::new().with("axes", vec![0i64]);
            Ok((c.emit("unsqueeze", &[x], attrs)?, true))
        }
        Some(rank) if rank != axes + 2 => Err(format!("takes a batch of {} dims", axes + 2)),
        _ => Ok((x, false)),
    }
}

/// The result as the operand came.
pub(super) fn without_batch(c: &mut Call<'_, '_>, y: Value, alone: bool) -> Result<Value, String> {
    match alone {
        true => c.emit("squeeze", &[y], Attrs::new().with("axes", vec![0i64])),
        false => Ok(y),
    }
}

fn largest(c: &mut Call<'_, '_>, axes: usize) -> Lowered {
    if c.has("return_indices") && c.bool("return_indices")? {
        return Err("no indices are given back here".to_owned());
    }
    let dilation = c.window("dilation", axes, None, 1)?;
    let attrs = pool(c, axes)?.with("dilation", dilation);
    let x = c.tensor("self")?;
    let (x, alone) = with_batch(c, x, axes)?;
    let y = c.emit(&format!("max_pool{axes}d"), &[x], attrs)?;
    without_batch(c, y, alone).map(Arg::Tensor)
}

fn with_places(c: &mut Call<'_, '_>, axes: usize) -> Lowered {
    let dilation = c.window("dilation", axes, None, 1)?;
    let attrs = pool(c, axes)?.with("dilation", dilation);
    let x = c.tensor("self")?;
    let (x, alone) = with_batch(c, x, axes)?;
    let made = c.emit_all(&format!("max_pool{axes}d_indices"), &[x], attrs)?;
    let y = without_batch(c, made[0], alone)?;
    let places = without_batch(c, made[1], alone)?;
    Arg::list(vec![Arg::Tensor(y), Arg::Tensor(places)])
}

fn mean(c: &mut Call<'_, '_>, axes: usize) -> Lowered {
    let count = c.bool("count_include_pad")?;
    let override_ = match c.has("divisor_override") {
        true => c.int_opt("divisor_override")?,
        false => None,
    };
    let attrs = pool(c, axes)?.with("count_include_pad", count || override_.is_some());
    let x = c.tensor("self")?;
    let (x, alone) = with_batch(c, x, axes)?;
    let mut y = c.emit(&format!("avg_pool{axes}d"), &[x], attrs)?;
    if let Some(divisor) = override_ {
        if c.bool("ceil_mode")? || divisor == 0 {
            return Err("a mean is divided by the number of its elements here".to_owned());
        }
        let kernel = c.window("kernel_size", axes, None, 1)?;
        let count: f64 = kernel.iter().map(|size| *size as f64).product();
        let factor = c.like(y, count / divisor as f64)?;
        y = c.op("mul", &[y, factor])?;
    }
    without_batch(c, y, alone).map(Arg::Tensor)
}

fn adaptive(c: &mut Call<'_, '_>, axes: usize, op: &str) -> Result<Value, String> {
    let x = c.tensor("self")?;
    let (x, alone) = with_batch(c, x, axes)?;
    let holes = |items: &[Arg]| items.contains(&Arg::None);
    let output = match c.arg("output_size").items().filter(|items| holes(items)) {
        None => c.window("output_size", axes, None, 1)?,
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
    let all_one = output.iter().all(|size| *size == 1);
    let float = c.ty(x).dtype.is_none_or(DType::is_float);
    let y = match (op, axes, all_one && float) {
        // One window over all is a reduction, for any number of axes.
        ("adaptive_max_pool1d" | "adaptive_max_pool2d" | "adaptive_max_pool3d", _, true) => {
            let along: Vec<i64> = (2..2 + axes as i64).collect();
            c.emit(
                "reduce_max",
                &[x],
                Attrs::new().with("axes", along).with("keep", true),
            )?
        }
        ("adaptive_avg_pool1d" | "adaptive_avg_pool3d", _, true) => {
            let along: Vec<i64> = (2..2 + axes as i64).collect();
            c.emit(
                "mean",
                &[x],
                Attrs::new().with("axes", along).with("keep", true),
            )?
        }
        _ => c.emit(op, &[x], Attrs::new().with("output", output))?,
    };
    without_batch(c, y, alone)
}
