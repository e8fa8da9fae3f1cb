//! NumPy's archive of arrays: a ZIP file of array files.

use crate::dataset::{Array, Column};
use crate::elements::{BadElement, to_labels, to_values};
use crate::error::Fault;
use crate::npy::{self, NpyArray};
use crate::spec::TargetKind;
use crate::zip::Archive;

/// Reads the named arrays; the first axis of each is the row axis.
///
/// Columns are named as their arrays, in the order of the names given.
pub(crate) fn read(
    bytes: &[u8],
    inputs: &[String],
    targets: &[String],
    kind: TargetKind,
) -> Result<(Vec<Column>, Vec<Column>), Fault> {
    let archive = Archive::open(bytes)?;
    let mut rows = None;
    let mut columns = |names: &[String], role: fn(NpyArray, TargetKind) -> Typed| {
        names
            .iter()
            .map(|name| {
                let place = format!("array `{name}`");
                let array = read_array(&archive, name)?;
                let Some(&count) = array.shape.first() else {
                    return Err(Fault::new(place, "it has no axes", "a first axis of rows"));
                };
                let (first, expected) = rows.get_or_insert((name.clone(), count));
                if count == 0 || count > u32::MAX as usize {
                    return Err(Fault::new(
                        place,
                        format!("{count} rows"),
                        "1 to 4294967295 rows",
                    ));
                }
                if count != *expected {
                    let message = format!("it has {count} rows");
                    return Err(Fault::new(
                        place,
                        message,
                        format!("{expected} as in `{first}`"),
                    ));
                }
                if array.data.is_empty() {
                    let message = format!("the shape {:?} holds nothing", array.shape);
                    return Err(Fault::new(place, message, "samples of at least one value"));
                }
                let size = array.data.len() / count;
                let (shape, data) = role(array, kind).map_err(|error: BadElement| {
                    let place = format!("{place}, row {}", error.index / size);
                    Fault::new(place, error.message, error.expected)
                })?;
                Ok(Column::new(name, shape, data))
            })
            .collect::<Result<Vec<_>, Fault>>()
    };
    Ok((columns(inputs, input)?, columns(targets, target)?))
}

fn read_array(archive: &Archive, name: &str) -> Result<NpyArray, Fault> {
    let place = format!("array `{name}`");
    let content = archive
        .read(&format!("{name}.npy"))
        .map_err(|fault| fault.within(&place))?
        .ok_or_else(|| {
            let names: Vec<_> = archive
                .names()
                .filter_map(|file| file.strip_suffix(".npy"))
                .take(20)
                .map(|name| format!("`{name}`"))
                .collect();
            let expected = match names.is_empty() {
                true => "an archive with arrays, this one has none".to_string(),
                false => format!("one of {}", names.join(", ")),
            };
            Fault::new(&place, "the archive has no such array", expected)
        })?;
    npy::read(&content).map_err(|fault| fault.within(&place))
}

type Typed = Result<(Vec<usize>, Array), BadElement>;

fn input(array: NpyArray, _: TargetKind) -> Typed {
    Ok((array.shape[1..].to_vec(), array.data))
}

/// Targets take the element type of their kind. Labels written as `[rows, 1]`, which some tools
/// do, are one label a row.
fn target(array: NpyArray, kind: TargetKind) -> Typed {
    let shape = array.shape[1..].to_vec();
    Ok(match kind {
        TargetKind::Class => {
            let shape = if shape == [1] { Vec::new() } else { shape };
            (shape, Array::I64(to_labels(array.data)?))
        }
        TargetKind::Value => (shape, Array::F32(to_values(array.data))),
    })
}
