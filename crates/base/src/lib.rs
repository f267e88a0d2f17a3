//! The ground floor of Vestibule: settings, security primitives, storage and delivery.
//!
//! Rooms, from the ground up: [`security`] (clock, random, hashing, sealing), [`storage`] (every SQL statement).
//! Nothing here knows the rules of accounts, and nothing here knows an HTTP server.

pub mod config;
pub mod delivery;
pub mod outbound;
pub mod ratelimit;
pub mod security;
pub mod storage;
