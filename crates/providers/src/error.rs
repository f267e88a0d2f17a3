//! Why a provider vouches for nobody.

use std::borrow::Cow;

use vestibule_base::outbound::OutboundError;
use vestibule_base::security::NoEntropy;

/// Why a login at a provider came to nothing. Never holds a token, a code, a URL or what the provider answered.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The person said no there.
    #[error("cancelled at the provider")]
    Cancelled,
    /// The provider's answer is no proof of anything, or says that something failed.
    #[error("the provider's answer is no good: {0}")]
    Answer(Cow<'static, str>),
    /// What the client brought is no good: a token, or parameters of the callback.
    #[error("what was brought is no good: {0}")]
    Brought(Cow<'static, str>),
    /// The app's settings do not allow it, or lack something.
    #[error("the app's settings are no good: {0}")]
    Settings(Cow<'static, str>),
    /// The provider was not to be reached.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

impl ProviderError {
    /// The provider's answer is no good, for this reason.
    pub fn answer(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Answer(why.into())
    }

    /// What was brought is no good, for this reason.
    pub fn brought(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Brought(why.into())
    }

    /// The settings are no good, for this reason.
    pub fn settings(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Settings(why.into())
    }
}
