//! The states of an assembly while it runs: two buffers for each, so that a step reads the old
//! values and writes the new ones without copying.

use std::sync::Arc;

use syncarp_ir::{DType, Initial, Plan, State, StateKind, TensorData};

use crate::error::EngineError;
use crate::kernel::{Arg, Class, Slot};
use crate::memory::{Block, padded};
use crate::real::Real;

/// A state's place: its offset in both blocks.
#[derive(Clone, Debug)]
struct Place {
    offset: usize,
    arg: Arg,
    /// Frozen states have one buffer: nobody writes them.
    frozen: bool,
}

/// The values of all states of a plan.
pub(crate) struct States {
    places: Vec<Place>,
    blocks: [Block; 2],
    /// Which of the two blocks holds the values of now.
    parity: usize,
}

/// The bytes of one element.
pub(crate) fn element_size<T: Real>(class: Class) -> usize {
    match class {
        Class::Real => size_of::<T>(),
        Class::Int => 8,
        Class::Bool => 1,
    }
}

impl States {
    /// Allocates and initialises the states of a plan; `given` has values that go before those
    /// that the plan declares.
    pub(crate) fn new<T: Real>(
        plan: &Plan,
        given: &dyn Fn(State) -> Option<TensorData>,
    ) -> Result<Self, EngineError> {
        let mut places = Vec::with_capacity(plan.states.len());
        let mut top = 0;
        for (index, entry) in plan.states.iter().enumerate() {
            let unbound = || EngineError::Unbound {
                what: format!("state {}", State::new(index)),
            };
            let dims = entry.ty.numbers().ok_or_else(unbound)?.to_vec();
            let dtype = entry.ty.dtype.unwrap_or(DType::F32);
            let arg = Arg { dtype, dims };
            let size = arg.len() * element_size::<T>(Class::of(dtype));
            places.push(Place {
                offset: top,
                arg,
                frozen: entry.kind == StateKind::Frozen,
            });
            top += padded(size);
        }
        let mut states = States {
            places,
            blocks: [Block::new(top), Block::new(top)],
            parity: 0,
        };
        for (index, entry) in plan.states.iter().enumerate() {
            let state = State::new(index);
            let data = match (given(state), &entry.initial) {
                (Some(data), _) => data,
                (None, Initial::Init(distribution, stream)) => {
                    let mut values = vec![0.0; states.places[index].arg.len()];
                    distribution.fill(stream, &mut values);
                    TensorData::Float(values)
                }
                (None, Initial::Content(hash)) => {
                    let data = plan.contents.get(hash);
                    let data = data.ok_or_else(|| EngineError::NoContent {
                        hash: hash.0.clone(),
                    })?;
                    let data = data.load()?;
                    Arc::unwrap_or_clone(data)
                }
            };
            states.write::<T>(state, &data)?;
        }
        Ok(states)
    }

    /// The slot that holds a state's values of now (`next` false) or gets those of the next step.
    pub(crate) fn slot(&mut self, state: State, parity: usize) -> Slot {
        let place = &self.places[state.index()];
        let block = if place.frozen { 0 } else { parity };
        // SAFETY: every place lies inside the blocks, as `new` laid them out.
        let ptr = unsafe { self.blocks[block].ptr().add(place.offset) };
        Slot {
            ptr,
            len: place.arg.len(),
            class: Class::of(place.arg.dtype),
        }
    }

    pub(crate) fn parity(&self) -> usize {
        self.parity
    }

    /// Makes the values that a step wrote those of now.
    pub(crate) fn flip(&mut self) {
        self.parity ^= 1;
    }

    /// The dims of a state.
    pub(crate) fn dims(&self, state: State) -> &[usize] {
        &self.places[state.index()].arg.dims
    }

    fn write<T: Real>(&mut self, state: State, data: &TensorData) -> Result<(), EngineError> {
        for parity in 0..2 {
            let slot = self.slot(state, parity);
            let len = match data {
                TensorData::Float(v) => v.len(),
                TensorData::Int(v) => v.len(),
            };
            if len != slot.len {
                return Err(EngineError::Content {
                    state: state.to_string(),
                    want: slot.len,
                    len,
                });
            }
            // SAFETY: the slot lies in a block that `self` owns and nobody else reads now.
            unsafe {
                match (data, slot.class) {
                    (TensorData::Float(v), Class::Real) => {
                        let out = std::slice::from_raw_parts_mut(slot.ptr.cast::<T>(), len);
                        out.iter_mut()
                            .zip(v)
                            .for_each(|(o, x)| *o = T::from_f64(*x));
                    }
                    (TensorData::Int(v), Class::Int) => {
                        let out = std::slice::from_raw_parts_mut(slot.ptr.cast::<i64>(), len);
                        out.copy_from_slice(v);
                    }
                    (TensorData::Int(v), Class::Bool) => {
                        let out = std::slice::from_raw_parts_mut(slot.ptr, len);
                        out.iter_mut()
                            .zip(v)
                            .for_each(|(o, x)| *o = u8::from(*x != 0));
                    }
                    _ => {
                        let state = state.to_string();
                        return Err(EngineError::Content {
                            state,
                            want: slot.len,
                            len,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    /// A copy of a state's values of now.
    pub(crate) fn read<T: Real>(&mut self, state: State) -> TensorData {
        let slot = self.slot(state, self.parity);
        // SAFETY: the slot lies in a block that `self` owns and nobody writes now.
        unsafe {
            match slot.class {
                Class::Real => {
                    let values = std::slice::from_raw_parts(slot.ptr.cast::<T>(), slot.len);
                    TensorData::Float(values.iter().map(|x| x.to_f64()).collect())
                }
                Class::Int => {
                    let values = std::slice::from_raw_parts(slot.ptr.cast::<i64>(), slot.len);
                    TensorData::Int(values.to_vec())
                }
                Class::Bool => {
                    let values = std::slice::from_raw_parts(slot.ptr, slot.len);
                    TensorData::Int(values.iter().map(|x| i64::from(*x)).collect())
                }
            }
        }
    }
}
