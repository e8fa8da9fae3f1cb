//! Modules of PyTorch's, which are layers here.

use syncarp_diag::{Located, Source};
use syncarp_sweep::{Args, Spanned, Table, Value};

use super::document::NodeDef;
use super::json::{Json, Object, shown};
use crate::registry::{Argument, Layer, LayerRegistry};

/// A module with its arguments as a layer takes them.
#[derive(Debug)]
pub(crate) struct Module {
    /// The class's name.
    pub kind: Spanned<String>,
    pub args: Args,
}

impl Module {
    /// The module that a node is; none where it is something else, or a module that no layer stands
    /// for.
    ///
    /// # Errors
    /// Where its parameters cannot be arguments.
    pub fn of(
        node: &NodeDef,
        layers: &LayerRegistry,
        source: &Source,
    ) -> Result<Option<Self>, Located> {
        let Some(class) = class(&node.kind.value) else {
            return Ok(None);
        };
        let Some(layer) = layers.find(class) else {
            return Ok(None);
        };
        let reader = Reader {
            layer,
            class,
            source,
        };
        let args = Args {
            positional: None,
            named: reader.arguments(&node.parameters)?,
            span: node.kind.span.clone(),
        };
        let kind = Spanned::new(class.to_owned(), node.kind.span.clone());
        Ok(Some(Module { kind, args }))
    }
}

/// The class that an operation is an instance of, where it is one of PyTorch's or of NNI's copies of
/// these: `__torch__.torch.nn.Conv2d`, `__torch__.nni.nas.nn.pytorch._layers.Conv2d`. A class of
/// somebody else's may mean anything.
fn class(kind: &str) -> Option<&str> {
    let path = kind.strip_prefix("__torch__.")?;
    let mut steps = path
        .split('.')
        .filter(|step| !step.starts_with("___torch_mangle"));
    let known = match steps.next()? {
        "torch" => steps.next()? == "nn",
        "nni" => true,
        _ => false,
    };
    let class = path.rsplit('.').next()?;
    known.then_some(class)
}

struct Reader<'r> {
    layer: &'r dyn Layer,
    class: &'r str,
    source: &'r Source,
}

impl Reader<'_> {
    fn arguments(&self, parameters: &Spanned<Object>) -> Result<Table, Located> {
        let mut named = Vec::with_capacity(parameters.value.len());
        for (name, value) in &parameters.value {
            let argument = self.layer.arguments().iter();
            let argument = argument.clone().find(|a| a.names.contains(&&*name.value));
            match (&value.value, argument) {
                (Json::Null, Some(Argument { null: true, .. })) => {}
                (Json::Null, argument) => {
                    let message =
                        format!("{} of `{}` cannot be null", shown(&name.value), self.class);
                    let error = Located::new(self.source, value.span.clone(), message);
                    return Err(match argument {
                        Some(argument) => error.with_help(argument.doc),
                        None => error,
                    });
                }
                _ => named.push((name.clone(), self.value(value)?)),
            }
        }
        for argument in self.layer.arguments() {
            let given = |(name, _): &(Spanned<String>, _)| argument.names.contains(&&*name.value);
            if let Some(number) = argument.in_torch.filter(|_| !named.iter().any(given)) {
                let name = Spanned::new(argument.names[0].to_owned(), parameters.span.clone());
                named.push((
                    name,
                    Spanned::new(Value::Int(number), parameters.span.clone()),
                ));
            }
        }
        Ok(named.into_iter().collect())
    }

    fn value(&self, value: &Spanned<Json>) -> Result<Spanned<Value>, Located> {
        let read = match &value.value {
            Json::Null => {
                let message = format!("a parameter of `{}` holds a null", self.class);
                return Err(Located::new(self.source, value.span.clone(), message));
            }
            Json::Bool(flag) => Value::Bool(*flag),
            Json::Int(number) => Value::Int(*number),
            Json::Float(number) => Value::Float(*number),
            Json::Str(text) => Value::Str(text.clone()),
            Json::Array(items) => {
                let items = items.iter().map(|item| self.value(item));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Json::Object(object) => {
                let entries = object.iter();
                let entries = entries.map(|(key, value)| Ok((key.clone(), self.value(value)?)));
                Value::Table(entries.collect::<Result<_, _>>()?)
            }
        };
        Ok(Spanned::new(read, value.span.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::class;

    #[test]
    fn classes_of_others_are_not_taken_for_layers() {
        for (kind, found) in [
            ("__torch__.torch.nn.Conv2d", Some("Conv2d")),
            (
                "__torch__.torch.nn.modules.conv.___torch_mangle_3.Conv2d",
                Some("Conv2d"),
            ),
            (
                "__torch__.___torch_mangle_3.torch.nn.modules.conv.Conv2d",
                Some("Conv2d"),
            ),
            ("__torch__.nni.nas.nn.pytorch._layers.ReLU", Some("ReLU")),
            ("__torch__.nni.retiarii.nn.pytorch.nn.ReLU", Some("ReLU")),
            ("__torch__.mine.Mean", None),
            ("__torch__.torch.optim.Adam", None),
            ("aten::relu", None),
            ("__torch__.", None),
        ] {
            assert_eq!(class(kind), found, "{kind}");
        }
    }
}
