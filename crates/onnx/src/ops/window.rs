//! What convolutions and pools say of their windows.

use syncarp_ir::{Attrs, DType, Dim, Value};

use crate::call::{Call, Miss};

/// The windows of an op over spatial dims.
pub(super) struct Windows {
    pub kernel: Vec<i64>,
    pub stride: Vec<i64>,
    pub dilation: Vec<i64>,
    /// Elements before and after each dim.
    pub low: Vec<i64>,
    pub high: Vec<i64>,
    pub ceil: bool,
}

impl Windows {
    /// Reads them, for an operand [n, c, spatial...].
    pub fn read(c: &Call<'_, '_>, x: Value, kernel: Option<&[u64]>) -> Result<Windows, Miss> {
        let dims = c.dims(x)?;
        let count = dims
            .len()
            .checked_sub(2)
            .filter(|count| (1..=3).contains(count));
        let count = count.ok_or("takes one, two or three spatial dims")?;
        let list = |name: &str, default: i64, least: i64| -> Result<Vec<i64>, Miss> {
            match c.ints_attr(name) {
                None | Some([]) => Ok(vec![default; count]),
                Some(items) => {
                    let fits = |item: &i64| (least..1 << 31).contains(item);
                    match items.len() == count && items.iter().all(fits) {
                        true => Ok(items.to_vec()),
                        false => Err(format!("`{name}` is {items:?} for {count} dims").into()),
                    }
                }
            }
        };
        let kernel = match (kernel, c.ints_attr("kernel_shape")) {
            (Some(kernel), _) => {
                let sizes = kernel.iter().map(|size| i64::try_from(*size).ok());
                let sizes: Option<Vec<i64>> = sizes.collect();
                sizes
                    .filter(|sizes| sizes.len() == count)
                    .ok_or("the weight's rank does not fit")?
            }
            (None, Some(_)) => list("kernel_shape", 1, 1)?,
            (None, None) => return Err("`kernel_shape` is missing".into()),
        };
        let (stride, dilation) = (list("strides", 1, 1)?, list("dilations", 1, 1)?);
        let mut windows = Windows {
            kernel,
            stride,
            dilation,
            low: vec![0; count],
            high: vec![0; count],
            ceil: c.flag("ceil_mode"),
        };
        match c.str_or("auto_pad", "NOTSET")? {
            "NOTSET" => {
                if let Some(pads) = c.ints_attr("pads").filter(|pads| !pads.is_empty()) {
                    let fits = |pad: &i64| (0..1 << 31).contains(pad);
                    if pads.len() != 2 * count || !pads.iter().all(fits) {
                        return Err(format!("`pads` is {pads:?} for {count} dims").into());
                    }
                    windows.low = pads[..count].to_vec();
                    windows.high = pads[count..].to_vec();
                }
            }
            "VALID" => {}
            same @ ("SAME_UPPER" | "SAME_LOWER") => {
                windows.same(&dims[2..], same == "SAME_UPPER")?
            }
            other => return Err(format!("`auto_pad` is `{other}`").into()),
        }
        Ok(windows)
    }

    /// So much padding that there are as many windows as elements, divided by the stride.
    fn same(&mut self, sizes: &[Dim], upper: bool) -> Result<(), Miss> {
        for (axis, size) in sizes.iter().enumerate() {
            let (stride, reach) = (self.stride[axis], self.reach(axis));
            let total = match size.known() {
                Some(size) => {
                    let size = i64::try_from(size).unwrap_or(i64::MAX / 4);
                    let out = size.div_euclid(stride) + i64::from(size % stride != 0);
                    ((out - 1).saturating_mul(stride) + reach - size).max(0)
                }
                // Independent of the size.
                None if stride == 1 => reach - 1,
                None => {
                    return Err("`auto_pad` asks for the sizes of its operand; give the shapes of the model's inputs".into());
                }
            };
            let half = total / 2;
            (self.low[axis], self.high[axis]) = match upper {
                true => (half, total - half),
                false => (total - half, half),
            };
        }
        Ok(())
    }

    /// How many elements a window spans.
    pub fn reach(&self, axis: usize) -> i64 {
        self.dilation[axis] * (self.kernel[axis] - 1) + 1
    }

    pub fn count(&self) -> usize {
        self.kernel.len()
    }

    /// Whether each dim has as much padding before it as after.
    pub fn is_symmetric(&self) -> bool {
        self.low == self.high
    }

    /// The operand with the padding around it, which is then none any more.
    pub fn pad(&mut self, c: &mut Call<'_, '_>, x: Value, number: f64) -> Result<Value, Miss> {
        let with_lead = |pads: &[i64]| [&[0, 0], pads].concat();
        let (low, high) = (with_lead(&self.low), with_lead(&self.high));
        let value = match c.dtype(x)? {
            DType::Bool => c.constant(DType::Bool, number != 0.0)?,
            dtype if !dtype.is_float() && number == f64::NEG_INFINITY => {
                let least = match dtype {
                    _ if dtype.is_unsigned() => 0,
                    DType::I8 => i64::from(i8::MIN),
                    DType::I16 => i64::from(i16::MIN),
                    DType::I32 => i64::from(i32::MIN),
                    _ => i64::MIN,
                };
                c.constant(dtype, least)?
            }
            _ => c.number(x, number)?,
        };
        let padded = super::slice::border(c, x, value, &low, &high, "constant")?;
        self.low.fill(0);
        self.high.fill(0);
        Ok(padded)
    }

    /// Attributes as convolutions have them.
    pub fn conv_attrs(&self, groups: i64) -> Attrs {
        let mut attrs = Attrs::new();
        let ones = vec![1; self.count()];
        if self.stride != ones {
            attrs.set("stride", self.stride.clone());
        }
        if self.low.iter().any(|pad| *pad != 0) {
            attrs.set("padding", self.low.clone());
        }
        if self.dilation != ones {
            attrs.set("dilation", self.dilation.clone());
        }
        if groups != 1 {
            attrs.set("groups", groups);
        }
        attrs
    }
}
