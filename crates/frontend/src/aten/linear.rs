//! Products of matrices, convolutions and tables of rows.

use syncarp_ir::{Attrs, DType, Dim, Value};

use super::arg::Arg;
use super::call::{Call, unknown_size};
use super::pool::{with_batch, without_batch};
use super::{Function, Lowered};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &["aten::matmul(Tensor self, Tensor other) -> Tensor"],
        lower: |c| {
            let (a, b) = (c.tensor("self")?, c.tensor("other")?);
            c.give("matmul", &[a, b])
        },
    },
    Function {
        schemas: &[
            "aten::mm(Tensor self, Tensor mat2) -> Tensor",
            "aten::bmm(Tensor self, Tensor mat2) -> Tensor",
        ],
        lower: |c| {
            let (a, b) = (c.tensor("self")?, c.tensor("mat2")?);
            c.give("matmul", &[a, b])
        },
    },
    Function {
        schemas: &[
            "aten::addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) \
             -> Tensor",
        ],
        lower: |c| {
            let operands = [c.tensor("mat1")?, c.tensor("mat2")?];
            let product = c.emit("matmul", &operands, Attrs::new())?;
            let product = times(c, product, "alpha")?;
            let bias = c.tensor("self")?;
            let bias = times(c, bias, "beta")?;
            c.give("add", &[bias, product])
        },
    },
    Function {
        schemas: &["aten::linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor"],
        lower: |c| {
            let operands = with_bias(c)?;
            c.give("linear", &operands)
        },
    },
    Function {
        schemas: &[
            "aten::conv1d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[1] stride=1, \
             SymInt[1] padding=0, SymInt[1] dilation=1, SymInt groups=1) -> Tensor",
            "aten::conv1d.padding(Tensor input, Tensor weight, Tensor? bias=None, \
             SymInt[1] stride=1, str padding='valid', SymInt[1] dilation=1, SymInt groups=1) \
             -> Tensor",
        ],
        lower: |c| convolve(c, 1),
    },
    Function {
        schemas: &[
            "aten::conv_transpose1d(Tensor input, Tensor weight, Tensor? bias=None, \
             SymInt[1] stride=1, SymInt[1] padding=0, SymInt[1] output_padding=0, \
             SymInt groups=1, SymInt[1] dilation=1) -> Tensor",
        ],
        lower: |c| convolve_back(c, 1),
    },
    Function {
        schemas: &[
            "aten::conv2d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[2] stride=1, \
             SymInt[2] padding=0, SymInt[2] dilation=1, SymInt groups=1) -> Tensor",
            "aten::conv2d.padding(Tensor input, Tensor weight, Tensor? bias=None, \
             SymInt[2] stride=1, str padding='valid', SymInt[2] dilation=1, SymInt groups=1) \
             -> Tensor",
        ],
        lower: |c| convolve(c, 2),
    },
    Function {
        schemas: &[
            "aten::conv_transpose2d.input(Tensor input, Tensor weight, Tensor? bias=None, \
             SymInt[2] stride=1, SymInt[2] padding=0, SymInt[2] output_padding=0, \
             SymInt groups=1, SymInt[2] dilation=1) -> Tensor",
        ],
        lower: |c| convolve_back(c, 2),
    },
    Function {
        schemas: &[
            "aten::conv3d(Tensor input, Tensor weight, Tensor? bias=None, SymInt[3] stride=1, \
             SymInt[3] padding=0, SymInt[3] dilation=1, SymInt groups=1) -> Tensor",
            "aten::conv3d.padding(Tensor input, Tensor weight, Tensor? bias=None, \
             SymInt[3] stride=1, str padding='valid', SymInt[3] dilation=1, SymInt groups=1) \
             -> Tensor",
        ],
        lower: |c| convolve(c, 3),
    },
    Function {
        schemas: &[
            "aten::conv_transpose3d.input(Tensor input, Tensor weight, Tensor? bias=None, \
             SymInt[3] stride=1, SymInt[3] padding=0, SymInt[3] output_padding=0, \
             SymInt groups=1, SymInt[3] dilation=1) -> Tensor",
        ],
        lower: |c| convolve_back(c, 3),
    },
    Function {
        schemas: &[
            "aten::convolution(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, \
             SymInt[] padding, SymInt[] dilation, bool transposed, SymInt[] output_padding, \
             SymInt groups) -> Tensor",
            "aten::_convolution(Tensor input, Tensor weight, Tensor? bias, SymInt[] stride, \
             SymInt[] padding, SymInt[] dilation, bool transposed, SymInt[] output_padding, \
             SymInt groups, bool benchmark, bool deterministic, bool cudnn_enabled, \
             bool allow_tf32) -> Tensor",
        ],
        lower: |c| {
            let weight = c.tensor("weight")?;
            let rank = match c.ty(weight).rank() {
                Some(rank) => rank,
                None => c.ints("stride")?.len() + 2,
            };
            let axes = rank.checked_sub(2).filter(|axes| (1..=3).contains(axes));
            let axes = axes.ok_or("convolutions over one to three axes are known here")?;
            match c.bool("transposed")? {
                true => convolve_back(c, axes),
                false => convolve(c, axes),
            }
        },
    },
    Function {
        schemas: &[
            "aten::embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1, \
             bool scale_grad_by_freq=False, bool sparse=False) -> Tensor",
        ],
        lower: |c| {
            if c.bool("scale_grad_by_freq")? {
                return Err("gradients of all rows count alike here: leave \
                            `scale_grad_by_freq` out"
                    .to_owned());
            }
            let (weight, mut index) = (c.tensor("weight")?, c.tensor("indices")?);
            if c.ty(index).dtype.is_some_and(|dtype| !dtype.is_float()) {
                index = c.cast(index, DType::I64)?;
            }
            let rows = c.op("embedding", &[weight, index])?;
            let padding = c.int("padding_idx")?;
            if padding < 0 {
                return Ok(Arg::Tensor(rows));
            }
            // The row of the padding is there, but is not learned.
            let padding = c.constant(DType::I64, padding)?;
            let padded = c.op("eq", &[index, padding])?;
            let attrs = Attrs::new().with("axes", vec![-1i64]);
            let padded = c.emit("unsqueeze", &[padded], attrs)?;
            let fixed = c.stopped(rows)?;
            c.give("where", &[padded, fixed, rows])
        },
    },
    Function {
        schemas: &["aten::mv(Tensor self, Tensor vec) -> Tensor"],
        lower: |c| {
            let (a, b) = (c.tensor("self")?, c.tensor("vec")?);
            c.give("matmul", &[a, b])
        },
    },
    Function {
        schemas: &[
            "aten::dot(Tensor self, Tensor tensor) -> Tensor",
            "aten::vdot(Tensor self, Tensor other) -> Tensor",
            "aten::inner(Tensor self, Tensor other) -> Tensor",
        ],
        lower: |c| {
            let a = c.tensor("self")?;
            let b = c.tensor(if c.has("tensor") { "tensor" } else { "other" })?;
            if c.dims(a)?.len() > 1 || c.dims(b)?.len() > 1 {
                return Err("takes two vectors here".to_owned());
            }
            c.give("matmul", &[a, b])
        },
    },
    Function {
        schemas: &[
            "aten::outer(Tensor self, Tensor vec2) -> Tensor",
            "aten::ger(Tensor self, Tensor vec2) -> Tensor",
        ],
        lower: |c| {
            let (a, b) = (c.tensor("self")?, c.tensor("vec2")?);
            let a = c.emit("unsqueeze", &[a], Attrs::new().with("axes", vec![1i64]))?;
            let b = c.emit("unsqueeze", &[b], Attrs::new().with("axes", vec![0i64]))?;
            let (a, b) = super::pointwise::both(c, &Arg::Tensor(a), &Arg::Tensor(b))?;
            c.give("mul", &[a, b])
        },
    },
    Function {
        schemas: &[
            "aten::baddbmm(Tensor self, Tensor batch1, Tensor batch2, *, Scalar beta=1, \
             Scalar alpha=1) -> Tensor",
        ],
        lower: |c| {
            let operands = [c.tensor("batch1")?, c.tensor("batch2")?];
            let product = c.op("matmul", &operands)?;
            let product = times(c, product, "alpha")?;
            let bias = c.tensor("self")?;
            if c.number("beta")? == 0.0 {
                return Ok(Arg::Tensor(product));
            }
            let bias = times(c, bias, "beta")?;
            c.give("add", &[bias, product])
        },
    },
    Function {
        schemas: &[
            "aten::addmv(Tensor self, Tensor mat, Tensor vec, *, Scalar beta=1, \
             Scalar alpha=1) -> Tensor",
        ],
        lower: |c| {
            let operands = [c.tensor("mat")?, c.tensor("vec")?];
            let product = c.op("matmul", &operands)?;
            let product = times(c, product, "alpha")?;
            let bias = c.tensor("self")?;
            let bias = times(c, bias, "beta")?;
            c.give("add", &[bias, product])
        },
    },
    Function {
        schemas: &["aten::einsum(str equation, Tensor[] tensors, *, int[]? path=None) -> Tensor"],
        lower: |c| {
            let tensors = c.tensors("tensors")?;
            let equation = c.str_opt("equation")?.unwrap_or_default().replace(' ', "");
            c.give_with(
                "einsum",
                &tensors,
                Attrs::new().with("equation", &*equation),
            )
        },
    },
    Function {
        schemas: &[
            "aten::bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) \
             -> Tensor",
        ],
        lower: |c| {
            // For every output o: a^T weight[o] b.
            let (a, b, weight) = (
                c.tensor("input1")?,
                c.tensor("input2")?,
                c.tensor("weight")?,
            );
            let operands = [a, weight, b];
            let attrs = Attrs::new().with("equation", "...i,oij,...j->...o");
            let mut y = c.emit("einsum", &operands, attrs)?;
            if let Some(bias) = c.tensor_opt("bias")? {
                y = c.op("add", &[y, bias])?;
            }
            Ok(Arg::Tensor(y))
        },
    },
    Function {
        schemas: &[
            "aten::cdist(Tensor x1, Tensor x2, float p=2, int? compute_mode=None) -> Tensor",
            "aten::_cdist_forward(Tensor x1, Tensor x2, float p, int? compute_mode) -> Tensor",
        ],
        lower: |c| {
            if c.number("p")? != 2.0 {
                return Err("`p` is 2 here".to_owned());
            }
            let (a, b) = (c.tensor("x1")?, c.tensor("x2")?);
            let a = c.emit("unsqueeze", &[a], Attrs::new().with("axes", vec![-2i64]))?;
            let b = c.emit("unsqueeze", &[b], Attrs::new().with("axes", vec![-3i64]))?;
            let away = c.op("sub", &[a, b])?;
            length(c, away, -1, false).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::pairwise_distance(Tensor x1, Tensor x2, float p=2, float eps=1e-06, \
             bool keepdim=False) -> Tensor",
        ],
        lower: |c| {
            if c.number("p")? != 2.0 {
                return Err("`p` is 2 here".to_owned());
            }
            let (a, b) = (c.tensor("x1")?, c.tensor("x2")?);
            let away = c.op("sub", &[a, b])?;
            let eps = c.like(away, c.number("eps")?)?;
            let away = c.op("add", &[away, eps])?;
            let keep = c.bool("keepdim")?;
            length(c, away, -1, keep).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::cosine_similarity(Tensor x1, Tensor x2, int dim=1, float eps=1e-08) -> Tensor",
        ],
        lower: |c| {
            let (a, b) = (c.tensor("x1")?, c.tensor("x2")?);
            let axis = c.int("dim")?;
            let eps = c.like(a, c.number("eps")?)?;
            let mut unit = [a, b];
            for value in &mut unit {
                let length = length(c, *value, axis, true)?;
                let length = c.op("maximum", &[length, eps])?;
                *value = c.op("div", &[*value, length])?;
            }
            let product = c.op("mul", &unit)?;
            c.give_with("sum", &[product], Attrs::new().with("axes", vec![axis]))
        },
    },
    Function {
        schemas: &[
            "aten::_trilinear(Tensor i1, Tensor i2, Tensor i3, int[] expand1, int[] expand2, \
             int[] expand3, int[] sumdim, int unroll_dim=1) -> Tensor",
        ],
        lower: |c| {
            let mut product: Option<Value> = None;
            for (name, axes) in [("i1", "expand1"), ("i2", "expand2"), ("i3", "expand3")] {
                let mut value = c.tensor(name)?;
                for axis in c.ints(axes)? {
                    let attrs = Attrs::new().with("axes", vec![axis]);
                    value = c.emit("unsqueeze", &[value], attrs)?;
                }
                product = Some(match product {
                    Some(product) => c.op("mul", &[product, value])?,
                    None => value,
                });
            }
            let product = product.ok_or("multiplies nothing")?;
            let axes = c.ints("sumdim")?;
            c.give_with("sum", &[product], Attrs::new().with("axes", axes))
        },
    },
    Function {
        schemas: &[
            "aten::tensordot(Tensor self, Tensor other, int[] dims_self, int[] dims_other) -> Tensor",
        ],
        lower: |c| {
            let (a, b) = (c.tensor("self")?, c.tensor("other")?);
            let axes = |name: &str, x: Value| {
                let axes = c.ints(name)?.into_iter();
                let axes = axes.map(|axis| c.axis(x, axis).map(|axis| axis as usize));
                axes.collect::<Result<Vec<usize>, String>>()
            };
            let (of_a, of_b) = (axes("dims_self", a)?, axes("dims_other", b)?);
            let (dims_a, dims_b) = (c.dims(a)?, c.dims(b)?);
            let others = |axes: &[usize], rank: usize| {
                (0..rank)
                    .filter(|axis| !axes.contains(axis))
                    .collect::<Vec<usize>>()
            };
            let (left, right) = (others(&of_a, dims_a.len()), others(&of_b, dims_b.len()));
            let product = |dims: &[Dim], axes: &[usize]| {
                let sizes = axes.iter().map(|axis| dims[*axis].clone());
                let whole = sizes
                    .clone()
                    .try_fold(Dim::Known(1), |n, dim| n.times(&dim));
                whole.map(|whole| (whole, sizes.collect::<Vec<Dim>>()))
            };
            let sizes = [
                product(&dims_a, &left),
                product(&dims_a, &of_a),
                product(&dims_b, &right),
            ];
            let [Some((rows, first)), Some((inner, _)), Some((columns, last))] = sizes else {
                return Err("the tensors are too large".to_owned());
            };
            let order: Vec<usize> = left.iter().chain(&of_a).copied().collect();
            let a = c.permuted(a, &order)?;
            let a = c.reshaped(a, &[rows, inner.clone()])?;
            let order: Vec<usize> = of_b.iter().chain(&right).copied().collect();
            let b = c.permuted(b, &order)?;
            let b = c.reshaped(b, &[inner, columns])?;
            let y = c.op("matmul", &[a, b])?;
            let whole: Vec<Dim> = first.into_iter().chain(last).collect();
            c.reshaped(y, &whole).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &["aten::kron(Tensor self, Tensor other) -> Tensor"],
        lower: |c| {
            let (mut a, mut b) = (c.tensor("self")?, c.tensor("other")?);
            let rank = c.dims(a)?.len().max(c.dims(b)?.len());
            let mut whole = Vec::with_capacity(rank);
            let mut apart = [Vec::new(), Vec::new()];
            let wide = |dims: Vec<Dim>| {
                let missing = vec![Dim::Known(1); rank - dims.len()];
                missing.into_iter().chain(dims)
            };
            for (x, y) in wide(c.dims(a)?).zip(wide(c.dims(b)?)) {
                whole.push(x.times(&y).ok_or("the tensor becomes too large")?);
                apart[0].extend([x, Dim::Known(1)]);
                apart[1].extend([Dim::Known(1), y]);
            }
            a = c.reshaped(a, &apart[0])?;
            b = c.reshaped(b, &apart[1])?;
            let product = c.op("mul", &[a, b])?;
            c.reshaped(product, &whole).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::_weight_norm(Tensor v, Tensor g, int dim=0) -> Tensor",
            "aten::_weight_norm_interface(Tensor v, Tensor g, int dim=0) -> (Tensor, Tensor)",
        ],
        lower: |c| {
            let (v, g) = (c.tensor("v")?, c.tensor("g")?);
            let rank = c.dims(v)?.len() as i64;
            let axis = c.int("dim")?;
            let axes: Vec<i64> = (0..rank).filter(|at| axis == -1 || *at != axis).collect();
            let squares = c.op("square", &[v])?;
            let attrs = Attrs::new().with("axes", axes).with("keep", true);
            let sum = c.emit("sum", &[squares], attrs)?;
            let norm = c.op("sqrt", &[sum])?;
            let factor = c.op("div", &[g, norm])?;
            let weight = c.op("mul", &[v, factor])?;
            Arg::list(vec![Arg::Tensor(weight), Arg::Tensor(norm)])
        },
    },
];

