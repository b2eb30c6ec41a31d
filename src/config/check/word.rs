//! The rules for single values: tags, countries, coordinates, paths, ids and hashes.

use super::super::file::Section;
use crate::model::{
    multihash, tag,
    target::{Coordinates, Profile, is_object_id},
};

const MAX_PATH_CHARS: usize = 2_000;

/// A text that is safe as a tag value, in a URL and in a shell.
pub(super) fn tag(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("is empty".to_owned())
    } else if text.len() > tag::MAX_CHARS {
        Err(format!("has {} characters, but at most {} are allowed", text.chars().count(), tag::MAX_CHARS))
    } else if text == tag::UNKNOWN {
        Err("`none` is reserved for unknown values: choose another word".to_owned())
    } else if let Some(other) = text.chars().find(|c| !tag::is_safe(*c)) {
        Err(format!("`{text}` contains `{}`: only letters, digits and . _ : / - are allowed", other.escape_debug()))
    } else {
        Ok(text.to_owned())
    }
}

/// A country code with the shape of ISO 3166-1 alpha-2. The list of codes is not checked.
pub(super) fn country(text: &str) -> Result<String, String> {
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not a country code of two capital letters such as `DE`"))
    }
}

/// Reads `latitude` and `longitude` of a section: both or neither.
pub(super) fn coordinates(section: &Section<'_>) -> Option<Coordinates> {
    let (latitude, longitude) = (section.number("latitude"), section.number("longitude"));
    match (section.has("latitude"), section.has("longitude")) {
        (true, false) => section.refuse_with("latitude", "is set without `longitude`", "set both, or neither"),
        (false, true) => section.refuse_with("longitude", "is set without `latitude`", "set both, or neither"),
        _ => {}
    }
    Coordinates::new(latitude?, longitude?).map_err(|error| section.refuse("latitude", error.to_string())).ok()
}

/// The path of an asset below its node's endpoint.
pub(super) fn path(text: &str) -> Result<String, String> {
    if text.trim_start_matches('/').is_empty() {
        Err(format!("`{text}` is not the path of an asset"))
    } else if text.len() > MAX_PATH_CHARS {
        Err(format!("has {} characters, but at most {MAX_PATH_CHARS} are allowed", text.chars().count()))
    } else if text.contains("://") {
        Err(format!("`{text}` is a whole URL: give only the path below the node's `endpoint`"))
    } else if text.contains('#') || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Err(format!("`{}` contains a space, a control character or `#`: percent-encode it", text.escape_debug()))
    } else {
        Ok(text.to_owned())
    }
}

/// The object id of an asset of an argus or colossus node.
pub(super) fn object_id(text: &str) -> Result<String, String> {
    if is_object_id(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not an object id: a whole number in quotes such as `\"1343\"`"))
    }
}

/// The base58 form of a BLAKE3 multihash: 0x1e, 0x20 and 32 bytes.
pub(super) fn hash(text: &str) -> Result<String, String> {
    if multihash::is_blake3(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not a base58 BLAKE3 multihash: about 46 characters that start with `gW`"))
    }
}

/// The names of the profiles.
pub(super) const PROFILES: [(&str, Profile); 3] = [
    (Profile::Http.label(), Profile::Http),
    (Profile::Argus.label(), Profile::Argus),
    (Profile::Colossus.label(), Profile::Colossus),
];
