//! The part of the ZIP format that NumPy writes: stored or deflated entries, 64-bit sizes or not.
//!
//! Every claimed size is checked against the bytes that are there before anything is allocated
//! for it, and no offset is followed out of the file, so that a hostile archive costs no more
//! than its own length times what DEFLATE can expand.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

use flate2::Crc;
use flate2::read::DeflateDecoder;

use crate::error::Fault;
use crate::files::MAX_DEFLATE_RATIO;

const END: &[u8; 4] = b"PK\x05\x06";
const END64: &[u8; 4] = b"PK\x06\x06";
const LOCATOR64: &[u8; 4] = b"PK\x06\x07";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const LOCAL: &[u8; 4] = b"PK\x03\x04";
const END_LEN: usize = 22;
const CENTRAL_LEN: usize = 46;
const LOCAL_LEN: usize = 30;

/// The entries of an archive, by name.
#[derive(Debug)]
pub(crate) struct Archive<'a> {
    bytes: &'a [u8],
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    unpacked: u64,
    /// Where the local header is.
    offset: u64,
}

/// Reads little-endian fields; everything outside of the bytes is an error.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn slice(self, at: u64, len: u64, what: &str) -> Result<&'a [u8], Fault> {
        let end = at
            .checked_add(len)
            .filter(|&end| end <= self.0.len() as u64);
        match end {
            Some(end) => Ok(&self.0[at as usize..end as usize]),
            None => Err(Fault::new(
                format!("byte {at}"),
                format!("the file of {} bytes ends inside {what}", self.0.len()),
                format!("{len} bytes"),
            )),
        }
    }

    /// The `len` bytes at `at`, if they begin with this signature.
    fn record(self, at: u64, len: usize, sign: &[u8; 4], what: &str) -> Result<&'a [u8], Fault> {
        let record = self.slice(at, len as u64, what)?;
        if !record.starts_with(sign) {
            return Err(Fault::new(
                format!("byte {at}"),
                format!("there is no {what}"),
                "a whole ZIP archive",
            ));
        }
        Ok(record)
    }
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

/// Where the central directory lies and how many entries it claims.
struct Directory {
    entries: u64,
    offset: u64,
    len: u64,
}

impl<'a> Archive<'a> {
    /// Reads the central directory.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        let fields = Fields(bytes);
        let end = find_end(bytes)?;
        let directory = read_end(fields, end)?;
        let within = directory
            .offset
            .checked_add(directory.len)
            .filter(|&last| last <= end as u64);
        if within.is_none() || directory.entries > directory.len / CENTRAL_LEN as u64 {
            return Err(Fault::new(
                format!("byte {end}"),
                format!(
                    "it claims {} entries in {} bytes from byte {}",
                    directory.entries, directory.len, directory.offset
                ),
                "a central directory that fits into the file",
            ));
        }
        let mut entries = BTreeMap::new();
        let mut at = directory.offset;
        for _ in 0..directory.entries {
            let (name, entry, next) = read_entry(fields, at)?;
            if entries.contains_key(&name) {
                return Err(Fault::new(
                    format!("byte {at}"),
                    format!("a second entry `{name}`"),
                    "names that differ",
                ));
            }
            entries.insert(name, entry);
            at = next;
        }
        Ok(Archive { bytes, entries })
    }

    /// The entries' names in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The content of an entry, checked against its checksum; `None` if there is no such entry.
    pub fn read(&self, name: &str) -> Result<Option<Cow<'a, [u8]>>, Fault> {
        let Some(entry) = self.entries.get(name) else {
            return Ok(None);
        };
        let fields = Fields(self.bytes);
        let place = format!("byte {}", entry.offset);
        if entry.flags & 1 != 0 {
            return Err(Fault::new(
                place,
                "the entry is encrypted",
                "one that is not",
            ));
        }
        let local = fields.record(entry.offset, LOCAL_LEN, LOCAL, "local header")?;
        let lead = LOCAL_LEN as u64 + u64::from(u16_at(local, 26)) + u64::from(u16_at(local, 28));
        let packed = fields.slice(entry.offset + lead, entry.packed, "an entry's data")?;
        let content = match entry.method {
            0 if entry.packed == entry.unpacked => Cow::Borrowed(packed),
            8 if entry.unpacked <= entry.packed.saturating_mul(MAX_DEFLATE_RATIO) => {
                Cow::Owned(inflate(packed, entry.unpacked, &place)?)
            }
            0 | 8 => {
                return Err(Fault::new(
                    place,
                    format!(
                        "it claims {} bytes from {} packed",
                        entry.unpacked, entry.packed
                    ),
                    "sizes that go together",
                ));
            }
            method => {
                return Err(Fault::new(
                    place,
                    format!("the entry is packed by method {method}"),
                    "method 0 (stored) or 8 (deflated)",
                ));
            }
        };
        let mut crc = Crc::new();
        crc.update(&content);
        if crc.sum() != entry.crc {
            return Err(Fault::new(
                place,
                format!("the checksum of the content is {:08x}", crc.sum()),
                format!("{:08x}", entry.crc),
            ));
        }
        Ok(Some(content))
    }
}

