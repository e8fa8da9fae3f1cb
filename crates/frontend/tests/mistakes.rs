//! Messages: which layer, where, what was expected and what came in.

mod common;

use common::{mistake, try_lower};
use syncarp_ir::DType;

#[test]
fn a_whole_message() {
    assert_eq!(
        mistake("\"flatten\", { conv2d = { out = 8, kernel = 3 } }", &[64]),
        "sweep.toml:4:24: `conv2d` at `1`: expects images [n, channels, height, width]; \
         `unflatten` or `reshape` make such\n  \
         | layers = [\"flatten\", { conv2d = { out = 8, kernel = 3 } }]\n  \
         |                        ^^^^^^\n  \
         = the incoming value is f32[n, 64]"
    );
}

#[test]
fn sizes_that_contradict_are_told_at_the_argument() {
    let error = mistake(
        "{ name = \"fc\", linear = { out = 3, in_features = 65 } }",
        &[64],
    );
    assert!(
        error.contains("`linear` at `fc`: `in_features` is 65, but axis -1 has 64"),
        "{error}"
    );
    assert!(
        error.contains("                                                          ^^\n"),
        "{error}"
    );
    let error = mistake("{ batch-norm = 3 }", &[4, 2]);
    assert!(
        error.contains("`num_features` is 3, but axis 1 has 4"),
        "{error}"
    );
}

#[test]
fn every_mistake_names_what_is_wrong() {
    for (layers, dims, message) in [
        (
            "\"lineaar\"",
            [4].as_slice(),
            "no layer is called `lineaar`",
        ),
        ("\"lineaar\"", &[4], "did you mean `linear`?"),
        ("\"lstm\"", &[4], "no layer is called `lstm`"),
        ("{ linear = {} }", &[4], "`linear` has no `out_features`"),
        (
            "{ linear = { out = 3, biass = true } }",
            &[4],
            "`linear` has no argument `biass`",
        ),
        (
            "{ linear = { out = 3, biass = true } }",
            &[4],
            "did you mean `bias`?",
        ),
        (
            "{ linear = { outt = 3 } }",
            &[4],
            "`linear` has no argument `outt`",
        ),
        ("{ linear = 2.5 }", &[4], "must be a whole number"),
        ("{ linear = 2 }", &[], "expects [n, ..., in]"),
        (
            "{ relu = 3 }",
            &[4],
            "`relu` takes no argument without a name",
        ),
        ("{ dropout = 1.5 }", &[4], "`p` lies between 0 and 1"),
        (
            "{ linear = { out = 2, init = { wieght = 1 } } }",
            &[4],
            "has no parameter `wieght` here",
        ),
        (
            "{ linear = { out = 2, bias = false, init = { bias = 1 } } }",
            &[4],
            "no parameter `bias` here",
        ),
        (
            "{ linear = { out = 2, init = { bias = \"xavier-normal\" } } }",
            &[4],
            "two dims at least",
        ),
        (
            "{ conv2d = { out = 3, kernel = [1, 2, 3] } }",
            &[3, 8, 8],
            "one for each axis",
        ),
        (
            "{ conv2d = { out = 3, kernel = 0 } }",
            &[3, 8, 8],
            "at least 1",
        ),
        (
            "{ conv2d = { out = 3, kernel = 3, groups = 2 } }",
            &[3, 8, 8],
            "in 2 groups",
        ),
        (
            "{ conv2d = { out = 3, kernel = 3, groups = 0 } }",
            &[3, 8, 8],
            "in 0 groups",
        ),
        (
            "{ conv2d = { out = 3, kernel = 3, padding = \"full\" } }",
            &[3, 8, 8],
            "\"same\" or \"valid\"",
        ),
        (
            "{ conv2d = { out = 3, kernel = 3, stride = 2, padding = \"same\" } }",
            &[3, 8, 8],
            "stride of 1",
        ),
        (
            "{ conv2d = { out = 3, kernel = 9 } }",
            &[3, 8, 8],
            "`conv2d` at `0`",
        ),
        (
            "{ batch-norm = { momentum = 2 } }",
            &[4],
            "`momentum` lies between 0 and 1",
        ),
        (
            "{ layer-norm = { eps = -1 } }",
            &[4],
            "finite number of at least 0",
        ),
        (
            "{ layer-norm = [4, 5] }",
            &[5],
            "with 2 axes after the batch",
        ),
        (
            "{ group-norm = 3 }",
            &[4],
            "4 channels do not make 3 groups",
        ),
        ("{ reshape = [3, 3] }", &[8], "does not have the 8 elements"),
        ("{ reshape = [-1, -1] }", &[8], "at most one size is -1"),
        ("{ reshape = [-2] }", &[8], "at least 0, or -1"),
        (
            "{ unflatten = { dim = 0, sizes = [2, -1] } }",
            &[8],
            "axis 0 is the batch",
        ),
        ("{ flatten = 0 }", &[8, 2], "axis 0 is the batch"),
        ("{ permute = [0, 1] }", &[8, 2], "`permute` at `0`"),
        (
            "{ permute = [0, 1, 3] }",
            &[8, 2],
            "axis 3 is outside a rank of 3",
        ),
        ("{ mean = 0 }", &[8], "axis 0 is the batch"),
        ("{ softmax = 0 }", &[8], "axis 0 is the batch"),
        ("{ mean = \"x\" }", &[8], "whole number or an array"),
        (
            "{ multi-head-attention = 3 }",
            &[10, 16],
            "does not make 3 heads",
        ),
        (
            "{ multi-head-attention = 3 }",
            &[16],
            "sequences [n, length, dim]",
        ),
        ("{ gelu = \"exact\" }", &[4], "\"none\" or \"tanh\""),
        (
            "{ cast = \"float\" }",
            &[4],
            "no element type is called `float`",
        ),
        (
            "{ leaky-relu = nan }",
            &[4],
            "`slope` of `leaky-relu`|finite number",
        ),
        (
            "{ prelu = 3 }",
            &[4],
            "`num_parameters` is 3, but axis 1 has 4",
        ),
    ] {
        let error = mistake(layers, dims);
        assert!(
            message.split('|').any(|m| error.contains(m)),
            "{layers}: {error}"
        );
    }
}

