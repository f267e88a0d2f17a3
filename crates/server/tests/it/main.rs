//! The tests of the program, as a process.

mod backup;
mod browser;
mod caddy;
mod cli;
mod crash;
mod devtools;
mod events;
mod guides;
mod http;
mod nginx;
mod node;
mod oidc_provider;
mod operators;
mod portal;
mod proxies;
mod single_page_application;
