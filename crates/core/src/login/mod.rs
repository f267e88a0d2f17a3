//! Logging in: the ways in, the stages that each passes, and what a client may do next.

pub mod entry;
pub mod flows;
pub mod pipeline;
mod stages;

pub use pipeline::{Login, Stage};