/// A value times a factor; itself where that is 1.
fn times(c: &mut Call<'_, '_>, value: Value, factor: &str) -> Result<Value, String> {
    let factor = c.number(factor)?;
    if factor == 1.0 {
        return Ok(value);
    }
    let dtype = c.dtype(value);
    let factor = c.constant(dtype, factor)?;
    c.emit("mul", &[value, factor], Attrs::new())
}

/// The Euclidean length along an axis.
fn length(c: &mut Call<'_, '_>, x: Value, axis: i64, keep: bool) -> Result<Value, String> {
    let squares = c.op("square", &[x])?;
    let attrs = Attrs::new().with("axes", vec![axis]).with("keep", keep);
    let sum = c.emit("sum", &[squares], attrs)?;
    c.op("sqrt", &[sum])
}

fn with_bias(c: &Call<'_, '_>) -> Result<Vec<Value>, String> {
    let mut operands = vec![c.tensor("input")?, c.tensor("weight")?];
    operands.extend(c.tensor_opt("bias")?);
    Ok(operands)
}

fn convolve(c: &mut Call<'_, '_>, axes: usize) -> Lowered {
    let mut operands = with_bias(c)?;
    let (x, alone) = with_batch(c, operands[0], axes)?;
    operands[0] = x;
    let dilation = c.window("dilation", axes, None, 1)?;
    let padding = match c.arg("padding") {
        Arg::Str(word) if &**word == "valid" => vec![0; axes],
        Arg::Str(word) if &**word == "same" => {
            let (same, more) = same_padding(c, operands[1], &dilation)?;
            operands[0] = more_after(c, operands[0], &more)?;
            same
        }
        _ => c.window("padding", axes, None, 0)?,
    };
    let attrs = Attrs::new()
        .with("stride", c.window("stride", axes, None, 1)?)
        .with("padding", padding)
        .with("dilation", dilation)
        .with("groups", c.int("groups")?);
    let y = c.emit(&format!("conv{axes}d"), &operands, attrs)?;
    without_batch(c, y, alone).map(Arg::Tensor)
}

