//! Accounts out: everything that an [`Account`] holds, as JSON lines.

use std::collections::HashMap;
use std::io::{self, Write};

use secrecy::SecretString;
use serde_json::json;
use vestibule_base::config::AuthenticatorType as Kind;
use vestibule_base::security::webauthn::Credential;
use vestibule_base::security::{Keyring, Millis, rfc_3339};
use vestibule_base::storage::authenticators::Authenticator;
use vestibule_base::storage::exports::{self, Connected};
use vestibule_base::storage::users::{self, User};
use vestibule_base::storage::{Conn, Db, StorageError};
use vestibule_core::Fault;
use vestibule_core::mfa::stored::{self, handle};
use vestibule_core::social::tokens::{self, Tokens};

use crate::account::{
    Account, Email, Passkey, Phone, ProviderAccount, ProviderTokens, RecoveryCode, RecoveryCodes, Totp,
};
use crate::base32;
use crate::jsonl::{FORMAT, VERSION};

/// Accounts that are read at a time.
const AT_ONCE: i64 = 500;

/// Why an export broke off. What was written is not whole.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database does not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A secret cannot be opened, or is none.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It cannot be written.
    #[error("cannot write the accounts: {0}")]
    Write(#[from] io::Error),
    /// What is stored of an account is broken.
    #[error("user {user}: {error}")]
    Broken {
        /// Its id.
        user: i64,
        /// What is wrong.
        error: serde_json::Error,
    },
}

/// Writes all accounts to `out`, an account a line behind a line that says what this is and that it comes from `source`.
/// With their secrets in the clear: passwords' hashes, TOTP secrets, recovery codes, tokens of providers. The accounts are
/// those of one moment, whatever is changed meanwhile. `progress` is told how many are written. Gives how many there are.
///
/// # Errors
/// [`ExportError`].
pub async fn export(
    db: &Db,
    keyring: &Keyring,
    source: &str,
    now: Millis,
    out: &mut impl Write,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, ExportError> {
    let mut conn = db.snapshot().await?;
    let head = json!({ FORMAT: VERSION, "source": source, "exported_at": rfc_3339::text(now) });
    writeln!(out, "{head}")?;
    let (mut count, mut after) = (0, 0);
    loop {
        let users = users::list(&mut conn, after, AT_ONCE).await?;
        let Some(last) = users.last().map(|user| user.id) else { break };
        let mut page = Page::read(&mut conn, after.saturating_add(1), last).await?;
        for user in users {
            let id = user.id;
            let account = page.account(keyring, user)?;
            let line =
                serde_json::to_string(&account).map_err(|error| ExportError::Broken { user: id, error })?;
            writeln!(out, "{line}")?;
            count += 1;
        }
        after = last;
        progress(count);
    }
    out.flush()?;
    Ok(count)
}

/// What belongs to some users.
struct Page {
    emails: HashMap<i64, Vec<Email>>,
    phones: HashMap<i64, Phone>,
    profiles: HashMap<i64, String>,
    connected: HashMap<i64, Vec<Connected>>,
    tokens: HashMap<i64, vestibule_base::storage::social::SocialToken>,
    authenticators: HashMap<i64, Vec<Authenticator>>,
}

impl Page {
    async fn read(conn: &mut Conn, from: i64, to: i64) -> Result<Self, StorageError> {
        let mut page = Self {
            emails: HashMap::new(),
            phones: HashMap::new(),
            profiles: exports::profiles(conn, from, to).await?.into_iter().collect(),
            connected: HashMap::new(),
            tokens: HashMap::new(),
            authenticators: HashMap::new(),
        };
        for row in exports::emails(conn, from, to).await? {
            let email = Email { email: row.email, verified: row.verified, primary: row.primary };
            page.emails.entry(row.user_id).or_default().push(email);
        }
        for row in exports::phones(conn, from, to).await? {
            page.phones.insert(row.user_id, Phone { phone: row.phone, verified: row.verified });
        }
        for row in exports::connected(conn, from, to).await? {
            page.connected.entry(row.account.user_id).or_default().push(row);
        }
        for row in exports::tokens(conn, from, to).await? {
            page.tokens.insert(row.account_id, row);
        }
        for row in exports::authenticators(conn, from, to).await? {
            page.authenticators.entry(row.user_id).or_default().push(row);
        }
        Ok(page)
    }

    fn account(&mut self, keyring: &Keyring, user: User) -> Result<Account, ExportError> {
        let broken = |error| ExportError::Broken { user: user.id, error };
        let mut account = Account {
            source_id: user.id.to_string(),
            id: Some(user.id),
            username: user.username,
            password: user.password.map(|hash| hash.as_str().into()),
            is_active: user.is_active,
            created_at: Some(user.created_at),
            last_login_at: user.last_login_at,
            emails: self.emails.remove(&user.id).unwrap_or_default(),
            phone: self.phones.remove(&user.id),
            ..Account::default()
        };
        if let Some(fields) = self.profiles.remove(&user.id) {
            account.fields = serde_json::from_str(&fields).map_err(broken)?;
        }
        for row in self.connected.remove(&user.id).unwrap_or_default() {
            let tokens =
                self.tokens.get(&row.account.id).map(|sealed| tokens::open(keyring, sealed)).transpose()?;
            account.providers.push(ProviderAccount {
                provider: row.account.provider,
                uid: row.account.uid,
                extra_data: serde_json::from_str(&row.account.extra_data).map_err(broken)?,
                created_at: Some(row.created_at),
                last_login_at: Some(row.last_login_at),
                tokens: tokens.map(|Tokens { access, refresh, expires_at }| ProviderTokens {
                    access,
                    refresh,
                    expires_at,
                }),
            });
        }
        for row in self.authenticators.remove(&user.id).unwrap_or_default() {
            let plain = stored::open(keyring, user.id, row.kind, &row.secret)?;
            let (created_at, last_used_at) = (Some(row.created_at), row.last_used_at);
            match row.kind {
                Kind::Totp => {
                    let secret = SecretString::from(base32::encode(&plain));
                    account.totp = Some(Totp { secret, last_step: row.counter, created_at, last_used_at });
                }
                Kind::RecoveryCodes => {
                    let set: stored::Set = serde_json::from_slice(&plain).map_err(broken)?;
                    let codes = set.codes.into_iter();
                    let codes =
                        codes.map(|line| RecoveryCode { code: line.code.into(), used: line.used }).collect();
                    account.recovery_codes =
                        Some(RecoveryCodes { codes, seen: set.seen, created_at, last_used_at });
                }
                Kind::Webauthn => {
                    let own: Credential = serde_json::from_slice(&plain).map_err(broken)?;
                    account.passkeys.push(Passkey {
                        name: row.name.unwrap_or_default(),
                        credential_id: own.id.as_bytes().to_vec(),
                        public_key: own.public_key.as_cose().to_vec(),
                        sign_count: own.sign_count,
                        user_handle: Some(own.user_handle.unwrap_or_else(|| handle(user.id))),
                        backup_eligible: own.backup_eligible,
                        backed_up: own.backed_up,
                        user_verified: own.user_verified,
                        discoverable: own.discoverable,
                        created_at,
                        last_used_at,
                    });
                }
            }
        }
        Ok(account)
    }
}
