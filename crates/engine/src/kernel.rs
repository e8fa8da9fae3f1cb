//! Kernels: what the embedded engine runs for an op.
//!
//! A kernel is *prepared* once for a node with bound shapes and then run every step. It reads and
//! writes slots that the memory plan chose; it allocates nothing while it runs.

use std::marker::PhantomData;

use rustc_hash::{FxHashMap, FxHashSet};
use syncarp_ir::{Attrs, DType};
use thiserror::Error;

use crate::real::Real;

/// How a slot's elements are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// The engine's float, whatever the float dtype.
    Real,
    /// 64-bit integers, whatever the integer dtype.
    Int,
    /// Bytes that are 0 or 1.
    Bool,
}

impl Class {
    /// How elements of a dtype are stored.
    pub fn of(dtype: DType) -> Class {
        match dtype {
            DType::Bool => Class::Bool,
            d if d.is_float() => Class::Real,
            _ => Class::Int,
        }
    }
}

/// One operand or result with its bound shape.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arg {
    /// The element type.
    pub dtype: DType,
    /// The dims.
    pub dims: Vec<usize>,
}

impl Arg {
    /// The number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a kernel is prepared for.
#[derive(Clone, Copy, Debug)]
pub struct Spec<'a> {
    /// The node's attributes.
    pub attrs: &'a Attrs,
    /// Its operands.
    pub operands: &'a [Arg],
    /// Its results.
    pub results: &'a [Arg],
}

/// Why a kernel cannot be prepared. The fault is the graph's author's: the op types, but this
/// engine cannot run it so.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("{0}")]
pub struct KernelError(pub String);

type Run<T> = Box<dyn Fn(&mut Io<'_, T>) + Send + Sync>;

/// A kernel ready to run.
pub struct Prepared<T> {
    /// How many floats of scratch memory it needs.
    pub scratch: usize,
    /// Runs it once.
    pub run: Run<T>,
}

impl<T> Prepared<T> {
    /// A kernel without scratch memory.
    pub fn new(run: impl Fn(&mut Io<'_, T>) + Send + Sync + 'static) -> Self {
        Prepared {
            scratch: 0,
            run: Box::new(run),
        }
    }

    /// A kernel that needs this many floats of scratch memory.
    pub fn with_scratch(
        scratch: usize,
        run: impl Fn(&mut Io<'_, T>) + Send + Sync + 'static,
    ) -> Self {
        Prepared {
            scratch,
            run: Box::new(run),
        }
    }
}

/// A place in memory that a value lives in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub ptr: *mut u8,
    pub len: usize,
    pub class: Class,
}

/// What a kernel reads and writes in one run.
pub struct Io<'a, T> {
    operands: &'a [Slot],
    results: &'a [Slot],
    scratch: Slot,
    taken: u64,
    lifetime: PhantomData<&'a mut [T]>,
}

impl<'a, T: Real> Io<'a, T> {
    /// Slots for one run.
    ///
    /// # Safety
    /// Every slot must point to `len` valid elements of its class for `'a`, results and scratch
    /// must overlap nothing else, and nobody else may write any of them meanwhile.
    pub(crate) unsafe fn new(operands: &'a [Slot], results: &'a [Slot], scratch: Slot) -> Self {
        Io {
            operands,
            results,
            scratch,
            taken: 0,
            lifetime: PhantomData,
        }
    }

    fn read<E>(&self, index: usize, class: Class) -> &'a [E] {
        let slot = self.operands[index];
        assert!(
            slot.class == class,
            "operand {index} is {:?}, not {class:?}",
            slot.class
        );
        // SAFETY: `new` promised valid elements that nobody writes.
        unsafe { std::slice::from_raw_parts(slot.ptr.cast::<E>(), slot.len) }
    }

    fn write<E>(&mut self, index: usize, class: Class) -> &'a mut [E] {
        let slot = self.results[index];
        assert!(
            slot.class == class,
            "result {index} is {:?}, not {class:?}",
            slot.class
        );
        assert!(
            self.taken & (1 << index) == 0,
            "result {index} is taken twice"
        );
        self.taken |= 1 << index;
        // SAFETY: `new` promised valid elements that overlap nothing, and `taken` hands each
        // slice out once.
        unsafe { std::slice::from_raw_parts_mut(slot.ptr.cast::<E>(), slot.len) }
    }

    /// A float operand.
    pub fn real(&self, operand: usize) -> &'a [T] {
        self.read(operand, Class::Real)
    }

    /// An integer operand.
    pub fn int(&self, operand: usize) -> &'a [i64] {
        self.read(operand, Class::Int)
    }

    /// A boolean operand, bytes 0 or 1.
    pub fn bool(&self, operand: usize) -> &'a [u8] {
        self.read(operand, Class::Bool)
    }

    /// The one element of a float scalar operand.
    pub fn scalar(&self, operand: usize) -> T {
        self.real(operand)[0]
    }

    /// Whether the node has this operand.
    pub fn has(&self, operand: usize) -> bool {
        operand < self.operands.len()
    }

    /// The number of operands.
    pub fn operand_count(&self) -> usize {
        self.operands.len()
    }

    /// How an operand's elements are stored.
    pub fn class(&self, operand: usize) -> Class {
        self.operands[operand].class
    }

    /// A float result, to be written whole. Each result can be taken once.
    pub fn out(&mut self, result: usize) -> &'a mut [T] {
        self.write(result, Class::Real)
    }

    /// An integer result, to be written whole.
    pub fn out_int(&mut self, result: usize) -> &'a mut [i64] {
        self.write(result, Class::Int)
    }

    /// A boolean result, to be written whole with bytes 0 or 1.
    pub fn out_bool(&mut self, result: usize) -> &'a mut [u8] {
        self.write(result, Class::Bool)
    }

    /// The scratch memory, of at least the length asked for; its contents are anything. It can be
    /// taken once.
    pub fn scratch(&mut self) -> &'a mut [T] {
        assert!(
            self.taken & (1 << 63) == 0,
            "the scratch memory is taken twice"
        );
        self.taken |= 1 << 63;
        // SAFETY: as in `write`.
        unsafe { std::slice::from_raw_parts_mut(self.scratch.ptr.cast::<T>(), self.scratch.len) }
    }
}

