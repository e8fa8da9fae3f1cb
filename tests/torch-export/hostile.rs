//! Damaged and malicious files: an error with a place, whatever is wrong, and never more memory than
//! the file's own size asks for.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use syncarp_frontend::FrontendError;
use syncarp_frontend::export::{self, ExportError};
use syncarp_ir::{OpRegistry, Plan};

use crate::run::fixtures;

struct Files {
    folder: tempfile::TempDir,
    ops: Arc<OpRegistry>,
}

impl Files {
    fn new() -> Self {
        Files {
            folder: tempfile::tempdir().unwrap(),
            ops: Arc::new(syncarp_ops::standard()),
        }
    }

    fn load(&self, bytes: &[u8]) -> Result<Plan, FrontendError> {
        let path = self.folder.path().join("model.pt2");
        fs::write(&path, bytes).unwrap();
        let loaded = export::load(&path, &self.ops);
        if let Err(error) = &loaded {
            let text = error.to_string();
            assert!(
                text.contains("model.pt2") || text.contains("unsound"),
                "{text}"
            );
        }
        loaded
    }

    /// What is said of an archive whose graph is changed.
    fn refuses(&self, archive: &[u8], change: impl FnOnce(&str) -> String, expected: &str) {
        let error = self
            .load(&with_graph(archive, change))
            .map(drop)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}\nshould have: {expected}");
    }
}

fn archive(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap()
}

fn path(name: &str) -> PathBuf {
    fixtures("models/fixtures").join(name)
}

/// An archive with its graph replaced: the entries one after the other, stored, no checksums.
fn with_graph(archive: &[u8], change: impl FnOnce(&str) -> String) -> Vec<u8> {
    let mut change = Some(change);
    let entries = entries(archive).into_iter().map(|(name, data)| {
        match name.ends_with("models/model.json") {
            true => {
                let text = std::str::from_utf8(&data).unwrap();
                let changed = change.take().unwrap()(text);
                assert_ne!(changed, text, "nothing was changed");
                (name, changed.into_bytes())
            }
            false => (name, data),
        }
    });
    packed(&entries.collect::<Vec<_>>())
}

fn word(bytes: &[u8], at: usize, len: usize) -> usize {
    (0..len).fold(0, |sum, i| sum | usize::from(bytes[at + i]) << (8 * i))
}

/// The entries of an archive that PyTorch wrote.
fn entries(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let end = archive
        .windows(4)
        .rposition(|w| w == b"PK\x05\x06")
        .unwrap();
    let (count, mut at) = (word(archive, end + 10, 2), word(archive, end + 16, 4));
    let mut found = Vec::new();
    for _ in 0..count {
        let [name, extra, comment] = [28, 30, 32].map(|i| word(archive, at + i, 2));
        let (len, local) = (word(archive, at + 24, 4), word(archive, at + 42, 4));
        let text = String::from_utf8(archive[at + 46..at + 46 + name].to_vec()).unwrap();
        let data = local + 30 + word(archive, local + 26, 2) + word(archive, local + 28, 2);
        found.push((text, archive[data..data + len].to_vec()));
        at += 46 + name + extra + comment;
    }
    found
}

