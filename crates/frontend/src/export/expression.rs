//! Sizes as expressions over symbols, as SymPy writes them: `Mul(Integer(64), Symbol('s77', ...))`
//! in archives, `64*s77` in the compact form.

use std::collections::BTreeMap;

use syncarp_ir::Dim;

/// How deep an expression may nest.
const MAX_DEPTH: usize = 64;
/// The longest expression that is read.
const MAX_LEN: usize = 1 << 14;
/// How many operations an expression may have.
const MAX_OPERATIONS: usize = 256;

/// A size.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Int(i64),
    Symbol(String),
    Call(Function, Vec<Expression>),
}

/// What is made of sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Function {
    Add,
    Sub,
    Mul,
    Pow,
    FloorDiv,
    CeilDiv,
    Mod,
    Min,
    Max,
}

/// What the symbols stand for here.
pub(super) type Symbols = BTreeMap<String, Dim>;

impl Expression {
    /// Reads what `sympy.srepr` or `str` wrote.
    ///
    /// # Errors
    /// It is something else; the message says what.
    pub fn parse(text: &str) -> Result<Expression, String> {
        if text.len() > MAX_LEN {
            return Err(format!("a size of {} characters is too long", text.len()));
        }
        let mut parser = Parser {
            text,
            at: 0,
            depth: 0,
            operations: 0,
        };
        let found = parser.sum();
        let whole = found.filter(|_| parser.peek().is_none());
        let shown: String = text.chars().take(80).collect();
        whole.ok_or_else(|| format!("`{shown}` is no size that can be read here"))
    }

    /// The symbols in it.
    pub fn symbols(&self, found: &mut Vec<String>) {
        match self {
            Expression::Int(_) => {}
            Expression::Symbol(name) => found.push(name.clone()),
            Expression::Call(_, items) => items.iter().for_each(|item| item.symbols(found)),
        }
    }

    /// The size, where it can be said.
    pub fn dim(&self, symbols: &Symbols) -> Option<Dim> {
        self.signed(symbols)?.dim()
    }

    fn signed(&self, symbols: &Symbols) -> Option<Signed> {
        match self {
            Expression::Int(number) => Some(Signed::number(*number)),
            Expression::Call(function, items) => {
                let mut items = items.iter();
                let first = items.next()?.signed(symbols)?;
                items.try_fold(first, |a, b| a.with(*function, b.signed(symbols)?))
            }
            Expression::Symbol(name) => Some(Signed {
                plus: symbols.get(name)?.clone(),
                minus: Dim::Known(0),
            }),
        }
    }
}

/// A difference of two sizes: parts of a size may be negative, a dim may not.
#[derive(Clone, Debug)]
struct Signed {
    plus: Dim,
    minus: Dim,
}

impl Signed {
    fn number(number: i64) -> Signed {
        let magnitude = Dim::Known(number.unsigned_abs());
        let zero = Dim::Known(0);
        match number < 0 {
            true => Signed {
                plus: zero,
                minus: magnitude,
            },
            false => Signed {
                plus: magnitude,
                minus: zero,
            },
        }
    }

    fn dim(&self) -> Option<Dim> {
        self.plus.minus(&self.minus)
    }

    fn with(&self, function: Function, other: Signed) -> Option<Signed> {
        let whole = |dim: Dim| Signed {
            plus: dim,
            minus: Dim::Known(0),
        };
        match function {
            Function::Add => Some(Signed {
                plus: self.plus.plus(&other.plus)?,
                minus: self.minus.plus(&other.minus)?,
            }),
            Function::Sub => Some(Signed {
                plus: self.plus.plus(&other.minus)?,
                minus: self.minus.plus(&other.plus)?,
            }),
            Function::Mul => Some(Signed {
                plus: self
                    .plus
                    .times(&other.plus)?
                    .plus(&self.minus.times(&other.minus)?)?,
                minus: self
                    .plus
                    .times(&other.minus)?
                    .plus(&self.minus.times(&other.plus)?)?,
            }),
            Function::Pow => {
                let times = other.dim()?.known().filter(|times| *times <= 16)?;
                let one = Signed::number(1);
                (0..times).try_fold(one, |product, _| product.with(Function::Mul, self.clone()))
            }
            Function::FloorDiv => Some(whole(self.dim()?.floor_div(&other.dim()?)?)),
            Function::CeilDiv => {
                let (a, b) = (self.dim()?, other.dim()?);
                Some(whole(a.plus(&b)?.minus(&Dim::Known(1))?.floor_div(&b)?))
            }
            Function::Mod => {
                let (a, b) = (self.dim()?, other.dim()?);
                Some(whole(a.minus(&a.floor_div(&b)?.times(&b)?)?))
            }
            Function::Min | Function::Max => {
                let (a, b) = (self.dim()?, other.dim()?);
                let less = at_most(&a, &b)?;
                let first = less == (function == Function::Min);
                Some(whole(if first { a } else { b }))
            }
        }
    }
}

