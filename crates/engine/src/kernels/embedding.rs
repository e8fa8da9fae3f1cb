//! Rows of tables: `embedding`, `embedding_grad`.

use crate::kernel::{Kernel, KernelError, KernelRegistry, Prepared, Spec};
use crate::real::Real;

pub(crate) fn register(registry: &mut KernelRegistry) -> Result<(), KernelError> {
    registry.register::<Embedding>()?;
    registry.register::<EmbeddingGrad>()
}

/// The rows and columns of a table.
fn table(dims: &[usize]) -> Result<(usize, usize), KernelError> {
    match *dims {
        [rows, columns] => Ok((rows, columns)),
        _ => Err(KernelError(format!(
            "a table must have two dims, not {dims:?}"
        ))),
    }
}

/// An index as a row of a table, where there is such a row.
fn row(index: i64, rows: usize) -> Option<usize> {
    usize::try_from(index).ok().filter(|i| *i < rows)
}

struct Embedding;

impl Kernel for Embedding {
    const OP: &'static str = "embedding";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (rows, columns) = table(&spec.operands[0].dims)?;
        Ok(Prepared::new(move |io| {
            let (weight, index) = (io.real(0), io.int(1));
            let out = io.out(0);
            if columns == 0 {
                return;
            }
            for (out, index) in out.chunks_exact_mut(columns).zip(index) {
                match row(*index, rows) {
                    Some(i) => out.copy_from_slice(&weight[i * columns..][..columns]),
                    None => out.fill(T::NAN),
                }
            }
        }))
    }
}

struct EmbeddingGrad;

impl Kernel for EmbeddingGrad {
    const OP: &'static str = "embedding_grad";

    fn prepare<T: Real>(spec: &Spec<'_>) -> Result<Prepared<T>, KernelError> {
        let (rows, columns) = table(&spec.results[0].dims)?;
        Ok(Prepared::new(move |io| {
            let (dy, index) = (io.real(0), io.int(1));
            let out: &mut [T] = io.out(0);
            out.fill(T::ZERO);
            if columns == 0 {
                return;
            }
            for (dy, index) in dy.chunks_exact(columns).zip(index) {
                if let Some(i) = row(*index, rows) {
                    let out = &mut out[i * columns..][..columns];
                    for (out, dy) in out.iter_mut().zip(dy) {
                        *out += *dy;
                    }
                }
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{Attrs, DType};

    use super::*;
    use crate::kernel::{Arg, Buffer, run_once};

    fn run<K: Kernel>(floats: (&[f64], [usize; 2]), index: &[i64], out: &[usize]) -> Vec<f64> {
        let attrs = Attrs::new();
        let real = |dims: &[usize]| Arg {
            dtype: DType::F64,
            dims: dims.to_vec(),
        };
        let indices = Arg {
            dtype: DType::I64,
            dims: vec![index.len()],
        };
        let (operands, results) = ([real(&floats.1), indices], [real(out)]);
        let spec = Spec {
            attrs: &attrs,
            operands: &operands,
            results: &results,
        };
        let values = [Buffer::Real(floats.0.to_vec()), Buffer::Int(index.to_vec())];
        run_once::<f64, K>(&spec, &values).unwrap()[0]
            .real()
            .unwrap()
            .to_vec()
    }

    #[test]
    fn rows_are_copied_and_a_wrong_index_gives_nan() {
        let weight = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let y = run::<Embedding>((&weight, [3, 2]), &[2, 0, 3, -1, 2], &[5, 2]);
        assert_eq!(y[..4], [5.0, 6.0, 1.0, 2.0]);
        assert!(y[4..8].iter().all(|y| y.is_nan()));
        assert_eq!(y[8..], [5.0, 6.0]);
        assert!(run::<Embedding>((&weight, [3, 2]), &[], &[0, 2]).is_empty());
        assert!(run::<Embedding>((&[], [0, 1]), &[0], &[1, 1])[0].is_nan());
        assert!(run::<Embedding>((&[], [3, 0]), &[0], &[1, 0]).is_empty());
    }

    #[test]
    fn gradients_of_one_row_add_up() {
        let dy = [1.0, 2.0, 10.0, 20.0, 100.0, 200.0, 7.0, 7.0];
        let dw = run::<EmbeddingGrad>((&dy, [4, 2]), &[1, 0, 1, 9], &[3, 2]);
        assert_eq!(dw, [10.0, 20.0, 101.0, 202.0, 0.0, 0.0]);
        assert_eq!(
            run::<EmbeddingGrad>((&[], [0, 2]), &[], &[1, 2]),
            [0.0, 0.0]
        );
    }
}