fn packed(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let at = (file.len() as u32).to_le_bytes();
        let len = (data.len() as u32).to_le_bytes();
        let mut common = vec![10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend([len, len].concat());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(name.as_bytes());
        file.extend(data);
        directory.extend(b"PK\x01\x02\x0a\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(at);
        directory.extend(name.as_bytes());
    }
    let (at, len) = (file.len() as u32, directory.len() as u32);
    let count = (entries.len() as u16).to_le_bytes();
    file.extend(directory);
    file.extend(b"PK\x05\x06\x00\x00\x00\x00");
    file.extend([count, count].concat());
    file.extend(len.to_le_bytes());
    file.extend(at.to_le_bytes());
    file.extend([0, 0]);
    file
}

#[test]
fn what_is_cut_off_is_an_error() {
    let files = Files::new();
    let whole = archive("squeezenet1_1/eval.pt2");
    assert!(files.load(&whole).is_ok());
    let step = whole.len() / 150;
    for end in (0..whole.len()).step_by(step).chain([whole.len() - 1]) {
        assert!(files.load(&whole[..end]).is_err(), "the first {end} bytes");
    }
}

#[test]
fn changed_bytes_never_panic() {
    let files = Files::new();
    let whole = archive("lstm/eval.pt2");
    let graph = whole
        .windows(18)
        .position(|w| w.starts_with(b"{\"graph_module\""))
        .unwrap_or(0);
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for round in 0..400 {
        let mut bytes = whole.clone();
        for _ in 0..1 + round % 4 {
            // In the graph, in the directory, or anywhere.
            let at = match round % 3 {
                0 => graph + next((whole.len() - graph).min(9_000)),
                1 => whole.len() - 1 - next(3_000.min(whole.len())),
                _ => next(whole.len()),
            };
            bytes[at] = match next(4) {
                0 => 0,
                1 => 0xff,
                2 => bytes[at] ^ 1 << next(8),
                _ => b"0129-\"{}[],:ae"[next(14)],
            };
        }
        let _ = files.load(&bytes);
    }
}

#[test]
fn lies_are_told_with_their_place() {
    let files = Files::new();
    let resnet = archive("resnet18/eval.pt2");
    let node = |text: &str, from: &str, to: &str| text.replacen(from, to, 1);
    files.refuses(
        &resnet,
        |t| t[..t.len() / 2].to_owned(),
        "models/model.json",
    );
    files.refuses(
        &resnet,
        |t| node(t, "\"major\": 8", "\"major\": 99"),
        "versions 5 to 8",
    );
    files.refuses(&resnet, |_| "{}".to_owned(), "graph_module");
    files.refuses(&resnet, |_| "[".repeat(200_000), "models/model.json");
    // A value before there is one: a circle, or a slip.
    let circle = |t: &str| {
        node(
            t,
            "{\"as_tensor\": {\"name\": \"x\"}}, \"kind\": 1",
            "{\"as_tensor\": {\"name\": \"linear\"}}, \"kind\": 1",
        )
    };
    files.refuses(
        &resnet,
        circle,
        "takes `linear`, which nothing before it gives",
    );
    files.refuses(
        &resnet,
        |t| t.replace("\"name\": \"relu_\"", "\"name\": \"conv2d\""),
        "a second value is called `conv2d`",
    );
    // A size that no image has, a window larger than any, a parameter of other dims.
    let huge = |t: &str| {
        t.replacen(
            "\"as_ints\": [2, 2]",
            "\"as_ints\": [9223372036854775807, 2]",
            1,
        )
    };
    files.refuses(&resnet, huge, "aten.conv2d.default");
    let negative = |t: &str| t.replacen("\"as_ints\": [2, 2]", "\"as_ints\": [-2, 2]", 1);
    files.refuses(&resnet, negative, "of at least 1");
    files.refuses(
        &resnet,
        |t| t.replace("aten.relu_.default", "aten.fft_rfft.default"),
        "aten.fft_rfft.default (",
    );
    files.refuses(
        &resnet,
        |t| {
            t.replace(
                "\"parameter_name\": \"conv1.weight\"",
                "\"parameter_name\": \"conv9.weight\"",
            )
        },
        "no tensor `conv9.weight` lies in the file",
    );
}

#[test]
fn all_that_is_not_supported_is_told_at_once() {
    let files = Files::new();
    let change = |text: &str| {
        text.replace("aten.relu_.default", "aten.nonzero.default")
            .replace("aten.flatten.using_ints", "aten.svd.default")
    };
    let bytes = with_graph(&archive("resnet18/eval.pt2"), change);
    let Err(FrontendError::Export(ExportError::Unsupported { ops, .. })) = files.load(&bytes)
    else {
        panic!("two functions are unknown");
    };
    let told: Vec<(&str, usize)> = ops.iter().map(|op| (op.op.as_str(), op.count)).collect();
    assert_eq!(told[0].0, "aten.nonzero.default");
    assert!(told[0].1 > 4, "{told:?}");
    assert_eq!(told[1], ("aten.svd.default", 1));
    assert_eq!(ops[0].nodes[0], ("relu_".to_owned(), "relu".to_owned()));
    assert!(ops[0].reason.contains("not known here"));
}

#[test]
fn tensors_that_are_not_as_the_table_says_are_refused() {
    let files = Files::new();
    let mut entries = entries(&archive("resnet18/eval.pt2"));
    let whole = packed(&entries);
    assert!(files.load(&whole).is_ok());
    let table = entries
        .iter()
        .position(|(name, _)| name.ends_with("model_weights_config.json"))
        .unwrap();
    let text = String::from_utf8(entries[table].1.clone()).unwrap();
    for (from, to, expected) in [
        (
            "\"sizes\": [{\"as_int\": 3}",
            "\"sizes\": [{\"as_int\": 80000000}",
            "lies outside",
        ),
        (
            "\"sizes\": [{\"as_int\": 3}",
            "\"sizes\": [{\"as_int\": -8}",
            "at least 0",
        ),
        (
            "\"storage_offset\": {\"as_int\": 0}",
            "\"storage_offset\": {\"as_int\": 9223372036854775807}",
            "lies outside",
        ),
        (
            "\"strides\": [{\"as_int\": 147}",
            "\"strides\": [{\"as_int\": 4611686018427387904}",
            "lies outside",
        ),
        (
            "\"weight_0\"",
            "\"weight_999\"",
            "has no `data/weights/weight_999`",
        ),
        ("\"dtype\": 7", "\"dtype\": 9", "complex"),
        ("\"config\"", "\"other\"", "missing field `config`"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        entries[table].1 = changed.into_bytes();
        let error = files
            .load(&packed(&entries))
            .map(drop)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}\nshould have: {expected}");
    }
    entries.remove(table);
    let error = files
        .load(&packed(&entries))
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("model_weights_config.json") && error.contains("is not there"),
        "{error}"
    );
}

#[test]
fn what_is_no_archive_at_all_is_said_so() {
    let files = Files::new();
    for bytes in [&b""[..], b"PK", b"hello", &[0; 100_000]] {
        let error = files.load(bytes).map(drop).unwrap_err().to_string();
        assert!(error.contains("no end record"), "{error}");
    }
    let missing = export::load(Path::new("/nowhere/model.pt2"), &files.ops);
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .contains("/nowhere/model.pt2")
    );
}
