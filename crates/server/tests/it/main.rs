//! The tests of the program, as a process.

mod backup;
mod browser;
mod caddy;
mod cli;
mod crash;
mod devtools;
mod guides;
mod http;
mod moving_in;
mod nginx;
mod node;
mod oidc_provider;
mod portal;
mod proxies;
mod single_page_application;
mod transfer;
