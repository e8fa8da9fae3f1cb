//! ATen's functions.

use std::collections::BTreeMap;
use std::fmt::Write;

use syncarp_frontend::aten_functions;
use syncarp_ir::OpRegistry;

use super::generated;

/// The page of all functions of ATen and of `torch.nn.functional` that front ends know, with the
/// op that is the function where there is one.
pub fn aten_page(ops: &OpRegistry) -> String {
    let mut named: BTreeMap<&str, &str> = BTreeMap::new();
    for (_, op) in ops.iter() {
        for name in op.sources().aten {
            named.entry(base(name)).or_insert(op.name());
        }
    }
    let mut page = generated("") + INTRODUCTION;
    let functions = aten_functions();
    for (title, prefix) in [("ATen", "aten::"), ("torch.nn.functional", "functional::")] {
        let _ = write!(page, "\n## {title}\n\n| form | op |\n|---|---|\n");
        let mut forms: Vec<&str> = functions
            .iter()
            .flat_map(|function| &function.schemas)
            .filter_map(|schema| schema.strip_prefix(prefix))
            .collect();
        forms.sort_unstable();
        for form in forms {
            let name = form.split(['(', '.']).next().unwrap_or(form);
            let op = named.get(name).map_or(String::new(), |op| {
                format!("[`{op}`](reference-ops.md#{op})")
            });
            let _ = writeln!(page, "| `{form}` | {op} |");
        }
    }
    page
}

/// A name without its overload.
fn base(name: &str) -> &str {
    name.split_once('.').map_or(name, |(base, _)| base)
}

const INTRODUCTION: &str = "# ATen's functions

The functions of PyTorch that front ends lower to [ops](reference-ops.md), in the forms that they take, as PyTorch's own
schemas write them; beside them stands the op that the function is, where it is one. A function that works in place
(`add_`) is the one that gives a new value. A function that stands under `torch.nn.functional` too orders its arguments
otherwise there.
";
