//! Accounts at third parties that are connected to users, and their tokens.

use super::{Conn, Row, StorageError};
use crate::security::{Digest, Millis};
use crate::vals;

/// A row of `social_accounts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocialAccount {
    /// The row.
    pub id: i64,
    /// Whose it is.
    pub user_id: i64,
    /// The app of the configuration.
    pub provider: String,
    /// The provider's own name for the person.
    pub uid: String,
    /// What the provider said of the person, as JSON.
    pub extra_data: String,
}

pub(super) fn read(row: &Row) -> Result<SocialAccount, StorageError> {
    Ok(SocialAccount {
        id: row.int(0)?,
        user_id: row.int(1)?,
        provider: row.text(2)?,
        uid: row.text(3)?,
        extra_data: row.text(4)?,
    })
}

/// The account that a provider knows by this name.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn find(conn: &mut Conn, provider: &str, uid: &str) -> Result<Option<SocialAccount>, StorageError> {
    let row = conn
        .maybe(
            "SELECT id, user_id, provider, uid, extra_data FROM social_accounts WHERE provider = $1 AND uid = $2",
            vals![provider, uid],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The accounts of a user, oldest first.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn of_user(conn: &mut Conn, user_id: i64) -> Result<Vec<SocialAccount>, StorageError> {
    let rows = conn
        .all(
            "SELECT id, user_id, provider, uid, extra_data FROM social_accounts WHERE user_id = $1 ORDER BY id",
            vals![user_id],
        )
        .await?;
    rows.iter().map(read).collect()
}

/// Connects an account to a user; `None` if it is connected to somebody already.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn insert(
    conn: &mut Conn,
    user_id: i64,
    provider: &str,
    uid: &str,
    extra_data: &str,
    now: Millis,
) -> Result<Option<i64>, StorageError> {
    let row = conn
        .maybe(
            "INSERT INTO social_accounts (user_id, provider, uid, extra_data, created_at, last_login_at)
             VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (provider, uid) DO NOTHING RETURNING id",
            vals![user_id, provider, uid, extra_data, now],
        )
        .await?;
    row.map(|row| row.int(0)).transpose()
}

/// Notes what the provider says now; `false` if the account is not connected any more.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn touch(conn: &mut Conn, id: i64, extra_data: &str, now: Millis) -> Result<bool, StorageError> {
    let touched = conn
        .execute(
            "UPDATE social_accounts SET extra_data = $2, last_login_at = $3 WHERE id = $1",
            vals![id, extra_data, now],
        )
        .await?;
    Ok(touched == 1)
}

/// Disconnects an account.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn delete(conn: &mut Conn, id: i64) -> Result<(), StorageError> {
    conn.execute("DELETE FROM social_accounts WHERE id = $1", vals![id]).await.map(drop)
}

/// Disconnects all accounts of a user.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn delete_of_user(conn: &mut Conn, user_id: i64) -> Result<(), StorageError> {
    conn.execute("DELETE FROM social_accounts WHERE user_id = $1", vals![user_id]).await.map(drop)
}

/// A row of `social_tokens`. Sealed.
#[derive(Debug, Clone)]
pub struct SocialToken {
    /// Whose it is.
    pub account_id: i64,
    /// Access token.
    pub access: Vec<u8>,
    /// Refresh token, or the secret of OAuth 1.0a.
    pub refresh: Option<Vec<u8>>,
    /// When the access token expires.
    pub expires_at: Option<Millis>,
}

pub(super) fn read_token(row: &Row) -> Result<SocialToken, StorageError> {
    Ok(SocialToken {
        account_id: row.int(0)?,
        access: row.bytes(1)?,
        refresh: row.opt_bytes(2)?,
        expires_at: row.opt_int(3)?,
    })
}

/// The tokens of an account.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn token(conn: &mut Conn, account_id: i64) -> Result<Option<SocialToken>, StorageError> {
    let row = conn
        .maybe(
            "SELECT account_id, access, refresh, expires_at FROM social_tokens WHERE account_id = $1",
            vals![account_id],
        )
        .await?;
    row.as_ref().map(read_token).transpose()
}

/// Up to `limit` tokens of accounts behind `after`, by account.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn tokens(conn: &mut Conn, after: i64, limit: i64) -> Result<Vec<SocialToken>, StorageError> {
    let rows = conn
        .all(
            "SELECT account_id, access, refresh, expires_at FROM social_tokens WHERE account_id > $1
             ORDER BY account_id LIMIT $2",
            vals![after, limit],
        )
        .await?;
    rows.iter().map(read_token).collect()
}

/// Keeps tokens in place of earlier ones; an earlier refresh token stays if there is no new one.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn put_token(conn: &mut Conn, token: &SocialToken) -> Result<(), StorageError> {
    conn.execute(
        "INSERT INTO social_tokens (account_id, access, refresh, expires_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (account_id) DO UPDATE SET access = excluded.access, expires_at = excluded.expires_at,
             refresh = coalesce(excluded.refresh, social_tokens.refresh)",
        vals![token.account_id, token.access.as_slice(), token.refresh.as_deref(), token.expires_at],
    )
    .await
    .map(drop)
}

/// Keeps the same tokens sealed anew; `false` if others have taken their place.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn reseal_token(
    conn: &mut Conn,
    token: &SocialToken,
    former_access: &[u8],
) -> Result<bool, StorageError> {
    let touched = conn
        .execute(
            "UPDATE social_tokens SET access = $2, refresh = $3 WHERE account_id = $1 AND access = $4",
            vals![token.account_id, token.access.as_slice(), token.refresh.as_deref(), former_access],
        )
        .await?;
    Ok(touched == 1)
}

/// Spends a proof that a client brought; `false` if that was done before, and longer ago than it may come again.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn spend_proof(
    conn: &mut Conn,
    proof_hash: &Digest,
    expires_at: Millis,
    now: Millis,
    again_within: Millis,
) -> Result<bool, StorageError> {
    let inserted = conn
        .execute(
            "INSERT INTO spent_proofs (proof_hash, expires_at, spent_at) VALUES ($1, $2, $3)
             ON CONFLICT (proof_hash) DO UPDATE SET expires_at = excluded.expires_at
             WHERE spent_proofs.spent_at <= $3 AND spent_proofs.spent_at > $4",
            vals![proof_hash, expires_at, now, now.saturating_sub(again_within)],
        )
        .await?;
    Ok(inserted == 1)
}

/// Forgets up to `limit` proofs that are worthless by themselves.
///
/// # Errors
/// Any of [`StorageError`].
pub async fn purge_proofs(conn: &mut Conn, now: Millis, limit: i64) -> Result<u64, StorageError> {
    conn.execute(
        "DELETE FROM spent_proofs WHERE proof_hash IN
             (SELECT proof_hash FROM spent_proofs WHERE expires_at <= $1 LIMIT $2)",
        vals![now, limit],
    )
    .await
}
