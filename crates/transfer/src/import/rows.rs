//! The rows of accounts, with their secrets sealed for the ids that they have got.

use vestibule_base::config::AuthenticatorType as Kind;
use vestibule_base::security::Keyring;
use vestibule_base::storage::Conn;
use vestibule_base::storage::imports::{
    self, NewAuthenticator, NewEmail, NewPhone, NewSocialAccount, NewUser,
};
use vestibule_core::mfa::stored::{self, handle};
use vestibule_core::social::tokens;

use super::ImportError;
use super::batch::Entry;
use super::prepare::{ReadyKey, Sealable};

/// Adds all rows of these accounts.
pub(super) async fn insert(
    keyring: &Keyring,
    tx: &mut Conn,
    source: &str,
    entries: &[Entry<'_>],
) -> Result<(), ImportError> {
    imports::insert_users(tx, entries.iter().map(user).collect()).await?;
    imports::insert_emails(tx, entries.iter().flat_map(emails).collect()).await?;
    imports::insert_phones(tx, entries.iter().filter_map(phone).collect()).await?;
    let profiles = entries.iter().filter_map(|entry| Some((entry.id, entry.account.fields.clone()?)));
    imports::insert_profiles(tx, profiles.collect()).await?;
    imports::insert_social(tx, entries.iter().flat_map(social).collect()).await?;
    let mut sealed = Vec::new();
    for (one, id) in entries.iter().flat_map(|entry| &entry.providers) {
        if let Some(own) = &one.tokens {
            sealed.push(tokens::seal(keyring, *id, own)?);
        }
    }
    imports::insert_tokens(tx, sealed).await?;
    let mut rows = Vec::new();
    for entry in entries {
        authenticators(keyring, entry, &mut rows)?;
    }
    imports::insert_authenticators(tx, rows).await?;
    let taken = entries.iter().map(|entry| (entry.account.source_id.clone(), entry.id)).collect();
    Ok(imports::remember(tx, source, taken).await?)
}

fn user(entry: &Entry<'_>) -> NewUser {
    let account = entry.account;
    NewUser {
        id: entry.id,
        username: account.username.as_ref().map(|name| name.as_str().to_owned()),
        username_key: account.username.as_ref().map(|name| name.key()),
        password: account.password.clone(),
        is_active: account.is_active,
        created_at: account.created_at,
        last_login_at: account.last_login_at,
    }
}

fn emails(entry: &Entry<'_>) -> impl Iterator<Item = NewEmail> {
    entry.emails.iter().map(|(row, claim)| NewEmail {
        user_id: entry.id,
        email: row.email.clone(),
        verified: row.verified,
        primary: row.primary,
        claim: *claim,
    })
}

fn phone(entry: &Entry<'_>) -> Option<NewPhone> {
    let (phone, verified, claim) = entry.phone.clone()?;
    Some(NewPhone { user_id: entry.id, phone, verified, claim })
}

fn social(entry: &Entry<'_>) -> impl Iterator<Item = NewSocialAccount> {
    entry.providers.iter().map(|(one, id)| NewSocialAccount {
        id: *id,
        user_id: entry.id,
        provider: one.provider.clone(),
        uid: one.uid.clone(),
        extra_data: one.extra_data.clone(),
        created_at: one.created_at,
        last_login_at: one.last_login_at,
    })
}

/// The oldest first, as they are listed. Recovery codes only where there is something that they stand in for.
fn authenticators(
    keyring: &Keyring,
    entry: &Entry<'_>,
    rows: &mut Vec<NewAuthenticator>,
) -> Result<(), ImportError> {
    let first = rows.len();
    if let Some(totp) = &entry.account.totp {
        rows.push(row(keyring, entry.id, Kind::Totp, totp)?);
    }
    for key in &entry.keys {
        rows.push(key_row(keyring, entry.id, key)?);
    }
    if let Some(codes) = entry.account.codes.as_ref().filter(|_| rows.len() > first) {
        rows.push(row(keyring, entry.id, Kind::RecoveryCodes, codes)?);
    }
    if let Some(own) = rows.get_mut(first..) {
        own.sort_by_key(|row| row.created_at);
    }
    Ok(())
}

fn row(
    keyring: &Keyring,
    user_id: i64,
    kind: Kind,
    from: &Sealable,
) -> Result<NewAuthenticator, ImportError> {
    Ok(NewAuthenticator {
        user_id,
        kind: kind.name(),
        secret: stored::seal(keyring, user_id, kind, &from.plain)?,
        counter: from.counter,
        created_at: from.created_at,
        last_used_at: from.last_used_at,
        name: None,
        credential_id: None,
    })
}

fn key_row(keyring: &Keyring, user_id: i64, key: &ReadyKey) -> Result<NewAuthenticator, ImportError> {
    let mut credential = key.credential.clone();
    credential.user_handle = credential.user_handle.filter(|known| *known != handle(user_id));
    let plain = serde_json::to_vec(&credential)?;
    Ok(NewAuthenticator {
        user_id,
        kind: Kind::Webauthn.name(),
        secret: stored::seal(keyring, user_id, Kind::Webauthn, &plain)?,
        counter: 0,
        created_at: key.created_at,
        last_used_at: key.last_used_at,
        name: Some(key.name.clone()),
        credential_id: Some(credential.id.as_bytes().to_vec()),
    })
}
