//! Guessing what a misspelt name was meant to be.

/// The known name closest to a misspelt one, if one is close.
pub fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let close = known.map(|k| (distance(name, k), k));
    let best = close.min_by_key(|(d, k)| (*d, *k))?;
    (best.0 * 3 <= name.len().max(3)).then_some(best.1)
}

/// Levenshtein's edit distance, over bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let best = (diagonal + usize::from(x != y))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}