/// Whether a size is at most another whatever the symbols, which are at least 1; none where that
/// depends on them.
fn at_most(a: &Dim, b: &Dim) -> Option<bool> {
    // A product of a number and symbols is at least that number.
    let least = |dim: &Dim| {
        let ones = dim
            .symbols()
            .into_iter()
            .map(|symbol| (symbol, 1))
            .collect();
        let text = dim.to_string();
        let plain = !text.contains('-') && !text.contains('/');
        plain.then(|| dim.bind(&ones)).flatten()?.known()
    };
    match (a.known(), b.known()) {
        (Some(a), Some(b)) => Some(a <= b),
        (Some(a), None) => least(b).filter(|b| a <= *b).map(|_| true),
        (None, Some(b)) => least(a).filter(|a| *a >= b).map(|_| false),
        (None, None) => (a == b).then_some(true),
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    operations: usize,
}

impl<'t> Parser<'t> {
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, wanted: &str) -> bool {
        self.peek();
        let found = self.text[self.at..].starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    fn while_is(&mut self, is: impl Fn(char) -> bool) -> &'t str {
        self.peek();
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !is(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// One step deeper; none where that is too deep.
    fn deeper(&mut self) -> Option<()> {
        self.depth += 1;
        (self.depth <= MAX_DEPTH).then_some(())
    }

    fn joined(&mut self, function: Function, a: Expression, b: Expression) -> Option<Expression> {
        self.operations += 1;
        let made = match (function, a, b) {
            (Function::Sub, Expression::Int(0), Expression::Int(number)) => {
                Expression::Int(number.saturating_neg())
            }
            (function, a, b) => Expression::Call(function, vec![a, b]),
        };
        (self.operations <= MAX_OPERATIONS).then_some(made)
    }

    fn sum(&mut self) -> Option<Expression> {
        self.deeper()?;
        let mut sum = self.product()?;
        loop {
            let function = match self.peek() {
                Some('+') => Function::Add,
                Some('-') => Function::Sub,
                _ => break,
            };
            self.at += 1;
            let next = self.product()?;
            sum = self.joined(function, sum, next)?;
        }
        self.depth -= 1;
        Some(sum)
    }

    fn product(&mut self) -> Option<Expression> {
        let mut product = self.power()?;
        loop {
            let function = if self.take("//") {
                Function::FloorDiv
            } else if self.take("%") {
                Function::Mod
            } else if self.text[self.at..].starts_with('*') {
                self.at += 1;
                Function::Mul
            } else {
                return Some(product);
            };
            let next = self.power()?;
            product = self.joined(function, product, next)?;
        }
    }

    fn power(&mut self) -> Option<Expression> {
        if self.take("-") {
            self.deeper()?;
            let rest = self.power()?;
            self.depth -= 1;
            return self.joined(Function::Sub, Expression::Int(0), rest);
        }
        let base = self.atom()?;
        match self.take("**") {
            true => {
                let exponent = self.atom()?;
                Some(Expression::Call(Function::Pow, vec![base, exponent]))
            }
            false => Some(base),
        }
    }

    fn atom(&mut self) -> Option<Expression> {
        match self.peek()? {
            '(' => {
                self.at += 1;
                let inner = self.sum()?;
                self.take(")").then_some(inner)
            }
            '0'..='9' => {
                let digits = self.while_is(|c| c.is_ascii_digit());
                digits.parse().ok().map(Expression::Int)
            }
            _ => {
                let name = self.while_is(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
                if name.is_empty() {
                    return None;
                }
                match self.take("(") {
                    true => self.call(name),
                    false => Some(Expression::Symbol(name.to_owned())),
                }
            }
        }
    }

    /// What stands in brackets after a name.
    fn call(&mut self, name: &str) -> Option<Expression> {
        if name == "Symbol" {
            let quote = self.peek().filter(|c| matches!(c, '\'' | '"'))?;
            self.at += 1;
            let symbol = self.while_is(|c| c != quote);
            self.at += 1;
            // What is known of the symbol follows, such as that it is positive.
            self.text.get(self.at..)?;
            self.while_is(|c| c != ')');
            return self
                .take(")")
                .then(|| Expression::Symbol(symbol.to_owned()));
        }
        let mut items = vec![self.sum()?];
        while self.take(",") {
            items.push(self.sum()?);
        }
        if !self.take(")") {
            return None;
        }
        let function = match name.rsplit('.').next()? {
            "Integer" => {
                return match (items.pop(), items.is_empty()) {
                    (Some(number), true) => Some(number),
                    _ => None,
                };
            }
            "Add" => Function::Add,
            "Mul" => Function::Mul,
            "Pow" | "PowByNatural" => Function::Pow,
            "FloorDiv" | "CleanDiv" => Function::FloorDiv,
            "CeilDiv" => Function::CeilDiv,
            "Mod" | "PythonMod" => Function::Mod,
            "Min" => Function::Min,
            "Max" => Function::Max,
            _ => return None,
        };
        let two = matches!(
            function,
            Function::Pow | Function::FloorDiv | Function::CeilDiv | Function::Mod
        );
        (items.len() == 2 || (!two && !items.is_empty()))
            .then_some(Expression::Call(function, items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dim(text: &str) -> String {
        let symbols = [("s77", "n"), ("s1", "s1")];
        let symbols = symbols.map(|(name, dim)| (name.to_owned(), Dim::symbol(dim)));
        let read = Expression::parse(text).unwrap_or_else(|error| panic!("{error}"));
        let dim = read.dim(&symbols.into());
        dim.map_or_else(|| "?".to_owned(), |dim| dim.to_string())
    }

    #[test]
    fn both_spellings_are_read() {
        let s = "Symbol('s77', positive=True, integer=True)";
        for (text, expected) in [
            ("Integer(5)".to_owned(), "5"),
            (s.to_owned(), "n"),
            (format!("Mul(Integer(64), {s})"), "64*n"),
            (format!("Add({s}, Integer(-1))"), "n - 1"),
            (format!("Add(Mul(Integer(-1), {s}), Integer(7))"), "-n + 7"),
            (format!("Pow({s}, Integer(2))"), "n*n"),
            (
                format!("FloorDiv(Add({s}, Integer(1)), Integer(2))"),
                "((n + 1) // (2))",
            ),
            (format!("Mod({s}, Integer(2))"), "n - 2*((n) // (2))"),
            (format!("Min(Integer(768), Mul(Integer(768), {s}))"), "768"),
            (format!("Max(Integer(1), {s})"), "n"),
            (format!("Max(Integer(3), {s})"), "?"),
            (
                format!("torch.utils._sympy.functions.CeilDiv({s}, Integer(4))"),
                "((n + 3) // (4))",
            ),
            ("64*s77".to_owned(), "64*n"),
            ("2*s77**2 - s1 + 1".to_owned(), "2*n*n - s1 + 1"),
            ("(s77//2)".to_owned(), "((n) // (2))"),
            ("((s77 + 1)//2) - 1".to_owned(), "((n + 1) // (2)) - 1"),
            ("-s1 + 3*s77".to_owned(), "3*n - s1"),
            ("Mod(s77, 2)".to_owned(), "n - 2*((n) // (2))"),
            ("u0".to_owned(), "?"),
        ] {
            assert_eq!(dim(&text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "(",
            "1 +",
            "Symbol(",
            "Symbol('s",
            "Symbol('s'",
            "Mod(1)",
            "sin(s77)",
            "1 2",
            "99999999999999999999",
            "Integer()",
            "Integer(1, 2)",
            "é",
            "s77 é",
            "Symbol('é",
        ] {
            assert!(Expression::parse(text).is_err(), "{text}");
        }
        assert!(Expression::parse(&"(".repeat(10_000)).is_err());
        assert!(Expression::parse(&"-".repeat(16_000)).is_err());
        assert!(
            Expression::parse(&format!("1{}", "+1".repeat(9_000))).is_err(),
            "too long"
        );
        assert!(
            Expression::parse(&format!("1{}", "+1".repeat(300))).is_err(),
            "too many"
        );
    }
}
