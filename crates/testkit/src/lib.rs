//! TODO
pub mod contract;
