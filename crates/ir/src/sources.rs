//! Which ops of other systems an op stands for.

/// An op's names elsewhere.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Sources {
    /// Operators of ONNX.
    pub onnx: Vec<&'static str>,
    /// Operators of ATen, PyTorch's library, with the overload where one is meant.
    pub aten: Vec<&'static str>,
}

impl Sources {
    /// The names that a documentation gives: those in backticks that follow the word `ONNX` or
    /// `ATen`, one or a list by commas, as in "(ONNX `Add`, `Sum`, ATen `add.Tensor`)".
    pub fn in_doc(doc: &'static str) -> Self {
        Sources {
            onnx: names_after(doc, "ONNX `"),
            aten: names_after(doc, "ATen `"),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.onnx.is_empty() && self.aten.is_empty()
    }
}

fn names_after(doc: &'static str, word: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for (at, _) in doc.match_indices(word) {
        let mut rest = Some(&doc[at + word.len()..]);
        while let Some((name, after)) = rest.and_then(|text| text.split_once('`')) {
            names.push(name);
            rest = after.strip_prefix(", `");
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_words() {
        let sources = Sources::in_doc(
            "The smaller, `a` or `b` (ONNX `Min`, `Least` where both are, ATen `minimum`; ONNX \
             `Lower`).",
        );
        assert_eq!(sources.onnx, ["Min", "Least", "Lower"]);
        assert_eq!(sources.aten, ["minimum"]);
        assert!(Sources::in_doc("PyTorch `Tensor.to`, ONNX and ATen").is_empty());
        assert!(Sources::in_doc("ONNX `").onnx.is_empty());
    }
}
