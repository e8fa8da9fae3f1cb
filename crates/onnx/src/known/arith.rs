//! Computing with known values. Whatever cannot be told gives none, and the op is emitted instead.

use syncarp_ir::DType;

use super::{Elements, Known, Num, few};

/// The distance of neighbours along each axis, row-major.
pub(crate) fn strides(dims: &[u64]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis] as usize;
    }
    strides
}

/// For each element of `dims`, row-major, the sum of its coordinates times `strides`, from `start`.
pub(crate) fn places(dims: &[u64], strides: &[isize], start: isize) -> Option<Vec<usize>> {
    let mut places = vec![start];
    few(dims)?;
    for (dim, stride) in dims.iter().zip(strides) {
        let along = |place: isize| (0..*dim as isize).map(move |i| place + i * stride);
        places = places.into_iter().flat_map(along).collect();
    }
    places
        .into_iter()
        .map(|p| usize::try_from(p).ok())
        .collect()
}

fn broadcast(a: &[u64], b: &[u64]) -> Option<Vec<u64>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[u64], i: usize| match (i + dims.len()).checked_sub(rank) {
        Some(i) => dims[i],
        None => 1,
    };
    let both = (0..rank).map(|i| match (at(a, i), at(b, i)) {
        (x, 1) | (1, x) => Some(x),
        (x, y) => (x == y).then_some(x),
    });
    both.collect()
}

/// The operand repeated to dims.
pub(crate) fn expand(x: &Known, dims: &[u64]) -> Option<Known> {
    let own = strides(&x.dims);
    let lead = dims.len().checked_sub(x.rank())?;
    let step = |axis: usize| match axis.checked_sub(lead) {
        Some(axis) if x.dims[axis] != 1 => own[axis] as isize,
        _ => 0,
    };
    let fits = |axis: usize| x.dims[axis] == 1 || x.dims[axis] == dims[axis + lead];
    if !(0..x.rank()).all(fits) {
        return None;
    }
    let steps: Vec<isize> = (0..dims.len()).map(step).collect();
    Some(x.pick(dims.to_vec(), &places(dims, &steps, 0)?))
}

fn both(a: &Known, b: &Known) -> Option<(Known, Known)> {
    let dims = broadcast(&a.dims, &b.dims)?;
    Some((expand(a, &dims)?, expand(b, &dims)?))
}

/// One function of integers and one of floats on two operands, broadcasting.
pub(crate) fn elementwise(
    a: &Known,
    b: &Known,
    ints: fn(&Num, &Num) -> Option<Num>,
    floats: fn(f64, f64) -> f64,
) -> Option<Known> {
    let (a, b) = both(a, b)?;
    let elements = match (&a.elements, &b.elements) {
        (Elements::Ints(x), Elements::Ints(y)) => {
            let items = x.iter().zip(y).map(|(x, y)| ints(x, y));
            Elements::Ints(items.collect::<Option<_>>()?)
        }
        (Elements::Floats(x), Elements::Floats(y)) => {
            let items = x.iter().zip(y).map(|(x, y)| floats(*x, *y));
            Elements::Floats(items.collect())
        }
        _ => return None,
    };
    Some(Known::new(a.dtype, a.dims.clone(), elements))
}

/// A function of two floats alone.
pub(crate) fn binary_float(a: &Known, b: &Known, f: fn(f64, f64) -> f64) -> Option<Known> {
    elementwise(a, b, |_, _| None, f)
}

/// A truth value of two operands, broadcasting.
pub(crate) fn compare(
    a: &Known,
    b: &Known,
    ints: fn(&Num, &Num) -> Option<bool>,
    floats: fn(f64, f64) -> bool,
) -> Option<Known> {
    let (a, b) = both(a, b)?;
    let truths: Vec<bool> = match (&a.elements, &b.elements) {
        (Elements::Ints(x), Elements::Ints(y)) => x
            .iter()
            .zip(y)
            .map(|(x, y)| ints(x, y))
            .collect::<Option<_>>()?,
        (Elements::Floats(x), Elements::Floats(y)) => {
            x.iter().zip(y).map(|(x, y)| floats(*x, *y)).collect()
        }
        _ => return None,
    };
    let items = truths.into_iter().map(|t| Num::Int(i64::from(t)));
    Some(Known::new(
        DType::Bool,
        a.dims.clone(),
        Elements::Ints(items.collect()),
    ))
}

/// A function of one operand.
pub(crate) fn unary(
    x: &Known,
    ints: fn(&Num) -> Option<Num>,
    floats: fn(f64) -> f64,
) -> Option<Known> {
    let elements = match &x.elements {
        Elements::Ints(items) => Elements::Ints(items.iter().map(ints).collect::<Option<_>>()?),
        Elements::Floats(items) => Elements::Floats(items.iter().map(|x| floats(*x)).collect()),
    };
    Some(Known::new(x.dtype, x.dims.clone(), elements))
}