/// Unpacks exactly `len` bytes. Memory grows with what really comes out, not with the claim.
fn inflate(packed: &[u8], len: u64, place: &str) -> Result<Vec<u8>, Fault> {
    let mut content = Vec::with_capacity(len.min(1 << 20) as usize);
    let read = DeflateDecoder::new(packed)
        .take(len + 1)
        .read_to_end(&mut content);
    match read {
        Ok(count) if count as u64 == len => Ok(content),
        Ok(count) => Err(Fault::new(
            place,
            format!(
                "{} bytes come out of it",
                if count as u64 > len { "more" } else { "fewer" }
            ),
            format!("{len} bytes"),
        )),
        Err(error) => Err(Fault::new(place, error.to_string(), "deflated data")),
    }
}

/// The end record is the last one whose comment reaches exactly to the end of the file.
fn find_end(bytes: &[u8]) -> Result<usize, Fault> {
    let last = bytes.len().checked_sub(END_LEN);
    let first = last.map_or(0, |last| last.saturating_sub(usize::from(u16::MAX)));
    last.into_iter()
        .flat_map(|last| (first..=last).rev())
        .find(|&at| {
            bytes[at..].starts_with(END)
                && usize::from(u16_at(&bytes[at..], 20)) == bytes.len() - at - END_LEN
        })
        .ok_or_else(|| {
            Fault::new(
                format!("byte {}", bytes.len()),
                "there is no end record of a ZIP archive",
                "a whole archive (the file may be cut short, or of another format)",
            )
        })
}

fn read_end(fields: Fields, at: usize) -> Result<Directory, Fault> {
    let end = fields.record(at as u64, END_LEN, END, "end record")?;
    let short = Directory {
        entries: u64::from(u16_at(end, 10)),
        len: u64::from(u32_at(end, 12)),
        offset: u64::from(u32_at(end, 16)),
    };
    let too_large = short.entries == u64::from(u16::MAX)
        || short.len == u64::from(u32::MAX)
        || short.offset == u64::from(u32::MAX);
    let locator = at.checked_sub(20).map(|at| &fields.0[at..]);
    match locator.filter(|locator| too_large && locator.starts_with(LOCATOR64)) {
        Some(locator) => {
            let end64 = fields.record(u64_at(locator, 8), 56, END64, "64-bit end record")?;
            Ok(Directory {
                entries: u64_at(end64, 32),
                len: u64_at(end64, 40),
                offset: u64_at(end64, 48),
            })
        }
        None => Ok(short),
    }
}

/// The entry whose central header is at `at`, and where the next one is.
fn read_entry(fields: Fields, at: u64) -> Result<(String, Entry, u64), Fault> {
    let header = fields.record(at, CENTRAL_LEN, CENTRAL, "central header")?;
    let [name_len, extra_len, comment_len] = [28, 30, 32].map(|at| u64::from(u16_at(header, at)));
    let name_at = at + CENTRAL_LEN as u64;
    let name = fields.slice(name_at, name_len, "an entry's name")?;
    let extra = fields.slice(name_at + name_len, extra_len, "an entry's extra fields")?;
    let mut entry = Entry {
        flags: u16_at(header, 8),
        method: u16_at(header, 10),
        crc: u32_at(header, 16),
        packed: u64::from(u32_at(header, 20)),
        unpacked: u64::from(u32_at(header, 24)),
        offset: u64::from(u32_at(header, 42)),
    };
    widen(&mut entry, extra);
    let next = name_at + name_len + extra_len + comment_len;
    Ok((String::from_utf8_lossy(name).into_owned(), entry, next))
}

