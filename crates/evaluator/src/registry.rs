//! What evaluators are made of, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use crate::loss::Loss;
use crate::metric::Metric;
use crate::optimizer::Optimizer;
use crate::options::{OptionError, OptionValue, Options};
use crate::schedule::Schedule;

type Make<T> = fn(&mut Options) -> Result<Arc<T>, OptionError>;
type Table<T> = BTreeMap<&'static str, (&'static str, Make<T>)>;

/// A mistake in registering; the fault is the registering crate's.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RegisterError {
    /// Two entries of one name.
    #[error("{kind} `{name}` is registered twice")]
    Duplicate {
        /// What it is.
        kind: &'static str,
        /// The name.
        name: &'static str,
    },
}

/// The losses, metrics, optimizers and schedules that a program knows.
#[derive(Clone)]
pub struct EvaluatorRegistry {
    losses: Table<dyn Loss>,
    metrics: Table<dyn Metric>,
    optimizers: Table<dyn Optimizer>,
    schedules: Table<dyn Schedule>,
}

macro_rules! entries {
    ($add:ident, $make:ident, $names:ident, $table:ident, $kind:literal, $t:ident) => {
        #[doc = concat!("Adds a ", $kind, ", with its documentation.")]
        ///
        /// # Errors
        /// Where the name is taken.
        pub fn $add(
            &mut self,
            name: &'static str,
            doc: &'static str,
            make: Make<dyn $t>,
        ) -> Result<(), RegisterError> {
            match self.$table.insert(name, (doc, make)) {
                None => Ok(()),
                Some(_) => Err(RegisterError::Duplicate { kind: $kind, name }),
            }
        }

        #[doc = concat!("Makes a ", $kind, " of this name with these options.")]
        ///
        /// # Errors
        /// Where the name or an option is wrong.
        pub fn $make(
            &self,
            name: &str,
            options: &[(String, OptionValue)],
        ) -> Result<Arc<dyn $t>, OptionError> {
            let spelled = name.replace('_', "-");
            let Some((_, make)) = self.$table.get(&*spelled) else {
                let known: Vec<_> = self.$table.keys().copied().collect();
                let (name, known) = (name.to_owned(), known.join(", "));
                return Err(OptionError::UnknownName {
                    kind: $kind,
                    name,
                    known,
                });
            };
            let mut options = Options::new(&spelled, options);
            let made = make(&mut options)?;
            options.finish()?;
            Ok(made)
        }

        #[doc = concat!("Every ", $kind, "'s name and documentation, by name.")]
        pub fn $names(&self) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
            self.$table.iter().map(|(name, (doc, _))| (*name, *doc))
        }
    };
}

impl EvaluatorRegistry {
    /// The built-in ones.
    ///
    /// # Panics
    /// Never: the built-in names are distinct, as a test checks.
    pub fn standard() -> Self {
        let mut registry = EvaluatorRegistry {
            losses: Table::new(),
            metrics: Table::new(),
            optimizers: Table::new(),
            schedules: Table::new(),
        };
        crate::loss::register(&mut registry).expect("built-in losses have distinct names");
        crate::metric::register(&mut registry).expect("built-in metrics have distinct names");
        crate::optimizer::register(&mut registry).expect("built-in optimizers are distinct");
        crate::schedule::register(&mut registry).expect("built-in schedules are distinct");
        registry
    }

    entries!(add_loss, loss, losses, losses, "loss", Loss);
    entries!(add_metric, metric, metrics, metrics, "metric", Metric);
    entries!(
        add_optimizer,
        optimizer,
        optimizers,
        optimizers,
        "optimizer",
        Optimizer
    );
    entries!(
        add_schedule,
        schedule,
        schedules,
        schedules,
        "schedule",
        Schedule
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_options_are_checked() {
        let registry = EvaluatorRegistry::standard();
        let error = registry.loss("crossentropy", &[]).unwrap_err().to_string();
        assert!(error.starts_with("no loss is called `crossentropy`; there are: bce-with-logits"));
        let option = ("momentun".to_owned(), OptionValue::Number(0.9));
        let lr = ("lr".to_owned(), OptionValue::Number(0.1));
        let error = registry
            .optimizer("sgd", &[lr.clone(), option])
            .unwrap_err()
            .to_string();
        assert!(error.contains("no option `momentun`"), "{error}");
        assert!(
            registry
                .optimizer("sgd", &[])
                .unwrap_err()
                .to_string()
                .contains("needs option")
        );
        assert!(registry.optimizer("sgd", &[lr]).is_ok());
    }
}
