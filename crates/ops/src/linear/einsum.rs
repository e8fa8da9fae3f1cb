//! Sums of products over named dims.

use smallvec::smallvec;
use syncarp_ir::{
    AttrKind, AttrSpec, Attrs, BuildError, DType, Dim, Expand, GraphBuilder, Infer, Op, Operand,
    Shape, TensorType, TypeError, Types, Value, Values,
};

use super::equation::{Equation, Label, Sizes};
use crate::emit::Emit;
use crate::infer::{Takes, product};

/// The op `einsum`.
pub(super) struct Einsum;

fn read(attrs: &Attrs, count: usize) -> Result<Equation, TypeError> {
    let text = attrs.str("equation");
    let text = text.ok_or_else(|| TypeError::new("attribute `equation` is missing"))?;
    Equation::read(text, count)
}

/// The dims of all operands, where all ranks are known.
fn all_dims<'a>(cx: &Infer<'a>) -> Option<Vec<&'a [Dim]>> {
    cx.operands.iter().map(|ty| ty.dims()).collect()
}

impl Op for Einsum {
    fn name(&self) -> &'static str {
        "einsum"
    }

    fn doc(&self) -> &'static str {
        "The sum of the operands' products over every dim whose letter the result lacks, as the \
         equation says: `bij,bjk->bik` are products of matrices. `...` stands for dims without \
         letters, which broadcast; a letter twice in one operand takes its diagonal; without `->` \
         the result has the letters that occur once, in the order of the alphabet. Dims of one \
         letter are equal, or 1 and repeated (ONNX `Einsum`, ATen `einsum`)."
    }

    fn operands(&self) -> &'static [Operand] {
        const { &[Operand::one("x"), Operand::variadic("others")] }
    }

    fn attributes(&self) -> &'static [AttrSpec] {
        const {
            &[AttrSpec::required(
                "equation",
                AttrKind::Str,
                "The letters of each operand's dims, separated by commas, then `->` and those of \
                 the result.",
            )]
        }
    }

    fn example(&self) -> Option<&'static str> {
        Some(r#"f32[2, 3], f32[3, 4] {equation="ij,jk->ik"}"#)
    }

    fn infer(&self, cx: &Infer<'_>) -> Result<Types, TypeError> {
        let dtype = Takes::Numbers.one_dtype(cx, 0..cx.operands.len())?;
        let equation = read(cx.attrs, cx.operands.len())?;
        for (index, ty) in cx.operands.iter().enumerate() {
            if let Some(dims) = ty.dims() {
                equation.labels(index, dims.len())?;
            }
        }
        let shape = match all_dims(cx) {
            Some(dims) => {
                let sizes = equation.sizes(&dims)?;
                let output = equation.output(&sizes);
                Some(output.iter().map(|label| sizes[label].clone()).collect())
            }
            None => None,
        };
        Ok(smallvec![TensorType { dtype, shape }])
    }

    /// One multiplication and one addition for each combination of all labels and each operand.
    fn flops(&self, cx: &Infer<'_>, _: &[TensorType]) -> Option<u64> {
        let equation = read(cx.attrs, cx.operands.len()).ok()?;
        let sizes = equation.sizes(&all_dims(cx)?).ok()?;
        let count = u64::try_from(cx.operands.len()).ok()?;
        sizes
            .values()
            .try_fold(count, |all, dim| all.checked_mul(dim.known()?))
    }

    fn decompose(&self, cx: &mut Expand<'_>) -> Option<Result<Values, BuildError>> {
        Some(parts(cx).map(|value| smallvec![value]))
    }
}

fn invalid(error: TypeError) -> BuildError {
    BuildError::Invalid {
        op: "einsum".to_owned(),
        message: error.message,
    }
}

/// A value whose dims have labels, each once.
struct Term {
    value: Value,
    labels: Vec<Label>,
}

