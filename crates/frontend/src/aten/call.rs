//! One call of a function: its arguments by name, and short forms of what is emitted again and again.

use syncarp_ir::{Attr, Attrs, DType, Dim, State, TensorType, Value, Values};

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
}

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

    /// Emits it.
    ///
    /// # Errors
    /// What about its arguments does not fit.
    pub fn lower(self) -> Lowered {
        let Call {
            draft,
            path,
            args,
            lower,
        } = self;
        draft.at(path, |draft| {
            lower(&mut Call {
                draft,
                path,
                args,
                lower,
            })
        })
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

    /// The state that a value is read of, if it is that, and the value that the state has by now.
    pub fn state_of(&self, value: Value) -> Option<(State, Value)> {
        let graph = self.draft.b.graph();
        let node = graph.def(value);
        let of = graph.attrs(node).state("of");
        let state = of.filter(|_| graph.op_name(node) == syncarp_ir::core_ops::STATE)?;
        Some((state, self.draft.latest(state).unwrap_or(value)))
    }

    /// Gives a buffer its next value.
    pub fn update(&mut self, state: State, value: Value) {
        self.draft.update(state, value);
    }
}

/// What to do where a shape has to be known.
pub(crate) fn unknown_size() -> String {
    "the shape has to be known here; give the shapes of the model's inputs".to_owned()
}

/// The element type that PyTorch numbers so (`c10::ScalarType`).
pub(crate) fn scalar_type(code: i64) -> Option<DType> {
    Some(match code {
        0 => DType::U8,
        1 => DType::I8,
        3 => DType::I32,
        4 => DType::I64,
        5 => DType::F16,
        6 => DType::F32,
        7 => DType::F64,
        11 => DType::Bool,
        15 => DType::BF16,
        _ => return None,
    })
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
    Ok(bound)
}
