//! Random bytes from the operating system.

/// The operating system gave no random bytes. Nothing can be issued without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoEntropy;

/// `N` random bytes.
///
/// # Errors
/// [`NoEntropy`] if the system's generator fails.
pub fn bytes<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut out = [0; N];
    getrandom::fill(&mut out).map_err(|_| NoEntropy)?;
    Ok(out)
}

/// `length` characters drawn evenly from `alphabet` (ASCII, at most 256 characters, not empty).
///
/// # Errors
/// [`NoEntropy`] if the system's generator fails.
pub fn text(alphabet: &[u8], length: usize) -> Result<String, NoEntropy> {
    let size = alphabet.len().clamp(1, 256);
    // Bytes at or above the largest multiple of the size would favour the first characters.
    let fair = 256 - 256 % size;
    let mut out = String::with_capacity(length);
    while out.len() < length {
        for byte in bytes::<32>()? {
            if usize::from(byte) < fair && out.len() < length {
                out.push(char::from(alphabet.get(usize::from(byte) % size).copied().unwrap_or(b'0')));
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_uses_the_whole_alphabet_and_nothing_else() {
        let drawn = text(b"BCDFGHJKLMNPQRSTVWXZ", 4000).unwrap();
        assert_eq!(drawn.len(), 4000);
        for letter in b"BCDFGHJKLMNPQRSTVWXZ" {
            let count = drawn.bytes().filter(|b| b == letter).count();
            assert!((100..320).contains(&count), "{letter} drawn {count} times in 4000");
        }
        assert!(drawn.bytes().all(|b| b"BCDFGHJKLMNPQRSTVWXZ".contains(&b)));
    }
}
