//! What instances over one database agree on: the secret key, and who does the work that one does at a time.

use super::{Conn, StorageError};
use crate::security::{Digest, Millis};
use crate::vals;

/// The row of the mark.
const ONLY: i64 = 1;

/// The mark of the secret key that an instance was started with last; `mark`, which then stays, if there was none. The
/// row stays locked until the transaction ends.
///
/// # Errors
/// Any of [`StorageError`]; so for all below.
pub async fn key_mark(tx: &mut Conn, mark: &Digest) -> Result<Vec<u8>, StorageError> {
    const SQL: &str = "INSERT INTO key_mark (id, mark) VALUES ($1, $2)
        ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING mark";
    tx.maybe(SQL, vals![ONLY, mark]).await?.map_or_else(|| Ok(Vec::new()), |row| row.bytes(0))
}

/// From now on this is the mark of the secret key.
///
/// # Errors
/// [`StorageError`].
pub async fn set_key_mark(tx: &mut Conn, mark: &Digest) -> Result<(), StorageError> {
    const SQL: &str = "INSERT INTO key_mark (id, mark) VALUES ($1, $2)
        ON CONFLICT (id) DO UPDATE SET mark = excluded.mark";
    tx.execute(SQL, vals![ONLY, mark]).await.map(drop)
}

/// Takes the lease of this name until `until`, unless another has it at `now`; gives whether it was taken. It is not
/// given back: until it ends, the work is done. One that would last longer was taken before the clock was set back.
///
/// # Errors
/// [`StorageError`].
pub async fn take_lease(
    tx: &mut Conn,
    name: &'static str,
    now: Millis,
    until: Millis,
) -> Result<bool, StorageError> {
    const SQL: &str = "INSERT INTO leases (name, until) VALUES ($1, $3)
        ON CONFLICT (name) DO UPDATE SET until = excluded.until WHERE leases.until <= $2 OR leases.until > $3";
    Ok(tx.execute(SQL, vals![name, now, until]).await? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Db;

    #[tokio::test]
    async fn a_lease_has_one_holder_and_the_first_mark_stays() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&format!("sqlite://{}", dir.path().join("db").display()), 2).await.unwrap();
        db.migrate().await.unwrap();
        let mut tx = db.write().await.unwrap();
        assert!(take_lease(&mut tx, "sweep", 100, 200).await.unwrap());
        assert!(!take_lease(&mut tx, "sweep", 199, 300).await.unwrap());
        assert!(take_lease(&mut tx, "other", 199, 300).await.unwrap());
        assert!(take_lease(&mut tx, "sweep", 200, 300).await.unwrap());
        assert!(take_lease(&mut tx, "sweep", 50, 150).await.unwrap(), "the clock was set back");

        assert_eq!(key_mark(&mut tx, &[1; 32]).await.unwrap(), [1; 32]);
        assert_eq!(key_mark(&mut tx, &[2; 32]).await.unwrap(), [1; 32]);
        set_key_mark(&mut tx, &[2; 32]).await.unwrap();
        assert_eq!(key_mark(&mut tx, &[3; 32]).await.unwrap(), [2; 32]);
    }
}
