//! What a rule says when it says no. Text for the caller lives in [`Problem`], text for the log in [`Fault`].

use std::borrow::Cow;
use std::fmt;

use vestibule_base::delivery::DeliveryError;
use vestibule_base::language::{Language, Text};
use vestibule_base::outbound::OutboundError;
use vestibule_base::security::NoEntropy;
use vestibule_base::security::jwt::KeyError;
use vestibule_base::security::password::{HashError, PasswordError, Weakness};
use vestibule_base::storage::StorageError;
use vestibule_base::webhooks::QueueError;

/// What a rule gives.
pub type Outcome<T> = Result<T, Refusal>;

/// Why a request is not done. Closed: the answer to each is decided in one place.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The input is no good.
    #[error("invalid input")]
    Invalid(Vec<Problem>),
    /// Nobody is logged in, or a login is not through.
    #[error("not authenticated")]
    Unauthenticated,
    /// Whoever is logged in must prove again who they are.
    #[error("reauthentication required")]
    Reauthenticate,
    /// Not allowed to anybody, or not now.
    #[error("forbidden")]
    Forbidden,
    /// A hook says no.
    #[error("refused by a hook")]
    Barred,
    /// There is no such thing.
    #[error("not found")]
    NotFound,
    /// The state does not allow it.
    #[error("conflict")]
    Conflict,
    /// The state does not allow it, for a reason that the caller can do something about.
    #[error("conflict: {}", .0.code)]
    Blocked(Problem),
    /// The session is no more.
    #[error("the session is gone")]
    Gone,
    /// A rate limit is used up.
    #[error("rate limited")]
    Limited,
    /// We could not. The transaction under way was rolled back.
    #[error(transparent)]
    Fault(Fault),
}

/// A failure of ours, for the log.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The database.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Too many passwords are being hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A message could not be queued.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// A service that we call does not answer.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// A hook does not answer as it should.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// A token could not be signed.
    #[error(transparent)]
    Signing(#[from] KeyError),
    /// What the database holds makes no sense.
    #[error("broken state: {0}")]
    Broken(String),
}

/// Why a hook gave no answer that counts. Goes to the log: hold back what was asked and answered.
#[derive(Debug, thiserror::Error)]
#[error("a hook failed: {0}")]
pub struct HookError(String);

impl HookError {
    /// For the log, in a few words.
    #[must_use]
    pub fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

impl Fault {
    /// Whether another request was faster, and has changed what this one relied on: the answer is 409.
    #[must_use]
    pub fn overtaken(&self) -> bool {
        matches!(self, Self::Storage(StorageError::Taken | StorageError::Orphan))
    }

    /// Whether another try later may work: the answer is 503, else 500.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(
            self,
            Self::Storage(StorageError::Unavailable(_))
                | Self::Hash(_)
                | Self::Outbound(_)
                | Self::Hook(_)
                | Self::Entropy(_)
                | Self::Delivery(
                    DeliveryError::Storage(StorageError::Unavailable(_)) | DeliveryError::NoEntropy(_)
                )
        )
    }
}

impl From<QueueError> for Fault {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Storage(error) => Self::Storage(error),
            QueueError::NoEntropy(error) => Self::Entropy(error),
        }
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl<E: Into<Fault>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Invalid(vec![problem])
    }
}

/// One thing that is wrong with an input. Codes are the contract's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// For programs.
    pub code: Cow<'static, str>,
    /// For people, in their language.
    pub message: Wording,
    /// The field that it is about.
    pub param: Option<Cow<'static, str>>,
}

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wording {
    /// A text of ours, in any of our languages.
    Ours(Text),
    /// What a hook wrote, in whatever language.
    Given(String),
}

impl Wording {
    /// The text in a language.
    #[must_use]
    pub fn to(&self, language: Language) -> Cow<'static, str> {
        match self {
            Self::Ours(text) => text.to(language),
            Self::Given(text) => text.clone().into(),
        }
    }
}

