//! Initialisers: what parameters are drawn from, by default and as declared by `init`.

use std::ops::Range;

use syncarp_diag::{Located, Source};
use syncarp_ir::Distribution;
use syncarp_sweep::{ArgReader, Args, Spanned, Table, Value};

use crate::error::suggest;
use crate::registry::fold;

/// What a layer's `init` says about its parameters.
pub(crate) struct Inits<'a> {
    source: &'a Source,
    rules: Vec<Declared<'a>>,
    /// The parameters that the layer turned out to have.
    known: Vec<&'static str>,
}

struct Declared<'a> {
    parameter: &'a str,
    span: Range<usize>,
    rule: &'a Spanned<Value>,
    used: bool,
}

impl<'a> Inits<'a> {
    /// Reads an `init`: rules by parameter, or one rule, which is for `weight`.
    pub fn new(init: Option<&'a Spanned<Value>>, source: &'a Source) -> Self {
        let rules = match init {
            None => Vec::new(),
            Some(Spanned {
                value: Value::Table(table),
                ..
            }) if table.get("name").is_none() => {
                let rule = |(name, rule): &'a (Spanned<String>, Spanned<Value>)| Declared {
                    parameter: &name.value,
                    span: name.span.clone(),
                    rule,
                    used: false,
                };
                table.iter().map(rule).collect()
            }
            Some(rule) => {
                let span = rule.span.clone();
                vec![Declared {
                    parameter: "weight",
                    span,
                    rule,
                    used: false,
                }]
            }
        };
        Inits {
            source,
            rules,
            known: Vec::new(),
        }
    }

    /// What a parameter of these dims is drawn from, if that is declared.
    ///
    /// # Errors
    /// The rule is no rule, or does not fit the dims.
    pub fn rule(
        &mut self,
        parameter: &'static str,
        dims: &[u64],
    ) -> Result<Option<Distribution>, Located> {
        self.known.push(parameter);
        let name = fold(parameter);
        let Some(found) = self.rules.iter_mut().find(|r| fold(r.parameter) == name) else {
            return Ok(None);
        };
        found.used = true;
        distribution(found.rule, dims, self.source).map(Some)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// A rule is for a parameter that the layer does not have.
    pub fn finish(&self, layer: &str) -> Result<(), Located> {
        let Some(unused) = self.rules.iter().find(|r| !r.used) else {
            return Ok(());
        };
        let message = format!("`{layer}` has no parameter `{}` here", unused.parameter);
        let help = suggest(
            unused.parameter,
            &format!("parameters of `{layer}`"),
            &self.known,
        );
        Err(Located::new(self.source, unused.span.clone(), message).with_help(help))
    }
}

const RULES: [&str; 9] = [
    "kaiming-uniform",
    "kaiming-normal",
    "xavier-uniform",
    "xavier-normal",
    "uniform",
    "normal",
    "constant",
    "zeros",
    "ones",
];

