//! Lists that are written without brackets when they have one element, for `serde(with)`.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error, IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

pub(crate) fn serialize<T: Serialize, S: Serializer>(items: &[T], s: S) -> Result<S::Ok, S::Error> {
    match items {
        [one] => one.serialize(s),
        many => many.serialize(s),
    }
}

pub(crate) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    struct Items<T>(PhantomData<T>);

    impl<T> Items<T> {
        fn one<'de, E: Error, V: IntoDeserializer<'de, E>>(value: V) -> Result<Vec<T>, E>
        where
            T: Deserialize<'de>,
        {
            T::deserialize(value.into_deserializer()).map(|item| vec![item])
        }
    }

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("one value or a list")
        }

        fn visit_str<E: Error>(self, value: &str) -> Result<Vec<T>, E> {
            Self::one(value)
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<Vec<T>, E> {
            Self::one(value)
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<Vec<T>, E> {
            Self::one(value)
        }

        fn visit_f64<E: Error>(self, value: f64) -> Result<Vec<T>, E> {
            Self::one(value)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Vec<T>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(items))
        }
    }

    deserializer.deserialize_any(Items(PhantomData))
}
