//! Python's arithmetic on sizes, which is done while the graph is made.

use crate::aten::{Arg, numbers};

/// What a function of Python's makes of numbers; none where it is no such function. Comparisons of
/// sizes that depend on symbols, which programs make only to assert them, give None.
pub(super) fn evaluate(op: &str, args: &[Arg]) -> Option<Result<Arg, String>> {
    let name = op
        .strip_prefix("operator.")
        .or_else(|| op.strip_prefix("math."))
        .or_else(|| op.strip_prefix("torch."))
        .or_else(|| op.strip_prefix("higher_order."))?;
    let name = name.trim_matches('_');
    Some(match (name, args) {
        ("add" | "sub" | "mul", [a, b]) => numbers(name, a, b),
        ("floordiv" | "FloorDiv" | "CleanDiv", [a, b]) => numbers("floordiv", a, b),
        ("truediv", [a, b]) => numbers("div", a, b),
        ("mod" | "Mod" | "PythonMod", [a, b]) => {
            let whole = numbers("floordiv", a, b);
            whole
                .and_then(|whole| numbers("mul", &whole, b))
                .and_then(|multiple| numbers("sub", a, &multiple))
        }
        ("neg", [a]) => numbers("sub", &Arg::Int(0), a),
        ("pow" | "PowByNatural", [a, b]) => power(a, b),
        ("sym_max" | "max", [a, b]) => extreme(a, b, true),
        ("sym_min" | "min", [a, b]) => extreme(a, b, false),
        ("sym_int" | "trunc" | "int", [a]) => rounded(a, f64::trunc),
        ("floor", [a]) => rounded(a, f64::floor),
        ("ceil", [a]) => rounded(a, f64::ceil),
        ("round", [a]) => rounded(a, f64::round_ties_even),
        ("sym_float" | "float", [a]) => match a {
            Arg::Int(number) => Ok(Arg::Float(*number as f64)),
            a => Ok(a.clone()),
        },
        ("sqrt" | "sym_sqrt", [a]) => match float(a).map(f64::sqrt) {
            Some(root) if root.is_finite() => Ok(Arg::Float(root)),
            _ => Err("takes the root of a number that is not known".to_owned()),
        },
        ("eq" | "ne" | "lt" | "le" | "gt" | "ge", [a, b]) => Ok(compared(name, a, b)),
        ("and" | "or", [a, b]) => Ok(match (a, b) {
            (Arg::Bool(a), Arg::Bool(b)) => {
                Arg::Bool(if name == "and" { *a && *b } else { *a || *b })
            }
            _ => Arg::None,
        }),
        ("not" | "sym_not", [a]) => Ok(match a {
            Arg::Bool(a) => Arg::Bool(!a),
            _ => Arg::None,
        }),
        _ => return None,
    })
}

fn float(arg: &Arg) -> Option<f64> {
    match arg {
        Arg::Int(number) => Some(*number as f64),
        Arg::Float(number) => Some(*number),
        _ => None,
    }
}

fn power(base: &Arg, exponent: &Arg) -> Result<Arg, String> {
    match (base, exponent) {
        (base @ (Arg::Int(_) | Arg::Dim(_)), Arg::Int(times @ 0..=64)) => {
            (0..*times).try_fold(Arg::Int(1), |product, _| numbers("mul", &product, base))
        }
        (a, b) => match float(a).zip(float(b)).map(|(a, b)| a.powf(b)) {
            Some(number) if number.is_finite() => Ok(Arg::Float(number)),
            _ => Err(format!("a power of {a} by {b} is not known here")),
        },
    }
}

fn extreme(a: &Arg, b: &Arg, most: bool) -> Result<Arg, String> {
    match (a, b) {
        (Arg::Int(x), Arg::Int(y)) => Ok(Arg::Int(if most { *x.max(y) } else { *x.min(y) })),
        // A size is at least 1.
        (Arg::Int(..=1), size @ Arg::Dim(_)) | (size @ Arg::Dim(_), Arg::Int(..=1)) if most => {
            Ok(size.clone())
        }
        (a, b) if a == b => Ok(a.clone()),
        (a, b) => match float(a).zip(float(b)) {
            Some((x, y)) => Ok(Arg::Float(if most { x.max(y) } else { x.min(y) })),
            None => Err(format!(
                "which of {a} and {b} is larger depends on the data"
            )),
        },
    }
}

fn rounded(arg: &Arg, round: fn(f64) -> f64) -> Result<Arg, String> {
    match arg {
        Arg::Int(_) | Arg::Dim(_) => Ok(arg.clone()),
        Arg::Float(number) if round(*number).abs() < 9e15 => Ok(Arg::Int(round(*number) as i64)),
        other => Err(format!("a whole number cannot be made of {other}")),
    }
}

fn compared(name: &str, a: &Arg, b: &Arg) -> Arg {
    let order = match float(a).zip(float(b)) {
        Some((a, b)) => a.partial_cmp(&b),
        None if a == b => Some(std::cmp::Ordering::Equal),
        None => None,
    };
    match order {
        None => Arg::None,
        Some(order) => Arg::Bool(match name {
            "eq" => order.is_eq(),
            "ne" => order.is_ne(),
            "lt" => order.is_lt(),
            "le" => order.is_le(),
            "gt" => order.is_gt(),
            _ => order.is_ge(),
        }),
    }
}
