//! The tests of the program, as a process.

mod backup;
mod caddy;
mod cli;
mod crash;
mod nginx;
mod proxies;
