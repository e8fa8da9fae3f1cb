//! The rules, a family a file. To add one is to write it into its family's table.

mod activation;
mod arithmetic;
mod identity;
mod places;
mod shape;

use crate::rule::Rule;

/// All rules; of those for one op, an earlier one is tried first.
pub(crate) fn all() -> impl Iterator<Item = &'static Rule> {
    let families = [
        identity::RULES,
        places::RULES,
        shape::RULES,
        activation::RULES,
        arithmetic::RULES,
    ];
    families.into_iter().flatten()
}
