//! Patterns of names.

/// Whether a name matches a pattern, in which `*` stands for any characters, none included, and `?`
/// for exactly one. Case counts; dots are characters like any other.
///
/// ```
/// use syncarp_sweep::glob_matches;
/// assert!(glob_matches("conv?.*", "conv1.weight"));
/// assert!(!glob_matches("conv?", "conv12"));
/// ```
pub fn glob_matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Only the last star can need more characters, so one place to come back to is enough.
    let mut back: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                back = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    p = star + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::glob_matches;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "a.b"),
            ("a*c", "abbc"),
            ("a*b*c", "aXbYbZc"),
            ("??", "ab"),
            ("", ""),
        ] {
            assert!(glob_matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("?", ""),
            ("a*c", "abb"),
            ("a", "A"),
            ("", "a"),
            ("*a", "ab"),
        ] {
            assert!(!glob_matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_are_not_slow() {
        assert!(!glob_matches(&"*a".repeat(2000), &"a".repeat(1999)));
    }
}
