//! One call of a function: its arguments by name, and short forms of what is emitted again and again.

use syncarp_ir::{Attr, Attrs, DType, Dim, Role, State, TensorType, Value, Values};

use super::arg::Arg;
use super::schema::{Room, Schema};
use super::{Entry, Lowered, Named};
use crate::draft::Draft;

/// A function at a place in a model, with its arguments.
pub(crate) struct Call<'c, 'a> {
    draft: &'c mut Draft<'a>,
    /// Where it stands in the model.
    path: &'c str,
    args: Vec<(&'static str, Arg)>,
    lower: fn(&mut Call<'_, '_>) -> Lowered,
    /// What it is called, without what says that it works in place.
    name: String,
    /// Arguments that get a new content, beside what a function gives.
    written: Written,
}

/// New contents of arguments, by the arguments' names.
pub(crate) type Written = Vec<(&'static str, Value)>;

impl<'c, 'a> Call<'c, 'a> {
    /// Gives a function its arguments, by position and by name.
    ///
    /// # Errors
    /// No form of the function takes them.
    pub fn new(
        draft: &'c mut Draft<'a>,
        path: &'c str,
        function: &Entry,
        named: &Named<'_>,
        positional: &[Arg],
        keywords: &[(&str, Arg)],
    ) -> Result<Self, String> {
        // One item may have several names; each has forms of its own.
        let plain = named.name.strip_suffix('_').unwrap_or(named.name);
        let of = |room: Room, name: &str| {
            function
                .schemas
                .iter()
                .any(|s| (s.room, s.name) == (room, name))
        };
        let rooms = [named.room, Room::Aten];
        let names = rooms.map(|room| [(room, named.name), (room, plain)]);
        let called = names
            .into_iter()
            .flatten()
            .find(|(room, name)| of(*room, name));
        let called = called.unwrap_or((Room::Aten, plain));
        let forms = || {
            let forms = function.schemas.iter();
            let forms = forms.filter(|s| (s.room, s.name) == called);
            forms.filter(|s| named.overload.is_none_or(|o| form_is(s, o)))
        };
        let mut bound = forms().map(|schema| bind(schema, positional, keywords));
        if let Some(args) = bound.find_map(Result::ok) {
            let lower = function.lower;
            return Ok(Call {
                draft,
                path,
                args,
                lower,
                name: plain.to_owned(),
                written: Vec::new(),
            });
        }
        match (forms().next(), forms().nth(1)) {
            (None, _) => {
                let overload = named.overload.unwrap_or_default();
                Err(format!("the form `{overload}` is not known here"))
            }
            (Some(schema), None) => match bind(schema, positional, keywords) {
                Err(message) => Err(format!("{message}; it is called as {}", schema.text)),
                Ok(_) => Err("takes no such arguments".to_owned()),
            },
            _ => {
                let given: Vec<String> = positional.iter().take(8).map(Arg::to_string).collect();
                let known: Vec<&str> = forms().map(|schema| schema.text).collect();
                let (given, known) = (given.join(", "), known.join("; "));
                Err(format!("does not take ({given}); it is called as {known}"))
            }
        }
    }

    /// Emits it. Buffers of the model that it writes are updated.
    ///
    /// # Errors
    /// What about its arguments does not fit.
    pub fn lower(mut self) -> Lowered {
        let given = self.emit_here()?;
        for (name, value) in std::mem::take(&mut self.written) {
            let target = self.tensor(name)?;
            let Some(state) = self.state_of(target) else {
                return Err("running statistics are buffers of the model here".to_owned());
            };
            self.draft.update(state, value);
        }
        Ok(given)
    }

    /// Emits it, and gives what it writes, too.
    ///
    /// # Errors
    /// What about its arguments does not fit.
    pub fn run(mut self) -> Result<(Arg, Written), String> {
        let given = self.emit_here()?;
        Ok((given, self.written))
    }

    fn emit_here(&mut self) -> Lowered {
        let before = self.draft.b.context();
        self.draft
            .b
            .set_origin(Draft::model(), self.path, Role::Forward);
        let given = (self.lower)(self);
        self.draft.b.set_context(before);
        given
    }

    /// Gives an argument a new content, as functions do that work in place.
    pub fn write(&mut self, name: &'static str, value: Value) {
        self.written.push((name, value));
    }

    /// Whether it was called by this name, where an item has several.
    pub fn called(&self, name: &str) -> bool {
        self.name == name
    }

    /// Whether this form has such a parameter.
    pub fn has(&self, name: &str) -> bool {
        self.args.iter().any(|(n, _)| *n == name)
    }

    /// An argument.
    ///
    /// # Panics
    /// If the form has no such parameter, which is a mistake in the function's item.
    pub fn arg(&self, name: &str) -> &Arg {
        let found = self.args.iter().find(|(n, _)| *n == name);
        let (_, arg) = found.unwrap_or_else(|| panic!("the function has no parameter `{name}`"));
        arg
    }

    fn wrong<T>(&self, name: &str, wanted: &str) -> Result<T, String> {
        Err(format!("`{name}` is {wanted}, not {}", self.arg(name)))
    }

    /// A tensor.
    pub fn tensor(&self, name: &str) -> Result<Value, String> {
        match self.arg(name) {
            Arg::Tensor(value) => Ok(*value),
            _ => self.wrong(name, "a tensor"),
        }
    }

    /// A tensor that may be None.
    pub fn tensor_opt(&self, name: &str) -> Result<Option<Value>, String> {
        match self.arg(name) {
            Arg::None => Ok(None),
            _ => self.tensor(name).map(Some),
        }
    }

    /// Tensors, at least one.
    pub fn tensors(&self, name: &str) -> Result<Vec<Value>, String> {
        let items = self.arg(name).items().unwrap_or_default().iter();
        let values: Option<Vec<Value>> = items
            .map(|item| match item {
                Arg::Tensor(value) => Some(*value),
                _ => None,
            })
            .collect();
        match values {
            Some(values) if !values.is_empty() => Ok(values),
            _ => self.wrong(name, "a list of tensors"),
        }
    }

    /// A whole number.
    pub fn int(&self, name: &str) -> Result<i64, String> {
        match self.arg(name) {
            Arg::Int(number) => Ok(*number),
            Arg::Dim(_) | Arg::SizeOf(..) => Err(format!("`{name}`: {}", unknown_size())),
            _ => self.wrong(name, "a whole number"),
        }
    }

    /// A whole number that may be None.
    pub fn int_opt(&self, name: &str) -> Result<Option<i64>, String> {
        match self.arg(name) {
            Arg::None => Ok(None),
            _ => self.int(name).map(Some),
        }
    }

    /// Whole numbers; a single one is a list of it, None an empty list.
    pub fn ints(&self, name: &str) -> Result<Vec<i64>, String> {
        let items = match self.arg(name) {
            Arg::None => &[],
            Arg::List(_) => self.arg(name).items().unwrap_or_default(),
            _ => return Ok(vec![self.int(name)?]),
        };
        let numbers = items.iter().map(|item| match item {
            Arg::Int(number) => Ok(*number),
            Arg::Dim(_) | Arg::SizeOf(..) => Err(format!("`{name}`: {}", unknown_size())),
            _ => self.wrong(name, "a list of whole numbers"),
        });
        numbers.collect()
    }

    /// A finite number.
    pub fn number(&self, name: &str) -> Result<f64, String> {
        let number = match self.arg(name) {
            Arg::Int(number) => *number as f64,
            Arg::Float(number) => *number,
            Arg::Bool(flag) => f64::from(u8::from(*flag)),
            Arg::Dim(_) | Arg::SizeOf(..) => return Err(format!("`{name}`: {}", unknown_size())),
            _ => return self.wrong(name, "a number"),
        };
        match number.is_finite() {
            true => Ok(number),
            false => self.wrong(name, "a finite number"),
        }
    }

    /// A finite number that may be None.
    pub fn number_opt(&self, name: &str) -> Result<Option<f64>, String> {
        match self.arg(name) {
            Arg::None => Ok(None),
            _ => self.number(name).map(Some),
        }
    }

    /// A truth value.
    pub fn bool(&self, name: &str) -> Result<bool, String> {
        match self.arg(name) {
            Arg::Bool(flag) => Ok(*flag),
            _ => self.wrong(name, "a truth value"),
        }
    }

    /// A text that may be None.
    pub fn str_opt(&self, name: &str) -> Result<Option<&str>, String> {
        match self.arg(name) {
            Arg::None => Ok(None),
            Arg::Str(text) => Ok(Some(text)),
            _ => self.wrong(name, "a string"),
        }
    }

    /// The type of a value.
    pub fn ty(&self, value: Value) -> &TensorType {
        self.draft.b.ty(value)
    }

    /// The dims of a value.
    ///
    /// # Errors
    /// They are not known yet.
    pub fn dims(&self, value: Value) -> Result<Vec<Dim>, String> {
        let dims = self.ty(value).dims();
        dims.map(<[Dim]>::to_vec).ok_or_else(unknown_size)
    }

    /// The element type of a value; f32 where it is not known.
    pub fn dtype(&self, value: Value) -> DType {
        self.ty(value).dtype.unwrap_or(DType::F32)
    }

    /// An axis counted from the front, where the rank is known.
    ///
    /// # Errors
    /// It lies outside.
    pub fn axis(&self, value: Value, axis: i64) -> Result<i64, String> {
        let Some(rank) = self.ty(value).rank() else {
            return Ok(axis);
        };
        let counted = syncarp_ir::normalize_axis(axis, rank.max(1));
        counted
            .map(|axis| axis as i64)
            .map_err(|error| error.message)
    }

    /// Emits an op.
    ///
    /// # Errors
    /// It does not type.
    pub fn emit_all(
        &mut self,
        op: &str,
        operands: &[Value],
        attrs: Attrs,
    ) -> Result<Values, String> {
        let made = self.draft.b.emit(op, operands, attrs);
        made.map_err(|error| error.to_string())
    }

    /// Emits an op and gives its first result.
    ///
    /// # Errors
    /// It does not type.
    pub fn emit(&mut self, op: &str, operands: &[Value], attrs: Attrs) -> Result<Value, String> {
        Ok(self.emit_all(op, operands, attrs)?[0])
    }

    /// Emits an op without attributes, of one tensor or several, as what the function gives.
    pub fn give(&mut self, op: &str, operands: &[Value]) -> Lowered {
        self.emit(op, operands, Attrs::new()).map(Arg::Tensor)
    }

    /// Emits an op as what the function gives.
    pub fn give_with(&mut self, op: &str, operands: &[Value], attrs: Attrs) -> Lowered {
        self.emit(op, operands, attrs).map(Arg::Tensor)
    }

    /// A scalar of an element type.
    ///
    /// # Errors
    /// The type cannot hold it.
    pub fn constant(&mut self, dtype: DType, number: impl Into<Attr>) -> Result<Value, String> {
        let made = self.draft.b.constant(dtype, number);
        made.map_err(|error| error.to_string())
    }

    /// A tensor with one number in every element.
    ///
    /// # Errors
    /// The type cannot hold it.
    pub fn filled(&mut self, dtype: DType, number: f64, dims: &[Dim]) -> Result<Value, String> {
        let attrs = Attrs::new().with("dtype", dtype).with("value", number);
        self.emit("constant", &[], attrs.with("dims", dims))
    }

    /// Emits an op without attributes and gives its first result.
    ///
    /// # Errors
    /// It does not type.
    pub fn op(&mut self, op: &str, operands: &[Value]) -> Result<Value, String> {
        self.emit(op, operands, Attrs::new())
    }

    /// A number of the element type of a value.
    ///
    /// # Errors
    /// The type cannot hold it.
    pub fn like(&mut self, value: Value, number: f64) -> Result<Value, String> {
        let dtype = self.dtype(value);
        self.constant(dtype, number)
    }

    /// A value with other dims, as many elements.
    ///
    /// # Errors
    /// They do not fit.
    pub fn reshaped(&mut self, value: Value, dims: &[Dim]) -> Result<Value, String> {
        match self.ty(value).dims() == Some(dims) {
            true => Ok(value),
            false => self.emit("reshape", &[value], Attrs::new().with("dims", dims)),
        }
    }

    /// A value broadcast to larger dims.
    ///
    /// # Errors
    /// They do not fit.
    pub fn expanded(&mut self, value: Value, dims: &[Dim]) -> Result<Value, String> {
        match self.ty(value).dims() == Some(dims) {
            true => Ok(value),
            false => self.emit("expand", &[value], Attrs::new().with("dims", dims)),
        }
    }

    /// A value with its axes in another order.
    ///
    /// # Errors
    /// They are not the value's axes.
    pub fn permuted(&mut self, value: Value, order: &[usize]) -> Result<Value, String> {
        if order.iter().enumerate().all(|(at, axis)| at == *axis) {
            return Ok(value);
        }
        let order: Vec<i64> = order.iter().map(|axis| *axis as i64).collect();
        self.emit(
            "transpose",
            &[value],
            Attrs::new().with("permutation", order),
        )
    }

    /// Places `start` to `end` of an axis.
    ///
    /// # Errors
    /// They lie outside.
    pub fn cut(
        &mut self,
        value: Value,
        axis: usize,
        start: i64,
        end: Option<i64>,
    ) -> Result<Value, String> {
        let attrs = Attrs::new().with("axis", axis as i64).with("start", start);
        let attrs = end.map_or(attrs.clone(), |end| attrs.with("end", end));
        self.emit("slice", &[value], attrs)
    }

    /// Tensors one after the other along an axis.
    ///
    /// # Errors
    /// They do not fit each other.
    pub fn joined(&mut self, values: &[Value], axis: usize) -> Result<Value, String> {
        match values {
            [one] => Ok(*one),
            _ => self.emit("concat", values, Attrs::new().with("axis", axis as i64)),
        }
    }

    /// A tensor of these numbers.
    ///
    /// # Errors
    /// They are too many, or do not fit.
    pub fn written_down(
        &mut self,
        dtype: DType,
        numbers: impl ExactSizeIterator<Item = f64>,
        dims: Vec<Dim>,
    ) -> Result<Value, String> {
        self.draft.write_down(numbers.len() as u64)?;
        let attrs = Attrs::new().with("dtype", dtype).with("dims", dims);
        let attrs = match dtype.is_float() {
            true => attrs.with("value", numbers.collect::<Vec<f64>>()),
            false => attrs.with("value", numbers.map(|x| x as i64).collect::<Vec<i64>>()),
        };
        self.emit("constant", &[], attrs)
    }

    /// The places of an axis, 0, 1, ..., as integers in these dims.
    ///
    /// # Errors
    /// There is no such axis.
    pub fn places(&mut self, dtype: DType, dims: &[Dim], axis: usize) -> Result<Value, String> {
        let attrs = Attrs::new().with("dims", dims).with("dtype", dtype);
        self.emit("iota", &[], attrs.with("axis", axis as i64))
    }

    /// A number or a size as a scalar tensor.
    ///
    /// # Errors
    /// It is neither.
    pub fn number_tensor(&mut self, number: &Arg) -> Result<Value, String> {
        number_tensor(self.draft, number)
    }

    /// An element type's number as that type.
    ///
    /// # Errors
    /// There is no such type here.
    pub fn dtype_opt(&self, name: &str) -> Result<Option<DType>, String> {
        match self.arg(name) {
            Arg::None => Ok(None),
            Arg::Int(code) => {
                let dtype = scalar_type(*code);
                let dtype = dtype.ok_or_else(|| format!("there is no element type {code} here"));
                dtype.map(Some)
            }
            _ => self.wrong(name, "an element type's number"),
        }
    }

    /// A number of any kind, infinities and NaN included.
    ///
    /// # Errors
    /// It is none.
    pub fn any_number(&self, name: &str) -> Result<f64, String> {
        match self.arg(name) {
            Arg::Float(number) => Ok(*number),
            _ => self.number(name),
        }
    }

    /// What a random op of this place draws from: the step, and the attribute that says the stream.
    ///
    /// # Errors
    /// It does not type.
    pub fn stream(&mut self) -> Result<(Value, Attrs), String> {
        let step = self.draft.step().map_err(|error| error.to_string())?;
        let stream = self.draft.stream(self.path);
        Ok((step, Attrs::new().with("stream", stream)))
    }

    /// The same value, which no gradient passes.
    ///
    /// # Errors
    /// It does not type.
    pub fn stopped(&mut self, value: Value) -> Result<Value, String> {
        self.op("stop_gradient", &[value])
    }

    /// The value as another element type; itself where it is of that.
    ///
    /// # Errors
    /// It does not type.
    pub fn cast(&mut self, value: Value, to: DType) -> Result<Value, String> {
        match self.ty(value).dtype == Some(to) {
            true => Ok(value),
            false => self.emit("cast", &[value], Attrs::new().with("to", to)),
        }
    }

    /// The tensor `self` or `input`, as the element type that `dtype` asks for, if it does.
    ///
    /// # Errors
    /// The element type is none that there is here.
    pub fn cast_as_asked(&mut self, value: Value) -> Result<Value, String> {
        match self.arg("dtype") {
            Arg::None => Ok(value),
            Arg::Int(code) => {
                let dtype = scalar_type(*code);
                let dtype = dtype.ok_or_else(|| format!("there is no element type {code} here"))?;
                self.cast(value, dtype)
            }
            _ => self.wrong("dtype", "an element type's number"),
        }
    }

    /// A dropout of this place, the next one of its stream.
    ///
    /// # Errors
    /// It does not type.
    pub fn dropout(&mut self, x: Value, p: f64) -> Result<Value, String> {
        let dtype = self.dtype(x);
        let p = self.constant(dtype, p)?;
        let step = self.draft.step().map_err(|error| error.to_string())?;
        let stream = self.draft.stream(self.path);
        self.emit(
            "dropout",
            &[x, p, step],
            Attrs::new().with("stream", stream),
        )
    }

    /// The state that a value is read of, if it is that.
    fn state_of(&self, value: Value) -> Option<State> {
        let graph = self.draft.b.graph();
        let node = graph.def(value);
        let of = graph.attrs(node).state("of");
        of.filter(|_| graph.op_name(node) == syncarp_ir::core_ops::STATE)
    }

    /// What a value is by now: where it is a state that has been updated since it was read, that.
    pub fn latest(&self, value: Value) -> Value {
        let state = self.state_of(value);
        state
            .and_then(|state| self.draft.latest(state))
            .unwrap_or(value)
    }
}

/// What to do where a shape has to be known.
pub(crate) fn unknown_size() -> String {
    "the shape has to be known here; give the shapes of the model's inputs".to_owned()
}

/// The names of element types by their numbers in PyTorch (`c10::ScalarType`).
const SCALAR_TYPES: &[(i64, &str)] = &[
    (0, "u8"),
    (1, "i8"),
    (2, "i16"),
    (3, "i32"),
    (4, "i64"),
    (5, "f16"),
    (6, "f32"),
    (7, "f64"),
    (11, "bool"),
    (15, "bf16"),
    (27, "u16"),
    (28, "u32"),
    (29, "u64"),
];

/// The element type that PyTorch numbers so.
pub(crate) fn scalar_type(code: i64) -> Option<DType> {
    let (_, name) = SCALAR_TYPES.iter().find(|(number, _)| *number == code)?;
    DType::from_name(name)
}

/// The number that PyTorch has for an element type.
pub(crate) fn scalar_code(dtype: DType) -> i64 {
    let found = SCALAR_TYPES.iter().find(|(_, name)| *name == dtype.name());
    found.map_or(-1, |(number, _)| *number)
}

/// A number as a scalar tensor, as PyTorch makes one of it.
pub(crate) fn number_tensor(draft: &mut Draft<'_>, number: &Arg) -> Result<Value, String> {
    let made = match number {
        Arg::Int(number) => draft.b.constant(DType::I64, *number),
        Arg::Float(number) => draft.b.constant(DType::F32, *number),
        Arg::Bool(flag) => draft.b.constant(DType::Bool, *flag),
        Arg::Dim(dim) => {
            // As many ones, added up: a size is a number once it is bound.
            let attrs = Attrs::new().with("dtype", DType::I64).with("value", 1i64);
            let ones = draft
                .b
                .emit1("constant", &[], attrs.with("dims", vec![dim.clone()]));
            ones.and_then(|ones| draft.b.emit1("sum", &[ones], Attrs::new()))
        }
        other => return Err(format!("a tensor cannot be made of {other}")),
    };
    made.map_err(|error| error.to_string())
}

/// Whether a form goes by this name; PyTorch's exporter calls a form without a name `default`.
fn form_is(schema: &Schema, overload: &str) -> bool {
    schema.overload == overload || (schema.overload.is_empty() && overload == "default")
}

/// Arguments by the names of a form's parameters.
fn bind(
    schema: &Schema,
    positional: &[Arg],
    keywords: &[(&str, Arg)],
) -> Result<Vec<(&'static str, Arg)>, String> {
    let known = |name: &str| schema.parameters.iter().any(|p| p.name == name);
    if let Some((name, _)) = keywords.iter().find(|(name, _)| !known(name)) {
        return Err(format!("has no parameter `{name}`"));
    }
    if positional.len() > schema.parameters.len() {
        return Err(format!("gets {} arguments", positional.len()));
    }
    let mut bound = Vec::with_capacity(schema.parameters.len());
    for (place, parameter) in schema.parameters.iter().enumerate() {
        let name = parameter.name;
        let by_name = keywords
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, arg)| arg);
        let given = match (positional.get(place), by_name) {
            (Some(_), Some(_)) => return Err(format!("gets `{name}` twice")),
            (given, None) | (None, given) => given,
        };
        let arg = match (given, &parameter.default) {
            (Some(arg), _) if parameter.takes(arg) => arg.clone(),
            (Some(arg), _) => return Err(format!("`{name}` cannot be {arg}")),
            (None, Some(default)) => default.clone(),
            (None, None) => return Err(format!("gets no `{name}`")),
        };
        bound.push((name, arg));
    }
    // A number may stand beside a tensor, but not for both.
    let mut beside = schema
        .parameters
        .iter()
        .zip(&bound)
        .filter(|(p, _)| p.beside)
        .peekable();
    let numbers = beside.peek().is_some();
    if numbers && !beside.any(|(_, (_, arg))| matches!(arg, Arg::Tensor(_))) {
        return Err("takes a tensor at least".to_owned());
    }
    Ok(bound)
}
