//! The tests of the program, as a process.

mod cli;
mod crash;
mod nginx;
