//! Faults of a disk, and the most lines that each may cost, calculated from the bytes alone.

use super::*;

/// The offset at which a share, in thousandths, of a number of bytes ends.
pub(super) fn place(len: usize, share: u64) -> usize {
    len * usize::try_from(share).unwrap() / 1000
}

/// The points in these bytes, half ones too.
pub(super) fn lines(content: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(content);
    text.lines().filter(|line| line.starts_with('m')).map(str::to_owned).collect()
}

pub(super) fn truncate(content: &[u8], share: u64) -> (Vec<u8>, Vec<String>) {
    let end = place(content.len(), share);
    // The line that the end is in, and all behind it.
    let start = content[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    (content[..end].to_vec(), lines(&content[start..]))
}

/// What a power cut leaves of bytes that were not synced.
pub(super) fn cut_power(mut content: Vec<u8>, cut: u64, from: u64, to: u64) -> Vec<u8> {
    let (from, to) = (place(content.len(), from.min(to)), place(content.len(), from.max(to)));
    content[from..to].fill(0);
    content.truncate(place(content.len(), cut));
    content
}

/// One byte becomes another. It costs the line that it is in; the two that it joins; or the line whose sum it is part of.
pub(super) fn corrupt(content: &[u8], share: u64, change: u8) -> (Vec<u8>, Vec<String>) {
    let mut changed = content.to_vec();
    let at = place(content.len(), share.min(999));
    if content.is_empty() {
        return (changed, Vec::new());
    }
    changed[at] ^= change;
    let start = content[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let line = &content[start..];
    let line = &line[..line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len())];
    let following = &content[start + line.len()..];
    let next = following.get(1..).and_then(|rest| rest.split(|byte| *byte == b'\n').next()).unwrap_or_default();
    let mut hit = lines(line);
    let group = announced(following);
    if is_sums(line) && changed[at] != b'\n' && (line.len() - 6) / 9 == group.len() {
        hit.extend(group.into_iter().skip((at - start).saturating_sub(6) / 9).take(1));
    } else if is_sums(line) || !is_pristine(line) {
        hit.extend(group);
    }
    if at == start + line.len() {
        hit.extend(lines(next));
        if !is_pristine(next) {
            hit.extend(announced(&following[1 + next.len()..]));
        }
    }
    if start == 0 && format::newer(changed.split(|byte| *byte == b'\n').next().unwrap()).is_some() {
        hit = lines(content);
    }
    (changed, hit)
}

/// The points that a comment announces, as far as the next comment. What follows it begins with its newline; an earlier fault
/// may have put a `#` into any of the lines.
fn announced(following: &[u8]) -> Vec<String> {
    let lines_behind = following.split(|byte| *byte == b'\n').skip(1);
    lines_behind.take_while(|line| !line.starts_with(b"# ")).flat_map(lines).collect()
}

/// Whether a line looks like exactly one of bandprobe's: a second fault in what an earlier one hit may cost the whole
/// group that it announces.
fn is_pristine(line: &[u8]) -> bool {
    let starts = [&b"m,"[..], b"# bandprobe lines format=1", b"# part 2", b"# end points="];
    let is_one = !line.windows(2).skip(1).any(|part| part == b"# ");
    is_sums(line) || line.is_empty() || is_one && starts.iter().any(|start| line.starts_with(start))
}

/// Whether a line announces others, as it was written.
fn is_sums(line: &[u8]) -> bool {
    let sums = line.strip_prefix(b"# sums").unwrap_or_default();
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_whole = |place: &[u8]| place.len() == 9 && place[0] == b' ' && place[1..].iter().all(is_digit);
    !sums.is_empty() && sums.chunks(9).all(is_whole)
}