#[test]
fn integers_do_not_go_into_float_layers() {
    for layer in [
        "{ linear = 2 }",
        "\"relu\"",
        "\"dropout\"",
        "\"batch-norm\"",
        "\"softmax\"",
    ] {
        let error = try_lower(&format!("layers = [{layer}]"), DType::I64, &[4]).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("expects floats, not i64; put `{ cast = \"f32\" }` before it"),
            "{text}"
        );
        assert!(error.located().is_some());
    }
}

#[test]
fn huge_sizes_are_refused_and_never_counted_out() {
    let huge = i64::MAX;
    for (layers, dims) in [
        (
            format!("{{ linear = {huge} }}, {{ linear = {huge} }}"),
            [4].as_slice(),
        ),
        (
            format!("{{ conv2d = {{ out = {huge}, kernel = {huge}, padding = {huge} }} }}"),
            &[3, 8, 8],
        ),
        (
            format!(
                "{{ conv2d = {{ out = 3, kernel = {huge}, dilation = {huge}, padding = \"same\" }} }}"
            ),
            &[3, 8, 8],
        ),
        (
            format!("{{ max-pool2d = {{ kernel = {huge}, stride = {huge}, padding = {huge} }} }}"),
            &[3, 8, 8],
        ),
        (format!("{{ multi-head-attention = {huge} }}"), &[3, 8]),
        (format!("{{ reshape = [{huge}, {huge}] }}"), &[8]),
        (format!("{{ adaptive-avg-pool2d = {huge} }}"), &[3, 8, 8]),
        (
            format!("{{ embedding = {{ rows = {huge}, dim = {huge} }} }}"),
            &[8],
        ),
    ] {
        // Whether it is a mistake is the op's to say; that it comes back at all is what counts.
        let block = format!("layers = [{layers}]");
        if let Err(error) = try_lower(&block, DType::F32, dims) {
            assert!(error.located().is_some(), "{layers}: {error}");
        }
    }
}
