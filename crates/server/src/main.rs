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

fn main() -> std::process::ExitCode {
    cli::run()
}
