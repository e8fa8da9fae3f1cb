//! How a model is trained and judged: losses, metrics, optimizers, schedules.