/// What keeps sizes: half on each side, and what is left over, which comes after.
fn same_padding(
    c: &Call<'_, '_>,
    weight: Value,
    dilation: &[i64],
) -> Result<(Vec<i64>, Vec<i64>), String> {
    let kernel = c.dims(weight)?;
    let totals = kernel.iter().skip(2).zip(dilation).map(|(size, dilation)| {
        let size = size.known().and_then(|size| i64::try_from(size).ok())?;
        size.checked_sub(1)?.checked_mul(*dilation)
    });
    let totals = totals
        .collect::<Option<Vec<i64>>>()
        .ok_or_else(unknown_size)?;
    Ok(totals.iter().map(|total| (total / 2, total % 2)).unzip())
}

fn more_after(c: &mut Call<'_, '_>, x: Value, more: &[i64]) -> Result<Value, String> {
    if more.iter().all(|more| *more == 0) {
        return Ok(x);
    }
    let zero = c.like(x, 0.0)?;
    let high: Vec<i64> = [0, 0].iter().chain(more).copied().collect();
    let attrs = Attrs::new()
        .with("low", vec![0i64; high.len()])
        .with("high", high);
    c.emit("pad", &[x, zero], attrs)
}

fn convolve_back(c: &mut Call<'_, '_>, axes: usize) -> Lowered {
    let mut operands = with_bias(c)?;
    let (x, alone) = with_batch(c, operands[0], axes)?;
    operands[0] = x;
    let attrs = Attrs::new()
        .with("stride", c.window("stride", axes, None, 1)?)
        .with("padding", c.window("padding", axes, None, 0)?)
        .with("output_padding", c.window("output_padding", axes, None, 0)?)
        .with("dilation", c.window("dilation", axes, None, 1)?)
        .with("groups", c.int("groups")?);
    let y = c.emit(&format!("conv_transpose{axes}d"), &operands, attrs)?;
    without_batch(c, y, alone).map(Arg::Tensor)
}
