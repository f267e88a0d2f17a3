//! Base 32 (RFC 4648, section 6), in which TOTP secrets travel.

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The bytes of `text`, in either case, with or without padding and the blanks and hyphens that people put in.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut kept, mut bits) = (Vec::new(), 0_u16, 0);
    let digits = text.trim_end_matches('=').bytes().filter(|sign| !b" -".contains(sign));
    for digit in digits {
        let value = ALPHABET.iter().position(|known| *known == digit.to_ascii_uppercase())?;
        kept = (kept << 5 | u16::try_from(value).ok()?) & 0x1fff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((kept >> bits) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// The same the other way, without padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let digit = |at: usize| {
        let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
        let value = (0..5).fold(0, |value, step| value << 1 | bit(at * 5 + step));
        char::from(ALPHABET[usize::from(value & 31)])
    };
    (0..(bytes.len() * 8).div_ceil(5)).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(encode(plain.as_bytes()), coded);
            assert_eq!(decode(coded).unwrap(), plain.as_bytes());
        }
        assert_eq!(decode("mzxw 6ytb-oi======").unwrap(), b"foobar");
        for wrong in ["MZXW6YT1", "é", "M=Y"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
