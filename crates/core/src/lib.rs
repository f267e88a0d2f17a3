//! The rules of Vestibule: sessions, accounts and logins. Knows no HTTP server and writes no SQL.
//!
//! Rooms, from the ground up: [`refusal`], [`hooks`], [`visit`], [`event`] and [`context`] (what every rule needs), [`consult`],
//! [`session`], [`token`], [`account`], [`mfa`], [`social`], [`login`], [`dossier`], [`admin`]. A rule takes the [`Ctx`] of the server and the [`Visit`] of the request,
//! works inside one transaction, and gives a
//! value or a [`Refusal`].

pub mod account;
pub mod admin;
pub mod consult;
pub mod context;
pub mod dossier;
pub mod event;
pub mod hooks;
pub mod login;
pub mod mfa;
pub mod refusal;
pub mod session;
pub mod social;
pub mod token;
pub mod visit;

pub use context::Ctx;
pub use refusal::{Fault, Outcome, Problem, Refusal};
pub use visit::Visit;
