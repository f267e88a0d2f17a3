//! Accounts in and out: [`Account`] is one as it travels, a [`Source`] gives them, [`Importer`] takes them in.
//!
//! Knows no HTTP and writes no SQL. Constant memory: nothing here holds more than a batch of accounts.

mod account;
mod django;
mod django_settings;
mod import;
mod source;
mod wire;

pub use account::{
    Account, Email, Passkey, Phone, ProviderAccount, ProviderTokens, RecoveryCode, RecoveryCodes, Totp,
};
pub use django::{Django, DjangoOptions};
pub use django_settings::{Judge, SyntaxError, translate_settings};
pub use import::{Ids, ImportError, Importer, Note, Options, Quiet, Report, Watcher};
pub use source::{Item, ReadError, Source};