/// The elements of one operand where the condition holds, else of the other.
pub(crate) fn select(condition: &Known, a: &Known, b: &Known) -> Option<Known> {
    let (a, b) = both(a, b)?;
    let dims = broadcast(&condition.dims, &a.dims)?;
    let (condition, a, b) = (
        expand(condition, &dims)?,
        expand(&a, &dims)?,
        expand(&b, &dims)?,
    );
    let holds = condition.ints()?;
    let elements = match (&a.elements, &b.elements) {
        (Elements::Ints(x), Elements::Ints(y)) => {
            let items = holds.iter().zip(x.iter().zip(y));
            Elements::Ints(
                items
                    .map(|(h, (x, y))| if *h != 0 { x } else { y }.clone())
                    .collect(),
            )
        }
        (Elements::Floats(x), Elements::Floats(y)) => {
            let items = holds.iter().zip(x.iter().zip(y));
            Elements::Floats(
                items
                    .map(|(h, (x, y))| if *h != 0 { *x } else { *y })
                    .collect(),
            )
        }
        _ => return None,
    };
    Some(Known::new(a.dtype, dims, elements))
}

/// The same numbers as elements of another type.
pub(crate) fn cast(x: &Known, to: DType) -> Option<Known> {
    let elements = match &x.elements {
        Elements::Ints(items) if to.is_float() => {
            let items = items.iter().map(|item| Some(item.int()? as f64));
            Elements::Floats(items.collect::<Option<_>>()?)
        }
        Elements::Ints(items) if to == DType::Bool => {
            let items = items
                .iter()
                .map(|item| Some(Num::Int(i64::from(item.int()? != 0))));
            Elements::Ints(items.collect::<Option<_>>()?)
        }
        Elements::Ints(items) => Elements::Ints(items.clone()),
        Elements::Floats(items) if matches!(to, DType::F32 | DType::F64) => {
            Elements::Floats(items.clone())
        }
        Elements::Floats(_) if to.is_float() => return None,
        Elements::Floats(items) if to == DType::Bool => Elements::Ints(
            items
                .iter()
                .map(|x| Num::Int(i64::from(*x != 0.0)))
                .collect(),
        ),
        Elements::Floats(items) => {
            let whole = |x: &f64| (x.abs() < 1e18).then_some(Num::Int(*x as i64));
            Elements::Ints(items.iter().map(whole).collect::<Option<_>>()?)
        }
    };
    Some(Known::new(to, x.dims.clone(), elements))
}

/// The operands one after the other along an axis.
pub(crate) fn concat(operands: &[&Known], axis: usize) -> Option<Known> {
    let first = *operands.first()?;
    let fits = |x: &&Known| {
        let others = |i: &usize| *i != axis;
        x.dtype == first.dtype
            && x.rank() == first.rank()
            && (0..x.rank())
                .filter(others)
                .all(|i| x.dims[i] == first.dims[i])
    };
    if axis >= first.rank() || !operands.iter().all(fits) {
        return None;
    }
    let mut dims = first.dims.clone();
    dims[axis] = operands.iter().map(|x| x.dims[axis]).sum();
    few(&dims)?;
    let rows: u64 = dims[..axis].iter().product();
    let mut ints = Vec::new();
    let mut floats = Vec::new();
    for row in 0..rows as usize {
        for x in operands {
            let width = x.dims[axis..].iter().product::<u64>() as usize;
            let range = row * width..(row + 1) * width;
            match &x.elements {
                Elements::Ints(items) => ints.extend_from_slice(&items[range]),
                Elements::Floats(items) => floats.extend_from_slice(&items[range]),
            }
        }
    }
    let elements = match first.dtype.is_float() {
        true => Elements::Floats(floats),
        false => Elements::Ints(ints),
    };
    Some(Known::new(first.dtype, dims, elements))
}

/// The parts of an axis at some places, with dims of their own in its stead.
pub(crate) fn gather(x: &Known, index: &Known, axis: usize) -> Option<Known> {
    let size = *x.dims.get(axis)? as i64;
    let index_places = index.ints()?;
    let mut dims = x.dims[..axis].to_vec();
    dims.extend(&index.dims);
    dims.extend(&x.dims[axis + 1..]);
    few(&dims)?;
    let inner = x.dims[axis + 1..].iter().product::<u64>() as usize;
    let outer = x.dims[..axis].iter().product::<u64>() as usize;
    let mut places = Vec::new();
    for row in 0..outer {
        for index in &index_places {
            let index = if *index < 0 { index + size } else { *index };
            let index = usize::try_from(index).ok().filter(|i| *i < size as usize)?;
            let start = (row * size as usize + index) * inner;
            places.extend(start..start + inner);
        }
    }
    Some(x.pick(dims, &places))
}

