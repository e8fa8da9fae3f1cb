//! Dims: numbers, or integer expressions over symbols such as the batch size.
//!
//! Expressions are kept in a normal form (a polynomial with sorted monomials), so that equal
//! expressions are equal as data: `n*2 + n` and `3*n` are one dim.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// One dimension of a shape.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dim {
    /// A number.
    Known(u64),
    /// An expression that is not a number until its symbols are bound.
    Expr(Arc<Expr>),
}

/// A polynomial over atoms: monomials in order, none with coefficient zero.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Expr {
    terms: BTreeMap<Vec<Atom>, i64>,
}

/// What a polynomial's monomials are made of.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Atom {
    Symbol(Arc<str>),
    FloorDiv(Box<Expr>, Box<Expr>),
}

/// Values for symbols.
pub type Bindings = BTreeMap<Arc<str>, u64>;

/// How deep a division may nest; deeper input is refused, never recursed into.
const MAX_DEPTH: usize = 32;
/// How many monomials an expression may have.
const MAX_TERMS: usize = 64;

impl Expr {
    fn constant(value: i64) -> Expr {
        let mut terms = BTreeMap::new();
        if value != 0 {
            terms.insert(Vec::new(), value);
        }
        Expr { terms }
    }

    fn as_constant(&self) -> Option<i64> {
        match self.terms.len() {
            0 => Some(0),
            1 => self.terms.get(&Vec::new()).copied(),
            _ => None,
        }
    }

    fn combine(&self, other: &Expr, sign: i64) -> Option<Expr> {
        let mut terms = self.terms.clone();
        for (monomial, coefficient) in &other.terms {
            let entry = terms.entry(monomial.clone()).or_insert(0);
            *entry = entry.checked_add(coefficient.checked_mul(sign)?)?;
        }
        terms.retain(|_, c| *c != 0);
        (terms.len() <= MAX_TERMS).then_some(Expr { terms })
    }

    fn times(&self, other: &Expr) -> Option<Expr> {
        let mut terms: BTreeMap<Vec<Atom>, i64> = BTreeMap::new();
        for (a, x) in &self.terms {
            for (b, y) in &other.terms {
                let mut monomial = a.clone();
                monomial.extend(b.iter().cloned());
                monomial.sort();
                if monomial.len() > MAX_DEPTH {
                    return None;
                }
                let entry = terms.entry(monomial).or_insert(0);
                *entry = entry.checked_add(x.checked_mul(*y)?)?;
            }
        }
        terms.retain(|_, c| *c != 0);
        (terms.len() <= MAX_TERMS).then_some(Expr { terms })
    }

    fn floor_div(&self, other: &Expr) -> Option<Expr> {
        if let Some(divisor) = other.as_constant() {
            if divisor == 0 {
                return None;
            }
            if self.terms.values().all(|c| c % divisor == 0) {
                let terms = self
                    .terms
                    .iter()
                    .map(|(m, c)| (m.clone(), c / divisor))
                    .collect();
                return Some(Expr { terms });
            }
            if let Some(value) = self.as_constant() {
                return Some(Expr::constant(value.checked_div_euclid(divisor)?));
            }
        }
        if self == other {
            return Some(Expr::constant(1));
        }
        if let Some(quotient) = self.divide_by_monomial(other) {
            return Some(quotient);
        }
        if self.depth().max(other.depth()) + 1 > MAX_DEPTH {
            return None;
        }
        let atom = Atom::FloorDiv(Box::new(self.clone()), Box::new(other.clone()));
        Some(Expr {
            terms: BTreeMap::from([(vec![atom], 1)]),
        })
    }

    /// Exact division by a single monomial, where every term has it as a factor.
    fn divide_by_monomial(&self, other: &Expr) -> Option<Expr> {
        let mut divisor = other.terms.iter();
        let (factor, coefficient) = divisor.next()?;
        if divisor.next().is_some() {
            return None;
        }
        let mut terms = BTreeMap::new();
        for (monomial, c) in &self.terms {
            if c % coefficient != 0 {
                return None;
            }
            let mut rest = monomial.clone();
            for atom in factor {
                let at = rest.iter().position(|a| a == atom)?;
                rest.remove(at);
            }
            terms.insert(rest, c / coefficient);
        }
        Some(Expr { terms })
    }

    fn depth(&self) -> usize {
        let atoms = self.terms.keys().flatten();
        atoms
            .map(|a| match a {
                Atom::Symbol(_) => 0,
                Atom::FloorDiv(x, y) => 1 + x.depth().max(y.depth()),
            })
            .max()
            .unwrap_or(0)
    }

    fn eval(&self, bindings: &Bindings) -> Option<i64> {
        let mut sum: i64 = 0;
        for (monomial, coefficient) in &self.terms {
            let mut product = *coefficient;
            for atom in monomial {
                let value = match atom {
                    Atom::Symbol(name) => i64::try_from(*bindings.get(name)?).ok()?,
                    Atom::FloorDiv(x, y) => {
                        x.eval(bindings)?.checked_div_euclid(y.eval(bindings)?)?
                    }
                };
                product = product.checked_mul(value)?;
            }
            sum = sum.checked_add(product)?;
        }
        Some(sum)
    }

    fn symbols(&self, out: &mut Vec<Arc<str>>) {
        for atom in self.terms.keys().flatten() {
            match atom {
                Atom::Symbol(name) => out.push(name.clone()),
                Atom::FloorDiv(x, y) => {
                    x.symbols(out);
                    y.symbols(out);
                }
            }
        }
    }
}

