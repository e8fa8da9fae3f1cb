//! Typed indices. Each prints exactly as it stands in the text form.

macro_rules! entity {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u32);

        impl $name {
            /// The entity with this index.
            ///
            /// # Panics
            /// If the index does not fit 32 bits; no graph of ours is that large.
            pub fn new(index: usize) -> Self {
                $name(u32::try_from(index).expect("an entity index fits 32 bits"))
            }

            /// Its place in the table that it indexes.
            pub fn index(self) -> usize {
                self.0 as usize
            }

            /// What stands before the number in the text form.
            pub const PREFIX: &'static str = $prefix;
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    };
}

entity!(
    /// One application of an op.
    Node,
    "n"
);
entity!(
    /// One result of a node.
    Value,
    "v"
);
entity!(
    /// One tensor that outlives a step: a parameter, a buffer or an optimizer slot.
    State,
    "s"
);
entity!(
    /// One submitted model.
    Model,
    "m"
);
entity!(
    /// One data stream; models with equal streams carry the same id.
    Data,
    "d"
);
entity!(
    /// One device of the assembly that a graph is placed on.
    Device,
    "dev"
);
entity!(
    /// An interned set of attributes.
    AttrsId,
    "attrs"
);
entity!(
    /// An interned tensor type.
    TypeId,
    "type"
);
entity!(
    /// An interned provenance set.
    ProvenanceId,
    "from"
);
entity!(
    /// A registered op.
    OpId,
    "op"
);
