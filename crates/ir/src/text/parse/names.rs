//! What values are called in a graph's text.

use rustc_hash::FxHashMap;

use crate::entity::Value;

/// Values by name. A printed graph calls its values by their numbers, in order: as long as a text
/// does so, nothing is written down.
#[derive(Default)]
pub(super) struct Names<'a> {
    /// So many values, the first ones, are called by their own numbers.
    numbered: usize,
    others: FxHashMap<&'a str, Value>,
}

impl<'a> Names<'a> {
    /// The value of this name.
    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let number = number(name).filter(|n| *n < self.numbered);
        match number {
            Some(number) => Some(Value::new(number)),
            None => self.others.get(name).copied(),
        }
    }

    /// Gives the next value a name; false where another value has it.
    pub(super) fn insert(&mut self, name: &'a str, value: Value) -> bool {
        let number = number(name);
        if number == Some(value.index()) && self.numbered == value.index() {
            // All before it are called by their numbers too, so that no other has this name.
            self.numbered += 1;
            return true;
        }
        number.is_none_or(|n| n >= self.numbered) && self.others.insert(name, value).is_none()
    }
}

/// The number of a name such as `v12`, where it is written as it is printed.
fn number(name: &str) -> Option<usize> {
    let digits = name.strip_prefix(Value::PREFIX)?.as_bytes();
    if digits.is_empty() || digits.len() > 9 || (digits[0] == b'0' && digits.len() > 1) {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number * 10 + usize::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_may_be_mixed() {
        let mut names = Names::default();
        let value = Value::new;
        assert!(names.insert("v0", value(0)));
        assert!(names.insert("v1", value(1)));
        assert!(!names.insert("v1", value(2)), "there is a v1");
        assert!(names.insert("v7", value(2)));
        assert!(names.insert("x", value(3)));
        assert!(names.insert("v02", value(4)));
        let found = ["v0", "v1", "v7", "x", "v02", "v2", "v", "w"].map(|name| names.get(name));
        let numbers = found.map(|value| value.map(Value::index));
        let expected = [
            Some(0),
            Some(1),
            Some(2),
            Some(3),
            Some(4),
            None,
            None,
            None,
        ];
        assert_eq!(numbers, expected);
    }

    #[test]
    fn a_name_given_early_is_not_given_again_by_number() {
        let mut names = Names::default();
        assert!(names.insert("v1", Value::new(0)));
        assert_eq!(names.get("v1"), Some(Value::new(0)));
        assert!(!names.insert("v1", Value::new(1)));
    }
}
