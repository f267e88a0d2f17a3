//! Vestibule as a library: a router that answers the API, for an axum application to mount or a server to serve.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use vestibule::{Config, CurrentUser, Vestibule};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::from_toml("server.secret_key = 'thirty-two characters or more, at random'")?;
//! let vestibule = Vestibule::builder(config).build().await?;
//! let application: Router = Router::new()
//!     .route("/hello", get(|user: CurrentUser| async move { format!("Hello, number {}", user.id) }))
//!     .with_state(vestibule.clone())
//!     .merge(vestibule.router());
//! # drop(application);
//! # Ok(())
//! # }
//! ```
//!
//! [`CurrentUser`] and [`RecentlyAuthenticated`] protect the application's own routes; [`Builder`] takes its pool of
//! connections; [`Vestibule::background`] has to run beside the server. The client's address is taken from the request
//! extension [`axum::extract::ConnectInfo`]. `docs/how-to/embed.md` tells more.

mod builder;
mod events;
mod extract;
mod http;
mod sweep;
mod users;

pub use builder::{BuildError, Builder, Vestibule, check_providers, check_secret_key, check_webhooks};
pub use events::{Events, Webhooks};
pub use extract::{CurrentUser, RecentlyAuthenticated, Rejection};
pub use users::{Sessions, Users};
pub use vestibule_base::config::Config;
pub use vestibule_base::security::password::{Password, PasswordError};
pub use vestibule_base::storage::deliveries::{Counts, DeadLetter};
pub use vestibule_base::webhooks::{Listed as ListedWebhook, NotTaken};
pub use vestibule_core::Fault;
pub use vestibule_core::admin::{AdminError, NewUser, Search, SessionSearch};
pub use vestibule_core::dossier::{
    AuthenticatorEntry, Belongings, EmailSummary, PhoneEntry, ProviderEntry, SessionEntry, UserDetails,
    UserSummary,
};
pub use vestibule_core::event::{Event, Follower, NoEvent, Query as EventQuery, Recorded};
pub use vestibule_core::hooks;
pub use vestibule_core::social::Failure as ProviderFailure;
