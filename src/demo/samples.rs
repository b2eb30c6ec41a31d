//! The sample assets. They are generated from a seed at startup, with the same bytes on every machine.
//!
//! They are like the assets of a Joystream node: a thumbnail as WebP, and a progressive MP4 (`moov` first) with H.264.
//! Both show the same test card, so that people recognize it at once.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;

mod bits;
mod card;
#[cfg(feature = "fleet")]
pub(super) mod clip;
mod h264;
mod image;
mod mp4;
mod noise;

use card::TestCard;
use noise::Noise;

/// Size of the video sample in bytes.
pub const VIDEO_BYTES: usize = 8 << 20;

/// Exact duration of the video sample: 350 frames at 25 frames per second.
pub const VIDEO_DURATION: Duration = Duration::from_secs(VIDEO_FRAMES as u64 / FRAMES_PER_SECOND as u64);

/// Width and height of the video sample in pixels.
pub const VIDEO_PIXELS: (u16, u16) = (384, 216);

/// Width and height of the image sample in pixels, like those of a thumbnail.
pub const IMAGE_PIXELS: (u32, u32) = (640, 360);

/// Number of frames of the video sample: seven groups of pictures.
const VIDEO_FRAMES: u32 = 14 * FRAMES_PER_SECOND;

const FRAMES_PER_SECOND: u32 = 25;

/// Number of frames from one sync sample to the next: 2 s, as in videos for the web.
const GROUP: u32 = 2 * FRAMES_PER_SECOND;

/// A WebP of [`IMAGE_PIXELS`] and 20–50 kB, like real thumbnails: colour bars that darken towards the bottom, with
/// noise. The same `seed` gives the same bytes.
#[must_use]
pub fn image(seed: u64) -> Bytes {
    static LAST: Last = Last::none();
    LAST.or(seed, make_image)
}

/// A progressive MP4 of exactly [`VIDEO_BYTES`] that plays for [`VIDEO_DURATION`] at about 4.8 Mbit/s: a test card with
/// a bright band that moves across it.
///
/// Layout: `ftyp`, `moov`, `mdat`, and a `free` box that fills the rest of the file. The only track is H.264
/// Constrained Baseline in `avc1`, with 25 frames per second, a sync sample every 2 s, one chunk per second, and one
/// slice in every sample. The picture is not compressed (macroblocks of type `I_PCM`), which is cheap to generate and
/// gives the bit rate of a real video. Four of the eight bits of each luma sample are noise.
#[must_use]
pub fn video(seed: u64) -> Bytes {
    static LAST: Last = Last::none();
    LAST.or(seed, make_video)
}

fn make_image(seed: u64) -> Bytes {
    image::webp(IMAGE_PIXELS, &mut Noise::new(seed)).into()
}

fn make_video(seed: u64) -> Bytes {
    film(seed, VIDEO_FRAMES, VIDEO_BYTES)
}

fn film(seed: u64, frames: u32, bytes: usize) -> Bytes {
    let mut noise = Noise::new(seed);
    let mut encoder = h264::Encoder::new(TestCard::new(VIDEO_PIXELS), bytes);
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

/// The last asset and its seed. Many fleets start in one process, all with the same seed.
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
