//! Vestibule as a library: a router that answers the API, for an axum application to mount or a server to serve.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = vestibule::Config::from_toml("server.secret_key = 'thirty-two characters or more, at random'")?;
//! let vestibule = vestibule::Vestibule::builder(config).build().await?;
//! let application: axum::Router = axum::Router::new().merge(vestibule.router());
//! # drop(application);
//! # Ok(())
//! # }
//! ```
//!
//! The client's address is taken from the request extension [`axum::extract::ConnectInfo`].

mod builder;
mod http;
mod users;

pub use builder::{BuildError, Builder, Vestibule, check_providers};
pub use users::Users;
pub use vestibule_base::config::Config;
pub use vestibule_base::security::password::{Password, PasswordError};
pub use vestibule_core::Fault;
pub use vestibule_core::account::admin::{AdminError, EmailSummary, NewUser, UserSummary};
pub use vestibule_core::hooks;
pub use vestibule_core::social::Failure as ProviderFailure;
