//! What a layer works with: its arguments, the incoming value and the graph.

use syncarp_diag::Located;
use syncarp_ir::{
    Attr, Attrs, BuildError, DType, Dim, Distribution, Initial, State, StateKind, StreamKey,
    TensorType, Value, Values,
};
use syncarp_sweep::{ArgReader, Keys, Spanned};

use crate::draft::Draft;
use crate::init::Inits;
use crate::registry::Argument;

/// One application of a layer while it is lowered.
pub struct LayerContext<'c, 'a> {
    /// The arguments that are not read yet. Read them before anything is emitted.
    pub args: ArgReader<'a>,
    pub(crate) draft: &'c mut Draft<'a>,
    pub(crate) kind: &'a Spanned<String>,
    /// Where this application stands in the model.
    pub(crate) path: &'c str,
    /// Where the layer's parameters stand: as a rule the same.
    pub(crate) owner: &'c str,
    /// Whether the layer is applied again, so that its parameters are there already.
    pub(crate) again: bool,
    pub(crate) input: Value,
    pub(crate) inits: Inits<'a>,
}

impl<'a> LayerContext<'_, 'a> {
    /// The incoming value.
    pub fn input(&self) -> Value {
        self.input
    }

    /// The layer's path in the model, such as `2.0.1` or `head.fc`.
    pub fn path(&self) -> &str {
        self.path
    }

    /// The type of the incoming value; symbolic in the batch dim, unknown where no data is given.
    pub fn ty(&self) -> &TensorType {
        self.ty_of(self.input)
    }

    /// The type of a value.
    pub fn ty_of(&self, value: Value) -> &TensorType {
        self.draft.b.ty(value)
    }

    /// A mistake about this layer and the incoming value.
    pub fn error(&self, message: impl AsRef<str>) -> Located {
        let message = format!("{}: {}", self.name(), message.as_ref());
        Located::new(self.draft.source, self.kind.span.clone(), message).with_help(self.incoming())
    }

    /// A mistake about one argument of this layer.
    pub fn error_at(&self, argument: impl Keys, message: impl AsRef<str>) -> Located {
        let message = format!("{}: {}", self.name(), message.as_ref());
        self.args
            .mistake(argument, message)
            .with_help(self.incoming())
    }

    fn name(&self) -> String {
        format!("`{}` at `{}`", self.kind.value, self.path)
    }

    fn incoming(&self) -> String {
        format!("the incoming value is {}", self.ty())
    }

    pub(crate) fn build_error(&self, error: BuildError) -> Located {
        match error {
            BuildError::Invalid { message, .. } => self.error(message),
            error @ BuildError::UnknownOp { .. } => self.error(error.to_string()),
        }
    }

    /// Demands that the incoming value, where its rank is known, has this many dims at least, and
    /// at most.
    ///
    /// # Errors
    /// Where it has not; `wanted` says in words what is expected.
    pub fn rank(&self, least: usize, most: usize, wanted: &str) -> Result<(), Located> {
        match self.ty().rank() {
            Some(rank) if !(least..=most).contains(&rank) => {
                Err(self.error(format!("expects {wanted}")))
            }
            _ => Ok(()),
        }
    }

    /// The element type of the incoming value, which must be a float; f32 where it is unknown.
    ///
    /// # Errors
    /// Where it is none.
    pub fn float(&self) -> Result<DType, Located> {
        match self.ty().dtype {
            None => Ok(DType::F32),
            Some(dtype) if dtype.is_float() => Ok(dtype),
            Some(dtype) => Err(self.error(format!(
                "expects floats, not {dtype}; put `{{ cast = \"f32\" }}` before it"
            ))),
        }
    }

    /// The size of one axis of the incoming value, from the end where negative: inferred, or as an
    /// argument says it, which must then agree.
    ///
    /// # Errors
    /// Where they contradict each other, or neither is known.
    pub fn size(
        &self,
        axis: i64,
        argument: &Argument,
        explicit: Option<usize>,
    ) -> Result<u64, Located> {
        let explicit = explicit.map(|size| size as u64);
        let found = match self.ty().dims() {
            None => None,
            Some(dims) => {
                let at = if axis < 0 {
                    dims.len().checked_sub(axis.unsigned_abs() as usize)
                } else {
                    Some(axis as usize)
                };
                let Some(dim) = at.and_then(|at| dims.get(at)) else {
                    let name = argument.names[0];
                    return Err(self.error(format!("expects `{name}` in axis {axis}")));
                };
                dim.known()
            }
        };
        match (found, explicit) {
            (Some(found), Some(explicit)) if found != explicit => {
                let name = argument.names[0];
                let message = format!("`{name}` is {explicit}, but axis {axis} has {found}");
                Err(self.error_at(argument, message))
            }
            (Some(size), _) | (None, Some(size)) => Ok(size),
            (None, None) => {
                let name = argument.names[0];
                let message = format!("`{name}` is not known from axis {axis}; write it down");
                Err(self.error(message))
            }
        }
    }

    /// An axis argument counted from the front, where the rank is known.
    ///
    /// # Errors
    /// Where it lies outside.
    pub fn axis(&self, argument: &Argument, axis: i64) -> Result<i64, Located> {
        let Some(rank) = self.ty().rank() else {
            return Ok(axis);
        };
        let counted = syncarp_ir::normalize_axis(axis, rank);
        let counted = counted.map_err(|error| self.error_at(argument, error.message))?;
        Ok(counted as i64)
    }

    /// Emits a node of one result.
    ///
    /// # Errors
    /// Where it does not type; the message is about this layer.
    pub fn emit1(&mut self, op: &str, operands: &[Value], attrs: Attrs) -> Result<Value, Located> {
        Ok(self.emit(op, operands, attrs)?[0])
    }

    /// Emits a node.
    ///
    /// # Errors
    /// Where it does not type; the message is about this layer.
    pub fn emit(&mut self, op: &str, operands: &[Value], attrs: Attrs) -> Result<Values, Located> {
        self.draft
            .b
            .emit(op, operands, attrs)
            .map_err(|error| self.build_error(error))
    }

    /// Emits a scalar constant.
    ///
    /// # Errors
    /// Where the element type cannot hold it.
    pub fn number(&mut self, dtype: DType, number: f64) -> Result<Value, Located> {
        self.draft
            .b
            .constant(dtype, number)
            .map_err(|error| self.build_error(error))
    }

    /// Emits a constant with one number in every element.
    ///
    /// # Errors
    /// Where the element type cannot hold it.
    pub fn filled(&mut self, dtype: DType, number: f64, dims: &[u64]) -> Result<Value, Located> {
        let attrs = Attrs::new().with("dtype", dtype).with("value", number);
        let attrs = attrs.with("dims", known(dims));
        self.emit1("constant", &[], attrs)
    }

    /// A parameter of this layer; the same one where the layer is applied again. It is drawn from what
    /// `init` declares for it, or else from `default`, by the stream of its path.
    ///
    /// # Errors
    /// Where the declared initialiser does not fit, or the name is taken.
    pub fn parameter(
        &mut self,
        name: &'static str,
        dtype: DType,
        dims: &[u64],
        default: Distribution,
    ) -> Result<Value, Located> {
        let distribution = self.inits.rule(name, dims)?.unwrap_or(default);
        Ok(self
            .state(name, dtype, dims, StateKind::Trainable, distribution)?
            .1)
    }

    /// A buffer of this layer, every element of it this number at first. Where the layer is applied
    /// again, the value is the one that it had last.
    ///
    /// # Errors
    /// Where the name is taken.
    pub fn buffer(
        &mut self,
        name: &'static str,
        dtype: DType,
        dims: &[u64],
        value: f64,
    ) -> Result<(State, Value), Located> {
        self.state(
            name,
            dtype,
            dims,
            StateKind::Buffer,
            Distribution::Constant(value),
        )
    }

    fn state(
        &mut self,
        name: &str,
        dtype: DType,
        dims: &[u64],
        kind: StateKind,
        distribution: Distribution,
    ) -> Result<(State, Value), Located> {
        let path = join(self.owner, name);
        if self.again {
            let known = self.draft.known_state(&path);
            let lost = || self.error(format!("has no state `{path}` that could be used again"));
            return known.ok_or_else(lost);
        }
        if !self.draft.claim(&path) {
            return Err(self.error(format!("`{path}` is the path of something else already")));
        }
        let initial = Initial::Init(distribution, StreamKey::unbound(path.as_str(), 0));
        let ty = TensorType::fixed(dtype, dims);
        let made = self.draft.state(&path, ty, kind, initial);
        made.map_err(|error| self.build_error(error))
    }

    /// Gives a buffer its next value.
    pub fn update(&mut self, state: State, value: Value) {
        self.draft.update(state, value);
    }

    /// Emits a dropout. `name` is its own step of the path, where the layer has more to it than
    /// that: freezing looks for it by its path.
    ///
    /// # Errors
    /// Where it does not type.
    pub fn dropout(&mut self, x: Value, p: f64, name: Option<&str>) -> Result<Value, Located> {
        let under = |path: &str| name.map_or_else(|| path.to_owned(), |name| join(path, name));
        let (path, owner) = (under(self.path), under(self.owner));
        let dtype = self.ty_of(x).dtype.unwrap_or(DType::F32);
        let emitted = self.draft.at(&path, |draft| {
            let step = draft.step()?;
            let p = draft.b.constant(dtype, p)?;
            let stream = draft.stream(&owner);
            draft.b.emit(
                "dropout",
                &[x, p, step],
                Attrs::new().with("stream", stream),
            )
        });
        Ok(emitted.map_err(|error| self.build_error(error))?[0])
    }

    /// One number for both axes of a window, or one for each.
    ///
    /// # Errors
    /// Where the argument is something else.
    pub fn window<const N: usize>(
        &mut self,
        argument: &Argument,
        default: Option<[i64; N]>,
        least: usize,
    ) -> Result<[i64; N], Located> {
        let found = match default {
            Some(_) => self.args.usizes_opt(argument)?,
            None => Some(self.args.usizes(argument)?),
        };
        let Some(found) = found else {
            return Ok(default.unwrap_or([0; N]));
        };
        let fits = (found.len() == 1 || found.len() == N) && found.iter().all(|n| *n >= least);
        if !fits {
            let number = if N == 1 {
                "one number"
            } else {
                "one number, or one for each axis"
            };
            let name = argument.names[0];
            let message = format!("`{name}` is {number} of at least {least}");
            return Err(self.error_at(argument, message));
        }
        Ok(std::array::from_fn(|i| {
            found[if found.len() == 1 { 0 } else { i }] as i64
        }))
    }
}

/// A path one step further.
pub(crate) fn join(path: &str, step: &str) -> String {
    match (path.is_empty(), step.is_empty()) {
        (true, _) => step.to_owned(),
        (_, true) => path.to_owned(),
        _ => format!("{path}.{step}"),
    }
}

/// Dims that are numbers, as an attribute.
pub(crate) fn known(dims: &[u64]) -> Attr {
    dims.iter()
        .copied()
        .map(Dim::Known)
        .collect::<Vec<_>>()
        .into()
}
