//! Schemas as PyTorch writes them: `aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1)`.

use super::arg::Arg;

/// Whose functions: names mean different things in different rooms.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Room {
    /// The operators of the library beneath.
    Aten,
    /// `torch.nn.functional`.
    Functional,
}

/// The function that a graph asks for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Named<'n> {
    pub room: Room,
    pub name: &'n str,
    /// Which of several forms, where it says so.
    pub overload: Option<&'n str>,
}

impl<'n> Named<'n> {
    /// An operator of ATen's: `add`, `add_`, `add.Tensor`.
    pub fn aten(name: &'n str) -> Self {
        let (name, overload) = match name.split_once('.') {
            Some((name, overload)) => (name, Some(overload)),
            None => (name, None),
        };
        let room = Room::Aten;
        Named {
            room,
            name,
            overload,
        }
    }

    /// A function of `torch.nn.functional`.
    pub fn functional(name: &'n str) -> Self {
        let room = Room::Functional;
        Named {
            room,
            name,
            overload: None,
        }
    }
}

/// What kind of value a parameter takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Tensor,
    /// A number of any kind.
    Scalar,
    Int,
    Float,
    Bool,
    Str,
    /// Something that has no part in the computation, such as a device or a memory layout.
    Other,
}

/// One parameter of a function.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Parameter {
    pub name: &'static str,
    pub kind: Kind,
    pub list: bool,
    /// Whether it is a tensor beside another, for which a number may stand.
    pub beside: bool,
    /// Whether items of the list may be None.
    pub holes: bool,
    /// Whether it may be None.
    pub optional: bool,
    pub default: Option<Arg>,
}

/// One form of a function.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Schema {
    pub room: Room,
    pub name: &'static str,
    pub overload: &'static str,
    pub parameters: Vec<Parameter>,
    /// As written.
    pub text: &'static str,
}

impl Schema {
    /// Reads a schema; none where it is not one.
    pub fn parse(text: &'static str) -> Option<Schema> {
        let (full, rest) = text.split_once('(')?;
        let (inner, _) = rest.split_once(')')?;
        let (room, full) = match full.split_once("::")? {
            ("aten", name) => (Room::Aten, name),
            ("functional", name) => (Room::Functional, name),
            _ => return None,
        };
        let (name, overload) = full.split_once('.').unwrap_or((full, ""));
        let mut parameters = Vec::new();
        for part in split(inner) {
            // TorchScript gives what follows a `*` by position too.
            if part != "*" {
                parameters.push(parameter(part)?);
            }
        }
        let two = |name: &str| matches!(name, "self" | "other");
        if parameters.iter().filter(|p| two(p.name)).count() == 2 {
            let tensor = |p: &Parameter| p.kind == Kind::Tensor && two(p.name);
            parameters.iter_mut().for_each(|p| p.beside = tensor(p));
        }
        Some(Schema {
            room,
            name,
            overload,
            parameters,
            text,
        })
    }
}