impl fmt::Display for Wording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to(Language::En))
    }
}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $message:literal;)*) => {
        impl Problem {
            $($(#[$doc])* #[must_use] pub const fn $name() -> Self {
                Self { code: Cow::Borrowed($code), message: Wording::Ours(Text::new($message)), param: None }
            })*
        }
    };
}

problems! {
    /// With a second factor, no unverified address can be added.
    add_email_blocked = "add_email_blocked", "An account with a second factor cannot get an unverified email address.";
    /// Keys without which nobody could log in any more.
    cannot_delete_authenticator = "cannot_delete_authenticator", "This passkey is the only way to log in. Please set a password or add another passkey first.";
    /// Recovery codes stand in for something.
    cannot_generate_recovery_codes = "cannot_generate_recovery_codes", "Recovery codes need another second factor to stand in for.";
    /// No account at a third party that is connected to this user.
    account_not_found = "account_not_found", "This account is not connected.";
    /// The token does not say for which app it is.
    client_id_required = "client_id_required", "Please give the client_id that the token was issued to.";
    /// The token is for another app.
    client_id_mismatch = "client_id_mismatch", "The token was issued to another client.";
    /// The account at a third party is another user's.
    connected_other = "connected_other", "This third-party account is connected to another account already.";
    /// The last account at a third party stays where there is no other way in.
    disconnect_last = "disconnect_last", "The last third-party account cannot be disconnected.";
    /// The current address cannot go while others are there, or while it is needed to log in.
    cannot_remove_primary_email = "cannot_remove_primary_email", "The primary email address cannot be removed.";
    /// This account has the address already.
    duplicate_email = "duplicate_email", "This email address belongs to this account already.";
    /// Email and password do not go together.
    email_password_mismatch = "email_password_mismatch", "The email address or the password is not correct.";
    /// Another account has the address.
    email_taken = "email_taken", "An account with this email address exists.";
    /// The same address was to be given twice.
    emails_differ = "", "Both email addresses must be the same.";
    /// The current password is wrong.
    enter_current_password = "enter_current_password", "Please enter your current password.";
    /// A wrong code.
    incorrect_code = "incorrect_code", "This code is not correct.";
    /// A wrong password where only a password is asked for.
    incorrect_password = "incorrect_password", "This password is not correct.";
    /// Not of the form that is asked for.
    invalid = "invalid", "This value is not valid.";
    /// None of the words that may be given.
    invalid_choice = "invalid_choice", "This is none of the possible values.";
    /// A provider's token that proves nothing.
    invalid_token = "invalid_token", "This token is not valid.";
    /// No address.
    invalid_email = "invalid", "Please enter a valid email address.";
    /// Not exactly one way to say who logs in.
    invalid_login = "invalid_login", "Please give exactly one way to identify the account.";
    /// Less than taken.
    too_small = "min_value", "This number is too small.";
    /// More than taken.
    too_large = "max_value", "This number is too large.";
    /// No whole number.
    invalid_integer = "invalid", "Please enter a whole number.";
    /// No number.
    invalid_number = "invalid", "Please enter a number.";
    /// No day.
    invalid_date = "invalid", "Please enter a valid date.";
    /// No address of a page.
    invalid_url = "invalid", "Please enter a valid URL.";
    /// Not an id.
    invalid_id = "invalid_pk_value", "This is no valid id.";
    /// One value where several may be given.
    invalid_list = "invalid_list", "Please give a list of values.";
    /// A link that does not work, or no longer.
    invalid_or_expired_key = "invalid_or_expired_key", "This key is not valid, or has expired.";
    /// A reset link that does not work, or no longer.
    invalid_password_reset = "invalid_password_reset", "This password reset key is not valid, or has expired.";
    /// No number in international form.
    invalid_phone = "invalid_phone", "Please enter a phone number with its country code, such as +1 for the US.";
    /// No JSON object, too long, or too deep.
    malformed = "malformed", "The body must be one JSON object of moderate size.";
    /// NUL characters.
    null_characters_not_allowed = "null_characters_not_allowed", "NUL characters are not allowed.";
    /// Without a password there would be no way in.
    no_password = "no_password", "Please set a password first: there would be no way to log in.";
    /// Without a proved address a lost password could not be reset.
    no_verified_email = "no_verified_email", "Please verify an email address first: a lost password could not be reset.";
    /// A password that others have lost.
    password_breached = "password_too_common", "This password is known from a data breach.";
    /// A password that nobody types.
    password_too_long = "max_length", "A password may have up to 4096 bytes.";
    /// Phone and password do not go together.
    phone_password_mismatch = "phone_password_mismatch", "The phone number or the password is not correct.";
    /// Another account has the number.
    phone_taken = "phone_taken", "An account with this phone number exists.";
    /// A limit is used up.
    rate_limited = "rate_limited", "Too many attempts. Please try again later.";
    /// A field is missing.
    required = "required", "This field is required.";
    /// A change that changes nothing.
    same_as_current = "same_as_current", "The new value must differ from the current one.";
    /// One of two was to be chosen.
    select_only_one = "select_only_one", "Please choose only one.";
    /// The provider gives no tokens that could be checked.
    token_authentication_not_supported = "token_authentication_not_supported", "This provider does not support authentication by token.";
    /// Neither of the tokens that could be given.
    token_required = "token_required", "Please give an id_token or an access_token.";
    /// A limit is used up.
    too_many_login_attempts = "too_many_login_attempts", "Too many attempts. Please try again later.";
    /// No account has the address, or not this one.
    unknown_email = "unknown_email", "This email address is not known.";
    /// No account has the number.
    unknown_phone = "unknown_phone", "This phone number is not known.";
    /// No key of this user.
    unknown_key = "invalid_choice", "This is none of your keys.";
    /// No session of this user.
    unknown_session = "invalid_choice", "One of these is not among the sessions that can be ended.";
    /// A second factor needs proved addresses.
    unverified_email = "unverified_email", "Please verify your email address before setting up a second factor.";
    /// An unverified address cannot take the place of a verified one.
    unverified_primary_email = "unverified_primary_email", "The primary email address must be a verified one.";
    /// A name that is kept back.
    username_blacklisted = "username_blacklisted", "This username cannot be used.";
    /// A name with other characters.
    username_invalid = "invalid", "A username may have letters, digits and the characters @ . + - _ only.";
    /// Name and password do not go together.
    username_password_mismatch = "username_password_mismatch", "The username or the password is not correct.";
    /// Another account has the name.
    username_taken = "username_taken", "A user with this username exists.";
}