/// Operands are joined from left to right, each pair in one product of matrices.
fn parts(cx: &mut Expand<'_>) -> Result<Value, BuildError> {
    let b = &mut *cx.b;
    let equation = read(cx.attrs, cx.operands.len()).map_err(invalid)?;
    let dims = cx.operands.iter().map(|value| b.dims_of(*value));
    let dims = dims.collect::<Result<Vec<Shape>, _>>()?;
    let views: Vec<&[Dim]> = dims.iter().map(|d| &d[..]).collect();
    let sizes = equation.sizes(&views).map_err(invalid)?;
    let output = equation.output(&sizes);
    let mut terms = Vec::with_capacity(cx.operands.len());
    for (index, value) in cx.operands.iter().enumerate() {
        let labels = equation.labels(index, dims[index].len()).map_err(invalid)?;
        let term = Term {
            value: *value,
            labels,
        };
        terms.push(diagonal(b, term)?.without_ones(b, &sizes)?);
    }
    // What is needed once a term has been taken in: the result's labels and those of later terms.
    let mut needed = vec![output.clone()];
    for term in terms.iter().skip(1).rev() {
        let mut more = needed.last().cloned().unwrap_or_default();
        more.extend(term.labels.iter().copied());
        more.sort_unstable();
        more.dedup();
        needed.push(more);
    }
    let mut terms = terms.into_iter();
    let first = terms.next().expect("an equation has an operand");
    let mut all = first.keeping(b, &needed.pop().unwrap_or_default())?;
    for term in terms {
        let keep = needed.pop().unwrap_or_default();
        all = join(b, all, term, &keep)?;
    }
    all.ordered(b, &output)
}

/// A term whose repeated labels are taken along their diagonals.
fn diagonal(b: &mut GraphBuilder, mut term: Term) -> Result<Term, BuildError> {
    let mut axis = 0;
    while axis < term.labels.len() {
        let first = term.labels.iter().position(|l| *l == term.labels[axis]);
        let first = first.filter(|first| *first < axis);
        let Some(first) = first else {
            axis += 1;
            continue;
        };
        let dims = b.dims_of(term.value)?;
        let count = |b: &mut GraphBuilder, along: usize| {
            let mut line: Shape = dims.iter().map(|_| Dim::Known(1)).collect();
            line[along] = dims[along].clone();
            let attrs = Attrs::new()
                .with("dims", &line[..])
                .with("axis", along as i64);
            b.call_with("iota", &[], attrs.with("dtype", DType::I64))
        };
        let (rows, columns) = (count(b, first)?, count(b, axis)?);
        let same = b.call("eq", &[rows, columns])?;
        let zero = b.number_like(term.value, 0.0)?;
        let kept = b.select(same, term.value, zero)?;
        term.value = b.sum(kept, &[axis as i64], false)?;
        term.labels.remove(axis);
    }
    Ok(term)
}

impl Term {
    /// Without the dims of size 1 that other terms make larger.
    fn without_ones(self, b: &mut GraphBuilder, sizes: &Sizes) -> Result<Term, BuildError> {
        let dims = b.dims_of(self.value)?;
        let mut rest = Shape::new();
        let mut labels = Vec::new();
        for (label, dim) in self.labels.into_iter().zip(dims) {
            if sizes.get(&label) == Some(&dim) {
                rest.push(dim);
                labels.push(label);
            }
        }
        let value = b.reshape_to(self.value, &rest)?;
        Ok(Term { value, labels })
    }

    /// With all labels summed over but these.
    fn keeping(self, b: &mut GraphBuilder, keep: &[Label]) -> Result<Term, BuildError> {
        let (mut labels, mut gone) = (Vec::new(), Vec::new());
        for (axis, label) in self.labels.into_iter().enumerate() {
            match keep.contains(&label) {
                true => labels.push(label),
                false => gone.push(axis as i64),
            }
        }
        let value = match gone.is_empty() {
            true => self.value,
            false => b.sum(self.value, &gone, false)?,
        };
        Ok(Term { value, labels })
    }

