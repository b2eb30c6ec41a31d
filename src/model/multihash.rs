//! Joystream's content hashes: base58 (Bitcoin's alphabet) of the BLAKE3 multihash.

/// Multihash code of BLAKE3, and length of its digest (multiformats table).
const BLAKE3: [u8; 2] = [0x1e, 32];
/// The text of 34 bytes has 47 characters at the most.
const MAX_CHARS: usize = 47;

/// The hash of some content.
#[must_use]
pub fn of(content: &[u8]) -> String {
    bs58::encode([&BLAKE3[..], blake3::hash(content).as_bytes()].concat()).into_string()
}

/// Is the text the hash of some content?
#[must_use]
pub fn is_blake3(text: &str) -> bool {
    // base58 is quadratic in its length
    text.len() <= MAX_CHARS
        && bs58::decode(text).into_vec().is_ok_and(|bytes| bytes.len() == 34 && bytes.starts_with(&BLAKE3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_nothing_is_the_published_one() {
        // The first of BLAKE3's official test vectors, put into base58 by another program.
        assert_eq!(of(b""), "gW9T5gSXhgQB5LaqmnJrLVVpHawhM7youzHnuY6HyGBDy3");
    }

    #[test]
    fn a_hash_is_told_from_other_texts() {
        let of = |head: [u8; 2], digest: &[u8]| bs58::encode([&head[..], digest].concat()).into_string();
        assert!(is_blake3(&of(BLAKE3, &[0; 32])) && is_blake3(&of(BLAKE3, &[255; 32])));
        for other in [of([0x12, 32], &[7; 32]), of(BLAKE3, &[7; 31]), "gW0".to_owned(), String::new(), "1".repeat(999)]
        {
            assert!(!is_blake3(&other), "{other}");
        }
    }
}
