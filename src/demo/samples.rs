//! The sample assets, made at start from a seed: the same bytes on every machine.
//!
//! They are what a node of Joystream serves: a thumbnail as WebP, and a progressive MP4 (`moov` in front) with H.264 in
//! it. Both show the same test card, so that whoever opens one sees at once what it is.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;

mod bits;
mod card;
mod h264;
mod image;
mod mp4;
mod noise;

use card::Card;
use noise::Noise;

/// Size of the video sample in bytes.
pub const VIDEO_BYTES: usize = 8 << 20;

/// What the video sample plays, exactly: 350 frames at 25 a second.
pub const VIDEO_DURATION: Duration = Duration::from_secs(VIDEO_FRAMES as u64 / FRAMES_PER_SECOND as u64);

/// Width and height of the video sample in pixels.
pub const VIDEO_PIXELS: (u16, u16) = (384, 216);

/// Width and height of the image sample in pixels: those of a thumbnail.
pub const IMAGE_PIXELS: (u32, u32) = (640, 360);

/// Frames of the video sample: seven groups of pictures.
const VIDEO_FRAMES: u32 = 14 * FRAMES_PER_SECOND;

/// Frames of a clip.
const CLIP_FRAMES: u32 = 9 * FRAMES_PER_SECOND;

const FRAMES_PER_SECOND: u32 = 25;

/// Frames from one sync sample to the next: 2 s, as videos for the web have.
const GROUP: u32 = 2 * FRAMES_PER_SECOND;

/// A WebP of [`IMAGE_PIXELS`] and of 20–50 kB, as thumbnails have: colour bars that darken towards the bottom, sprinkled
/// with noise.
#[must_use]
pub fn image(seed: u64) -> Bytes {
    static LAST: Last = Last::none();
    LAST.or(seed, make_image)
}

/// A progressive MP4 of exactly [`VIDEO_BYTES`] that plays for [`VIDEO_DURATION`] at about 4.8 Mbit/s: a test card over
/// which a bright band sweeps.
///
/// Layout: `ftyp`, `moov`, `mdat`, and a `free` that fills up to the size. The one track is H.264 Constrained Baseline
/// in `avc1`, 25 frames a second, a sync sample every 2 s, one chunk a second, every sample one slice. The picture is
/// not compressed (macroblocks of type `I_PCM`), which costs nothing to make and gives the rate of a real video; half of
/// each sample of brightness is noise.
#[must_use]
pub fn video(seed: u64) -> Bytes {
    static LAST: Last = Last::none();
    LAST.or(seed, make_video)
}

/// Size of every [`clip`] in bytes.
pub(super) const CLIP_BYTES: usize = 11 << 19;

/// What a [`clip`] plays.
pub(super) const CLIP_DURATION: Duration = Duration::from_secs(CLIP_FRAMES as u64 / FRAMES_PER_SECOND as u64);

/// An image as [`image`] makes it, one of many.
pub(super) fn thumbnail(seed: u64) -> Bytes {
    make_image(seed)
}

/// A shorter video of [`CLIP_BYTES`], otherwise as [`video`] makes it.
pub(super) fn clip(seed: u64) -> Bytes {
    film(seed, CLIP_FRAMES, CLIP_BYTES)
}

fn make_image(seed: u64) -> Bytes {
    image::webp(IMAGE_PIXELS, &mut Noise::new(seed)).into()
}

fn make_video(seed: u64) -> Bytes {
    film(seed, VIDEO_FRAMES, VIDEO_BYTES)
}

fn film(seed: u64, frames: u32, bytes: usize) -> Bytes {
    let mut noise = Noise::new(seed);
    let mut encoder = h264::Encoder::new(Card::new(VIDEO_PIXELS), bytes);
    for frame in 0..frames {
        encoder.push(frame, frame % GROUP, &mut noise);
    }
    let track = mp4::Track {
        pixels: VIDEO_PIXELS,
        rate: FRAMES_PER_SECOND,
        group: GROUP,
        parameters: encoder.parameters(),
        sizes: encoder.sizes(),
        content: encoder.content(),
    };
    mp4::progressive(&track, bytes, &mut noise).into()
}

/// What was made last, and from which seed: many fleets start in one process, all from the same.
struct Last(Mutex<Option<(u64, Bytes)>>);

impl Last {
    const fn none() -> Self {
        Self(Mutex::new(None))
    }

    fn or(&self, seed: u64, make: fn(u64) -> Bytes) -> Bytes {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, asset)) = &*last
            && *of == seed
        {
            return asset.clone();
        }
        let asset = make(seed);
        *last = Some((seed, asset.clone()));
        asset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_every_byte() {
        for (asset, make) in [(image as fn(u64) -> Bytes, make_image as fn(u64) -> Bytes), (video, make_video)] {
            let made = make(1);
            assert!(make(1) == made);
            assert!(make(2) != made);
            assert!(asset(2) != made);
            assert!(asset(1) == made, "whatever was asked for before");
        }
    }
}
