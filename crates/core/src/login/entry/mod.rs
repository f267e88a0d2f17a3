//! The ways in. Each ends in the walk through the stages.

pub mod code;
pub mod passkey;
pub mod password;
pub mod provider;
pub mod provider_signup;
pub mod recovery;
pub mod second_factor;
pub mod signup;
pub mod verification;
