//! The cases: read from the pack, or from a folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// One case.
pub struct Case {
    /// `KIND/NAME`.
    pub name: String,
    /// Its files by their paths.
    pub files: BTreeMap<String, Vec<u8>>,
}

fn cases(files: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<Case> {
    let mut cases: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    for (path, bytes) in files {
        let mut parts = path.splitn(3, '/');
        let (Some(kind), Some(name), Some(file)) = (parts.next(), parts.next(), parts.next())
        else {
            panic!("{path} is no file of a case");
        };
        let case = cases.entry(format!("{kind}/{name}")).or_default();
        case.insert(file.to_owned(), bytes);
    }
    cases
        .into_iter()
        .map(|(name, files)| Case { name, files })
        .collect()
}

/// The cases of an archive.
pub fn packed(path: &Path) -> Vec<Case> {
    let file = BufReader::new(File::open(path).unwrap());
    let mut archive = tar::Archive::new(lzma_rust2::XzReader::new(file, false));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (path, bytes)
    });
    cases(entries)
}

/// The cases in a folder.
pub fn in_folder(folder: &Path) -> Vec<Case> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(&inner).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(folder)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                files.push((name, std::fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    cases(files.into_iter())
}
