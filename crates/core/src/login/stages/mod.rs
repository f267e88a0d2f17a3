//! One file a stage: does this login pass, wait, or end?

pub(super) mod login_by_code;
pub(super) mod mfa_authenticate;
pub(super) mod mfa_signup_webauthn;
pub(super) mod mfa_trust;
pub(super) mod verify_email;
pub(super) mod verify_phone;
