//! Linking: a program meets memory, and every place becomes an address.

use syncarp_ir::{Graph, Node, TensorData, Value};

use crate::kernel::{Class, Io, Prepared, Slot};
use crate::memory::Block;
use crate::program::{Call, Place, Program};
use crate::real::Real;
use crate::state::{States, element_size};

/// Memory that several programs use in turn.
pub(crate) struct Workspace {
    shared: Block,
    own: Vec<Block>,
}

impl Workspace {
    /// Enough for each of some programs, one at a time.
    pub(crate) fn new<'p, T: 'p>(programs: impl Iterator<Item = &'p Program<T>>) -> Self {
        let mut shared = 0;
        let mut own: Vec<usize> = Vec::new();
        for program in programs {
            shared = shared.max(program.shared_bytes);
            own.resize(own.len().max(program.own_bytes.len()), 0);
            for (have, want) in own.iter_mut().zip(&program.own_bytes) {
                *have = (*have).max(*want);
            }
        }
        let own = own.into_iter().map(Block::new).collect();
        Workspace {
            shared: Block::new(shared),
            own,
        }
    }
}

/// A kernel call with its slots: a range of operands, then results.
struct Linked<T> {
    kernel: Prepared<T>,
    operands: (usize, usize),
    results: (usize, usize),
}

/// A program whose places are addresses. It must not outlive the states, the workspace and the
/// memory that it was linked to; the engine keeps all of them together.
pub(crate) struct Runnable<T> {
    levels: Vec<Vec<Vec<Linked<T>>>>,
    /// The slots of all calls, for either parity of the states.
    slots: [Vec<Slot>; 2],
    scratch: Vec<Slot>,
    /// Copies of (source, destination) after the last level, for either parity.
    moves: [Vec<(Slot, Slot)>; 2],
    values: [Vec<Option<Slot>>; 2],
    inputs: Vec<(Node, Slot)>,
    _constants: Block,
    _inputs: Block,
}

// SAFETY: slots are addresses of memory that outlives the program; who may touch them when is
// decided by the schedule, which gives every slot one writer at a time.
unsafe impl<T: Send> Send for Runnable<T> {}
// SAFETY: as above; running takes `&self` and a thread's number, and threads write what the
// schedule gave them.
unsafe impl<T: Sync> Sync for Runnable<T> {}

