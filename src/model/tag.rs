//! Texts that are safe as a tag value, in a URL and in a shell: ASCII letters, digits and `. _ : / -`.

/// The longest tag, in characters. A tag is part of every point of its series, so long ones cost memory in the
/// database.
pub const MAX_CHARS: usize = 100;

/// The value of a tag that is not known. Reserved for this purpose.
pub const UNKNOWN: &str = "none";

/// Whether a tag may contain the character.
#[must_use]
pub fn is_safe(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._:/-".contains(c)
}

/// Turns text from an untrusted source into a tag: cuts it, and replaces each run of other characters with one `_`.
/// `None` when nothing meaningful is left, or when the result is [`UNKNOWN`].
#[must_use]
pub fn reduced(text: &str) -> Option<String> {
    let mut tag = String::new();
    for c in text.trim().chars() {
        if tag.len() == MAX_CHARS {
            break;
        }
        if is_safe(c) {
            tag.push(c);
        } else if !tag.ends_with('_') {
            tag.push('_');
        }
    }
    let says_something = tag.contains(|c: char| c.is_ascii_alphanumeric()) && tag != UNKNOWN;
    says_something.then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untrusted_text_becomes_a_valid_tag_or_nothing() {
        for (text, tag) in [
            ("eu-west-1", Some("eu-west-1")),
            ("1:0-1", Some("1:0-1")),
            (" Western Europe ", Some("Western_Europe")),
            ("a, =\n\\b\u{202e}c", Some("a_b_c")),
            ("Zürich", Some("Z_rich")),
            ("日本", None),
            ("--", None),
            ("", None),
            ("none", None),
        ] {
            assert_eq!(reduced(text).as_deref(), tag, "{text}");
        }
        assert_eq!(reduced(&"é1".repeat(900)).unwrap().len(), MAX_CHARS);
    }
}
