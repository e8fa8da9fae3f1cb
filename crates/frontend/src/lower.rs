//! From a resolved model to its graph: parts, lists of layers, branches.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use syncarp_diag::{Located, Source};
use syncarp_ir::{
    Attrs, BuildError, DType, GraphBuilder, OpRegistry, Plan, TensorType, Tier, Value, check,
};
use syncarp_sweep::{Args, Join, LayerNode, ModelSpec, Part, PartBody, Spanned};

use crate::apply::Application;
use crate::context::join;
use crate::draft::{Draft, MODEL};
use crate::error::{FrontendError, suggest};
use crate::freeze::{self, Frozen};
use crate::lora;
use crate::nni::{ModelFile, NoteKind};
use crate::part_file::{self, Incoming};
use crate::registry::{Layer, LayerRegistry};
use crate::text::load_text;

/// The most branches that are joined at once: a node has fewer than 2^16 operands.
const MAX_BRANCHES: usize = 10_000;

/// Lowers the models of a sweep. Files that several models have as parts are read once.
#[derive(Debug)]
pub struct Frontend {
    ops: Arc<OpRegistry>,
    layers: LayerRegistry,
    files: Mutex<BTreeMap<PathBuf, File>>,
    /// What files became that are lowered anew for other types of their inputs.
    lowered: Mutex<BTreeMap<(PathBuf, String), Arc<Plan>>>,
}

/// A file that was read.
#[derive(Clone, Debug)]
enum File {
    /// A text form.
    Plan(Arc<Plan>),
    /// A model in NNI's JSON, which is lowered once the types of its inputs are known.
    Nni(Arc<ModelFile>),
}

impl Frontend {
    /// A frontend that knows these ops and layers.
    pub fn new(ops: Arc<OpRegistry>, layers: LayerRegistry) -> Self {
        Frontend {
            ops,
            layers,
            files: Mutex::default(),
            lowered: Mutex::default(),
        }
    }

    /// The layers that it knows.
    pub fn layers(&self) -> &LayerRegistry {
        &self.layers
    }

    /// The plan of a model: its graph `train`, whose result `output` is the last layer's value.
    ///
    /// `source` is the sweep's text and `base_dir` where relative paths start. `inputs` are the
    /// columns of the data: name, element type and the dims of one sample. The first layer takes
    /// the column `x`, else the first that is not `y`, as [n, dims...]; without any columns its type
    /// stays unknown, and layers need all sizes written down.
    ///
    /// # Errors
    /// A mistake in the sweep or in a file, with its place; or a file that cannot be read.
    pub fn lower(
        &self,
        spec: &ModelSpec,
        source: &Source,
        base_dir: &Path,
        inputs: &[(String, DType, Vec<u64>)],
    ) -> Result<Plan, FrontendError> {
        let b = GraphBuilder::new(self.ops.clone());
        let mut draft = Draft::new(&spec.name, source, b, inputs);
        let first = draft.first_input()?;
        let mut value = draft.input(&first).map_err(|error| {
            FrontendError::Sweep(Located::new(source, spec.span.clone(), error.to_string()))
        })?;
        let mut frozen = Vec::new();
        for (place, part) in spec.parts.iter().enumerate() {
            let prefix = match &part.name {
                Some(name) => name.value.clone(),
                None if spec.parts.len() == 1 => String::new(),
                None => format!("part{place}"),
            };
            if !prefix.is_empty() && !draft.claim(&prefix) {
                let message = format!("two parts have the path `{prefix}`");
                return Err(FrontendError::Sweep(Located::new(
                    source,
                    part.span.clone(),
                    message,
                )));
            }
            let nodes = draft.b.graph().len();
            let states = draft.plan.models[MODEL].states.len();
            let incoming = Incoming {
                value,
                is_data: place == 0,
            };
            value = self.part(&mut draft, part, &prefix, incoming, base_dir)?;
            frozen.push(Frozen {
                part,
                prefix,
                nodes: nodes..draft.b.graph().len(),
                states: states..draft.plan.models[MODEL].states.len(),
            });
        }
        let mut plan = draft.finish(&[("output", value)]);
        freeze::apply(&mut plan, &frozen, source).map_err(FrontendError::Sweep)?;
        lora::apply(&mut plan, &frozen, source).map_err(FrontendError::Sweep)?;
        if cfg!(debug_assertions) {
            check(&plan, Tier::Full).map_err(|violations| FrontendError::Lowering {
                model: spec.name.clone(),
                violations,
            })?;
        }
        Ok(plan)
    }