impl<T: Real> Runnable<T> {
    /// Links a program and runs what runs once.
    pub(crate) fn new(
        graph: &Graph,
        program: Program<T>,
        states: &mut States,
        workspace: &mut Workspace,
    ) -> Self {
        let mut constants = Block::new(program.constant_bytes);
        let mut inputs = Block::new(program.input_bytes);
        let mut resolve = |value: Value, parity: usize| -> Option<Slot> {
            let arg = &program.args[value.index()];
            let class = Class::of(arg.dtype);
            // SAFETY: offsets were planned to lie inside their blocks.
            let ptr = unsafe {
                match program.places[value.index()] {
                    Place::Nowhere => return None,
                    Place::Constant(at) => constants.ptr().add(at),
                    Place::Input(at) => inputs.ptr().add(at),
                    Place::Now(state) => return Some(states.slot(state, parity)),
                    Place::Next(state) => return Some(states.slot(state, parity ^ 1)),
                    Place::Shared(at) => workspace.shared.ptr().add(at),
                    Place::Own(thread, at) => workspace.own[thread].ptr().add(at),
                }
            };
            Some(Slot {
                ptr,
                len: arg.len(),
                class,
            })
        };
        let values = [0, 1].map(|parity| -> Vec<Option<Slot>> {
            (0..program.places.len())
                .map(|i| resolve(Value::new(i), parity))
                .collect()
        });
        let moves = [0, 1].map(|parity| {
            let slots = program.moves.iter().filter_map(|(state, value)| {
                Some((
                    values[parity][value.index()]?,
                    states.slot(*state, parity ^ 1),
                ))
            });
            slots.collect::<Vec<_>>()
        });
        let scratch_bytes = |t: usize| {
            // SAFETY: the scratch memory was planned to lie inside the thread's own block.
            let ptr = unsafe { workspace.own[t].ptr().add(program.scratch_at[t]) };
            Slot {
                ptr,
                len: program.scratch_len,
                class: Class::Real,
            }
        };
        let scratch: Vec<Slot> = (0..program.own_bytes.len()).map(scratch_bytes).collect();
        let mut slots = [Vec::new(), Vec::new()];
        let mut link = |call: Call<T>| -> Linked<T> {
            let mut range = |list: &mut dyn Iterator<Item = Value>| {
                let start = slots[0].len();
                for value in list {
                    for parity in 0..2 {
                        let slot = values[parity][value.index()];
                        slots[parity].push(slot.expect("what a kernel touches has a place"));
                    }
                }
                (start, slots[0].len())
            };
            let operands = range(&mut graph.operands(call.node).iter().copied());
            let results = range(&mut graph.results(call.node));
            Linked {
                kernel: call.kernel,
                operands,
                results,
            }
        };
        let once: Vec<Linked<T>> = program.once.into_iter().map(&mut link).collect();
        let levels: Vec<Vec<Vec<Linked<T>>>> = program
            .levels
            .into_iter()
            .map(|threads| {
                let calls = |t: Vec<Call<T>>| t.into_iter().map(&mut link).collect();
                threads.into_iter().map(calls).collect()
            })
            .collect();
        let inputs_of = program.inputs.iter();
        let input_slots = inputs_of
            .map(|(node, v)| (*node, values[0][v.index()].expect("inputs have places")))
            .collect();
        let runnable = Runnable {
            levels,
            slots,
            scratch,
            moves,
            values,
            inputs: input_slots,
            _constants: constants,
            _inputs: inputs,
        };
        runnable.run_calls(&once, 0, 0);
        runnable
    }

    /// The number of levels.
    pub(crate) fn levels(&self) -> usize {
        self.levels.len()
    }

    /// The inputs, to be written before a run.
    pub(crate) fn inputs(&self) -> &[(Node, Slot)] {
        &self.inputs
    }

    /// Where a value is after a run that began at this parity.
    pub(crate) fn slot(&self, value: Value, parity: usize) -> Option<Slot> {
        self.values[parity][value.index()]
    }

    fn run_calls(&self, calls: &[Linked<T>], thread: usize, parity: usize) {
        let slots = &self.slots[parity];
        let scratch = self.scratch[thread];
        for call in calls {
            let operands = &slots[call.operands.0..call.operands.1];
            let results = &slots[call.results.0..call.results.1];
            // SAFETY: the layout gives results and scratch memory to nobody else while this call
            // runs, and operands were written before and are not written now.
            let mut io = unsafe { Io::<T>::new(operands, results, scratch) };
            (call.kernel.run)(&mut io);
        }
    }

    /// Runs a thread's part of a level. All threads must have finished the level before.
    pub(crate) fn run_level(&self, level: usize, thread: usize, parity: usize) {
        self.run_calls(&self.levels[level][thread], thread, parity);
    }

    /// Copies what could not be computed in place. All levels must have been run.
    pub(crate) fn run_moves(&self, parity: usize) {
        for (from, to) in &self.moves[parity] {
            let bytes = to.len * element_size::<T>(to.class);
            // SAFETY: both slots have this size, and a state's next value is no operand's place.
            unsafe { std::ptr::copy_nonoverlapping(from.ptr, to.ptr, bytes) };
        }
    }
}

/// Reads a slot's elements.
///
/// # Safety
/// Nobody may write the slot meanwhile.
pub(crate) unsafe fn read_slot<T: Real>(slot: Slot) -> TensorData {
    // SAFETY: the caller's promise; slots lie in memory that is there.
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