    /// The value with its dims in the order of these labels, which are its own.
    fn ordered(&self, b: &mut GraphBuilder, labels: &[Label]) -> Result<Value, BuildError> {
        let place = |label: &Label| self.labels.iter().position(|l| l == label);
        let order: Vec<usize> = labels.iter().filter_map(place).collect();
        if order.iter().enumerate().all(|(at, axis)| at == *axis) {
            return Ok(self.value);
        }
        b.transpose(self.value, &order)
    }
}

/// Two terms in one, summed over what nobody needs any more.
fn join(b: &mut GraphBuilder, left: Term, right: Term, keep: &[Label]) -> Result<Term, BuildError> {
    let mut wanted = |term: Term, other: &[Label]| {
        let mut all = keep.to_vec();
        all.extend_from_slice(other);
        term.keeping(b, &all)
    };
    let right_labels = right.labels.clone();
    let left = wanted(left, &right_labels)?;
    let right = wanted(right, &left.labels)?;
    let (mut batch, mut contracted, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for label in &left.labels {
        match (right.labels.contains(label), keep.contains(label)) {
            (true, true) => batch.push(*label),
            (true, false) => contracted.push(*label),
            (false, _) => rows.push(*label),
        }
    }
    let columns = right.labels.iter().filter(|l| !left.labels.contains(l));
    let columns: Vec<Label> = columns.copied().collect();
    let joined = |parts: [&[Label]; 3]| parts.concat();
    let a = left.ordered(b, &joined([&batch, &rows, &contracted]))?;
    let c = right.ordered(b, &joined([&batch, &contracted, &columns]))?;
    let (a_dims, c_dims) = (b.dims_of(a)?, b.dims_of(c)?);
    let at = batch.len();
    let (row_dims, contracted_dims) = a_dims[at..].split_at(rows.len());
    let column_dims = &c_dims[at + contracted.len()..];
    let labels = joined([&batch, &rows, &columns]);
    let with = |parts: &[&[Dim]]| -> Shape {
        let batch = a_dims[..at].iter();
        batch
            .chain(parts.iter().copied().flatten())
            .cloned()
            .collect()
    };
    let result = with(&[row_dims, column_dims]);
    let ones = |count: usize| vec![Dim::Known(1); count];
    if !contracted.is_empty() && b.dtype_of(a)?.is_float() {
        let flat = |dims: &[Dim]| product(dims).map_err(invalid);
        let depth = [flat(contracted_dims)?];
        let (height, width) = ([flat(row_dims)?], [flat(column_dims)?]);
        let a = b.reshape_to(a, &with(&[&height, &depth]))?;
        let c = b.reshape_to(c, &with(&[&depth, &width]))?;
        let value = b.call("matmul", &[a, c])?;
        let value = b.reshape_to(value, &result)?;
        return Ok(Term { value, labels });
    }
    // Element by element: integers, and what has nothing to sum over.
    let wide = with(&[row_dims, &ones(columns.len()), contracted_dims]);
    let tall = with(&[&ones(rows.len()), column_dims, contracted_dims]);
    let c = right.ordered(b, &joined([&batch, &columns, &contracted]))?;
    let (a, c) = (b.reshape_to(a, &wide)?, b.reshape_to(c, &tall)?);
    let mut value = b.mul(a, c)?;
    if !contracted.is_empty() {
        let axes: Vec<i64> = (1..=contracted.len()).map(|axis| -(axis as i64)).collect();
        value = b.sum(value, &axes, false)?;
    }
    Ok(Term { value, labels })
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Attrs;

    use crate::case::{error, parts, results};

    fn of(equation: &str) -> Attrs {
        Attrs::new().with("equation", equation)
    }

    const CASES: &[(&str, &str, &str)] = &[
        ("ij,jk->ik", "f32[n, 4], f32[4, 3]", "f32[n, 3]"),
        ("bij,bjk->ik", "f32[b, n, 4], f32[b, 4, 3]", "f32[n, 3]"),
        (
            "...ij,...jk->...ik",
            "f32[b, 1, n, 4], f32[7, 4, 3]",
            "f32[b, 7, n, 3]",
        ),
        ("ij->ji", "f32[n, 4]", "f32[4, n]"),
        ("ba", "f32[n, 4]", "f32[4, n]"),
        ("ii->i", "f32[n, n]", "f32[n]"),
        ("iji->", "f32[n, 4, n]", "f32[]"),
        ("i,j->ij", "f32[n], f32[m]", "f32[n, m]"),
        ("i,i->", "i32[n], i32[n]", "i32[]"),
        (
            "ij,jk,kl->il",
            "f32[n, 2], f32[2, 3], f32[3, 4]",
            "f32[n, 4]",
        ),
        (
            "bhqd,bhkd->bhqk",
            "f32[b, 2, n, 4], f32[b, 2, m, 4]",
            "f32[b, 2, n, m]",
        ),
        ("ij,ij->i", "f32[n, 4], f32[n, 1]", "f32[n]"),
        ("...->", "f32[n, 4]", "f32[]"),
        ("i...->...", "f32[n, 4]", "f32[4]"),
        (" i , -> i ", "f32[n], f32[]", "f32[n]"),
        ("aij,akj->ik", "i64[2, n, 4], i64[2, m, 4]", "i64[n, m]"),
        ("i,i,i->i", "f32[1], f32[n], f32[1]", "f32[n]"),
    ];

    #[test]
    fn the_equation_says_the_dims() {
        for (equation, operands, want) in CASES {
            assert_eq!(
                results("einsum", operands, of(equation)),
                *want,
                "{equation}"
            );
        }
        assert_eq!(results("einsum", "f32[*], ?[4]", of("ij,j->i")), "f32[*]");
        assert_eq!(
            results("einsum", "f32[2, 3], f32[2, 4]", of("ab,ac")),
            "f32[3, 4]"
        );
    }

    #[test]
    fn its_parts_have_its_type() {
        for (equation, operands, _) in CASES {
            parts("einsum", operands, of(equation));
        }
        let names = parts("einsum", "f32[b, n, 4], f32[b, 4, 3]", of("bij,bjk->bik"));
        assert_eq!(names, ["matmul"]);
    }

    #[test]
    fn what_is_no_equation_is_refused() {
        let wrong = |equation, operands| error("einsum", operands, of(equation));
        assert!(wrong("ij,jk->ik", "f32[2, 3]").contains("names 2 operands, but there are 1"));
        assert!(wrong("i1->i", "f32[2, 3]").contains("expected letters"));
        assert!(wrong("i..->i", "f32[2, 3]").contains("expected letters"));
        assert!(wrong("i->i->i", "f32[2]").contains("expected letters"));
        assert!(wrong("ij->k", "f32[2, 3]").contains("no operand has `k`"));
        assert!(wrong("ij->ii", "f32[2, 3]").contains("`i` twice"));
        assert!(wrong("ij->...", "f32[2, 3]").contains("dots"));
        assert!(wrong("......->", "f32[2, 3]").contains("dots twice"));
        assert!(wrong("ij->i", "f32[2]").contains("names 2 dims of operand 0, which has 1"));
        assert!(wrong("i->i", "f32[2, 3]").contains("names 1 dims"));
        assert!(wrong("ii->i", "f32[2, 3]").contains("dims 2 and 3 of operand 0"));
        assert!(wrong("i,i->i", "f32[2], f32[3]").contains("dims 2 and 3"));
        assert!(wrong("i->i", "bool[2]").contains("not bool"));
        assert!(wrong("é->i", "f32[2]").contains("expected letters"));
        assert!(error("einsum", "f32[2]", Attrs::new()).contains("`equation` is missing"));
    }
}
