//! The expressions inside `${...}`: their meaning.
//!
//! Arithmetic is Python's: `/` gives a float, `//` and `%` round down. Whole numbers never wrap.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use crate::expr::{Arithmetic, Comparison, ExprError, Function, Node, Op};
use crate::value::Value;

/// The most bytes that a text made by a template may have.
pub(crate) const MAX_TEXT: usize = 64 << 10;

type Evaluated<'e> = Result<Cow<'e, Value>, ExprError>;

/// The value of an expression where the variables have the values in `slots`.
pub(crate) fn evaluate<'e>(node: &'e Node, slots: &'e [Value]) -> Evaluated<'e> {
    let at = &node.at;
    let value = match &node.op {
        Op::Constant(value) => return Ok(Cow::Borrowed(value)),
        Op::Variable(slot) => return Ok(Cow::Borrowed(&slots[*slot])),
        Op::If(parts) => {
            let [condition, value, otherwise] = parts.as_ref();
            return evaluate(
                if truth(condition, slots)? {
                    value
                } else {
                    otherwise
                },
                slots,
            );
        }
        Op::Item(parts) => {
            let [of, index] = parts.as_ref();
            let index = evaluate(index, slots)?;
            return item(evaluate(of, slots)?, index.as_ref(), at);
        }
        Op::Not(of) => Value::Bool(!truth(of, slots)?),
        Op::And(sides) => Value::Bool(truth(&sides[0], slots)? && truth(&sides[1], slots)?),
        Op::Or(sides) => Value::Bool(truth(&sides[0], slots)? || truth(&sides[1], slots)?),
        Op::Negate(of) => match evaluate(of, slots)?.as_ref() {
            Value::Int(number) => whole(number.checked_neg(), at)?,
            Value::Float(number) => Value::Float(-number),
            other => return Err(mismatch(&of.at, "a number", other)),
        },
        Op::Compare(comparison, sides) => {
            let left = evaluate(&sides[0], slots)?;
            let right = evaluate(&sides[1], slots)?;
            Value::Bool(compare(*comparison, &left, &right, at)?)
        }
        Op::Arithmetic(operation, sides) => {
            let left = evaluate(&sides[0], slots)?;
            let right = evaluate(&sides[1], slots)?;
            arithmetic(*operation, &left, &right, at)?
        }
        Op::Call(Function::Len, arguments) => match evaluate(&arguments[0], slots)?.as_ref() {
            Value::Array(items) => Value::Int(items.len() as i64),
            Value::Str(text) => Value::Int(text.chars().count() as i64),
            other => return Err(mismatch(&arguments[0].at, "an array or a string", other)),
        },
        Op::Call(Function::Int, arguments) => match evaluate(&arguments[0], slots)?.as_ref() {
            Value::Int(number) => Value::Int(*number),
            Value::Float(number) => {
                // The bounds are the floats next to the ends of the whole numbers.
                let cut = number.trunc();
                let fits = (-9.223_372_036_854_775e18..=9.223_372_036_854_775e18).contains(&cut);
                whole(fits.then_some(cut as i64), at)?
            }
            other => return Err(mismatch(&arguments[0].at, "a number", other)),
        },
        Op::Call(function, arguments) => return extreme(*function, arguments, slots),
    };
    Ok(Cow::Owned(value))
}

fn mismatch(at: &Range<usize>, wanted: &str, found: &Value) -> ExprError {
    ExprError::new(
        at.clone(),
        format!("expected {wanted}, found {}", found.describe()),
    )
}

fn whole(number: Option<i64>, at: &Range<usize>) -> Result<Value, ExprError> {
    number.map(Value::Int).ok_or_else(|| {
        ExprError::new(
            at.clone(),
            "the result is beyond the whole numbers of 64 bits",
        )
    })
}

fn truth(node: &Node, slots: &[Value]) -> Result<bool, ExprError> {
    match evaluate(node, slots)?.as_ref() {
        Value::Bool(flag) => Ok(*flag),
        other => Err(mismatch(&node.at, "a boolean", other)),
    }
}

/// The smallest or greatest of the arguments, or of the one argument that is an array.
fn extreme<'e>(function: Function, arguments: &'e [Node], slots: &'e [Value]) -> Evaluated<'e> {
    let mut best: Option<Cow<'e, Value>> = None;
    let mut consider = |value: Cow<'e, Value>, at: &Range<usize>| -> Result<(), ExprError> {
        if value.as_f64().is_none() {
            return Err(mismatch(at, "a number", &value));
        }
        let replaces = match &best {
            None => true,
            Some(best) => {
                let wanted = if function == Function::Min {
                    Ordering::Less
                } else {
                    Ordering::Greater
                };
                order(&value, best) == Some(wanted)
            }
        };
        if replaces {
            best = Some(value);
        }
        Ok(())
    };
    for argument in arguments {
        match (evaluate(argument, slots)?, arguments.len()) {
            (Cow::Borrowed(Value::Array(items)), 1) => {
                for item in items {
                    consider(Cow::Borrowed(&item.value), &argument.at)?;
                }
            }
            (value, _) => consider(value, &argument.at)?,
        }
    }
    let start = arguments
        .first()
        .map_or(0..0, |argument| argument.at.clone());
    best.ok_or_else(|| ExprError::new(start, "an empty array has no extreme"))
}