/// Splits at commas that are not within brackets.
fn split(text: &'static str) -> impl Iterator<Item = &'static str> {
    let mut depth = 0;
    let parts = text.split(move |c: char| {
        depth += i32::from(c == '[') - i32::from(c == ']');
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

fn parameter(text: &'static str) -> Option<Parameter> {
    let (ty, rest) = text.split_once(' ')?;
    let (name, default) = match rest.split_once('=') {
        Some((name, default)) => (name.trim(), Some(default.trim())),
        None => (rest.trim(), None),
    };
    let (ty, optional) = match ty.strip_suffix('?') {
        Some(ty) => (ty, true),
        None => (ty, false),
    };
    let (ty, list) = match ty.split_once('[') {
        Some((ty, size)) => (ty, size.ends_with(']')),
        None => (ty, false),
    };
    let (ty, holes) = match ty.strip_suffix('?') {
        Some(ty) => (ty, true),
        None => (ty, false),
    };
    let kind = match ty {
        "Tensor" => Kind::Tensor,
        "Scalar" => Kind::Scalar,
        "int" | "SymInt" => Kind::Int,
        "float" => Kind::Float,
        "bool" => Kind::Bool,
        "str" => Kind::Str,
        "ScalarType" | "Layout" | "Device" | "MemoryFormat" | "Generator" => Kind::Other,
        _ => return None,
    };
    let default = match default {
        None => None,
        Some(default) => Some(value(default)?),
    };
    Some(Parameter {
        name,
        kind,
        list,
        beside: false,
        holes,
        optional,
        default,
    })
}

fn value(text: &str) -> Option<Arg> {
    Some(match text {
        "None" => Arg::None,
        "True" => Arg::Bool(true),
        "False" => Arg::Bool(false),
        _ => {
            if let Some(items) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
                let items = items
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty());
                return Arg::list(items.map(value).collect::<Option<_>>()?).ok();
            }
            if let Some(text) = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
                return Some(Arg::Str(text.into()));
            }
            match text.parse() {
                Ok(number) => Arg::Int(number),
                Err(_) => Arg::Float(text.parse().ok()?),
            }
        }
    })
}

impl Parameter {
    /// Whether it takes this value.
    pub fn takes(&self, arg: &Arg) -> bool {
        match arg {
            Arg::None => self.optional || self.kind == Kind::Other,
            Arg::List(_) if self.list => {
                let items = arg.items().unwrap_or_default();
                // A hole in a list of sizes stands for a size that stays as it is.
                let hole =
                    |item: &Arg| (self.kind == Kind::Int || self.holes) && *item == Arg::None;
                items.iter().all(|item| self.kind.takes(item) || hole(item))
            }
            // One number stands for a list of it, and for the tensor of it beside another.
            arg => match self.kind {
                Kind::Tensor if matches!(arg, Arg::Tensor(_)) => !self.list,
                Kind::Tensor => self.beside && Kind::Scalar.takes(arg),
                kind => kind.takes(arg),
            },
        }
    }
}

impl Kind {
    fn takes(self, arg: &Arg) -> bool {
        match arg {
            Arg::Tensor(_) => self == Kind::Tensor,
            Arg::Int(_) => matches!(self, Kind::Int | Kind::Float | Kind::Scalar | Kind::Other),
            Arg::Dim(_) | Arg::SizeOf(..) => matches!(self, Kind::Int | Kind::Scalar),
            Arg::Float(_) => matches!(self, Kind::Float | Kind::Scalar),
            Arg::Bool(_) => matches!(self, Kind::Bool | Kind::Scalar | Kind::Other),
            Arg::Str(_) => matches!(self, Kind::Str | Kind::Other),
            Arg::None | Arg::List(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_read_as_pytorch_writes_them() {
        let text = "aten::conv.x(Tensor input, Tensor? bias=None, SymInt[2] stride=1, *, \
                    int[] pad=[0, 1], float eps=1e-05, str mode='none', ScalarType? dtype=None) -> Tensor";
        let schema = Schema::parse(text).unwrap();
        assert_eq!((schema.name, schema.overload), ("conv", "x"));
        let names: Vec<&str> = schema.parameters.iter().map(|p| p.name).collect();
        assert_eq!(
            names,
            ["input", "bias", "stride", "pad", "eps", "mode", "dtype"]
        );
        let [input, bias, stride, pad, eps, mode, _] = &schema.parameters[..] else {
            panic!("seven parameters");
        };
        assert!(input.default.is_none() && !input.takes(&Arg::None));
        assert!(bias.optional && bias.takes(&Arg::None));
        assert!(stride.list && stride.takes(&Arg::Int(2)));
        assert_eq!(
            pad.default,
            Some(Arg::list(vec![Arg::Int(0), Arg::Int(1)]).unwrap())
        );
        assert_eq!(eps.default, Some(Arg::Float(1e-5)));
        assert_eq!(mode.default, Some(Arg::Str("none".into())));
        for wrong in [
            "add(Tensor self)",
            "aten::add",
            "aten::add(Matrix self)",
            "aten::a(int b=x)",
        ] {
            assert!(Schema::parse(wrong).is_none(), "{wrong}");
        }
    }
}