/// The elements at `start`, `start + step`, ... of an axis, `count` of them.
pub(crate) fn slice(x: &Known, axis: usize, start: i64, step: i64, count: u64) -> Option<Known> {
    let own = strides(&x.dims);
    let mut dims = x.dims.clone();
    dims[axis] = count;
    let steps: Vec<isize> = (0..x.rank())
        .map(|i| own[i] as isize * if i == axis { step as isize } else { 1 })
        .collect();
    let from = if count == 0 {
        0
    } else {
        start as isize * own[axis] as isize
    };
    Some(x.pick(dims.clone(), &places(&dims, &steps, from)?))
}

/// The same elements under other dims.
pub(crate) fn reshape(x: &Known, dims: Vec<u64>) -> Option<Known> {
    (few(&dims)? == x.count()).then(|| Known::new(x.dtype, dims, x.elements.clone()))
}

/// The dims in another order.
pub(crate) fn transpose(x: &Known, permutation: &[usize]) -> Option<Known> {
    let own = strides(&x.dims);
    let dims: Vec<u64> = permutation.iter().map(|p| x.dims[*p]).collect();
    let steps: Vec<isize> = permutation.iter().map(|p| own[*p] as isize).collect();
    Some(x.pick(dims.clone(), &places(&dims, &steps, 0)?))
}

/// What a function makes of all elements along some axes, which stay with size 1.
pub(crate) fn reduce(
    x: &Known,
    axes: &[usize],
    ints: fn(&Num, &Num) -> Option<Num>,
    floats: fn(f64, f64) -> f64,
) -> Option<Known> {
    // Of nothing, each function has a value of its own.
    if x.count() == 0 {
        return None;
    }
    let mut current = x.pick(x.dims.clone(), &(0..x.count()).collect::<Vec<_>>());
    for axis in axes {
        let size = current.dims[*axis];
        let mut sum = slice(&current, *axis, 0, 1, 1)?;
        for i in 1..size {
            sum = elementwise(&sum, &slice(&current, *axis, i as i64, 1, 1)?, ints, floats)?;
        }
        current = sum;
    }
    Some(current)
}

#[cfg(test)]
mod tests {
    use syncarp_ir::Dim;

    use super::*;

    fn known(dims: &[u64], items: &[i64]) -> Known {
        let items = items.iter().map(|i| Num::Int(*i)).collect();
        Known::new(DType::I64, dims.to_vec(), Elements::Ints(items))
    }

    fn ints(known: Option<Known>) -> (Vec<u64>, Vec<i64>) {
        let known = known.unwrap();
        let items = known.ints().unwrap();
        (known.dims, items)
    }

    #[test]
    fn operands_broadcast() {
        let a = known(&[2, 1], &[10, 20]);
        let b = known(&[3], &[1, 2, 3]);
        let sum = elementwise(&a, &b, Num::add, |a, b| a + b);
        assert_eq!(ints(sum), (vec![2, 3], vec![11, 12, 13, 21, 22, 23]));
        assert!(elementwise(&b, &known(&[2], &[1, 2]), Num::add, |a, b| a + b).is_none());
    }

    #[test]
    fn elements_move_as_the_ops_say() {
        let x = known(&[2, 3], &[0, 1, 2, 3, 4, 5]);
        assert_eq!(
            ints(transpose(&x, &[1, 0])),
            (vec![3, 2], vec![0, 3, 1, 4, 2, 5])
        );
        assert_eq!(ints(slice(&x, 1, 2, -2, 2)), (vec![2, 2], vec![2, 0, 5, 3]));
        assert_eq!(
            ints(gather(&x, &known(&[], &[-1]), 1)),
            (vec![2], vec![2, 5])
        );
        assert!(gather(&x, &known(&[], &[3]), 1).is_none());
        let twice = concat(&[&x, &known(&[2, 1], &[7, 8])], 1);
        assert_eq!(ints(twice), (vec![2, 4], vec![0, 1, 2, 7, 3, 4, 5, 8]));
        let sums = reduce(&x, &[1], Num::add, |a, b| a + b);
        assert_eq!(ints(sums), (vec![2, 1], vec![3, 12]));
        let large = known(&[1], &[1]);
        assert!(expand(&large, &[1 << 40]).is_none());
    }

    #[test]
    fn a_choice_between_a_dim_and_a_number() {
        let shape = Known::vector(vec![Num::Dim(Dim::symbol("n")), Num::Int(-1)]);
        let one = known(&[], &[-1]);
        let same = compare(&shape, &one, Num::equals, |a, b| a == b).unwrap();
        let chosen = select(&same, &known(&[2], &[7, 8]), &shape).unwrap();
        assert_eq!(
            chosen.nums().unwrap(),
            [Num::Dim(Dim::symbol("n")), Num::Int(8)]
        );
    }
}