fn item<'e>(of: Cow<'e, Value>, index: &Value, at: &Range<usize>) -> Evaluated<'e> {
    let Value::Int(index) = index else {
        return Err(mismatch(at, "an integer between the brackets", index));
    };
    let place = |length: usize| {
        let place = if *index < 0 {
            index + length as i64
        } else {
            *index
        };
        usize::try_from(place)
            .ok()
            .filter(|place| *place < length)
            .ok_or_else(|| {
                let message = format!("there is no item {index} in an array of {length}");
                ExprError::new(at.clone(), message)
            })
    };
    match of {
        Cow::Borrowed(Value::Array(items)) => Ok(Cow::Borrowed(&items[place(items.len())?].value)),
        Cow::Owned(Value::Array(mut items)) => {
            let place = place(items.len())?;
            Ok(Cow::Owned(items.swap_remove(place).value))
        }
        other => Err(mismatch(at, "an array before the brackets", &other)),
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Str(left), Value::Str(right)) => Some(left.cmp(right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

fn compare(
    comparison: Comparison,
    left: &Value,
    right: &Value,
    at: &Range<usize>,
) -> Result<bool, ExprError> {
    let equal = || match (left, right) {
        (Value::Int(_), Value::Float(_)) | (Value::Float(_), Value::Int(_)) => {
            left.as_f64() == right.as_f64()
        }
        _ => left == right,
    };
    match comparison {
        Comparison::Equal => return Ok(equal()),
        Comparison::NotEqual => return Ok(!equal()),
        _ => {}
    }
    let comparable = matches!((left, right), (Value::Str(_), Value::Str(_)))
        || (left.as_f64().is_some() && right.as_f64().is_some());
    if !comparable {
        let message = format!("{} and {} have no order", left.describe(), right.describe());
        return Err(ExprError::new(at.clone(), message));
    }
    let order = order(left, right);
    Ok(match comparison {
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    })
}

fn arithmetic(
    operation: Arithmetic,
    left: &Value,
    right: &Value,
    at: &Range<usize>,
) -> Result<Value, ExprError> {
    if let (Arithmetic::Add, Value::Str(left), Value::Str(right)) = (operation, left, right) {
        if left.len() + right.len() > MAX_TEXT {
            let message = format!("a text of more than {MAX_TEXT} bytes");
            return Err(ExprError::new(at.clone(), message));
        }
        return Ok(Value::Str(format!("{left}{right}")));
    }
    if let (Value::Int(left), Value::Int(right)) = (left, right)
        && let Some(value) = integers(operation, *left, *right, at)?
    {
        return Ok(value);
    }
    let (Some(a), Some(b)) = (left.as_f64(), right.as_f64()) else {
        let message = format!(
            "`{}` does not go with {} and {}",
            sign(operation),
            left.describe(),
            right.describe()
        );
        return Err(ExprError::new(at.clone(), message));
    };
    let divides = matches!(
        operation,
        Arithmetic::Divide | Arithmetic::FloorDivide | Arithmetic::Modulo
    );
    if divides && b == 0.0 {
        return Err(ExprError::new(at.clone(), "division by zero"));
    }
    let result = match operation {
        Arithmetic::Add => a + b,
        Arithmetic::Subtract => a - b,
        Arithmetic::Multiply => a * b,
        Arithmetic::Divide => a / b,
        Arithmetic::FloorDivide => (a / b).floor(),
        Arithmetic::Modulo => a - b * (a / b).floor(),
        Arithmetic::Power => a.powf(b),
    };
    if !result.is_finite() && a.is_finite() && b.is_finite() {
        return Err(ExprError::new(
            at.clone(),
            "the result is not a finite number",
        ));
    }
    Ok(Value::Float(result))
}

/// Arithmetic on whole numbers; none where the result is a float.
fn integers(
    operation: Arithmetic,
    left: i64,
    right: i64,
    at: &Range<usize>,
) -> Result<Option<Value>, ExprError> {
    let result = match operation {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::FloorDivide | Arithmetic::Modulo if right == 0 => {
            return Err(ExprError::new(at.clone(), "division by zero"));
        }
        Arithmetic::FloorDivide => {
            // Rust rounds towards zero; one less is due where the signs differ and something is left.
            let rounds = left
                .checked_rem(right)
                .is_some_and(|r| r != 0 && (r < 0) != (right < 0));
            left.checked_div(right)
                .map(|quotient| quotient - i64::from(rounds))
        }
        Arithmetic::Modulo => {
            let rest = left.wrapping_rem(right);
            Some(if rest != 0 && (rest < 0) != (right < 0) {
                rest + right
            } else {
                rest
            })
        }
        Arithmetic::Power if right >= 0 => {
            let exponent = u32::try_from(right).ok();
            match left {
                0 | 1 if right > 0 => Some(left),
                _ => exponent.and_then(|exponent| left.checked_pow(exponent)),
            }
        }
        Arithmetic::Divide | Arithmetic::Power => return Ok(None),
    };
    whole(result, at).map(Some)
}

fn sign(operation: Arithmetic) -> &'static str {
    match operation {
        Arithmetic::Add => "+",
        Arithmetic::Subtract => "-",
        Arithmetic::Multiply => "*",
        Arithmetic::Divide => "/",
        Arithmetic::FloorDivide => "//",
        Arithmetic::Modulo => "%",
        Arithmetic::Power => "**",
    }
}
