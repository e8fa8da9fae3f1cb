//! What tells one training from another.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use syncarp_data::DataStream;
use syncarp_ir::Plan;
use syncarp_sweep::ModelSpec;

/// A hash of all that a model's numbers depend on: its graph with its random streams and weights,
/// its evaluator, its data, and the settings that tell it from others.
pub(crate) fn hash(model: &ModelSpec, plan: &Plan, data: &DataStream) -> String {
    let settings: serde_json::Map<String, Json> = model
        .settings
        .iter()
        .map(|(name, value)| (name.clone(), value.to_json()))
        .collect();
    let evaluator = canonical(&model.evaluator.value.to_json());
    let all = json!({
        "settings": canonical(&Json::Object(settings)),
        "model": syncarp_ir::print(plan),
        "evaluator": evaluator,
        "data": data.key().as_str(),
    });
    blake3::hash(all.to_string().as_bytes())
        .to_hex()
        .to_string()
}

/// The same JSON with the keys of all objects sorted, so that their order in a file says nothing.
pub(crate) fn canonical(value: &Json) -> Json {
    match value {
        Json::Array(items) => items.iter().map(canonical).collect(),
        Json::Object(object) => {
            let sorted: BTreeMap<&String, Json> = object
                .iter()
                .map(|(key, value)| (key, canonical(value)))
                .collect();
            sorted
                .into_iter()
                .map(|(key, value)| (key.clone(), value))
                .collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_says_nothing() {
        let a: Json = serde_json::from_str(r#"{"b": [{"y": 1, "x": 2}], "a": null}"#).unwrap();
        let b: Json = serde_json::from_str(r#"{"a": null, "b": [{"x": 2, "y": 1}]}"#).unwrap();
        assert_ne!(a.to_string(), b.to_string());
        assert_eq!(canonical(&a).to_string(), canonical(&b).to_string());
    }
}