/// The distribution that a rule gives a parameter of these dims, by the formulas of
/// `torch.nn.init`.
fn distribution(
    rule: &Spanned<Value>,
    dims: &[u64],
    source: &Source,
) -> Result<Distribution, Located> {
    let wrong = |message: String| Located::new(source, rule.span.clone(), message);
    let (name, named) = match &rule.value {
        Value::Int(_) | Value::Float(_) => {
            let number = rule.value.as_f64().unwrap_or(0.0);
            return finite(Distribution::Constant(number))
                .ok_or_else(|| wrong("an initial value is a finite number".to_owned()));
        }
        Value::Str(name) => (name.as_str(), Table::default()),
        Value::Table(table) => match table.get("name").and_then(|n| n.value.as_str()) {
            Some(name) => {
                let rest = table.iter().filter(|(key, _)| key.value != "name").cloned();
                (name, rest.collect())
            }
            None => return Err(wrong("an initialiser without a `name`".to_owned())),
        },
        other => {
            let message = format!(
                "an initialiser is a name, a number or a table, not {}",
                other.kind()
            );
            return Err(wrong(message));
        }
    };
    let args = Args {
        positional: None,
        named,
        span: rule.span.clone(),
    };
    let mut read = args.reader(source, name);
    let fans = || {
        fans(dims).ok_or_else(|| {
            let message = format!("`{name}` needs a parameter of two dims at least, not {dims:?}");
            wrong(message)
        })
    };
    let found = match fold(name).as_str() {
        "kaiminguniform" | "heuniform" => {
            let deviation = kaiming(&mut read, fans()?)?;
            let bound = 3f64.sqrt() * deviation;
            Distribution::Uniform(-bound, bound)
        }
        "kaimingnormal" | "henormal" => Distribution::Normal(0.0, kaiming(&mut read, fans()?)?),
        "xavieruniform" | "glorotuniform" => {
            let gain = read.f64_opt("gain")?.unwrap_or(1.0);
            xavier_uniform_gain(fans()?, gain)
        }
        "xaviernormal" | "glorotnormal" => {
            let (fan_in, fan_out) = fans()?;
            let gain = read.f64_opt("gain")?.unwrap_or(1.0);
            Distribution::Normal(0.0, gain * (2.0 / (fan_in + fan_out)).sqrt())
        }
        "uniform" => {
            let low = read.f64_opt(["low", "a"])?.unwrap_or(0.0);
            let high = read.f64_opt(["high", "b"])?.unwrap_or(1.0);
            if low > high {
                return Err(read.mistake("low", "the low end is above the high end"));
            }
            Distribution::Uniform(low, high)
        }
        "normal" => {
            let mean = read.f64_opt("mean")?.unwrap_or(0.0);
            Distribution::Normal(mean, read.f64_opt(["std", "deviation"])?.unwrap_or(1.0))
        }
        "constant" => Distribution::Constant(read.f64(["value", "val"])?),
        "zeros" => Distribution::Constant(0.0),
        "ones" => Distribution::Constant(1.0),
        _ => {
            let message = format!("no initialiser is called `{name}`");
            return Err(wrong(message).with_help(suggest(name, "initialisers", &RULES)));
        }
    };
    read.finish()?;
    finite(found).ok_or_else(|| wrong(format!("`{name}` gives no finite distribution here")))
}

/// The distribution, where all its numbers are finite and its deviation is none below zero.
fn finite(distribution: Distribution) -> Option<Distribution> {
    let fine = match distribution {
        Distribution::Constant(value) => value.is_finite(),
        Distribution::Uniform(low, high) => (high - low).is_finite(),
        Distribution::Normal(mean, deviation) => {
            mean.is_finite() && deviation.is_finite() && deviation >= 0.0
        }
    };
    fine.then_some(distribution)
}

/// How many inputs and outputs an element of a parameter [out, in, ...] has a part in.
fn fans(dims: &[u64]) -> Option<(f64, f64)> {
    let [out, into, field @ ..] = dims else {
        return None;
    };
    let field: f64 = field.iter().map(|d| *d as f64).product();
    Some((*into as f64 * field, *out as f64 * field))
}

/// The standard deviation of He et al. (2015).
fn kaiming(read: &mut ArgReader<'_>, (fan_in, fan_out): (f64, f64)) -> Result<f64, Located> {
    let fan = match read.str_opt("mode")?.map(fold).as_deref() {
        None | Some("fanin") => fan_in,
        Some("fanout") => fan_out,
        Some(_) => return Err(read.mistake("mode", "`mode` is \"fan-in\" or \"fan-out\"")),
    };
    let slope = read.f64_opt("a")?.unwrap_or(0.0);
    let gain = match read.str_opt("nonlinearity")?.map(fold).as_deref() {
        None | Some("leakyrelu") => (2.0 / (1.0 + slope * slope)).sqrt(),
        Some("relu") => 2f64.sqrt(),
        Some("tanh") => 5.0 / 3.0,
        Some("selu") => 0.75,
        Some("linear" | "sigmoid" | "identity") => 1.0,
        Some(_) => {
            let known = "`nonlinearity` is leaky-relu, relu, tanh, selu, sigmoid or linear";
            return Err(read.mistake("nonlinearity", known));
        }
    };
    Ok(if fan > 0.0 { gain / fan.sqrt() } else { 0.0 })
}

fn xavier_uniform_gain((fan_in, fan_out): (f64, f64), gain: f64) -> Distribution {
    let bound = gain * (6.0 / (fan_in + fan_out)).sqrt();
    Distribution::Uniform(-bound, bound)
}

