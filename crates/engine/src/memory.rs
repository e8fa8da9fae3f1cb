//! Memory: aligned blocks, and the planning of who may use which bytes when.

use std::collections::BTreeMap;

/// Slots begin at multiples of this, so that a slot's alignment never depends on its neighbours.
const ALIGN: usize = 64;

/// One line of memory; what it holds is only ever reached through addresses.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line {
    _bytes: [u8; ALIGN],
}

/// A block of zeroed, aligned memory.
pub(crate) struct Block {
    lines: Vec<Line>,
}

impl Block {
    pub(crate) fn new(bytes: usize) -> Self {
        Block {
            lines: vec![Line { _bytes: [0; ALIGN] }; bytes.div_ceil(ALIGN)],
        }
    }

    pub(crate) fn ptr(&mut self) -> *mut u8 {
        self.lines.as_mut_ptr().cast()
    }
}

/// The size of a slot: whole lines.
pub(crate) fn padded(bytes: usize) -> usize {
    bytes.div_ceil(ALIGN) * ALIGN
}

/// Hands out offsets, first fit, and takes them back.
#[derive(Default)]
pub(crate) struct Offsets {
    /// Free ranges below the top: start to length.
    free: BTreeMap<usize, usize>,
    top: usize,
}

impl Offsets {
    pub(crate) fn take(&mut self, bytes: usize) -> usize {
        let bytes = padded(bytes);
        let fit = self
            .free
            .iter()
            .find(|(_, len)| **len >= bytes)
            .map(|(s, l)| (*s, *l));
        let Some((start, len)) = fit else {
            let start = self.top;
            self.top += bytes;
            return start;
        };
        self.free.remove(&start);
        if len > bytes {
            self.free.insert(start + bytes, len - bytes);
        }
        start
    }

    pub(crate) fn give_back(&mut self, start: usize, bytes: usize) {
        let (mut start, mut len) = (start, padded(bytes));
        if len == 0 {
            return;
        }
        if let Some((&before, &before_len)) = self.free.range(..start).next_back()
            && before + before_len == start
        {
            self.free.remove(&before);
            start = before;
            len += before_len;
        }
        if let Some(after_len) = self.free.remove(&(start + len)) {
            len += after_len;
        }
        self.free.insert(start, len);
    }

    /// The bytes that all offsets together need.
    pub(crate) fn top(&self) -> usize {
        self.top
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_neighbours_join() {
        let mut offsets = Offsets::default();
        let a = offsets.take(64);
        let b = offsets.take(100);
        let c = offsets.take(1);
        assert_eq!((a, b, c, offsets.top()), (0, 64, 192, 256));
        offsets.give_back(a, 64);
        offsets.give_back(b, 100);
        assert_eq!(offsets.take(192), 0);
        assert_eq!(offsets.top(), 256);
    }
}
