//! The path of the module that a node comes from.

use super::program::Text;

/// The path in `KEY,PATH,CLASS;KEY,PATH,CLASS`, the innermost module's.
pub(super) fn module_path(stack: Option<Text<'_>>) -> Text<'_> {
    use std::borrow::Cow;
    let Some(Text(stack)) = stack else {
        return Text::default();
    };
    let path = match stack {
        Cow::Borrowed(stack) => Cow::Borrowed(innermost(stack)),
        Cow::Owned(stack) => Cow::Owned(innermost(&stack).to_owned()),
    };
    plain(Text(path))
}

fn innermost(stack: &str) -> &str {
    let last = stack.rsplit(';').next().unwrap_or_default();
    last.split(',').nth(1).unwrap_or_default()
}

/// `layer1.0.conv1`, however a release spells it: as it is, `L['self'].layer1[0].conv1`,
/// `L['self'].layer1._modules['0'].conv1`, or with `@1` where the module is called once more.
pub(super) fn plain(path: Text<'_>) -> Text<'_> {
    if path.starts_with("_empty_nn_module_stack") {
        return Text::default();
    }
    if !path.contains(['[', '@']) {
        return path;
    }
    let rest = path
        .strip_prefix("L[")
        .and_then(|rest| rest.split_once(']'));
    let rest = rest
        .map_or(&*path, |(_, rest)| rest)
        .replace("._modules[", "[");
    let mut plain = String::with_capacity(rest.len());
    let mut skip = false;
    for c in rest.chars() {
        match c {
            '[' => plain.push('.'),
            ']' | '\'' | '"' => {}
            '@' => skip = true,
            c => {
                // What follows an `@` counts calls, up to the end of the step.
                skip = skip && c.is_ascii_digit();
                if !skip {
                    plain.push(c);
                }
            }
        }
    }
    Text(plain.trim_start_matches('.').to_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_spelled_in_one_way() {
        for (stack, path) in [
            (
                "L__self__,,m.Net;L__self__conv1,conv1,torch.nn.Conv2d",
                "conv1",
            ),
            ("L__self__,,m.Net", ""),
            (
                "L__self__,L['self'],m.Net;k,L['self'].layer1[0].conv1,C",
                "layer1.0.conv1",
            ),
            ("k,L['self'].layer1._modules['0'].conv1,C", "layer1.0.conv1"),
            ("k,layer1.0@12.conv1@1,C", "layer1.0.conv1"),
            (
                "_empty_nn_module_stack_from_metadata_hook,_empty_nn_module_stack_from_metadata_hook,x",
                "",
            ),
            ("", ""),
        ] {
            assert_eq!(&*module_path(Some(stack.into())), path, "{stack}");
        }
    }
}
