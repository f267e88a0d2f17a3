//! The tests of the library through its public HTTP API, on SQLite and on PostgreSQL. Each line of the threat model has
//! a test whose name begins with its number.

mod codes;
mod contract;
mod edge;
mod emails;
mod enumeration;
mod failure;
mod gate;
mod hijack;
mod languages;
mod links;
mod log;
mod login;
mod mfa;
mod mfa_login;
mod mfa_trust;
mod outage;
mod passkeys;
mod passwords;
mod phones;
mod postbox;
mod races;
mod rooms;
mod session_list;
mod sessions;
mod social;
mod social_attacks;
mod social_faults;
mod social_review;
mod social_signup;
mod stages;
mod texts;
mod tokens;
mod transfer;
mod webauthn;
mod wire;