/// The default of PyTorch's linear layers and convolutions, for weights and biases alike:
/// `kaiming_uniform(a=sqrt(5))`, which is uniform within one by the root of the fan-in.
pub fn torch_uniform(fan_in: u64) -> Distribution {
    let bound = if fan_in > 0 {
        1.0 / (fan_in as f64).sqrt()
    } else {
        0.0
    };
    Distribution::Uniform(-bound, bound)
}

/// The uniform distribution of Glorot and Bengio (2010) for a parameter [out, in].
pub fn xavier_uniform(out: u64, into: u64) -> Distribution {
    xavier_uniform_gain((into as f64, out as f64), 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str, dims: &[u64]) -> Result<Distribution, Located> {
        let text = format!(
            "evaluator = {{ loss = \"mse\", optimizer = \"sgd\", epochs = 1 }}\n[[model]]\n\
             layers = [{{ f = {{ init = {text} }} }}]\n"
        );
        let source = Source::new("s", text);
        let sweep = syncarp_sweep::Sweep::parse(source.clone(), ".").unwrap();
        let syncarp_sweep::PartBody::Layers(layers) = &sweep.models[0].parts[0].body else {
            panic!("a part of layers");
        };
        let syncarp_sweep::LayerNode::Layer { args, .. } = &layers[0] else {
            panic!("a layer");
        };
        distribution(args.named.get("init").unwrap(), dims, &source)
    }

    fn close(a: Distribution, b: Distribution) -> bool {
        let near = |x: f64, y: f64| (x - y).abs() < 1e-12;
        match (a, b) {
            (Distribution::Constant(x), Distribution::Constant(y)) => near(x, y),
            (Distribution::Uniform(a, b), Distribution::Uniform(c, d))
            | (Distribution::Normal(a, b), Distribution::Normal(c, d)) => near(a, c) && near(b, d),
            _ => false,
        }
    }

    #[test]
    fn formulas_are_those_of_torch() {
        let dims = [8, 3, 5, 5];
        let (fan_in, fan_out) = (75f64, 200f64);
        let uniform = |b: f64| Distribution::Uniform(-b, b);
        for (text, expected) in [
            ("\"kaiming_uniform\"", uniform((6.0 / fan_in).sqrt())),
            (
                "\"kaiming-normal\"",
                Distribution::Normal(0.0, (2.0 / fan_in).sqrt()),
            ),
            (
                "{ name = \"kaiming-normal\", mode = \"fan_out\", nonlinearity = \"relu\" }",
                Distribution::Normal(0.0, (2.0 / fan_out).sqrt()),
            ),
            (
                "{ name = \"kaiming-uniform\", a = 2.23606797749979 }",
                uniform(1.0 / fan_in.sqrt()),
            ),
            ("\"xavier-uniform\"", uniform((6.0f64 / 275.0).sqrt())),
            (
                "{ name = \"xavier-normal\", gain = 2 }",
                Distribution::Normal(0.0, 2.0 * (2.0f64 / 275.0).sqrt()),
            ),
            (
                "{ name = \"uniform\", low = -1, high = 2.5 }",
                Distribution::Uniform(-1.0, 2.5),
            ),
            (
                "{ name = \"normal\", std = 0.02 }",
                Distribution::Normal(0.0, 0.02),
            ),
            ("0.25", Distribution::Constant(0.25)),
            ("\"ones\"", Distribution::Constant(1.0)),
        ] {
            let got = rule(text, &dims).unwrap();
            assert!(close(got.clone(), expected), "{text}: {got:?}");
        }
        assert!(close(torch_uniform(64), uniform(0.125)));
    }

    #[test]
    fn mistakes_name_the_rule() {
        for (text, dims, message) in [
            (
                "\"kaiming-unifrom\"",
                [2, 2].as_slice(),
                "no initialiser is called",
            ),
            (
                "\"xavier-normal\"",
                &[2],
                "needs a parameter of two dims at least",
            ),
            (
                "{ name = \"uniform\", low = 2, high = 1 }",
                &[2],
                "low end is above",
            ),
            (
                "{ name = \"normal\", std = -1 }",
                &[2],
                "no finite distribution",
            ),
            ("{ name = \"normal\", sdt = 1 }", &[2], "no argument `sdt`"),
            ("inf", &[2], "finite number"),
            ("true", &[2], "not a boolean"),
            ("{ low = 1 }", &[2], "without a `name`"),
        ] {
            let error = rule(text, dims).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
