//! The bytes of a file, and where in it a tensor's elements lie.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use memmap2::Mmap;
use syncarp_weights::FileBytes;

/// A file as it lies on disk, and the folder for those that it refers to.
pub(crate) struct Files {
    /// The file as a range, and the address of its mapping: none for bytes in memory.
    mapped: Option<(FileBytes, usize)>,
    folder: Option<PathBuf>,
    opened: RefCell<BTreeMap<String, FileBytes>>,
}

impl Files {
    /// Maps a file into memory.
    pub fn open(path: &Path) -> io::Result<(Files, Bytes)> {
        let range = FileBytes::open(path)?;
        let file = File::open(path)?;
        // An empty file cannot be mapped; it is an empty message.
        let bytes = match range.is_empty() {
            true => Bytes::new(),
            // SAFETY: nothing here writes the file. Another program that cut it meanwhile would end
            // this one, as it would any that maps its input; only names and small values are read
            // here, and weights through the file.
            false => Bytes::from_owner(unsafe { Mmap::map(&file)? }),
        };
        let files = Files {
            mapped: Some((range, bytes.as_ptr() as usize)),
            folder: path.parent().map(Path::to_owned),
            opened: RefCell::default(),
        };
        Ok((files, bytes))
    }

    /// No file: bytes in memory, which refer to no others.
    pub fn none() -> Files {
        Files {
            mapped: None,
            folder: None,
            opened: RefCell::default(),
        }
    }

    /// Where in the file these bytes lie, if they are a part of it.
    pub fn range_of(&self, bytes: &Bytes) -> Option<FileBytes> {
        let (range, start) = self.mapped.as_ref()?;
        let at = (bytes.as_ptr() as usize).checked_sub(*start)?;
        range.part(at as u64, bytes.len() as u64)
    }

    /// A part of a file beside this one.
    ///
    /// # Errors
    /// The path leads elsewhere, or there are no such bytes.
    pub fn external(&self, location: &str, offset: u64, length: u64) -> Result<FileBytes, String> {
        let shown = crate::error::shown(location);
        let Some(folder) = &self.folder else {
            return Err(format!(
                "its data lies in `{shown}`, but there is no folder"
            ));
        };
        let relative = Path::new(location);
        let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if location.is_empty() || !relative.components().all(inside) {
            return Err(format!(
                "its data lies in `{shown}`, which is no path below the model's folder"
            ));
        }
        let mut opened = self.opened.borrow_mut();
        let file = match opened.get(location) {
            Some(file) => file.clone(),
            None => {
                let path = folder.join(relative);
                let file = FileBytes::open(&path);
                let file = file.map_err(|cause| format!("{}: {cause}", path.display()))?;
                opened.insert(location.to_owned(), file.clone());
                file
            }
        };
        file.part(offset, length).ok_or_else(|| {
            let len = file.len();
            format!("bytes {offset} to {offset} + {length} lie outside the {len} of `{shown}`")
        })
    }
}
