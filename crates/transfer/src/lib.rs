//! Accounts in and out: [`Account`] is one as it travels, a [`Source`] gives them, [`Importer`] takes them in.
//!
//! Knows no HTTP; the only SQL in here reads databases that are not ours ([`Django`]). Constant memory: nothing here holds
//! more than a batch of accounts.

mod account;
mod base32;
mod csv;
mod django;
mod django_settings;
mod export;
mod flat;
mod import;
mod json;
mod jsonl;
mod source;
mod wire;

pub use account::{
    Account, Email, Passkey, Phone, ProviderAccount, ProviderTokens, RecoveryCode, RecoveryCodes, Totp,
};
pub use csv::Csv;
pub use django::{Django, DjangoOptions};
pub use django_settings::{Judge, SyntaxError, translate_settings};
pub use export::{ExportError, export};
pub use import::{Ids, ImportError, Importer, Note, Options, Quiet, Report, Watcher};
pub use json::JsonList;
pub use jsonl::JsonLines;
pub use source::{Item, ReadError, Source};
