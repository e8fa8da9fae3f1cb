//! Tensors made of nothing but sizes and numbers.

use syncarp_ir::{Attrs, DType, Dim};

use super::arg::Arg;
use super::call::Call;
use super::shape::sizes;
use super::{Function, Lowered};

/// The most elements of a tensor that is written down.
const MAX_WRITTEN: u64 = 1 << 16;

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &[
            "aten::arange(Scalar end, *, ScalarType? dtype=None, Layout? layout=None, \
             Device? device=None, bool? pin_memory=None) -> Tensor",
            "aten::arange.start(Scalar start, Scalar end, *, ScalarType? dtype=None, \
             Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
            "aten::arange.start_step(Scalar start, Scalar end, Scalar step=1, *, \
             ScalarType? dtype=None, Layout? layout=None, Device? device=None, \
             bool? pin_memory=None) -> Tensor",
        ],
        lower: arange,
    },
    Function {
        schemas: &[
            "aten::linspace(Scalar start, Scalar end, int steps, *, ScalarType? dtype=None, \
             Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        ],
        lower: |c| {
            let (start, end) = (c.number("start")?, c.number("end")?);
            let steps = c.int("steps")?;
            let dtype = c.dtype_opt("dtype")?.unwrap_or(DType::F32);
            let count = u64::try_from(steps)
                .ok()
                .filter(|count| *count <= MAX_WRITTEN);
            let count = count.ok_or("`steps` is not between 0 and 65536")?;
            let step = if count > 1 {
                (end - start) / (count - 1) as f64
            } else {
                0.0
            };
            // From both ends, as PyTorch has it.
            let numbers = (0..count).map(|at| match at < count / 2 {
                true => start + step * at as f64,
                false => end - step * (count - 1 - at) as f64,
            });
            let numbers: Vec<f64> = numbers
                .map(|x| {
                    if dtype == DType::F32 {
                        f64::from(x as f32)
                    } else {
                        x
                    }
                })
                .collect();
            let numbers = if count == 1 { vec![start] } else { numbers };
            c.written_down(dtype, numbers.into_iter(), vec![Dim::Known(count)])
                .map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::zeros(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, \
             Device? device=None, bool? pin_memory=None) -> Tensor",
            // What is empty is written before it is read.
            "aten::empty.memory_format(SymInt[] size, *, ScalarType? dtype=None, \
             Layout? layout=None, Device? device=None, bool? pin_memory=None, \
             MemoryFormat? memory_format=None) -> Tensor",
            "aten::empty_strided(SymInt[] size, SymInt[] stride, *, ScalarType? dtype=None, \
             Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
            "aten::empty_permuted(SymInt[] size, int[] physical_layout, *, \
             ScalarType? dtype=None, Layout? layout=None, Device? device=None, \
             bool? pin_memory=None) -> Tensor",
        ],
        lower: |c| filled(c, Some(0.0), None),
    },
    Function {
        schemas: &[
            "aten::ones(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, \
             Device? device=None, bool? pin_memory=None) -> Tensor",
        ],
        lower: |c| filled(c, Some(1.0), None),
    },
    Function {
        schemas: &[
            "aten::full(SymInt[] size, Scalar fill_value, *, ScalarType? dtype=None, \
             Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        ],
        lower: |c| filled(c, None, None),
    },
    Function {
        schemas: &[
            "aten::scalar_tensor(Scalar s, *, ScalarType? dtype=None, Layout? layout=None, \
             Device? device=None, bool? pin_memory=None) -> Tensor",
        ],
        lower: |c| {
            let number = c.arg("s").clone();
            let made = c.number_tensor(&number)?;
            // Without a type it is a float, whatever the number.
            let dtype = c.dtype_opt("dtype")?.unwrap_or(DType::F32);
            c.cast(made, dtype).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::new_zeros(Tensor self, SymInt[] size, *, ScalarType? dtype=None, \
             Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
            "aten::new_empty(Tensor self, SymInt[] size, *, ScalarType? dtype=None, \
             Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
            "aten::new_empty_strided(Tensor self, SymInt[] size, SymInt[] stride, *, \
             ScalarType? dtype=None, Layout? layout=None, Device? device=None, \
             bool? pin_memory=None) -> Tensor",
        ],
        lower: |c| of_self(c, Some(0.0), false),
    },
    Function {
        schemas: &[
            "aten::new_ones(Tensor self, SymInt[] size, *, ScalarType? dtype=None, \
             Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
        ],
        lower: |c| of_self(c, Some(1.0), false),
    },
    Function {
        schemas: &[
            "aten::new_full(Tensor self, SymInt[] size, Scalar fill_value, *, \
             ScalarType? dtype=None, Layout? layout=None, Device? device=None, \
             bool? pin_memory=None) -> Tensor",
        ],
        lower: |c| of_self(c, None, false),
    },
    Function {
        schemas: &[
            "aten::zeros_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, \
             Device? device=None, bool? pin_memory=None, MemoryFormat? memory_format=None) \
             -> Tensor",
            "aten::empty_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, \
             Device? device=None, bool? pin_memory=None, MemoryFormat? memory_format=None) \
             -> Tensor",
        ],
        lower: |c| of_self(c, Some(0.0), true),
    },
    Function {
        schemas: &[
            "aten::ones_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, \
             Device? device=None, bool? pin_memory=None, MemoryFormat? memory_format=None) \
             -> Tensor",
        ],
        lower: |c| of_self(c, Some(1.0), true),
    },
    Function {
        schemas: &[
            "aten::full_like(Tensor self, Scalar fill_value, *, ScalarType? dtype=None, \
             Layout? layout=None, Device? device=None, bool? pin_memory=None, \
             MemoryFormat? memory_format=None) -> Tensor",
        ],
        lower: |c| of_self(c, None, true),
    },
    Function {
        schemas: &[
            "aten::fill.Scalar(Tensor self, Scalar value) -> Tensor",
            "aten::fill.Tensor(Tensor self, Tensor value) -> Tensor",
        ],
        lower: |c| {
            let x = c.tensor("self")?;
            let dims = c.dims(x)?;
            match c.arg("value") {
                Arg::Tensor(value) => {
                    let value = c.cast(*value, c.dtype(x))?;
                    c.expanded(value, &dims).map(Arg::Tensor)
                }
                Arg::Dim(_) => Err("fills with a size that is no number".to_owned()),
                _ => {
                    let number = c.any_number("value")?;
                    let dtype = c.dtype(x);
                    c.filled(dtype, number, &dims).map(Arg::Tensor)
                }
            }
        },
    },
    Function {
        schemas: &["aten::zero(Tensor self) -> Tensor"],
        lower: |c| {
            let x = c.tensor("self")?;
            let (dtype, dims) = (c.dtype(x), c.dims(x)?);
            c.filled(dtype, 0.0, &dims).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &["aten::copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor"],
        lower: |c| {
            let (x, source) = (c.tensor("self")?, c.tensor("src")?);
            let (dtype, dims) = (c.dtype(x), c.dims(x)?);
            let source = c.cast(source, dtype)?;
            c.expanded(source, &dims).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &[
            "aten::eye(SymInt n, *, ScalarType? dtype=None, Layout? layout=None, \
             Device? device=None, bool? pin_memory=None) -> Tensor",
            "aten::eye.m(SymInt n, SymInt m, *, ScalarType? dtype=None, Layout? layout=None, \
             Device? device=None, bool? pin_memory=None) -> Tensor",
        ],
        lower: |c| {
            let rows = size(c.arg("n"))?;
            let columns = if c.has("m") {
                size(c.arg("m"))?
            } else {
                rows.clone()
            };
            let dims = [rows, columns];
            let row = c.places(DType::I64, &dims, 0)?;
            let column = c.places(DType::I64, &dims, 1)?;
            let same = c.op("eq", &[row, column])?;
            let dtype = c.dtype_opt("dtype")?.unwrap_or(DType::F32);
            c.cast(same, dtype).map(Arg::Tensor)
        },
    },
    Function {
        schemas: &["aten::one_hot(Tensor self, int num_classes=-1) -> Tensor"],
        lower: |c| {
            let index = c.tensor("self")?;
            let classes = c.int("num_classes")?;
            if classes < 1 {
                return Err("`num_classes` has to be given: it cannot depend on data".to_owned());
            }
            let mut dims = c.dims(index)?;
            let rank = dims.len();
            dims.push(Dim::Known(classes.unsigned_abs()));
            let index = c.emit("unsqueeze", &[index], Attrs::new().with("axes", vec![-1]))?;
            let mut line = vec![Dim::Known(1); rank];
            line.push(dims[rank].clone());
            let dtype = c.dtype(index);
            let classes = c.places(dtype, &line, rank)?;
            let same = c.op("eq", &[index, classes])?;
            c.cast(same, DType::I64).map(Arg::Tensor)
        },
    },
];

/// A size that a schema calls a number.
pub(super) fn size(arg: &Arg) -> Result<Dim, String> {
    match arg {
        Arg::Int(size) => match u64::try_from(*size) {
            Ok(size) => Ok(Dim::Known(size)),
            Err(_) => Err(format!("a size of {size}")),
        },
        Arg::Dim(dim) => Ok(dim.clone()),
        other => Err(format!("takes a size, not {other}")),
    }
}

fn arange(c: &mut Call<'_, '_>) -> Lowered {
    let zero = Arg::Int(0);
    let start = if c.has("start") {
        c.arg("start").clone()
    } else {
        zero
    };
    let end = c.arg("end").clone();
    let step = if c.has("step") {
        c.arg("step").clone()
    } else {
        Arg::Int(1)
    };
    let float = [&start, &end, &step]
        .iter()
        .any(|arg| matches!(arg, Arg::Float(_)));
    let dtype = match (c.dtype_opt("dtype")?, float) {
        (Some(dtype), _) => dtype,
        (None, true) => DType::F32,
        (None, false) => DType::I64,
    };
    let count = match (&start, &end, &step) {
        (Arg::Int(0), end @ Arg::Dim(_), Arg::Int(1)) => size(end)?,
        (start, end, Arg::Int(step)) if !float => {
            let length = super::numbers("sub", end, start)?;
            let up = super::numbers("add", &length, &Arg::Int(step - step.signum()))?;
            size(&super::numbers("floordiv", &up, &Arg::Int(*step))?)?
        }
        _ => {
            let number = |arg: &Arg| match arg {
                Arg::Int(number) => Ok(*number as f64),
                Arg::Float(number) => Ok(*number),
                other => Err(format!("takes a number here, not {other}")),
            };
            let (start, end, step) = (number(&start)?, number(&end)?, number(&step)?);
            let count = ((end - start) / step).ceil();
            if !(0.0..=MAX_WRITTEN as f64).contains(&count) {
                return Err("gives no sensible number of elements".to_owned());
            }
            // Each is computed by itself.
            let numbers = (0..count as u32).map(|at| start + step * f64::from(at));
            let numbers = numbers.map(|x| {
                if dtype == DType::F32 {
                    f64::from(x as f32)
                } else {
                    x
                }
            });
            let dims = vec![Dim::Known(count as u64)];
            return c.written_down(dtype, numbers, dims).map(Arg::Tensor);
        }
    };
    let mut places = c.places(DType::I64, &[count], 0)?;
    if step != Arg::Int(1) {
        let step = c.number_tensor(&step)?;
        places = c.op("mul", &[places, step])?;
    }
    if start != Arg::Int(0) {
        let start = c.number_tensor(&start)?;
        places = c.op("add", &[places, start])?;
    }
    c.cast(places, dtype).map(Arg::Tensor)
}

/// The number that `fill_value` says, and the type that goes with it.
fn fill_value(c: &Call<'_, '_>) -> Result<(f64, DType), String> {
    let dtype = match c.arg("fill_value") {
        Arg::Bool(_) => DType::Bool,
        Arg::Int(_) => DType::I64,
        _ => DType::F32,
    };
    Ok((c.any_number("fill_value")?, dtype))
}

/// A tensor of these sizes, all its elements one number: `fill_value` without another.
fn filled(c: &mut Call<'_, '_>, number: Option<f64>, dtype: Option<DType>) -> Lowered {
    let sizes = sizes(c, "size")?.into_iter().collect::<Option<Vec<Dim>>>();
    let dims = sizes.ok_or("a size is left open")?;
    let (number, plain) = match number {
        Some(number) => (number, DType::F32),
        None => match c.arg("fill_value") {
            size @ Arg::Dim(_) => {
                let made = c.number_tensor(&size.clone())?;
                let wanted = c.dtype_opt("dtype")?.or(dtype).unwrap_or(DType::I64);
                let made = c.cast(made, wanted)?;
                return c.expanded(made, &dims).map(Arg::Tensor);
            }
            _ => fill_value(c)?,
        },
    };
    let dtype = c.dtype_opt("dtype")?.or(dtype).unwrap_or(plain);
    c.filled(dtype, number, &dims).map(Arg::Tensor)
}

/// The same of the type of `self`, and of its dims where `like` holds.
fn of_self(c: &mut Call<'_, '_>, number: Option<f64>, like: bool) -> Lowered {
    let x = c.tensor("self")?;
    let own = c.dtype(x);
    if !like {
        return filled(c, number, Some(own));
    }
    let dims = c.dims(x)?;
    let number = match number {
        Some(number) => number,
        None => c.any_number("fill_value")?,
    };
    let dtype = c.dtype_opt("dtype")?.unwrap_or(own);
    c.filled(dtype, number, &dims).map(Arg::Tensor)
}
