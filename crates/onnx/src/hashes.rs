//! Content hashes of many tensors at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use syncarp_ir::ContentHash;

use crate::tensor::FileTensor;

/// From how many bytes on hashing is worth more than one thread.
const MANY_BYTES: u64 = 4 << 20;

/// What each tensor is recognised by, in their order.
pub(crate) fn of(tensors: &[&FileTensor]) -> Vec<Result<ContentHash, String>> {
    let bytes: u64 = tensors.iter().map(|tensor| tensor.size()).sum();
    let threads = match bytes < MANY_BYTES {
        true => 1,
        false => std::thread::available_parallelism().map_or(1, |n| n.get().min(8)),
    };
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(tensor) = tensors.get(at) else {
                return done;
            };
            done.push((at, tensor.hash()));
        }
    };
    let mut hashes: Vec<Result<ContentHash, String>> = tensors
        .iter()
        .map(|_| Err("could not be read".to_owned()))
        .collect();
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            // A thread ends in no other way but by a panic of ours.
            done.extend(other.join().unwrap_or_default());
        }
        for (at, hash) in done {
            hashes[at] = hash;
        }
    });
    hashes
}
