//! Joystream's content hashes: the BLAKE3 multihash in base58 (Bitcoin's alphabet).

/// Multihash code of BLAKE3 and length of its digest (multiformats table).
const BLAKE3: [u8; 2] = [0x1e, 32];
/// Longest base58 text of 34 bytes.
const MAX_CHARS: usize = 47;

/// The hash of this content.
#[must_use]
pub fn of(content: &[u8]) -> String {
    bs58::encode([&BLAKE3[..], blake3::hash(content).as_bytes()].concat()).into_string()
}

/// Whether the text is a well-formed hash.
#[must_use]
pub fn is_blake3(text: &str) -> bool {
    // Decoding base58 takes time quadratic in the length, so check the length first.
    text.len() <= MAX_CHARS
        && bs58::decode(text).into_vec().is_ok_and(|bytes| bytes.len() == 34 && bytes.starts_with(&BLAKE3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_nothing_is_the_published_one() {
        // The first of BLAKE3's official test vectors, encoded to base58 by another program.
        assert_eq!(of(b""), "gW9T5gSXhgQB5LaqmnJrLVVpHawhM7youzHnuY6HyGBDy3");
    }

    #[test]
    fn hashes_are_distinguished_from_other_texts() {
        let of = |head: [u8; 2], digest: &[u8]| bs58::encode([&head[..], digest].concat()).into_string();
        assert!(is_blake3(&of(BLAKE3, &[0; 32])) && is_blake3(&of(BLAKE3, &[255; 32])));
        for other in [of([0x12, 32], &[7; 32]), of(BLAKE3, &[7; 31]), "gW0".to_owned(), String::new(), "1".repeat(999)]
        {
            assert!(!is_blake3(&other), "{other}");
        }
    }
}
