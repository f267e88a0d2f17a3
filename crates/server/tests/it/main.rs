//! The tests of the program, as a process.

mod backup;
mod browser;
mod caddy;
mod cli;
mod crash;
mod deploy;
mod devtools;
mod events;
mod guides;
mod http;
mod instances;
mod moving_in;
mod nginx;
mod node;
mod oidc_provider;
mod operating;
mod operators;
mod portal;
mod proxies;
mod single_page_application;
mod traces;
mod transfer;
