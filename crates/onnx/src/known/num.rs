//! Integers that may be dims which are bound later.

use syncarp_ir::Dim;

/// An integer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Num {
    Int(i64),
    /// An expression over symbols; never a plain number.
    Dim(Dim),
}

impl From<&Dim> for Num {
    fn from(dim: &Dim) -> Num {
        match dim.known().and_then(|number| i64::try_from(number).ok()) {
            Some(number) => Num::Int(number),
            None => Num::Dim(dim.clone()),
        }
    }
}

impl Num {
    /// The number, where it is one.
    pub fn int(&self) -> Option<i64> {
        match self {
            Num::Int(number) => Some(*number),
            Num::Dim(_) => None,
        }
    }

    /// The same as a dim; none where it is negative.
    pub fn dim(&self) -> Option<Dim> {
        match self {
            Num::Int(number) => u64::try_from(*number).ok().map(Dim::Known),
            Num::Dim(dim) => Some(dim.clone()),
        }
    }

    pub fn add(&self, other: &Num) -> Option<Num> {
        match (self, other) {
            (Num::Int(a), Num::Int(b)) => Some(Num::Int(a.wrapping_add(*b))),
            (Num::Dim(a), Num::Int(b)) | (Num::Int(b), Num::Dim(a)) if *b < 0 => {
                Some(Num::from(&a.minus(&Dim::Known(b.unsigned_abs()))?))
            }
            (a, b) => Some(Num::from(&a.dim()?.plus(&b.dim()?)?)),
        }
    }

    pub fn sub(&self, other: &Num) -> Option<Num> {
        match (self, other) {
            (Num::Int(a), Num::Int(b)) => Some(Num::Int(a.wrapping_sub(*b))),
            (a, Num::Int(b)) => a.add(&Num::Int(b.checked_neg()?)),
            (a, b) if a == b => Some(Num::Int(0)),
            (a, b) => Some(Num::from(&a.dim()?.minus(&b.dim()?)?)),
        }
    }

    pub fn mul(&self, other: &Num) -> Option<Num> {
        match (self, other) {
            (Num::Int(a), Num::Int(b)) => Some(Num::Int(a.wrapping_mul(*b))),
            (Num::Int(0), _) | (_, Num::Int(0)) => Some(Num::Int(0)),
            (Num::Dim(a), Num::Int(b)) | (Num::Int(b), Num::Dim(a)) if *b < 0 => {
                let times = a.times(&Dim::Known(b.unsigned_abs()))?;
                Some(Num::from(&Dim::Known(0).minus(&times)?))
            }
            (a, b) => Some(Num::from(&a.dim()?.times(&b.dim()?)?)),
        }
    }

    /// The quotient towards zero; none for a division by zero.
    pub fn div(&self, other: &Num) -> Option<Num> {
        match (self, other) {
            (Num::Int(a), Num::Int(b)) => Some(Num::Int(a.checked_div(*b)?)),
            // A dim is not negative, so down is towards zero.
            (a, b) => Some(Num::from(&a.dim()?.floor_div(&b.dim()?)?)),
        }
    }

    /// What is left of a division, with the divisor's sign.
    pub fn remainder(&self, other: &Num) -> Option<Num> {
        match (self, other) {
            (Num::Int(a), Num::Int(b)) => {
                let rest = a.checked_rem(*b)?;
                let across = rest != 0 && (rest < 0) != (*b < 0);
                Some(Num::Int(if across { rest + b } else { rest }))
            }
            (a, b) => a.sub(&a.div(b)?.mul(b)?),
        }
    }

    /// Whether they are equal, where that can be told: dims are not negative.
    pub fn equals(&self, other: &Num) -> Option<bool> {
        match (self, other) {
            (Num::Int(a), Num::Int(b)) => Some(a == b),
            (Num::Dim(_), Num::Int(b)) | (Num::Int(b), Num::Dim(_)) if *b < 0 => Some(false),
            (a, b) => (a == b).then_some(true),
        }
    }

    /// Whether it is less, where that can be told.
    pub fn less(&self, other: &Num) -> Option<bool> {
        match (self, other) {
            (Num::Int(a), Num::Int(b)) => Some(a < b),
            (Num::Int(a), Num::Dim(_)) if *a < 0 => Some(true),
            (Num::Dim(_), Num::Int(b)) if *b <= 0 => Some(false),
            (a, b) => (a == b).then_some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n() -> Num {
        Num::Dim(Dim::symbol("n"))
    }

    #[test]
    fn symbols_and_numbers_meet() {
        let two = n().add(&Num::Int(2)).unwrap();
        assert_eq!(two.sub(&Num::Int(2)), Some(n()));
        assert_eq!(two.sub(&n()), Some(Num::Int(2)));
        let four = n().mul(&Num::Int(4)).unwrap();
        assert_eq!(four.div(&n()), Some(Num::Int(4)));
        assert_eq!(four.remainder(&Num::Int(4)), Some(Num::Int(0)));
        assert_eq!(n().mul(&Num::Int(-1)).unwrap().add(&n()), Some(Num::Int(0)));
        assert_eq!(n().div(&Num::Int(0)), None);
    }

    #[test]
    fn a_dim_is_not_negative_and_more_is_not_known() {
        assert_eq!(n().equals(&Num::Int(-1)), Some(false));
        assert_eq!(n().equals(&Num::Int(1)), None);
        assert_eq!(n().equals(&n()), Some(true));
        assert_eq!(n().less(&Num::Int(0)), Some(false));
        assert_eq!(Num::Int(-1).less(&n()), Some(true));
        assert_eq!(Num::Int(0).less(&n()), None);
    }

    #[test]
    fn remainders_have_the_divisors_sign() {
        let rest = |a, b| Num::Int(a).remainder(&Num::Int(b)).and_then(|r| r.int());
        assert_eq!(rest(-7, 3), Some(2));
        assert_eq!(rest(7, -3), Some(-2));
        assert_eq!(rest(i64::MIN, -1), None);
        assert_eq!(rest(1, 0), None);
    }
}
