//! The many smaller samples of a fleet. Unlike the image and the video, they are not kept in memory here.

use std::time::Duration;

use bytes::Bytes;

use super::{FRAMES_PER_SECOND, film, make_image};

/// Size of every [`clip`] in bytes.
pub(in crate::demo) const CLIP_BYTES: usize = 11 << 19;

/// Duration of every [`clip`].
pub(in crate::demo) const CLIP_DURATION: Duration = Duration::from_secs(CLIP_FRAMES as u64 / FRAMES_PER_SECOND as u64);

/// An image like [`image`](super::image).
pub(in crate::demo) fn thumbnail(seed: u64) -> Bytes {
    make_image(seed)
}

/// A shorter video of [`CLIP_BYTES`], otherwise like [`video`](super::video).
pub(in crate::demo) fn clip(seed: u64) -> Bytes {
    film(seed, CLIP_FRAMES, CLIP_BYTES)
}

/// Number of frames of a clip.
const CLIP_FRAMES: u32 = 9 * FRAMES_PER_SECOND;
