//! The files in a `.pt2` archive: a zip of stored entries, which are ranges of it.
//!
//! Only the central directory is read. Every size and place that it claims is checked against the
//! file before anything is read or allocated for it.

use std::collections::HashMap;

use syncarp_weights::FileBytes;

use super::error::{Fault, shown};

const END: &[u8; 4] = b"PK\x05\x06";
const END64: &[u8; 4] = b"PK\x06\x06";
const LOCATOR64: &[u8; 4] = b"PK\x06\x07";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const LOCAL: &[u8; 4] = b"PK\x03\x04";
const END_LEN: u64 = 22;
const LOCATOR_LEN: u64 = 20;
const END64_LEN: u64 = 56;
const CENTRAL_LEN: usize = 46;
const LOCAL_LEN: u64 = 30;
/// The longest comment that may follow the end record.
const MAX_COMMENT: u64 = 0xffff;
/// The largest central directory that is read.
const MAX_DIRECTORY: u64 = 1 << 28;

/// An archive's stored entries by their paths, without the folder that all of them are in.
pub(super) struct Archive {
    file: FileBytes,
    entries: HashMap<String, Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    /// Where the local header is.
    at: u64,
    len: u64,
}

impl Archive {
    /// Reads the central directory.
    pub fn open(file: &FileBytes) -> Result<Archive, Fault> {
        let (at, len, count) = directory(file)?;
        let directory = read(file, at, len, "the central directory")?;
        let mut entries = HashMap::with_capacity(
            usize::try_from(count)
                .unwrap_or(0)
                .min(directory.len() / CENTRAL_LEN),
        );
        let mut rest = &directory[..];
        for place in 0..count {
            let cut = || Fault::new("zip", format!("the header of entry {place} is cut off"));
            let (name, entry, next) = entry(rest).ok_or_else(cut)?;
            rest = next;
            if let (Some((_, path)), Some(entry)) = (name.split_once('/'), entry) {
                entries.insert(path.to_owned(), entry);
            }
        }
        let file = file.clone();
        Ok(Archive { file, entries })
    }

    /// The entry of this path, if it is there.
    pub fn get(&self, path: &str) -> Result<Option<FileBytes>, Fault> {
        let Some(entry) = self.entries.get(path) else {
            return Ok(None);
        };
        let wrong = |message: &str| Fault::new("zip", format!("`{}` {message}", shown(path)));
        let local = read(&self.file, entry.at, LOCAL_LEN, "a local header")?;
        if !local.starts_with(LOCAL) {
            return Err(wrong("has no header where the directory says"));
        }
        let lead = LOCAL_LEN + u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
        let at = entry.at.checked_add(lead);
        let bytes = at.and_then(|at| self.file.part(at, entry.len));
        bytes
            .map(Some)
            .ok_or_else(|| wrong("lies outside the file"))
    }

    /// Whether an entry's path ends so.
    pub fn any(&self, end: &str) -> bool {
        self.entries.keys().any(|path| path.ends_with(end))
    }
}

fn read(file: &FileBytes, at: u64, len: u64, what: &str) -> Result<Vec<u8>, Fault> {
    let part = file.part(at, len).ok_or_else(|| {
        let size = file.len();
        Fault::new(
            "zip",
            format!("{what} at byte {at} lies outside the file of {size} bytes"),
        )
    })?;
    part.read()
        .map_err(|cause| Fault::new("zip", cause.to_string()))
}

fn u16_at(record: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([record[at], record[at + 1]])
}

fn u32_at(record: &[u8], at: usize) -> u32 {
    u32::from(u16_at(record, at)) | u32::from(u16_at(record, at + 2)) << 16
}

fn u64_at(record: &[u8], at: usize) -> u64 {
    u64::from(u32_at(record, at)) | u64::from(u32_at(record, at + 4)) << 32
}

/// Where the central directory lies, its length, and how many entries it has.
fn directory(file: &FileBytes) -> Result<(u64, u64, u64), Fault> {
    let wrong = |message: &str| Fault::new("zip", message);
    let tail = file.len().min(END_LEN + MAX_COMMENT);
    let from = file.len() - tail;
    let bytes = read(file, from, tail, "the end")?;
    // The end record is the last one whose comment reaches exactly to the end of the file.
    let found = (0..bytes.len().saturating_sub(END_LEN as usize - 1))
        .rev()
        .find(|at| {
            let record = &bytes[*at..];
            record.starts_with(END)
                && usize::from(u16_at(record, 20)) == record.len() - END_LEN as usize
        });
    let found = found.ok_or_else(|| {
        wrong("there is no end record: this is no zip archive, or it is cut short")
    })?;
    let record = &bytes[found..];
    let end = from + found as u64;
    let mut claimed = (
        u64::from(u32_at(record, 16)),
        u64::from(u32_at(record, 12)),
        u64::from(u16_at(record, 10)),
    );
    let mut limit = end;
    if let Some(at) = end.checked_sub(LOCATOR_LEN) {
        let locator = read(file, at, LOCATOR_LEN, "the locator")?;
        if locator.starts_with(LOCATOR64) {
            let at = u64_at(&locator, 8);
            let wide = read(file, at, END64_LEN, "the 64-bit end record")?;
            if !wide.starts_with(END64) {
                return Err(wrong(
                    "there is no 64-bit end record where the locator says",
                ));
            }
            claimed = (u64_at(&wide, 48), u64_at(&wide, 40), u64_at(&wide, 32));
            limit = at;
        }
    }
    let (at, len, count) = claimed;
    let fits = at.checked_add(len).is_some_and(|last| last <= limit)
        && len <= MAX_DIRECTORY
        && count <= len / CENTRAL_LEN as u64;
    match fits {
        true => Ok(claimed),
        false => Err(Fault::new(
            "zip",
            format!("a directory of {count} entries in {len} bytes from byte {at} does not fit"),
        )),
    }
}

/// The first entry of a directory's bytes: its name, where it lies unless it is packed or encrypted,
/// and the bytes after it.
fn entry(bytes: &[u8]) -> Option<(std::borrow::Cow<'_, str>, Option<Entry>, &[u8])> {
    let header = bytes.get(..CENTRAL_LEN)?;
    if !header.starts_with(CENTRAL) {
        return None;
    }
    let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(header, at)));
    let rest = &bytes[CENTRAL_LEN..];
    let text = rest.get(..name)?;
    let fields = rest.get(name..name + extra)?;
    let next = rest.get(name + extra + comment..)?;
    let [mut packed, mut len, mut at] = [20, 24, 42].map(|at| u64::from(u32_at(header, at)));
    widen(fields, [&mut len, &mut packed, &mut at]);
    let encrypted = u16_at(header, 8) & 1 != 0;
    let stored = u16_at(header, 10) == 0 && packed == len && !encrypted;
    let entry = stored.then_some(Entry { at, len });
    Some((String::from_utf8_lossy(text), entry, next))
}

/// Takes the sizes that do not fit 32 bits from the extra field of kind 1, which holds only those.
fn widen(mut fields: &[u8], sizes: [&mut u64; 3]) {
    while fields.len() >= 4 {
        let (kind, len) = (u16_at(fields, 0), usize::from(u16_at(fields, 2)));
        let Some(mut field) = fields.get(4..4 + len) else {
            return;
        };
        if kind == 1 {
            for size in sizes {
                if *size == u64::from(u32::MAX) && field.len() >= 8 {
                    *size = u64_at(field, 0);
                    field = &field[8..];
                }
            }
            return;
        }
        fields = &fields[4 + len..];
    }
}
