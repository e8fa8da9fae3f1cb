//! The parameters, buffers and constants of a program: what they are called and where they lie.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use syncarp_ir::{ContentHash, DType};
use syncarp_weights::{StoredTensor, stored_hash};

use super::archive::Archive;
use super::error::{Fault, shown};
use super::program::Text;
use super::pt2::{TensorMeta, scalar_type};

/// From how many bytes on hashing is worth more than one thread.
const MANY_BYTES: u64 = 4 << 20;

/// One state of a program.
pub(super) struct StateDef {
    /// Its name, and others where it is tied.
    pub names: Vec<String>,
    pub tensor: StoredTensor,
    /// Whether it is a parameter that asks for a gradient.
    pub trainable: bool,
    /// Whether a state dict holds it.
    pub saved: bool,
}

/// All states of a program, in the order of its state dict, constants last.
#[derive(Default)]
pub(super) struct States {
    pub list: Vec<StateDef>,
    by_name: HashMap<String, usize>,
}

impl States {
    /// Adds a state.
    pub fn add(&mut self, state: StateDef) -> Result<(), Fault> {
        for name in &state.names {
            self.name(name, self.list.len())?;
        }
        self.list.push(state);
        Ok(())
    }

    /// Gives a state one more name.
    pub fn alias(&mut self, name: &str, of: usize) -> Result<(), Fault> {
        self.name(name, of)?;
        self.list[of].names.push(name.to_owned());
        Ok(())
    }

    fn name(&mut self, name: &str, of: usize) -> Result<(), Fault> {
        match self.by_name.insert(name.to_owned(), of) {
            None => Ok(()),
            Some(_) => Err(Fault::new(
                "states",
                format!("two are called `{}`", shown(name)),
            )),
        }
    }

    /// The state of this name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// What each is recognised by.
    pub fn hashes(&self) -> Result<Vec<ContentHash>, Fault> {
        let tensors: Vec<&StoredTensor> = self.list.iter().map(|state| &state.tensor).collect();
        let bytes: u64 = tensors.iter().map(|tensor| tensor.size()).sum();
        let threads = match bytes < MANY_BYTES {
            true => 1,
            false => std::thread::available_parallelism().map_or(1, |n| n.get().min(8)),
        };
        let mut hashes: Vec<Option<io::Result<ContentHash>>> = Vec::new();
        hashes.resize_with(tensors.len(), || None);
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(tensor) = tensors.get(at) else {
                    return done;
                };
                done.push((at, stored_hash(tensor)));
            }
        };
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            for other in others {
                // A thread ends in no other way but by a panic of ours.
                done.extend(other.join().unwrap_or_default());
            }
            for (at, hash) in done {
                hashes[at] = Some(hash);
            }
        });
        let named = hashes.into_iter().zip(&self.list).map(|(hash, state)| {
            let place = || format!("state `{}`", shown(&state.names[0]));
            match hash {
                Some(Ok(hash)) => Ok(hash),
                Some(Err(cause)) => Err(Fault::new(place(), cause.to_string())),
                None => Err(Fault::new(place(), "could not be read")),
            }
        });
        named.collect()
    }
}

#[derive(Deserialize)]
struct ConfigDef<'f> {
    #[serde(borrow)]
    config: Pairs<'f, PayloadDef<'f>>,
}

#[derive(Deserialize)]
struct PayloadDef<'f> {
    #[serde(borrow)]
    path_name: Text<'f>,
    #[serde(default)]
    is_param: bool,
    #[serde(default)]
    use_pickle: bool,
    #[serde(borrow, default)]
    tensor_meta: Option<TensorMeta<'f>>,
}

/// An object's fields in the order in which they are written.
pub(super) struct Pairs<'f, T>(pub Vec<(Text<'f>, T)>);

impl<T> Default for Pairs<'_, T> {
    fn default() -> Self {
        Pairs(Vec::new())
    }
}

impl<'de: 'f, 'f, T: Deserialize<'de>> Deserialize<'de> for Pairs<'f, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All<'f, T>(std::marker::PhantomData<(&'f (), T)>);
        impl<'de: 'f, 'f, T: Deserialize<'de>> Visitor<'de> for All<'f, T> {
            type Value = Pairs<'f, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(All(std::marker::PhantomData))
    }
}

/// The tables of weights and constants of an archive, without reading any of them.
///
/// # Errors
/// A table is damaged, or a tensor is missing or not as the table says.
pub(super) fn of_archive(archive: &Archive) -> Result<States, Fault> {
    let mut states = States::default();
    let tables = [
        ("data/weights/", "model_weights_config.json", true),
        ("data/constants/", "model_constants_config.json", false),
    ];
    for (folder, table, saved) in tables {
        let place = format!("{folder}{table}");
        let Some(bytes) = archive.get(&place)? else {
            if !saved {
                continue;
            }
            let message = match archive.any(".pt") {
                true => {
                    "is not there: an older release of PyTorch wrote this archive, with pickled \
                     weights; export again with 2.9 or later, or convert it by compact.py"
                }
                false => "is not there, so this is no archive of torch.export",
            };
            return Err(Fault::new(place, message));
        };
        let text = bytes
            .read()
            .map_err(|cause| Fault::new(&*place, cause.to_string()))?;
        let config: ConfigDef<'_> = serde_json::from_slice(&text)
            .map_err(|error| Fault::new(&*place, error.to_string()))?;
        // Tied states have one payload.
        let mut first: HashMap<String, usize> = HashMap::new();
        for (name, payload) in config.config.0 {
            let at = || format!("{place}: `{}`", shown(&name));
            if payload.use_pickle {
                // No tensor. Whoever asks for it will miss it.
                continue;
            }
            let Some(meta) = payload.tensor_meta else {
                return Err(Fault::new(at(), "has no `tensor_meta`"));
            };
            let tensor = tensor(archive, folder, &payload.path_name, &meta);
            let (tensor, layout) = tensor.map_err(|message| Fault::new(at(), message))?;
            let key = format!("{} {layout}", &*payload.path_name);
            match first.get(&key) {
                Some(of) => states.alias(&name, *of)?,
                None => {
                    first.insert(key, states.list.len());
                    states.add(StateDef {
                        names: vec![name.to_string()],
                        tensor,
                        trainable: payload.is_param && meta.requires_grad,
                        saved,
                    })?;
                }
            }
        }
    }
    Ok(states)
}

fn tensor(
    archive: &Archive,
    folder: &str,
    file: &str,
    meta: &TensorMeta<'_>,
) -> Result<(StoredTensor, String), String> {
    let dtype: DType = scalar_type(meta.dtype)?;
    let (dims, strides, offset) = meta.layout()?;
    let bytes = archive.get(&format!("{folder}{file}"));
    let bytes = bytes.map_err(|fault| fault.message)?;
    let bytes = bytes.ok_or_else(|| format!("the archive has no `{folder}{}`", shown(file)))?;
    let layout = format!("{dtype}{dims:?}{strides:?}{offset}");
    let tensor = StoredTensor::strided(bytes, dtype, dims, strides, offset)?;
    Ok((tensor, layout))
}
