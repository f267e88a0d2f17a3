//! The tests of the program, as a process.

mod backup;
mod cli;
mod crash;
mod nginx;