impl Dim {
    /// The dim named by a symbol, such as `n`.
    pub fn symbol(name: impl Into<Arc<str>>) -> Dim {
        let monomial = vec![Atom::Symbol(name.into())];
        Dim::Expr(Arc::new(Expr {
            terms: BTreeMap::from([(monomial, 1)]),
        }))
    }

    /// The number, where the dim is one.
    pub fn known(&self) -> Option<u64> {
        match self {
            Dim::Known(value) => Some(*value),
            Dim::Expr(_) => None,
        }
    }

    fn expr(&self) -> Option<Expr> {
        match self {
            Dim::Known(value) => Some(Expr::constant(i64::try_from(*value).ok()?)),
            Dim::Expr(expr) => Some((**expr).clone()),
        }
    }

    fn from_expr(expr: Expr) -> Option<Dim> {
        match expr.as_constant() {
            Some(value) => Some(Dim::Known(u64::try_from(value).ok()?)),
            None => Some(Dim::Expr(Arc::new(expr))),
        }
    }

    /// The sum; none where it overflows.
    pub fn plus(&self, other: &Dim) -> Option<Dim> {
        Dim::from_expr(self.expr()?.combine(&other.expr()?, 1)?)
    }

    /// The difference; none where it overflows or is a negative number.
    pub fn minus(&self, other: &Dim) -> Option<Dim> {
        Dim::from_expr(self.expr()?.combine(&other.expr()?, -1)?)
    }

    /// The product; none where it overflows.
    pub fn times(&self, other: &Dim) -> Option<Dim> {
        Dim::from_expr(self.expr()?.times(&other.expr()?)?)
    }

    /// The quotient rounded down; none for a division by zero.
    pub fn floor_div(&self, other: &Dim) -> Option<Dim> {
        Dim::from_expr(self.expr()?.floor_div(&other.expr()?)?)
    }

    /// The dim with its symbols replaced by numbers; unbound ones leave it as it is.
    pub fn bind(&self, bindings: &Bindings) -> Option<Dim> {
        match self {
            Dim::Known(_) => Some(self.clone()),
            Dim::Expr(expr) => match expr.eval(bindings) {
                Some(value) => u64::try_from(value).ok().map(Dim::Known),
                None => Some(self.clone()),
            },
        }
    }

    /// The symbols that occur in it, in order, each once.
    pub fn symbols(&self) -> Vec<Arc<str>> {
        let mut out = Vec::new();
        if let Dim::Expr(expr) = self {
            expr.symbols(&mut out);
        }
        out.sort();
        out.dedup();
        out
    }
}

impl From<u64> for Dim {
    fn from(value: u64) -> Dim {
        Dim::Known(value)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Known(value) => write!(f, "{value}"),
            Dim::Expr(expr) => write!(f, "{expr}"),
        }
    }
}

impl fmt::Debug for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Constants sort first as data but read better last: `n + 1`.
        let constant = self.terms.get(&Vec::new()).map(|c| (&[] as &[Atom], *c));
        let others = self.terms.iter().filter(|(m, _)| !m.is_empty());
        let terms = others.map(|(m, c)| (m.as_slice(), *c)).chain(constant);
        for (i, (monomial, coefficient)) in terms.enumerate() {
            let sign = if coefficient < 0 { "-" } else { "+" };
            match (i, coefficient < 0) {
                (0, true) => write!(f, "-")?,
                (0, false) => {}
                _ => write!(f, " {sign} ")?,
            }
            let magnitude = coefficient.unsigned_abs();
            if monomial.is_empty() || magnitude != 1 {
                write!(f, "{magnitude}")?;
                if !monomial.is_empty() {
                    write!(f, "*")?;
                }
            }
            for (j, atom) in monomial.iter().enumerate() {
                if j > 0 {
                    write!(f, "*")?;
                }
                match atom {
                    Atom::Symbol(name) => write!(f, "{name}")?,
                    Atom::FloorDiv(x, y) => write!(f, "(({x}) // ({y}))")?,
                }
            }
        }
        if self.terms.is_empty() {
            write!(f, "0")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_expressions_are_equal_data() {
        let n = Dim::symbol("n");
        let two = Dim::from(2);
        let doubled = n.times(&two).unwrap().plus(&n).unwrap();
        assert_eq!(doubled, Dim::from(3).times(&n).unwrap());
        assert_eq!(doubled.to_string(), "3*n");
        assert_eq!(doubled.floor_div(&n).unwrap(), Dim::from(3));
        assert_eq!(doubled.minus(&doubled).unwrap(), Dim::from(0));
    }

    #[test]
    fn halves_round_down_once_bound() {
        let n = Dim::symbol("n");
        let half = n
            .plus(&Dim::from(1))
            .unwrap()
            .floor_div(&Dim::from(2))
            .unwrap();
        assert_eq!(half.to_string(), "((n + 1) // (2))");
        let bindings = Bindings::from([("n".into(), 8)]);
        assert_eq!(half.bind(&bindings).unwrap(), Dim::from(4));
    }

    #[test]
    fn overflow_and_division_by_zero_have_no_value() {
        let big = Dim::from(u64::MAX / 2);
        assert_eq!(big.times(&big), None);
        assert_eq!(big.floor_div(&Dim::from(0)), None);
        assert_eq!(Dim::from(1).minus(&Dim::from(2)), None);
    }
}
