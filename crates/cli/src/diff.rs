//! `diff`: what tells two plans apart, as text.

use syncarp_standard::Registries;

use crate::args::DiffArgs;
use crate::models::load;
use crate::output::print;
use crate::report::{Failure, Outcome};
use crate::shapes::Shapes;

/// Compares two plans; as `diff` does, it exits with 1 where they differ.
///
/// # Errors
/// Where a file cannot be read.
pub(crate) fn diff(args: &DiffArgs) -> Result<Outcome, Failure> {
    let registries = Registries::standard()?;
    let before = load(&args.before, &Shapes::default(), &registries)?;
    let after = load(&args.after, &Shapes::default(), &registries)?;
    let text = syncarp_ir::diff(&before, &after);
    print(&text)?;
    Ok(match text.is_empty() {
        true => Outcome::Done,
        false => Outcome::Wanting,
    })
}