impl Problem {
    /// What a hook says is wrong, in a language of its choice.
    #[must_use]
    pub fn given(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: Wording::Given(message.into()), param: None }
    }

    /// Says which field it is about.
    #[must_use]
    pub fn on(self, param: impl Into<Cow<'static, str>>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    /// Fewer characters than asked for.
    #[must_use]
    pub fn min_length(least: u32) -> Self {
        let message = Text::counted(
            least.into(),
            "This must have at least one character.",
            "This must have at least {count} characters.",
        );
        Self { code: Cow::Borrowed("min_length"), message: Wording::Ours(message), param: None }
    }

    /// More characters than taken.
    #[must_use]
    pub fn max_length(most: u32) -> Self {
        let message = Text::counted(
            most.into(),
            "This may have no more than one character.",
            "This may have up to {count} characters.",
        );
        Self { code: Cow::Borrowed("max_length"), message: Wording::Ours(message), param: None }
    }

    /// The account has as many addresses as it may.
    #[must_use]
    pub fn max_email_addresses(most: u32) -> Self {
        let message = Text::counted(
            most.into(),
            "An account may have one email address.",
            "An account may have up to {count} email addresses.",
        );
        Self { code: Cow::Borrowed("max_email_addresses"), message: Wording::Ours(message), param: None }
    }
}

impl From<Weakness> for Problem {
    fn from(weakness: Weakness) -> Self {
        Self { code: weakness.code.into(), message: Wording::Ours(weakness.message), param: None }
    }
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::TooLong => Self::password_too_long(),
            PasswordError::Nul => Self::null_characters_not_allowed(),
        }
    }
}
