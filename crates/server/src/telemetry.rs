//! Logs: for people on a terminal, one JSON object a line anywhere else. Always on standard error. And traces, beside
//! them, where somebody collects these.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, fmt, registry};

use crate::traces::Collector;

/// Starts logging at `level`, unless `RUST_LOG` has directives (`warn,vestibule=debug`). Call once.
pub(crate) fn start(level: &str) {
    start_with(level, None);
}

/// The same, with the spans of traces going to `collector`.
pub(crate) fn start_with(level: &str, collector: Option<Collector>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    // Fails only if a subscriber is set already: then there are logs, which is all that is wanted.
    let _ = match collector {
        None => registry().with(filter).with(logs()).try_init(),
        Some(collector) => registry()
            .with(logs().with_filter(filter))
            .with(collector.with_filter(filter_fn(Collector::takes)))
            .try_init(),
    };
}

fn logs<S: Subscriber + for<'a> LookupSpan<'a>>() -> Box<dyn Layer<S> + Send + Sync> {
    let logs = fmt::layer().with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        logs.with_target(false).boxed()
    } else {
        logs.json().flatten_event(true).with_span_list(false).boxed()
    }
}
