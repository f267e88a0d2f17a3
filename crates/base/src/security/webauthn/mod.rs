//! The two ceremonies of WebAuthn Level 3, registration and authentication: what to ask a client for, and whether its
//! answer is good. Pure: no HTTP, no storage, no clock.
//!
//! The one who calls keeps a [`Ceremony`] between question and answer, gives it up with the first answer whatever it
//! is, bounds its age, and binds it to the session and to the purpose that it was begun for.
//!
//! Attestation is not asked for, so its statement is ignored, whatever its format: some clients send one all the same.

mod authenticator_data;
mod base64url;
mod ceremony;
mod client_data;
mod credential;
mod options;
mod public_key;
mod response;

pub use ceremony::{Assertion, Ceremony, CeremonyError, Challenge, Owner, RelyingParty};
pub use credential::{Credential, CredentialId};
pub use options::{CreationOptions, RequestOptions, UserEntity};
pub use public_key::{Algorithm, KeyError, PublicKey};
pub use response::{AuthenticationResponse, RegistrationResponse};

#[cfg(test)]
mod tests;
