//! What an import has to say although it went well.

use std::collections::BTreeMap;

use syncarp_diag::Located;

/// How much a note matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum NoteKind {
    /// Something in the file that has no part in the computation.
    Ignored,
    /// Choices that are still open: the file is a space of models rather than one.
    Unresolved,
    /// Operations that nobody knows. They are kept as `custom` ops, which no engine runs.
    Unknown,
}

/// Something that whoever imports a file should know, and where it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// How much it matters.
    pub kind: NoteKind,
    /// What it is about.
    pub place: Located,
}

/// Notes that say the same of many places, told once, with their number.
#[derive(Debug, Default)]
pub(crate) struct Repeated {
    /// In the order of their first places.
    notes: Vec<(Note, usize)>,
    by_message: BTreeMap<String, usize>,
}

impl Repeated {
    pub fn add(&mut self, kind: NoteKind, place: Located) {
        match self.by_message.get(&place.message) {
            Some(known) => self.notes[*known].1 += 1,
            None => {
                self.by_message
                    .insert(place.message.clone(), self.notes.len());
                self.notes.push((Note { kind, place }, 1));
            }
        }
    }

    pub fn finish(self) -> impl Iterator<Item = Note> {
        self.notes.into_iter().map(|(mut note, count)| {
            if count > 1 {
                note.place.message += &format!(" (and {} more such)", count - 1);
            }
            note
        })
    }
}
