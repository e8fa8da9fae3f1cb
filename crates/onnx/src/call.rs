//! One application of an op: its operands and attributes, and short forms of what is emitted again
//! and again.

use std::rc::Rc;

use syncarp_ir::{Attr, Attrs, DType, Dim, StreamKey, TensorType, Value, Values, normalize_axis};

use crate::error::shown;
use crate::import::Importer;
use crate::item::{Item, Tensor};
use crate::known::Known;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};
use crate::scope::Scope;

/// The most nodes that a model may come to.
const MAX_NODES: usize = 8 << 20;

/// Why a node could not be taken over.
pub(crate) enum Miss {
    /// Why, and what to do.
    Because(String),
    /// Something would have to be known that is computed from inputs.
    Unknown(String, Value),
}

impl From<String> for Miss {
    fn from(reason: String) -> Self {
        Miss::Because(reason)
    }
}

impl From<&str> for Miss {
    fn from(reason: &str) -> Self {
        Miss::Because(reason.to_owned())
    }
}

/// The results of a node, or why there are none.
pub(crate) type Lowered = Result<Vec<Item>, Miss>;

/// A node with its operands.
pub(crate) struct Call<'c, 'm> {
    pub im: &'c mut Importer<'m>,
    pub node: &'m NodeProto,
    pub scope: &'c Scope<'c, 'm>,
    /// The version of the ops that the file asks for.
    pub version: i64,
    /// Its operands; none where one is left out.
    pub operands: Vec<Option<Item>>,
    /// Where it stands in the model.
    pub path: &'c str,
}

/// One result.
pub(crate) fn one(tensor: impl Into<Item>) -> Lowered {
    Ok(vec![tensor.into()])
}

