//! Logs: for people on a terminal, one JSON object a line anywhere else. Always on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging at `level` (a directive such as `info` or `warn,vestibule=debug`); `RUST_LOG` comes first.
/// A directive that does not parse counts as `info`. Call once.
pub(crate) fn start(level: &str) {
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(level))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only if a subscriber is set already: then there are logs, which is all that is wanted.
    let _ = if std::io::stderr().is_terminal() {
        logs.with_target(false).try_init()
    } else {
        logs.json().flatten_event(true).with_ansi(false).try_init()
    };
}
