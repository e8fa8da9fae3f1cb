//! What `${...}` may say and what it means.

use syncarp_diag::Source;
use syncarp_sweep::{LayerNode, PartBody, Sweep, SweepError};

/// A sweep whose only layer has the expression as its argument.
fn sweep(expression: &str) -> Result<Sweep, SweepError> {
    let text = format!(
        "evaluator = {{ loss = \"m\", optimizer = \"o\", epochs = 1 }}\n[[model]]\n\
         settings.a = 7\nsettings.x = 0.5\nsettings.s = \"relu\"\nsettings.t = true\n\
         settings.l = [[4, 8, 16]]\nsettings.n = -9223372036854775808\n\
         name = \"all-${{a}}${{len(s)}}${{len(l)}}${{x > 0 and t}}${{n < 0}}\"\n\
         layers = [{{ f = \"${{{expression}}}\" }}]\n"
    );
    Sweep::parse(Source::new("s", text), ".")
}

/// The value with its kind.
fn value(expression: &str) -> String {
    let sweep = sweep(expression).unwrap_or_else(|error| panic!("{error}"));
    match &sweep.models[0].parts[0].body {
        PartBody::Layers(layers) => match &layers[0] {
            LayerNode::Layer { args, .. } => {
                let value = &args.positional.as_ref().unwrap().value;
                format!("{} {value}", value.kind())
            }
            other => panic!("{other:?}"),
        },
        PartBody::File(file) => panic!("{file:?}"),
    }
}

/// The text that the mistake points at, and the mistake.
fn mistake(expression: &str) -> (String, String) {
    let error = sweep(expression).expect_err(expression);
    let [mistake] = error.mistakes() else {
        panic!("{error}");
    };
    (
        mistake.source.text[mistake.span.clone()].to_owned(),
        mistake.message.clone(),
    )
}

#[test]
fn arithmetic_is_pythons() {
    for (expression, expected) in [
        ("a + 1", "an integer 8"),
        ("1 + 2 * 3", "an integer 7"),
        ("(1 + 2) * 3", "an integer 9"),
        ("10 - 3 - 2", "an integer 5"),
        ("a / 2", "a float 3.5"),
        ("6 / 2", "a float 3.0"),
        ("a // 2", "an integer 3"),
        ("-a // 2", "an integer -4"),
        ("a // -2", "an integer -4"),
        ("-a % 3", "an integer 2"),
        ("a % -3", "an integer -2"),
        ("-6 // 3", "an integer -2"),
        ("n % -1", "an integer 0"),
        ("7.5 // 2", "a float 3.0"),
        ("-7.5 % 2", "a float 0.5"),
        ("2 ** 10", "an integer 1024"),
        ("2 ** -1", "a float 0.5"),
        ("-2 ** 2", "an integer -4"),
        ("2 ** 3 ** 2", "an integer 512"),
        ("0 ** 0", "an integer 1"),
        ("1 ** 99999999999", "an integer 1"),
        ("a * x", "a float 3.5"),
        ("- -a", "an integer 7"),
        ("+a", "an integer 7"),
        ("'re' + 'lu'", "a string relu"),
        ("1e-3", "a float 0.001"),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

#[test]
fn logic_and_comparisons() {
    for (expression, expected) in [
        ("a == 7", "true"),
        ("a == 7.0", "true"),
        ("a != 8", "true"),
        ("s == 'relu'", "true"),
        ("s == 3", "false"),
        ("l == l", "true"),
        ("a < 7 or a >= 7", "true"),
        ("not a <= 6 and x < a", "true"),
        ("'a' < 'b'", "true"),
        ("false and 1 // 0 == 1", "false"),
        ("true or 1 // 0 == 1", "true"),
        ("not not t", "true"),
    ] {
        assert_eq!(
            value(expression),
            format!("a boolean {expected}"),
            "{expression}"
        );
    }
}

#[test]
fn choices_calls_and_items() {
    for (expression, expected) in [
        ("1 if t else 2", "an integer 1"),
        ("1 if not t else 2 if a > 3 else 3", "an integer 2"),
        ("1 if true else 1 // 0", "an integer 1"),
        ("min(a, 3, 9)", "an integer 3"),
        ("max(x, a)", "an integer 7"),
        ("max(l)", "an integer 16"),
        ("min(2)", "an integer 2"),
        ("len(l) + len(s)", "an integer 7"),
        ("l[0]", "an integer 4"),
        ("l[-1]", "an integer 16"),
        ("l[index + 1]", "an integer 8"),
        ("int(3.9)", "an integer 3"),
        ("int(-3.9)", "an integer -3"),
        ("int(a)", "an integer 7"),
        ("'}'", "a string }"),
        ("l", "an array [4, 8, 16]"),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

#[test]
fn mistakes_point_into_the_expression() {
    for (expression, at, message) in [
        ("a // (a - 7)", "a // (a - 7)", "division by zero"),
        ("a / 0.0", "a / 0.0", "division by zero"),
        ("a % 0", "a % 0", "division by zero"),
        (
            "a + s",
            "a + s",
            "`+` does not go with the integer 7 and the string \"relu\"",
        ),
        (
            "t * 2",
            "t * 2",
            "`*` does not go with the boolean true and the integer 2",
        ),
        ("not a", "a", "expected a boolean, found the integer 7"),
        (
            "1 if a else 2",
            "a",
            "expected a boolean, found the integer 7",
        ),
        ("-s", "s", "expected a number, found the string \"relu\""),
        (
            "s < 3",
            "s < 3",
            "the string \"relu\" and the integer 3 have no order",
        ),
        (
            "n - 1",
            "n - 1",
            "the result is beyond the whole numbers of 64 bits",
        ),
        (
            "-n",
            "-n",
            "the result is beyond the whole numbers of 64 bits",
        ),
        (
            "n // -1",
            "n // -1",
            "the result is beyond the whole numbers of 64 bits",
        ),
        (
            "2 ** 64",
            "2 ** 64",
            "the result is beyond the whole numbers of 64 bits",
        ),
        (
            "int(1e300)",
            "int(1e300)",
            "the result is beyond the whole numbers of 64 bits",
        ),
        (
            "1e300 * 1e300",
            "1e300 * 1e300",
            "the result is not a finite number",
        ),
        ("l[3]", "l[3]", "there is no item 3 in an array of 3"),
        ("l[-4]", "l[-4]", "there is no item -4 in an array of 3"),
        (
            "l['a']",
            "l['a']",
            "expected an integer between the brackets, found the string \"a\"",
        ),
        (
            "a[0]",
            "a[0]",
            "expected an array before the brackets, found the integer 7",
        ),
        (
            "len(a)",
            "a",
            "expected an array or a string, found the integer 7",
        ),
        (
            "min(s)",
            "s",
            "expected a number, found the string \"relu\"",
        ),
        ("1 < a < 9", "<", "comparisons do not chain"),
        ("1 +", "", "expected a value, found the end"),
        (
            "1 2",
            "2",
            "expected the end of the expression, found the integer 2",
        ),
        ("(1", "", "expected `)`, found the end"),
        ("1 if t", "", "expected `else`, found the end"),
        ("a & 1", "&", "`&` has no meaning in an expression"),
        ("min 3", "3", "expected `(`, found the integer 3"),
        ("len(1, 2)", "len(1, 2)", "`len` takes one value"),
        ("widht", "widht", "unknown variable `widht`"),
        ("i", "i", "unknown variable `i`"),
        ("", "", "there is no expression inside `${}`"),
    ] {
        assert_eq!(
            mistake(expression),
            (at.to_owned(), message.to_owned()),
            "{expression}"
        );
    }
}
