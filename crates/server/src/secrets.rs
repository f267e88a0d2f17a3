//! The secret key of a Vestibule that was given none: made once, kept in the data folder.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use vestibule_base::security::random;

/// 256 bits, written in hexadecimal.
const BYTES: usize = 32;

/// Why there is no secret key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretsError {
    /// The folder or file cannot be used.
    #[error("{path}: {source}. Set server.data_dir to a folder that can be written, or set server.secret_key", path = path.display())]
    File { path: PathBuf, source: io::Error },
    /// The file holds something else.
    #[error("{path}: not a secret key made by Vestibule. Restore the file, or remove it: a new key ends all sessions", path = path.display())]
    Damaged { path: PathBuf },
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] random::NoEntropy),
}

/// Makes `folder` (mode 0700) unless it exists.
///
/// # Errors
/// [`SecretsError::File`] if it cannot be made.
pub(crate) fn make_folder(folder: &Path) -> Result<(), SecretsError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|source| SecretsError::File { path: folder.into(), source })
}

/// The key kept in `folder`, which exists. Made (mode 0600) at the first call; instances that call at the same
/// moment get the same key.
///
/// # Errors
/// [`SecretsError`] if the file cannot be written or read, or holds no key.
pub(crate) fn key_in(folder: &Path) -> Result<String, SecretsError> {
    let path = folder.join("secret_key");
    let failed = |source| SecretsError::File { path: path.clone(), source };
    if let Some(key) = read(&path)? {
        return Ok(key);
    }
    let mark = hex::encode(random::bytes::<8>()?);
    let beside = folder.join(format!(".secret_key.{mark}"));
    let written = write_private(&beside, &hex::encode(random::bytes::<BYTES>()?))
        // A link, because it appears with its content and never replaces the key of another instance.
        .and_then(|()| match fs::hard_link(&beside, &path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        });
    let _ = fs::remove_file(&beside);
    written.map_err(failed)?;
    // So that the name survives a power cut along with what will be encrypted under the key.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    read(&path)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
}

fn read(path: &Path) -> Result<Option<String>, SecretsError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(SecretsError::File { path: path.into(), source }),
    };
    let key = text.trim();
    if key.len() != 2 * BYTES || !key.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(SecretsError::Damaged { path: path.into() });
    }
    narrow(path);
    Ok(Some(key.to_owned()))
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}

/// Takes the key away from other users, should a restored backup have given it to them.
fn narrow(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let open = fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0);
        if open && fs::set_permissions(path, Permissions::from_mode(0o600)).is_err() {
            tracing::warn!(path = %path.display(), "other users of this machine can read the secret key");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x2_the_key_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("deep/data");
        make_folder(&data).unwrap();
        let key = key_in(&data).unwrap();
        assert_eq!(key.len(), 64);
        assert_eq!(key_in(&data).unwrap(), key);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "nothing is left beside the key");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&data), 0o700);
            assert_eq!(mode(&data.join("secret_key")), 0o600);
            fs::set_permissions(data.join("secret_key"), Permissions::from_mode(0o644)).unwrap();
            key_in(&data).unwrap();
            assert_eq!(mode(&data.join("secret_key")), 0o600);
        }
    }

    #[test]
    fn x2_instances_that_start_together_share_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let keys: Vec<String> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| key_in(folder.path()).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn x2_a_damaged_key_stops_the_start() {
        let folder = tempfile::tempdir().unwrap();
        for damaged in ["", "short", &"x".repeat(64)] {
            fs::write(folder.path().join("secret_key"), damaged).unwrap();
            assert!(matches!(key_in(folder.path()), Err(SecretsError::Damaged { .. })));
        }
    }
}
