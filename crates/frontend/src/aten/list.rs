//! The functions as a list, for documentation.

use super::Functions;

/// A function of ATen or of `torch.nn.functional` that front ends know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AtenFunction {
    /// Its forms as PyTorch writes schemas, the usual one first; several names mean the same.
    pub schemas: Vec<&'static str>,
}

/// All functions that front ends know, in order of registration.
pub fn aten_functions() -> Vec<AtenFunction> {
    let schemas = |entry: &super::Entry| entry.schemas.iter().map(|s| s.text).collect();
    let functions = Functions::standard().entries;
    functions
        .iter()
        .map(|entry| AtenFunction {
            schemas: schemas(entry),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_listed_with_their_function() {
        let functions = aten_functions();
        let add = functions
            .iter()
            .find(|f| f.schemas[0].starts_with("aten::add.Tensor("))
            .unwrap();
        assert!(
            add.schemas
                .iter()
                .any(|s| s.starts_with("aten::add.Scalar("))
        );
    }
}
