//! What Vestibule's tests share: databases of their own, clients, a movable clock, the mailbox, the contract,
//! a software authenticator, a fake identity provider.

#![expect(clippy::expect_used, clippy::panic, reason = "a panic is how a test says that it failed")]

pub mod app;
pub mod authenticator;
pub mod client;
pub mod cluster;
pub mod contract;
pub mod database;
pub mod idp;
pub mod mailbox;
mod scratch;
pub mod totp;
