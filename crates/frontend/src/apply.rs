//! One application of a layer, whichever front end it comes from.

use syncarp_diag::{Located, Source};
use syncarp_ir::Value;
use syncarp_sweep::{Args, Spanned, Value as Written};

use crate::context::LayerContext;
use crate::draft::Draft;
use crate::error::suggest;
use crate::init::Inits;
use crate::registry::{Layer, Only};

/// A layer with its arguments at a place in a model.
#[derive(Clone, Copy)]
pub(crate) struct Application<'c, 'a> {
    pub layer: &'c dyn Layer,
    /// What the layer is called, as written.
    pub kind: &'a Spanned<String>,
    pub args: &'a Args,
    /// Where it stands in the model.
    pub path: &'c str,
    /// Where its parameters stand: as a rule the same.
    pub owner: &'c str,
    /// Whether its parameters are there already, since it was applied before.
    pub again: bool,
}

impl<'a> Application<'_, 'a> {
    /// Emits it and gives its outgoing value.
    ///
    /// # Errors
    /// Where arguments or the incoming value do not fit the layer.
    pub fn emit(self, draft: &mut Draft<'a>, input: Value) -> Result<Value, Located> {
        let source = draft.source;
        let Application {
            layer, kind, args, ..
        } = self;
        check_arguments(layer, kind, args, source)?;
        let mut reader = args.reader(source, &kind.value);
        if let Some(first) = layer.arguments().iter().find(|a| a.only.is_none()) {
            reader = reader.positional(first.names[0]);
        }
        for argument in layer.arguments() {
            // What makes no difference is settled here, so that no layer has to ask for it.
            if argument.only.is_some() {
                reader.value_opt(argument)?;
            }
        }
        let init = match layer.arguments().iter().find(|a| a.names.contains(&"init")) {
            Some(argument) => reader.value_opt(argument)?,
            None => None,
        };
        draft.at(self.path, |draft| {
            let mut cx = LayerContext {
                args: reader,
                draft,
                kind,
                path: self.path,
                owner: self.owner,
                again: self.again,
                input,
                inits: Inits::new(init, source),
            };
            let value = layer.lower(&mut cx)?;
            cx.inits.finish(&kind.value)?;
            cx.args.finish()?;
            Ok(value)
        })
    }
}

/// Checks that every argument is one that the layer declares, before any is read: a slip of the pen
/// is better told as such than as the absence of what was meant. Arguments that may have one value
/// alone must have that.
fn check_arguments(
    layer: &dyn Layer,
    kind: &Spanned<String>,
    args: &Args,
    source: &Source,
) -> Result<(), Located> {
    let plain = |name: &str| name.replace('_', "-");
    for (name, value) in args.named.iter() {
        let mut declared = layer.arguments().iter();
        let fits = |known: &&str| plain(known) == plain(&name.value);
        let Some(argument) = declared.find(|a| a.names.iter().any(&fits)) else {
            let message = format!("`{}` has no argument `{}`", kind.value, name.value);
            let error = Located::new(source, name.span.clone(), message);
            let known: Vec<&str> = layer
                .arguments()
                .iter()
                .flat_map(|a| a.names)
                .copied()
                .collect();
            let what = format!("arguments of `{}`", kind.value);
            return Err(error.with_help(suggest(&name.value, &what, &known)));
        };
        let allowed = match (argument.only, &value.value) {
            (None | Some(Only::Anything), _) => true,
            (Some(Only::Nothing), _) => false,
            (Some(Only::Bool(only)), Written::Bool(given)) => only == *given,
            (Some(Only::Str(only)), Written::Str(given)) => only == given,
            (Some(_), _) => false,
        };
        if !allowed {
            let message = format!(
                "`{}` of `{}` cannot be {}",
                name.value, kind.value, value.value
            );
            let error = Located::new(source, value.span.clone(), message);
            return Err(error.with_help(argument.doc));
        }
    }
    Ok(())
}