    fn part<'a>(
        &self,
        draft: &mut Draft<'a>,
        part: &'a Part,
        prefix: &str,
        input: Incoming,
        base_dir: &Path,
    ) -> Result<Value, FrontendError> {
        match &part.body {
            PartBody::Layers(layers) => {
                let mut lists = Lists {
                    draft,
                    layers: &self.layers,
                };
                lists
                    .list(layers, prefix, input.value)
                    .map_err(FrontendError::Sweep)
            }
            PartBody::File(file) => {
                let wrong = |message: String| {
                    FrontendError::Sweep(Located::new(draft.source, file.span.clone(), message))
                };
                let path = base_dir.join(&file.value);
                let read = self.file(&path).map_err(|error| match error {
                    FrontendError::File { .. } => wrong(error.to_string()),
                    other => other,
                })?;
                let name = &file.value;
                let source = draft.source;
                let mistake = |message| {
                    let message = format!("`{name}`: {message}");
                    FrontendError::Sweep(Located::new(source, file.span.clone(), message))
                };
                let cut = part.cut.as_ref().map(|cut| cut.value.as_str());
                let names = match &read {
                    File::Plan(plan) => part_file::inputs(plan, cut).map_err(mistake)?,
                    File::Nni(model) => model.inputs(),
                };
                let inputs = part_file::assign(draft, names, input).map_err(mistake)?;
                let plan = match read {
                    File::Plan(plan) => plan,
                    File::Nni(model) => self.nni(&path, &model, draft, &inputs)?,
                };
                part_file::append(draft, &plan, prefix, cut, &inputs).map_err(mistake)
            }
        }
    }

    fn file(&self, path: &Path) -> Result<File, FrontendError> {
        // A file is entered whole or not at all, so a panic of another thread leaves no half.
        let files = || self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files().get(path) {
            return Ok(file.clone());
        }
        let file = match path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            true => File::Nni(Arc::new(ModelFile::read(path)?)),
            false => File::Plan(Arc::new(load_text(path, &self.ops)?)),
        };
        files().insert(path.to_owned(), file.clone());
        Ok(file)
    }

    /// A model in NNI's JSON for inputs of the types that these values have.
    fn nni(
        &self,
        path: &Path,
        model: &ModelFile,
        draft: &Draft<'_>,
        inputs: &[(String, Value)],
    ) -> Result<Arc<Plan>, FrontendError> {
        let types = inputs
            .iter()
            .map(|(name, value)| (&**name, draft.b.ty(*value).clone()));
        let types: Vec<(&str, TensorType)> = types.collect();
        let shown: Vec<String> = types.iter().map(|(_, ty)| ty.to_string()).collect();
        let key = (path.to_owned(), shown.join(" "));
        let lowered = || self.lowered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = lowered().get(&key) {
            return Ok(plan.clone());
        }
        let imported = model.lower("part", &self.ops, &self.layers, &types)?;
        // A sweep trains its models, and nobody can train what nobody knows.
        let mut notes = imported.notes.into_iter();
        if let Some(note) = notes.find(|note| note.kind == NoteKind::Unknown) {
            return Err(FrontendError::Text(note.place));
        }
        let plan = Arc::new(imported.plan);
        lowered().insert(key, plan.clone());
        Ok(plan)
    }
}

/// Lowers one model; see [`Frontend::lower`], which is faster for many.
///
/// # Errors
/// As there.
pub fn lower_model(
    spec: &ModelSpec,
    source: &Source,
    base_dir: &Path,
    ops: &Arc<OpRegistry>,
    layers: &LayerRegistry,
    inputs: &[(String, DType, Vec<u64>)],
) -> Result<Plan, FrontendError> {
    Frontend::new(ops.clone(), layers.clone()).lower(spec, source, base_dir, inputs)
}

/// Lists of layers that go into one draft.
struct Lists<'l, 'a> {
    draft: &'l mut Draft<'a>,
    layers: &'l LayerRegistry,
}

