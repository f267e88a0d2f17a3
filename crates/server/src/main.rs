//! The binary `vestibule`: command line, configuration file, listeners, telemetry. The rules are in the library.

mod cli;
mod listener;
mod metrics;
mod output;
#[expect(dead_code, reason = "stands in for what is being built")]
mod secrets;
mod telemetry;

fn main() -> std::process::ExitCode {
    cli::run()
}
