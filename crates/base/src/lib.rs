//! The ground floor of Vestibule: settings, security primitives, storage and delivery.
//!
//! Rooms, from the ground up: [`language`] (what people read, in theirs), [`trace`] (spans), [`config`] (settings),
//! [`security`] (clock, random, hashing, sealing), [`storage`] (every SQL statement), [`outbound`], [`ratelimit`],
//! [`delivery`] (mails), [`webhooks`] (events, posted).
//! Nothing here knows the rules of accounts, and nothing here knows an HTTP server.

pub mod config;
pub mod delivery;
pub mod language;
pub mod outbound;
pub mod ratelimit;
pub mod security;
pub mod storage;
pub mod trace;
pub mod webhooks;
