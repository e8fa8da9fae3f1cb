//! ATen's functions.

use std::fmt::Write;

use syncarp_frontend::aten_functions;

use super::generated;

/// The page of all functions of ATen and of `torch.nn.functional` that front ends know.
pub fn aten_page() -> String {
    let mut page = generated("") + INTRODUCTION;
    let functions = aten_functions();
    for (title, prefix) in [("ATen", "aten::"), ("torch.nn.functional", "functional::")] {
        let _ = write!(page, "\n## {title}\n\n```text\n");
        let mut forms: Vec<&str> = functions
            .iter()
            .flat_map(|function| &function.schemas)
            .filter_map(|schema| schema.strip_prefix(prefix))
            .collect();
        forms.sort_unstable();
        for form in forms {
            let _ = writeln!(page, "{form}");
        }
        page.push_str("```\n");
    }
    page
}

const INTRODUCTION: &str = "# ATen's functions

The functions of PyTorch that front ends lower to [ops](reference-ops.md), in the forms that they take, as PyTorch's own
schemas write them. A function that works in place (`add_`) is the one that gives a new value. A function that stands
under `torch.nn.functional` too orders its arguments otherwise there.
";
