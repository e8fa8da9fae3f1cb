//! Suggesting the nearest known spelling.

use std::ops::Range;

use syncarp_diag::{Located, Source};

use crate::value::{Spanned, Table};

/// The known name that `name` is most likely a misspelling of.
pub(crate) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // Longer names are data rather than slips of the pen, and the distance is quadratic.
    if name.len() > 64 {
        return None;
    }
    let name = fold(name);
    let most = (name.len() / 3).max(1);
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= 64)
        .map(|candidate| (distance(&name, &fold(candidate)), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn fold(name: &str) -> Vec<char> {
    name.chars()
        .map(|c| {
            if c == '_' {
                '-'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

/// The number of insertions, deletions, replacements and swaps of neighbours between two names.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (row[j] + usize::from(x != y))
                .min(row[j + 1] + 1)
                .min(next[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

/// Help for a name that is not known: the nearest one, then all (or the first thirty).
pub(crate) fn help(what: &str, name: &str, known: &[&str]) -> String {
    let mut text = String::new();
    if let Some(near) = nearest(name, known.iter().copied()) {
        text = format!("did you mean `{near}`? ");
    }
    if known.is_empty() {
        return format!("{text}there are no {what}");
    }
    let listed: Vec<&str> = known.iter().copied().take(30).collect();
    let more = if known.len() > 30 { ", ..." } else { "" };
    format!("{text}{what}: {}{more}", listed.join(", "))
}

/// A mistake about a key that is not known in `place` (`the evaluator`, `a part`).
pub(crate) fn unknown_key(
    source: &Source,
    key: &Spanned<String>,
    place: &str,
    known: &[&str],
) -> Located {
    let message = format!("unknown key `{}` in {place}", key.value);
    Located::new(source, key.span.clone(), message).with_help(help("known keys", &key.value, known))
}

/// A mistake about every key of `table` that is not known.
pub(crate) fn unknown_keys(
    source: &Source,
    table: &Table,
    place: &str,
    known: &[&str],
) -> impl Iterator<Item = Located> {
    table
        .iter()
        .filter(|(key, _)| !known.contains(&key.value.as_str()))
        .map(move |(key, _)| unknown_key(source, key, place, known))
}

/// A mistake about a key that has to be there.
pub(crate) fn missing_key(source: &Source, span: Range<usize>, place: &str, key: &str) -> Located {
    Located::new(source, span, format!("{place} has no `{key}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_mended_and_other_words_are_not() {
        let known = ["loss", "metrics", "clip-norm", "epochs"];
        assert_eq!(nearest("epoch", known), Some("epochs"));
        assert_eq!(nearest("clip_norm", known), Some("clip-norm"));
        assert_eq!(nearest("Los", known), Some("loss"));
        assert_eq!(nearest("checkpoint", known), None);
        assert_eq!(nearest(&"e".repeat(1000), known), None);
    }

    #[test]
    fn distances_are_those_of_edits() {
        let distance = |a: &str, b: &str| distance(&fold(a), &fold(b));
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
        assert_eq!(distance("bais", "bias"), 1);
        assert_eq!(distance("abc", ""), 3);
    }
}
