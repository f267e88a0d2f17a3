//! The binary `vestibule`: command line, configuration file, listeners, telemetry. The rules are in the library.

mod cli;
mod listener;
mod metrics;
mod output;
mod secrets;
mod telemetry;

/// Requests are many small pieces of memory: this allocator hands them out with less ado than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
