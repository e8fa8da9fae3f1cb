//! Arithmetic on Python's numbers and on sizes, which is done while the graph is made.

use syncarp_ir::Dim;

use super::arg::Arg;
use super::call::unknown_size;
use super::{Function, Lowered};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        schemas: &[
            "aten::Int(Scalar a) -> int",
            "aten::Int.Tensor(Scalar a) -> int",
            "aten::ScalarImplicit(Scalar a) -> Scalar",
        ],
        lower: |c| match c.arg("a") {
            Arg::Float(number) => Ok(Arg::Int(number.trunc() as i64)),
            Arg::Bool(flag) => Ok(Arg::Int(i64::from(*flag))),
            number => Ok(number.clone()),
        },
    },
    Function {
        schemas: &["aten::floordiv(Scalar a, Scalar b) -> Scalar"],
        lower: |c| numbers("floordiv", c.arg("a"), c.arg("b")),
    },
    Function {
        schemas: &["aten::__getitem__(Scalar[] list, int idx) -> Scalar"],
        lower: |c| {
            let items = c.arg("list").items().unwrap_or_default();
            let index = c.int("idx")?;
            let counted = syncarp_ir::normalize_axis(index, items.len());
            let found = counted.ok().and_then(|place| items.get(place));
            found
                .cloned()
                .ok_or_else(|| format!("a list of {} has no item {index}", items.len()))
        },
    },
];

/// What an operation makes of two numbers, or sizes.
///
/// # Errors
/// It cannot be told, or overflows.
pub(crate) fn numbers(operation: &str, a: &Arg, b: &Arg) -> Lowered {
    let overflow = || "the number has no 64 bits".to_owned();
    match (a, b) {
        (Arg::Int(a), Arg::Int(b)) if operation != "div" => {
            let number = match operation {
                "add" => a.checked_add(*b),
                "sub" => a.checked_sub(*b),
                "mul" => a.checked_mul(*b),
                _ if *b == 0 => return Err("a division by zero".to_owned()),
                // Python rounds towards the lower number.
                _ => a
                    .checked_div(*b)
                    .map(|q| match a % b != 0 && (*a < 0) != (*b < 0) {
                        true => q - 1,
                        false => q,
                    }),
            };
            number.map(Arg::Int).ok_or_else(overflow)
        }
        (Arg::SizeOf(..), _) | (_, Arg::SizeOf(..)) => Err(unknown_size()),
        (Arg::Dim(_), _) | (_, Arg::Dim(_)) => {
            let dim = |arg: &Arg| match arg {
                Arg::Dim(dim) => Some(dim.clone()),
                Arg::Int(number) => u64::try_from(*number).ok().map(Dim::Known),
                _ => None,
            };
            let (a, b) = dim(a)
                .zip(dim(b))
                .ok_or_else(|| format!("sizes, not {a} and {b}"))?;
            let made = match operation {
                "add" => a.plus(&b),
                "sub" => a.minus(&b),
                "mul" => a.times(&b),
                "floordiv" => a.floor_div(&b),
                _ => None,
            };
            made.map(|dim| Arg::size(&dim))
                .ok_or_else(|| "this is no size".to_owned())
        }
        (a, b) => {
            let float = |arg: &Arg| match arg {
                Arg::Int(number) => Some(*number as f64),
                Arg::Float(number) => Some(*number),
                Arg::Bool(flag) => Some(f64::from(u8::from(*flag))),
                _ => None,
            };
            let (x, y) = float(a)
                .zip(float(b))
                .ok_or_else(|| format!("numbers, not {a} and {b}"))?;
            let number = match operation {
                "add" => x + y,
                "sub" => x - y,
                "mul" => x * y,
                "floordiv" => (x / y).floor(),
                _ => x / y,
            };
            match number.is_finite() {
                true => Ok(Arg::Float(number)),
                false => Err("this is no finite number".to_owned()),
            }
        }
    }
}