/// Prepares kernels of one op for both float types.
pub trait Kernel {
    /// The op's name.
    const OP: &'static str;

    /// Prepares a kernel for a node with bound shapes.
    ///
    /// # Errors
    /// Where the engine cannot run the op so.
    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError>;
}

type Prepare<T> = fn(&Spec<'_>) -> Result<Prepared<T>, KernelError>;

#[derive(Clone, Copy)]
struct Entry {
    f32: Prepare<f32>,
    f64: Prepare<f64>,
}

/// The kernels that an engine has, by op.
#[derive(Clone, Default)]
pub struct KernelRegistry {
    entries: FxHashMap<&'static str, Entry>,
    aliases: FxHashSet<&'static str>,
}

impl KernelRegistry {
    /// No kernels.
    pub fn new() -> Self {
        KernelRegistry::default()
    }

    /// Adds the kernel of an op.
    ///
    /// # Errors
    /// Where the op has one already.
    pub fn register<K: Kernel>(&mut self) -> Result<(), KernelError> {
        let entry = Entry {
            f32: K::prepare::<f32>,
            f64: K::prepare::<f64>,
        };
        match self.entries.insert(K::OP, entry) {
            None => Ok(()),
            Some(_) => Err(KernelError(format!("op `{}` has two kernels", K::OP))),
        }
    }

    /// Says that an op's one result is its first operand under another shape, element by element:
    /// the engine gives both one place and runs nothing.
    pub fn register_alias(&mut self, op: &'static str) {
        self.aliases.insert(op);
    }

    /// Whether an op's result has its operand's place.
    pub fn is_alias(&self, op: &str) -> bool {
        self.aliases.contains(op)
    }

    /// Whether the engine can run an op.
    pub fn has(&self, op: &str) -> bool {
        self.entries.contains_key(op) || self.is_alias(op)
    }

    /// Prepares the kernel of an op.
    ///
    /// # Errors
    /// Where the op has none or it refuses.
    pub fn prepare<T: Precision>(
        &self,
        op: &str,
        spec: &Spec<'_>,
    ) -> Result<Prepared<T>, KernelError> {
        let entry = self.entries.get(op);
        let entry = entry.ok_or_else(|| KernelError(format!("op `{op}` has no kernel here")))?;
        T::prepare(entry.f32, entry.f64, spec).map_err(|e| KernelError(format!("{op}: {}", e.0)))
    }
}

/// A float type that an engine can run in.
pub trait Precision: Real {
    #[doc(hidden)]
    fn prepare(
        f32: Prepare<f32>,
        f64: Prepare<f64>,
        spec: &Spec<'_>,
    ) -> Result<Prepared<Self>, KernelError>;
}

impl Precision for f32 {
    fn prepare(
        f32: Prepare<f32>,
        _: Prepare<f64>,
        spec: &Spec<'_>,
    ) -> Result<Prepared<f32>, KernelError> {
        f32(spec)
    }
}

impl Precision for f64 {
    fn prepare(
        _: Prepare<f32>,
        f64: Prepare<f64>,
        spec: &Spec<'_>,
    ) -> Result<Prepared<f64>, KernelError> {
        f64(spec)
    }
}

/// A tensor that owns its elements; for tests and for single evaluations.
#[derive(Clone, PartialEq, Debug)]
pub enum Buffer<T> {
    /// Floats.
    Real(Vec<T>),
    /// Integers.
    Int(Vec<i64>),
    /// Truth values, 0 or 1.
    Bool(Vec<u8>),
}

impl<T: Real> Buffer<T> {
    /// Zeros for an operand or result.
    pub fn zeros(arg: &Arg) -> Self {
        match Class::of(arg.dtype) {
            Class::Real => Buffer::Real(vec![T::ZERO; arg.len()]),
            Class::Int => Buffer::Int(vec![0; arg.len()]),
            Class::Bool => Buffer::Bool(vec![0; arg.len()]),
        }
    }

    /// The float elements; none where it holds others.
    pub fn real(&self) -> Option<&[T]> {
        match self {
            Buffer::Real(v) => Some(v),
            _ => None,
        }
    }

    pub(crate) fn slot(&mut self) -> Slot {
        match self {
            Buffer::Real(v) => Slot {
                ptr: v.as_mut_ptr().cast(),
                len: v.len(),
                class: Class::Real,
            },
            Buffer::Int(v) => Slot {
                ptr: v.as_mut_ptr().cast(),
                len: v.len(),
                class: Class::Int,
            },
            Buffer::Bool(v) => Slot {
                ptr: v.as_mut_ptr(),
                len: v.len(),
                class: Class::Bool,
            },
        }
    }
}

/// Runs a kernel once on owned tensors.
///
/// # Errors
/// Where the kernel refuses.
///
/// # Panics
/// If an operand's elements do not fit what the specification says.
pub fn run_once<T: Precision, K: Kernel>(
    spec: &Spec<'_>,
    operands: &[Buffer<T>],
) -> Result<Vec<Buffer<T>>, KernelError> {
    let prepared = K::prepare::<T>(spec)?;
    let mut inputs = operands.to_vec();
    let mut results: Vec<Buffer<T>> = spec.results.iter().map(Buffer::zeros).collect();
    let ins: Vec<Slot> = inputs.iter_mut().map(Buffer::slot).collect();
    for (slot, arg) in ins.iter().zip(spec.operands) {
        assert!(
            slot.len == arg.len() && slot.class == Class::of(arg.dtype),
            "operand does not fit"
        );
    }
    let outs: Vec<Slot> = results.iter_mut().map(Buffer::slot).collect();
    let mut scratch = vec![T::ZERO; prepared.scratch];
    let scratch = Slot {
        ptr: scratch.as_mut_ptr().cast(),
        len: scratch.len(),
        class: Class::Real,
    };
    // SAFETY: every slot is a vector of its own that lives until the end of this function.
    let mut io = unsafe { Io::new(&ins, &outs, scratch) };
    (prepared.run)(&mut io);
    Ok(results)
}
