//! ATen's functions in ops of the IR, whichever front end calls them.
//!
//! A [`Function`] is one small item: the forms in which PyTorch has it (the schemas of its
//! `native_functions`, and where `torch.nn.functional` orders arguments otherwise, those too), and
//! how it is lowered. What comes in and goes out are [`Arg`]s: tensors, Python's plain values, lists.
//! A function that changes its operand in place (`add_`) is the one that gives a new value: graphs
//! that were traced follow the values.

mod activation;
mod arg;
mod arrange;
mod attention;
mod call;
mod create;
mod index;
mod linear;
mod list;
mod loss;
mod math;
mod norm;
mod number;
mod order;
mod pointwise;
mod pool;
mod random;
mod reduce;
mod resize;
mod rnn;
mod schema;
mod shape;
#[cfg(test)]
mod tests;
mod window;

use std::collections::BTreeMap;

pub(crate) use arg::Arg;
pub(crate) use call::{Call, number_tensor, scalar_code};
pub use list::{AtenFunction, aten_functions};
pub(crate) use number::numbers;
pub(crate) use schema::Named;
use schema::{Room, Schema};

/// One function: how it is called and what it becomes.
pub(crate) struct Function {
    /// Its forms, the usual one first. Several names mean the same.
    pub schemas: &'static [&'static str],
    /// Emits it.
    pub lower: fn(&mut Call<'_, '_>) -> Lowered,
}

/// What a function gives, or what about its arguments does not fit.
pub(crate) type Lowered = Result<Arg, String>;

/// A function whose schemas are read.
pub(crate) struct Entry {
    pub schemas: Vec<Schema>,
    pub lower: fn(&mut Call<'_, '_>) -> Lowered,
}

/// The functions that are known.
#[derive(Default)]
pub(crate) struct Functions {
    entries: Vec<Entry>,
    by_name: BTreeMap<Room, BTreeMap<&'static str, usize>>,
}

impl Functions {
    /// All functions of this crate.
    ///
    /// # Panics
    /// If a schema does not read or two functions have one name, which a test rules out.
    pub fn standard() -> Self {
        let mut functions = Functions::default();
        functions.register(activation::FUNCTIONS);
        functions.register(arrange::FUNCTIONS);
        functions.register(attention::FUNCTIONS);
        functions.register(create::FUNCTIONS);
        functions.register(index::FUNCTIONS);
        functions.register(linear::FUNCTIONS);
        functions.register(loss::FUNCTIONS);
        functions.register(math::FUNCTIONS);
        functions.register(norm::FUNCTIONS);
        functions.register(number::FUNCTIONS);
        functions.register(order::FUNCTIONS);
        functions.register(pointwise::FUNCTIONS);
        functions.register(pool::FUNCTIONS);
        functions.register(random::FUNCTIONS);
        functions.register(reduce::FUNCTIONS);
        functions.register(resize::FUNCTIONS);
        functions.register(rnn::FUNCTIONS);
        functions.register(shape::FUNCTIONS);
        functions
    }

    fn register(&mut self, family: &'static [Function]) {
        for function in family {
            let index = self.entries.len();
            let read = |text: &&'static str| {
                Schema::parse(text).unwrap_or_else(|| panic!("`{text}` is no schema"))
            };
            let schemas: Vec<Schema> = function.schemas.iter().map(read).collect();
            for schema in &schemas {
                let known = self
                    .by_name
                    .entry(schema.room)
                    .or_default()
                    .insert(schema.name, index);
                assert!(
                    known.is_none_or(|known| known == index),
                    "two functions are called `{}`",
                    schema.name
                );
            }
            let lower = function.lower;
            self.entries.push(Entry { schemas, lower });
        }
    }

    /// The function of this name; without one in `torch.nn.functional`, ATen's, and without one that
    /// works in place, the one that does not.
    pub fn find(&self, named: &Named<'_>) -> Option<&Entry> {
        let find = |room: Room, name: &str| {
            let index = self.by_name.get(&room)?.get(name)?;
            Some(&self.entries[*index])
        };
        let any = |name: &str| match named.room {
            Room::Aten => find(Room::Aten, name),
            Room::Functional => find(Room::Functional, name).or_else(|| find(Room::Aten, name)),
        };
        any(named.name)
            .or_else(|| any(named.name.strip_suffix('_')?))
            // What functionalization makes of views.
            .or_else(|| any(named.name.strip_suffix("_copy")?))
    }
}