/// Takes the sizes that do not fit 32 bits from the extra field of kind 1, which holds only those.
fn widen(entry: &mut Entry, mut extra: &[u8]) {
    while extra.len() >= 4 {
        let (kind, len) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let Some(mut field) = extra.get(4..4 + len) else {
            return;
        };
        if kind == 1 {
            for size in [&mut entry.unpacked, &mut entry.packed, &mut entry.offset] {
                if *size == u64::from(u32::MAX) && field.len() >= 8 {
                    *size = u64_at(field, 0);
                    field = &field[8..];
                }
            }
            return;
        }
        extra = &extra[4 + len..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive of one stored entry, its sizes and offsets in 64-bit fields.
    fn archive64(name: &str, content: &[u8]) -> Vec<u8> {
        let mut crc = Crc::new();
        crc.update(content);
        let mut file = Vec::new();
        let common = |file: &mut Vec<u8>| {
            file.extend([45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            file.extend(crc.sum().to_le_bytes());
            file.extend([0xff; 8]);
            file.extend((name.len() as u16).to_le_bytes());
        };
        let len = (content.len() as u64).to_le_bytes();
        file.extend(LOCAL);
        common(&mut file);
        file.extend([20, 0]);
        file.extend(name.as_bytes());
        file.extend([1, 0, 16, 0]);
        file.extend([len, len].concat());
        file.extend(content);
        let directory = file.len() as u64;
        file.extend(CENTRAL);
        file.extend([45, 0]);
        common(&mut file);
        // An unknown extra field stands before the one that matters.
        file.extend([34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        file.extend(name.as_bytes());
        file.extend([9, 9, 2, 0, 7, 7]);
        file.extend([1, 0, 24, 0]);
        file.extend([len, len, [0; 8]].concat());
        let end64 = file.len() as u64;
        file.extend(END64);
        file.extend([
            44, 0, 0, 0, 0, 0, 0, 0, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ]);
        file.extend([1u64.to_le_bytes(), 1u64.to_le_bytes()].concat());
        file.extend((end64 - directory).to_le_bytes());
        file.extend(directory.to_le_bytes());
        file.extend(LOCATOR64);
        file.extend([0; 4]);
        file.extend(end64.to_le_bytes());
        file.extend([1, 0, 0, 0]);
        file.extend(END);
        file.extend([0, 0, 0, 0]);
        file.extend([0xff; 12]);
        file.extend([2, 0, b'h', b'i']);
        file
    }

    #[test]
    fn archives_with_64_bit_sizes_are_read() {
        let file = archive64("a.npy", b"hello");
        let archive = Archive::open(&file).unwrap();
        assert_eq!(archive.names().collect::<Vec<_>>(), ["a.npy"]);
        assert_eq!(archive.read("a.npy").unwrap().unwrap().as_ref(), b"hello");
        assert!(archive.read("b.npy").unwrap().is_none());
    }

    #[test]
    fn every_prefix_and_every_changed_byte_is_survived() {
        let file = archive64("a.npy", b"hello");
        let attempt = |bytes: &[u8]| Archive::open(bytes)?.read("a.npy").map(|_| ());
        for end in 0..file.len() {
            assert!(attempt(&file[..end]).is_err(), "prefix of {end} bytes");
        }
        for at in 0..file.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, file[at] ^ 1] {
                let mut changed = file.clone();
                changed[at] = value;
                let _ = attempt(&changed);
            }
        }
    }

    #[test]
    fn damaged_content_fails_its_checksum() {
        let mut file = archive64("a.npy", b"hello");
        let at = file
            .windows(5)
            .position(|window| window == b"hello")
            .unwrap();
        file[at] = b'j';
        let fault = Archive::open(&file).unwrap().read("a.npy").unwrap_err();
        assert!(fault.message.contains("checksum"), "{fault:?}");
    }

    #[test]
    fn claims_beyond_the_file_are_refused_before_they_are_allocated() {
        let file = archive64("a.npy", b"hello");
        let len = 5u64.to_le_bytes();
        let at = file
            .windows(16)
            .rposition(|window| window == [len, len].concat())
            .unwrap();
        let mut changed = file.clone();
        changed[at..at + 16].copy_from_slice(&[0xff; 16]);
        let fault = Archive::open(&changed).unwrap().read("a.npy").unwrap_err();
        assert!(fault.message.contains("ends inside"), "{fault:?}");

        let mut many = file.clone();
        let at = many.windows(4).rposition(|window| window == END64).unwrap();
        many[at + 32..at + 40].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(Archive::open(&many).unwrap_err().message.contains("claims"));
    }
}