impl<'a> Lists<'_, 'a> {
    fn error<T>(&self, span: &Range<usize>, message: String) -> Result<T, Located> {
        Err(Located::new(self.draft.source, span.clone(), message))
    }

    /// Layers one after the other, each under its name or its place in the list.
    fn list(
        &mut self,
        nodes: &'a [LayerNode],
        prefix: &str,
        input: Value,
    ) -> Result<Value, Located> {
        let mut value = input;
        for (place, node) in nodes.iter().enumerate() {
            let step = node
                .name()
                .map_or_else(|| place.to_string(), |name| name.value.clone());
            let path = join(prefix, &step);
            if !self.draft.claim(&path) {
                let message = format!("two layers have the path `{path}`");
                return self.error(&node.span(), message);
            }
            value = match node {
                LayerNode::Layer { kind, args, .. } => self.layer(kind, args, &path, value)?,
                LayerNode::Sequence { layers, .. } => self.list(layers, &path, value)?,
                LayerNode::Branches {
                    branches,
                    join,
                    span,
                    ..
                } => self.branches(branches, *join, span, &path, value)?,
            };
        }
        Ok(value)
    }

    fn layer(
        &mut self,
        kind: &'a Spanned<String>,
        args: &'a Args,
        path: &str,
        input: Value,
    ) -> Result<Value, Located> {
        let Some(layer) = self.layers.find(&kind.value) else {
            let message = format!("no layer is called `{}`", kind.value);
            let known: Vec<&str> = self.layers.iter().flat_map(Layer::names).copied().collect();
            let error = Located::new(self.draft.source, kind.span.clone(), message);
            return Err(error.with_help(suggest(&kind.value, "layers", &known)));
        };
        let application = Application {
            layer,
            kind,
            args,
            path,
            owner: path,
            again: false,
        };
        application.emit(self.draft, input)
    }

    /// Lists that all take the same value, joined.
    fn branches(
        &mut self,
        branches: &'a [Vec<LayerNode>],
        how: Join,
        span: &Range<usize>,
        path: &str,
        input: Value,
    ) -> Result<Value, Located> {
        if branches.len() > MAX_BRANCHES {
            return self.error(span, format!("more than {MAX_BRANCHES} branches"));
        }
        let mut values = Vec::with_capacity(branches.len());
        for (place, branch) in branches.iter().enumerate() {
            let path = join(path, &place.to_string());
            if !self.draft.claim(&path) {
                return self.error(span, format!("two layers have the path `{path}`"));
            }
            values.push(self.list(branch, &path, input)?);
        }
        let Some((first, rest)) = values.split_first() else {
            return Ok(input);
        };
        if rest.is_empty() {
            return Ok(*first);
        }
        if how == Join::Add {
            let ty = |value: &Value| self.draft.b.ty(*value);
            if let Some(place) = rest.iter().position(|v| ty(v).meet(ty(first)).is_none()) {
                let (a, b) = (ty(first), ty(&rest[place]));
                let place = place + 1;
                let message = format!("branch 0 of `{path}` gives {a}, branch {place} gives {b}");
                let error = Located::new(self.draft.source, span.clone(), message);
                return Err(error.with_help("branches that are added have equal dims"));
            }
        }
        let joined = self.draft.at(path, |draft| match how {
            Join::Add => fold(draft, "add", *first, rest),
            Join::Mul => fold(draft, "mul", *first, rest),
            Join::Concat { dim } => {
                let rank = draft.b.ty(*first).rank();
                let axis = rank.and_then(|rank| syncarp_ir::normalize_axis(dim, rank).ok());
                if axis == Some(0) || (axis.is_none() && dim == 0) {
                    let message = "axis 0 is the batch: its samples must not mix".to_owned();
                    return Err(BuildError::Invalid {
                        op: "concat".to_owned(),
                        message,
                    });
                }
                draft
                    .b
                    .emit1("concat", &values, Attrs::new().with("axis", dim))
            }
        });
        joined.map_err(|error| {
            let types: Vec<String> = values
                .iter()
                .take(8)
                .map(|v| TensorType::to_string(self.draft.b.ty(*v)))
                .collect();
            let message = format!("the branches of `{path}` cannot be joined: {error}");
            let error = Located::new(self.draft.source, span.clone(), message);
            error.with_help(format!("the branches give {}", types.join(", ")))
        })
    }
}

fn fold(
    draft: &mut Draft<'_>,
    op: &str,
    first: Value,
    rest: &[Value],
) -> Result<Value, BuildError> {
    rest.iter().try_fold(first, |sum, value| {
        draft.b.emit1(op, &[sum, *value], Attrs::new())
    })
}
