//! Third parties that vouch for people: what is known of each (the catalogue), the protocols they speak, and what comes
//! of a login there. Knows no accounts, no database and no HTTP server.
//!
//! [`Providers`] is the front door: the apps of the configuration, each with its entry of the catalogue. A login has two
//! halves: [`Providers::begin`] says where to send the person, [`Providers::complete`] what came of it.

mod app_settings;
mod assemble;
mod callback_page;
mod catalogue;
mod client_auth;
mod departure;
mod display;
mod error;
mod identity;
mod json;
mod login;
mod mapping;
mod oauth1;
mod oauth2;
mod oidc;
mod openid2;
#[doc(hidden)]
pub mod played;
mod profile;
mod provider;
mod providers;
mod quirks;
#[cfg(test)]
mod rehearsal;
mod request;
mod rule;
mod template;
mod world;

pub use callback_page::CallbackPage;
pub use catalogue::{Listed, ListedSetting, catalogue, catalogue_markdown};
pub use error::ProviderError;
pub use identity::{Identity, ProviderEmail};
pub use login::{Arrival, Callback, Departure, Memory, Presented, Replay, Start, Tokens};
pub use provider::{POSTED, Provider};
pub use providers::Providers;
pub use world::World;
