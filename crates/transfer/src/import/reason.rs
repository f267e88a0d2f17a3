//! Why something was not taken: a closed list to count by, and a text for each case.

/// Why an account or a part of it was not taken as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Unread,
    Twice,
    Id,
    Username,
    Password,
    Email,
    Phone,
    Provider,
    Totp,
    RecoveryCodes,
    Passkey,
    Field,
    UsernameTaken,
    EmailTaken,
    PhoneTaken,
    ProviderTaken,
    PasskeyTaken,
    IdTaken,
    NoWayIn,
    NoFactorLeft,
}

/// A reason in one case. For the operator: names addresses, never a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) reason: Reason,
    pub(super) what: String,
}

impl Reason {
    pub(super) fn because(self, what: String) -> Problem {
        Problem { reason: self, what }
    }

    /// What it is counted under.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unread => "could not be read",
            Self::Twice => "comes twice in the source",
            Self::Id => "id out of range",
            Self::Username => "username not allowed",
            Self::Password => "password hash of no use",
            Self::Email => "email address not allowed",
            Self::Phone => "phone number not allowed",
            Self::Provider => "provider account of no use",
            Self::Totp => "TOTP secret of no use",
            Self::RecoveryCodes => "recovery code of no use",
            Self::Passkey => "passkey of no use",
            Self::Field => "extra fields",
            Self::UsernameTaken => "username in use",
            Self::EmailTaken => "email address in use",
            Self::PhoneTaken => "phone number in use",
            Self::ProviderTaken => "provider account in use",
            Self::PasskeyTaken => "passkey in use",
            Self::IdTaken => "id in use",
            Self::NoWayIn => "nothing to log in with",
            Self::NoFactorLeft => "no second factor left",
        }
    }
}
