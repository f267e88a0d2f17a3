//! OpenID 2.0.

mod message;
