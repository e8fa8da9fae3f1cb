//! TorchScript's `prim` operations, all of which are done with once the file is read: constants,
//! lists and tuples.

use super::document::NodeDef;
use super::json::{Json, get};
use crate::aten::Arg;

/// What such an operation gives; none where it is not one of those that are known.
///
/// # Errors
/// A message that says what does not fit.
pub(crate) fn evaluate(
    name: &str,
    node: &NodeDef,
    operands: &[Arg],
) -> Result<Option<Arg>, String> {
    let parameters = &node.parameters.value;
    let given = match name {
        "Constant" => {
            let kind = match get(parameters, "type").map(|kind| &kind.value) {
                None | Some(Json::Null) => "",
                Some(Json::Str(kind)) => kind,
                Some(other) => return Err(format!("`type` is {}, not a string", other.kind())),
            };
            if !operands.is_empty() {
                return Err("takes no operand".to_owned());
            }
            let value = get(parameters, "value").map_or(&Json::Null, |value| &value.value);
            constant(kind, value)?
        }
        // An attribute that is a plain value is a constant; of a tensor the file holds no data.
        "GetAttr" => match get(parameters, "value").map(|value| &value.value) {
            None | Some(Json::Null) => return Ok(None),
            Some(value) => constant("", value)?,
        },
        "ListConstruct" | "TupleConstruct" => Arg::list(operands.to_vec())?,
        "ListUnpack" | "TupleUnpack" => match operands {
            [list @ Arg::List(_)] => list.clone(),
            [other] => return Err(format!("takes a list apart, but gets {other}")),
            _ => return Err(format!("takes one list apart, but gets {}", operands.len())),
        },
        // A number as a tensor is still that number wherever it is used.
        "NumToTensor" => match operands {
            [number @ (Arg::Int(_) | Arg::Dim(_) | Arg::SizeOf(..) | Arg::Float(_))] => {
                number.clone()
            }
            _ => return Err("takes one number".to_owned()),
        },
        _ => return Ok(None),
    };
    Ok(Some(given))
}

fn constant(kind: &str, value: &Json) -> Result<Arg, String> {
    let wrong = || {
        Err(format!(
            "a constant of type `{kind}` cannot be {}",
            value.kind()
        ))
    };
    Ok(match (kind, value) {
        ("" | "None" | "NoneType", Json::Null) => Arg::None,
        ("", Json::Bool(flag)) | ("bool", Json::Bool(flag)) => Arg::Bool(*flag),
        ("bool", Json::Int(flag @ 0..=1)) => Arg::Bool(*flag == 1),
        ("float", Json::Int(number)) => Arg::Float(*number as f64),
        ("" | "int" | "Long" | "number", Json::Int(number)) => Arg::Int(*number),
        ("" | "float" | "Double" | "number", Json::Float(number)) => Arg::Float(*number),
        ("" | "str" | "string" | "Device", Json::Str(text)) => Arg::Str(text.as_str().into()),
        (kind, Json::Array(items)) => {
            let inner = kind.strip_prefix("List[").and_then(|k| k.strip_suffix(']'));
            let inner = inner.or_else(|| kind.strip_suffix("[]")).unwrap_or("");
            let items = items.iter().map(|item| constant(inner, &item.value));
            Arg::list(items.collect::<Result<_, _>>()?)?
        }
        ("bool" | "int" | "float" | "str" | "None" | "NoneType", _) | (_, Json::Object(_)) => {
            return wrong();
        }
        // A type that says no more than the value does, such as `Optional[int]`.
        (kind, value) if !kind.is_empty() && kind != "Tensor" => constant("", value)?,
        _ => return wrong(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_pythons_values() {
        for (kind, json, expected) in [
            ("int", "-1", Arg::Int(-1)),
            ("float", "2", Arg::Float(2.0)),
            ("bool", "true", Arg::Bool(true)),
            ("bool", "0", Arg::Bool(false)),
            ("str", "\"none\"", Arg::Str("none".into())),
            ("None", "null", Arg::None),
            ("Optional[int]", "3", Arg::Int(3)),
            (
                "int[]",
                "[1, 2]",
                Arg::list(vec![Arg::Int(1), Arg::Int(2)]).unwrap(),
            ),
        ] {
            let source = syncarp_diag::Source::new("t", json);
            let value = super::super::json::read(&source).unwrap().value;
            assert_eq!(constant(kind, &value).unwrap(), expected, "{kind} {json}");
        }
        assert!(constant("int", &Json::Str("1".into())).is_err());
        assert!(constant("Tensor", &Json::Null).is_err());
    }
}
