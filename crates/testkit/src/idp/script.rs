//! What the fake identity provider does otherwise than it should.

use serde_json::Value;
use vestibule_base::outbound::{Answer, OutboundError};

use super::keys::Signature;

/// Faults of the provider, until told otherwise. The default has none.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// Laid over the claims of ID tokens; null takes one out.
    pub claims: Value,
    /// Laid over the profile, likewise.
    pub profile: Value,
    /// Laid over the token endpoint's answer, likewise.
    pub tokens: Value,
    /// Laid over the discovery document, likewise.
    pub discovery: Value,
    /// How ID tokens are signed.
    pub signature: Signature,
    /// What comes of a call to a path, in place of an answer.
    pub instead: Option<(&'static str, Instead)>,
}

/// What comes of a call in place of an answer.
#[derive(Debug, Clone, Copy)]
pub enum Instead {
    /// Another answer.
    Answer(u16, &'static str),
    /// Nobody is there.
    Unreachable,
    /// More than anybody reads.
    TooLarge,
    /// Nothing, until the script says otherwise.
    Silence,
}

impl Script {
    /// Whether nothing is answered at a path.
    pub(super) fn is_silent_at(&self, path: &str) -> bool {
        matches!(self.instead, Some((at, Instead::Silence)) if at == path)
    }

    /// What comes of a call to a path, if not what should.
    pub(super) fn instead_at(&self, path: &str) -> Option<Result<Answer, OutboundError>> {
        let (_, instead) = self.instead.filter(|(at, _)| *at == path)?;
        Some(match instead {
            Instead::Answer(status, text) => {
                Ok(Answer { status, media_type: "application/json".to_owned(), text: text.to_owned() })
            }
            Instead::Unreachable => Err(OutboundError::Unreachable("connection refused".to_owned())),
            Instead::TooLarge => Err(OutboundError::TooLarge),
            Instead::Silence => Err(OutboundError::Timeout),
        })
    }
}