impl<'m> Call<'_, 'm> {
    // Operands.

    /// Whether an operand is there.
    pub fn has(&self, index: usize) -> bool {
        self.operands.get(index).is_some_and(Option::is_some)
    }

    /// Whether somebody may read a result.
    pub fn asks(&self, result: usize) -> bool {
        self.node
            .output
            .get(result)
            .is_some_and(|name| !name.is_empty())
    }

    /// An operand of any kind.
    pub fn item(&self, index: usize) -> Result<&Item, Miss> {
        let item = self.operands.get(index).and_then(Option::as_ref);
        item.ok_or_else(|| Miss::Because(format!("operand {index} is missing")))
    }

    /// An operand as a tensor, wherever it is.
    pub fn tensor(&self, index: usize) -> Result<Tensor, Miss> {
        match self.item(index)? {
            Item::Tensor(tensor) => Ok(tensor.clone()),
            Item::Sequence(_) => Err(format!("operand {index} is a sequence").into()),
            Item::Nothing | Item::Lost => Err(format!("operand {index} holds nothing").into()),
        }
    }

    /// An operand in the graph.
    pub fn x(&mut self, index: usize) -> Result<Value, Miss> {
        let tensor = self.tensor(index)?;
        self.value(&tensor)
    }

    /// An operand in the graph that may be left out.
    pub fn x_opt(&mut self, index: usize) -> Result<Option<Value>, Miss> {
        match self.has(index) {
            true => self.x(index).map(Some),
            false => Ok(None),
        }
    }

    /// All operands in the graph.
    pub fn all(&mut self) -> Result<Vec<Value>, Miss> {
        (0..self.operands.len())
            .map(|index| self.x(index))
            .collect()
    }

    /// A tensor in the graph.
    pub fn value(&mut self, tensor: &Tensor) -> Result<Value, Miss> {
        Ok(self.im.value(tensor)?)
    }

    /// An operand whose elements are known here; none where they are not.
    pub fn known(&mut self, index: usize) -> Option<Rc<Known>> {
        let tensor = self.tensor(index).ok()?;
        self.im.known(&tensor, true)
    }

    /// An operand that takes part in computing here: what is small and integer, or no parameter.
    pub fn foldable(&mut self, index: usize) -> Option<Rc<Known>> {
        let tensor = self.tensor(index).ok()?;
        self.im.known(&tensor, false)
    }

    /// An operand whose elements must be known here.
    pub fn must_know(&mut self, index: usize) -> Result<Rc<Known>, Miss> {
        if let Some(known) = self.known(index) {
            return Ok(known);
        }
        let name = self.node.input.get(index).map_or("", String::as_str);
        let what = format!(
            "the value of `{}` has to be known while the model is read; make it a constant, or give \
             it if it is an input",
            shown(name)
        );
        match self.tensor(index)? {
            Tensor::Value(value) => Err(Miss::Unknown(what, value)),
            _ => Err(what.into()),
        }
    }

    /// An operand of whole numbers that must be known.
    pub fn ints(&mut self, index: usize) -> Result<Vec<i64>, Miss> {
        let known = self.must_know(index)?;
        let ints = known.ints();
        ints.ok_or_else(|| format!("operand {index} must hold numbers that are known").into())
    }

    /// The same of an operand that may be left out.
    pub fn ints_opt(&mut self, index: usize) -> Result<Option<Vec<i64>>, Miss> {
        match self.has(index) {
            true => self.ints(index).map(Some),
            false => Ok(None),
        }
    }

    /// One whole number that must be known.
    pub fn int(&mut self, index: usize) -> Result<i64, Miss> {
        match self.ints(index)?[..] {
            [number] => Ok(number),
            ref others => {
                Err(format!("operand {index} is one number, not {}", others.len()).into())
            }
        }
    }

    /// Numbers that must be known.
    pub fn floats(&mut self, index: usize) -> Result<Vec<f64>, Miss> {
        let known = self.must_know(index)?;
        let floats = known.floats();
        floats.ok_or_else(|| format!("operand {index} must hold numbers that are known").into())
    }

    /// One number that must be known.
    pub fn float(&mut self, index: usize) -> Result<f64, Miss> {
        match self.floats(index)?[..] {
            [number] => Ok(number),
            ref others => {
                Err(format!("operand {index} is one number, not {}", others.len()).into())
            }
        }
    }

    /// An operand of sizes.
    pub fn dims_operand(&mut self, index: usize) -> Result<Vec<Dim>, Miss> {
        let known = self.must_know(index)?;
        let nums = known.nums().ok_or("sizes are whole numbers")?;
        let dims: Option<Vec<Dim>> = nums.iter().map(|num| num.dim()).collect();
        dims.ok_or_else(|| "a size is negative".into())
    }

    // Attributes.

    /// An attribute; in a function perhaps one of its caller's.
    pub fn attr(&self, name: &str) -> Option<&'m AttributeProto> {
        let found = self.node.attribute.iter().find(|attr| attr.name == name)?;
        match found.ref_attr_name.as_str() {
            "" => Some(found),
            bound => self.scope.bound.get(bound).copied(),
        }
    }

    pub fn int_attr(&self, name: &str) -> Option<i64> {
        self.attr(name).map(|attr| attr.i)
    }

    pub fn int_or(&self, name: &str, default: i64) -> i64 {
        self.int_attr(name).unwrap_or(default)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.int_or(name, 0) != 0
    }

    pub fn float_attr(&self, name: &str) -> Option<f64> {
        self.attr(name).map(|attr| f64::from(attr.f))
    }

    pub fn float_or(&self, name: &str, default: f64) -> f64 {
        self.float_attr(name).unwrap_or(default)
    }

    pub fn str_attr(&self, name: &str) -> Result<Option<&'m str>, Miss> {
        let text = self.attr(name).map(|attr| std::str::from_utf8(&attr.s));
        text.transpose()
            .map_err(|_| format!("`{name}` is no text").into())
    }

    pub fn str_or(&self, name: &str, default: &'m str) -> Result<&'m str, Miss> {
        Ok(self
            .str_attr(name)?
            .filter(|text| !text.is_empty())
            .unwrap_or(default))
    }

    pub fn ints_attr(&self, name: &str) -> Option<&'m [i64]> {
        self.attr(name).map(|attr| &attr.ints[..])
    }

    pub fn floats_attr(&self, name: &str) -> Option<Vec<f64>> {
        let attr = self.attr(name)?;
        Some(attr.floats.iter().map(|x| f64::from(*x)).collect())
    }

    pub fn strs_attr(&self, name: &str) -> Option<Vec<String>> {
        let strings = self.attr(name)?.strings.iter();
        Some(
            strings
                .map(|s| String::from_utf8_lossy(s).into_owned())
                .collect(),
        )
    }

    pub fn tensor_attr(&self, name: &str) -> Option<&'m TensorProto> {
        self.attr(name).and_then(|attr| attr.t.as_deref())
    }

    pub fn graph_attr(&self, name: &str) -> Result<&'m GraphProto, Miss> {
        let graph = self.attr(name).and_then(|attr| attr.g.as_deref());
        graph.ok_or_else(|| format!("`{name}` is missing").into())
    }

    /// An attribute that names an element type.
    pub fn dtype_attr(&self, name: &str) -> Result<Option<DType>, Miss> {
        match self.int_attr(name) {
            None | Some(0) => Ok(None),
            Some(code) => {
                let code = i32::try_from(code).unwrap_or(-1);
                Ok(Some(crate::tensor::element_type(code)?))
            }
        }
    }

    // Types.

    /// The type of a value.
    pub fn ty(&self, value: Value) -> &TensorType {
        self.im.b.ty(value)
    }

    /// The type of an operand, without taking it into the graph.
    pub fn ty_of(&self, index: usize) -> Result<TensorType, Miss> {
        Ok(self.im.ty(&self.tensor(index)?))
    }

    /// The dims of a value.
    pub fn dims(&self, value: Value) -> Result<Vec<Dim>, Miss> {
        let dims = self.ty(value).dims();
        dims.map(<[Dim]>::to_vec).ok_or_else(|| {
            "the shape of its operand has to be known; give the shapes of the model's inputs".into()
        })
    }

    /// The dims of a value as numbers.
    pub fn sizes(&self, value: Value) -> Result<Vec<u64>, Miss> {
        let dims = self.dims(value)?;
        let sizes: Option<Vec<u64>> = dims.iter().map(Dim::known).collect();
        sizes.ok_or_else(|| {
            let ty = self.ty(value);
            format!("the sizes of its operand, {ty}, have to be numbers; give the shapes of the model's inputs").into()
        })
    }

    pub fn rank(&self, value: Value) -> Result<usize, Miss> {
        Ok(self.dims(value)?.len())
    }

    pub fn dtype(&self, value: Value) -> Result<DType, Miss> {
        let dtype = self.ty(value).dtype;
        dtype.ok_or_else(|| "the element type of its operand has to be known".into())
    }

    /// An axis counted from the front.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize, Miss> {
        normalize_axis(axis, rank).map_err(|error| error.message.into())
    }

    /// Axes counted from the front, each once.
    pub fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>, Miss> {
        let mut found = Vec::with_capacity(axes.len());
        for axis in axes {
            let axis = self.axis(*axis, rank)?;
            if found.contains(&axis) {
                return Err(format!("axis {axis} is named twice").into());
            }
            found.push(axis);
        }
        Ok(found)
    }

    // Emitting.

    /// Emits an op.
    pub fn emit_all(&mut self, op: &str, operands: &[Value], attrs: Attrs) -> Result<Values, Miss> {
        if self.im.b.graph().len() >= MAX_NODES {
            return Err(format!("the model comes to more than {MAX_NODES} nodes").into());
        }
        let made = self.im.b.emit(op, operands, attrs);
        made.map_err(|error| error.to_string().into())
    }

    /// Emits an op and gives its first result.
    pub fn with(&mut self, op: &str, operands: &[Value], attrs: Attrs) -> Result<Value, Miss> {
        Ok(self.emit_all(op, operands, attrs)?[0])
    }

    /// Emits an op without attributes.
    pub fn emit(&mut self, op: &str, operands: &[Value]) -> Result<Value, Miss> {
        self.with(op, operands, Attrs::new())
    }

    /// A scalar of an element type.
    pub fn constant(&mut self, dtype: DType, number: impl Into<Attr>) -> Result<Value, Miss> {
        let made = self.im.b.constant(dtype, number);
        made.map_err(|error| error.to_string().into())
    }

    /// A scalar number of the element type of a value.
    pub fn number(&mut self, like: Value, number: f64) -> Result<Value, Miss> {
        let dtype = self.dtype(like)?;
        match dtype.is_float() {
            true => self.constant(dtype, number),
            false => self.constant(dtype, number as i64),
        }
    }

    /// A tensor of one number.
    pub fn filled(&mut self, dtype: DType, number: f64, dims: &[Dim]) -> Result<Value, Miss> {
        let attrs = Attrs::new().with("dtype", dtype).with("dims", dims);
        let attrs = match dtype.is_float() {
            true => attrs.with("value", number),
            false => attrs.with("value", number as i64),
        };
        self.with("constant", &[], attrs)
    }

    /// A tensor of some numbers.
    pub fn listed(&mut self, dtype: DType, items: Vec<f64>, dims: &[u64]) -> Result<Value, Miss> {
        let dims: Vec<Dim> = dims.iter().copied().map(Dim::Known).collect();
        let attrs = Attrs::new().with("dtype", dtype).with("dims", dims);
        let attrs = match dtype.is_float() {
            true => attrs.with("value", items),
            false => attrs.with("value", items.iter().map(|x| *x as i64).collect::<Vec<_>>()),
        };
        self.with("constant", &[], attrs)
    }

    /// A binary op of a value and a number.
    pub fn by(&mut self, op: &str, x: Value, number: f64) -> Result<Value, Miss> {
        let number = self.number(x, number)?;
        self.emit(op, &[x, number])
    }

    pub fn add(&mut self, a: Value, b: Value) -> Result<Value, Miss> {
        self.emit("add", &[a, b])
    }

    pub fn sub(&mut self, a: Value, b: Value) -> Result<Value, Miss> {
        self.emit("sub", &[a, b])
    }

    pub fn mul(&mut self, a: Value, b: Value) -> Result<Value, Miss> {
        self.emit("mul", &[a, b])
    }

    pub fn div(&mut self, a: Value, b: Value) -> Result<Value, Miss> {
        self.emit("div", &[a, b])
    }

    pub fn select(&mut self, condition: Value, a: Value, b: Value) -> Result<Value, Miss> {
        self.emit("where", &[condition, a, b])
    }

    /// The value as another element type; itself where it is of that.
    pub fn cast(&mut self, value: Value, to: DType) -> Result<Value, Miss> {
        match self.ty(value).dtype == Some(to) {
            true => Ok(value),
            false => self.with("cast", &[value], Attrs::new().with("to", to)),
        }
    }

    /// The value under other dims; itself where it has them.
    pub fn reshape(&mut self, value: Value, dims: &[Dim]) -> Result<Value, Miss> {
        match self.ty(value).dims() == Some(dims) {
            true => Ok(value),
            false => self.with("reshape", &[value], Attrs::new().with("dims", dims)),
        }
    }

    /// The value repeated to dims; itself where it has them.
    pub fn expand(&mut self, value: Value, dims: &[Dim]) -> Result<Value, Miss> {
        match self.ty(value).dims() == Some(dims) {
            true => Ok(value),
            false => self.with("expand", &[value], Attrs::new().with("dims", dims)),
        }
    }

    /// The dims in another order; the value itself where that is the same.
    pub fn transpose(&mut self, value: Value, permutation: &[usize]) -> Result<Value, Miss> {
        if permutation.iter().enumerate().all(|(i, p)| i == *p) {
            return Ok(value);
        }
        let order: Vec<i64> = permutation.iter().map(|p| *p as i64).collect();
        self.with(
            "transpose",
            &[value],
            Attrs::new().with("permutation", order),
        )
    }

    /// Two axes swapped.
    pub fn swap(&mut self, value: Value, a: usize, b: usize) -> Result<Value, Miss> {
        let mut order: Vec<usize> = (0..self.rank(value)?).collect();
        order.swap(a, b);
        self.transpose(value, &order)
    }

    pub fn unsqueeze(&mut self, value: Value, axes: &[i64]) -> Result<Value, Miss> {
        self.with("unsqueeze", &[value], Attrs::new().with("axes", axes))
    }

    pub fn squeeze(&mut self, value: Value, axes: &[i64]) -> Result<Value, Miss> {
        self.with("squeeze", &[value], Attrs::new().with("axes", axes))
    }

    /// A reduction over axes that stay with size 1 where `keep` holds.
    pub fn reduce(&mut self, op: &str, x: Value, axes: &[i64], keep: bool) -> Result<Value, Miss> {
        let attrs = Attrs::new().with("axes", axes);
        self.with(
            op,
            &[x],
            if keep {
                attrs.with("keep", true)
            } else {
                attrs
            },
        )
    }

    /// The places `start` to `end` of an axis.
    pub fn slice(&mut self, x: Value, axis: usize, start: i64, end: i64) -> Result<Value, Miss> {
        let attrs = Attrs::new().with("axis", axis as i64);
        self.with("slice", &[x], attrs.with("start", start).with("end", end))
    }

    /// Values one after the other along an axis; itself where there is one.
    pub fn concat(&mut self, values: &[Value], axis: usize) -> Result<Value, Miss> {
        match values {
            [one] => Ok(*one),
            _ => self.with("concat", values, Attrs::new().with("axis", axis as i64)),
        }
    }

    /// The places along an axis, 0 upwards, in a tensor of these dims.
    pub fn iota(&mut self, dtype: DType, dims: &[Dim], axis: usize) -> Result<Value, Miss> {
        let attrs = Attrs::new().with("dtype", dtype).with("dims", dims);
        self.with("iota", &[], attrs.with("axis", axis as i64))
    }

    /// The number of the step, for random ops.
    pub fn step(&mut self) -> Result<Value, Miss> {
        Ok(self.im.step()?)
    }

    /// The next random stream of this place.
    pub fn stream(&mut self) -> StreamKey {
        self.im.stream(self.path)
    }
}
