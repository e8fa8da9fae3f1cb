//! The standard ops: one file an op or a family of tiny ones, registered by one line each.
//!
//! ```
//! let ops = syncarp_ops::standard();
//! assert!(ops.find("relu").is_some());
//! ```

mod attention;
mod conv;
mod device;
mod elementwise;
mod emit;
mod expect;
mod infer;
mod linear;
mod loss;
mod norm;
mod optimizer;
mod random;
mod reduce;
mod shape;
#[cfg(test)]
mod testing;

pub use emit::Emit;

use syncarp_ir::{OpRegistry, RegisterError};

/// All standard ops beside the sources that every registry knows.
///
/// # Panics
/// If two standard ops have one name, which a test rules out.
pub fn standard() -> OpRegistry {
    let mut registry = OpRegistry::new();
    register(&mut registry).expect("the standard ops have distinct names");
    registry
}

fn register(registry: &mut OpRegistry) -> Result<(), RegisterError> {
    conv::register(registry)?;
    device::register(registry)?;
    elementwise::register(registry)?;
    shape::register(registry)?;
    reduce::register(registry)?;
    linear::register(registry)?;
    loss::register(registry)?;
    norm::register(registry)?;
    optimizer::register(registry)?;
    random::register(registry)?;
    attention::register(registry)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use syncarp_ir::{AttrDefault, AttrKind};

    #[test]
    fn defaults_are_of_their_attributes_kinds() {
        let mut seen = 0;
        for (_, op) in super::standard().iter() {
            for spec in op.attributes() {
                let Some(default) = spec.default else {
                    continue;
                };
                seen += 1;
                let name = format!("{} {}", op.name(), spec.name);
                assert!(!spec.required, "{name}");
                let kind = match default {
                    AttrDefault::Bool(_) => AttrKind::Bool,
                    AttrDefault::Int(_) => AttrKind::Int,
                    AttrDefault::Float(_) => AttrKind::Float,
                    AttrDefault::Str(_) => AttrKind::Str,
                    AttrDefault::Each(_) => AttrKind::Ints,
                    AttrDefault::NoDims => AttrKind::Dims,
                    AttrDefault::As(other) => {
                        let mut specs = op.attributes().iter();
                        specs
                            .find(|s| s.name == other)
                            .expect("it names another")
                            .kind
                    }
                };
                assert_eq!(spec.kind, kind, "{name}");
            }
        }
        assert!(seen > 20, "{seen}");
    }
}
