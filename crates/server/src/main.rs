//! The binary `vestibule`: command line, configuration file, listeners, telemetry. The rules are in the library.

mod admin;
mod cli;
mod listener;
mod metrics;
mod output;
mod portal;
mod secrets;
mod telemetry;
mod traces;

/// In the static binary: musl's own allocator keeps threads waiting for each other.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
