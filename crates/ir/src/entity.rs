//! Typed indices. Each prints exactly as it stands in the text form.

use std::num::NonZeroU32;

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
            #[inline]
            pub fn new(index: usize) -> Self {
                $name(u32::try_from(index).expect("an entity index fits 32 bits"))
            }

            /// Its place in the table that it indexes.
            #[inline]
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

impl Value {
    /// An index that no value of a graph has.
    pub(crate) const LAST: Value = Value(u32::MAX);
}

/// Where a node of an assembly is: on one of its devices, or in the memory of their host.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Device(NonZeroU32);

impl Device {
    /// The memory of the host that the assembly's devices belong to: where inputs arrive. Nothing
    /// is computed there.
    pub const HOST: Device = Device(NonZeroU32::MAX);

    /// The device with this index.
    ///
    /// # Panics
    /// If the index does not fit; no assembly of ours is that large.
    pub fn new(index: usize) -> Self {
        let number = u32::try_from(index).ok().and_then(|i| i.checked_add(1));
        let number = number.and_then(NonZeroU32::new).map(Device);
        let fits = number.filter(|device| *device != Device::HOST);
        fits.expect("a device's index fits 32 bits")
    }

    /// Its place in the assembly's list of devices; none for the host's memory.
    pub fn index(self) -> Option<usize> {
        (self != Device::HOST).then(|| self.0.get() as usize - 1)
    }

    /// What stands before the number in the text form.
    pub const PREFIX: &'static str = "dev";

    /// What the host's memory is called in the text form.
    pub const HOST_NAME: &'static str = "host";
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.index() {
            Some(index) => write!(f, "{}{index}", Device::PREFIX),
            None => f.write_str(Device::HOST_NAME),
        }
    }
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_memory_is_no_device_of_the_list() {
        assert_eq!(Device::HOST.index(), None);
        assert_eq!(Device::HOST.to_string(), "host");
        assert_eq!(Device::new(0).index(), Some(0));
        assert_eq!(Device::new(7).to_string(), "dev7");
        assert_eq!(size_of::<Option<Device>>(), 4);
    }

    #[test]
    #[should_panic(expected = "fits 32 bits")]
    fn no_index_is_taken_for_the_host() {
        let _ = Device::new(u32::MAX as usize - 1);
    }
}
