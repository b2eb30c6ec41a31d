//! The sample assets, made at start from a seed: the same bytes on every machine.

use bytes::Bytes;
use flate2::{Compression, Crc, write::ZlibEncoder};
use std::io::Write;

/// Size of the video sample in bytes.
pub const VIDEO_BYTES: usize = 8 << 20;

/// Width and height of the image sample in pixels, one byte each: 32.5 kB as a PNG.
pub const IMAGE_PIXELS: (u32, u32) = (240, 135);

/// A valid greyscale PNG (W3C PNG, third edition) of about 32 kB: a gradient with noise, stored uncompressed so that
/// its size is that of a thumbnail.
#[must_use]
pub fn image(seed: u64) -> Bytes {
    let (width, height) = IMAGE_PIXELS;
    let mut noise = Noise::new(seed);
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::none());
    for y in 0..height {
        let row = (0..width).map(|x| {
            let gradient = (x + y) * 200 / (width + height);
            gradient.to_le_bytes()[0].saturating_add(noise.next().to_le_bytes()[0] % 56)
        });
        // Each row is preceded by its filter type, 0: none.
        let row: Vec<u8> = std::iter::once(0).chain(row).collect();
        zlib.write_all(&row).expect("invariant: a Vec takes every write");
    }
    let pixels = zlib.finish().expect("invariant: a Vec takes every write");
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, 0, 0, 0, 0]); // 8 bits deep, greyscale, deflate, adaptive filters, not interlaced
    chunk(&mut png, b"IHDR", &header);
    chunk(&mut png, b"IDAT", &pixels);
    chunk(&mut png, b"IEND", &[]);
    png.into()
}

/// Bytes of [`VIDEO_BYTES`] in the boxes of ISO 14496-12 (`ftyp`, then `mdat` with noise) and **without** `moov`: it
/// has the size and the incompressibility of a video, which is all that a download measures, but no player plays it.
#[must_use]
pub fn video(seed: u64) -> Bytes {
    let mut video = Vec::with_capacity(VIDEO_BYTES);
    let brands = b"isom\0\0\x02\0isomiso2mp41";
    boxed(&mut video, *b"ftyp", brands.len());
    video.extend_from_slice(brands);
    let content = VIDEO_BYTES - video.len() - 8;
    boxed(&mut video, *b"mdat", content);
    let mut noise = Noise::new(seed);
    while video.len() < VIDEO_BYTES {
        let word = noise.next().to_le_bytes();
        video.extend_from_slice(&word[..word.len().min(VIDEO_BYTES - video.len())]);
    }
    video.into()
}

/// A PNG chunk: length, type, content, and the CRC of the latter two.
fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], content: &[u8]) {
    let length = u32::try_from(content.len()).expect("invariant: the image is small");
    png.extend(length.to_be_bytes());
    png.extend(kind);
    png.extend(content);
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(content);
    png.extend(crc.sum().to_be_bytes());
}

/// The head of an ISO box: length of head and content, then type.
fn boxed(video: &mut Vec<u8>, kind: [u8; 4], content: usize) {
    let length = u32::try_from(content + 8).expect("invariant: the video is below 4 GiB");
    video.extend(length.to_be_bytes());
    video.extend(kind);
}

/// xorshift64* (Vigna 2016, doi:10.1145/2845077): its numbers are part of no library's version.
struct Noise(u64);

impl Noise {
    /// The state must not be 0, for which the generator stands still.
    const fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15 | 1)
    }

    const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_image_is_a_png_of_a_thumbnails_size() {
        let png = image(1);
        assert!((20_000..50_000).contains(&png.len()), "{}", png.len());
        let (width, height) = IMAGE_PIXELS;
        let mut rest = png.strip_prefix(b"\x89PNG\r\n\x1a\n").unwrap();
        let mut kinds = vec![];
        while !rest.is_empty() {
            let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            let (typed, tail) = rest[4..].split_at(4 + length);
            assert_eq!(crc32(typed).to_be_bytes(), tail[..4]);
            kinds.push(typed[..4].to_vec());
            if typed.starts_with(b"IDAT") {
                let mut pixels = vec![];
                flate2::read::ZlibDecoder::new(&typed[4..]).read_to_end(&mut pixels).unwrap();
                assert_eq!(pixels.len(), ((width + 1) * height) as usize);
                assert!(pixels.chunks((width + 1) as usize).all(|row| row[0] == 0), "every row is unfiltered");
            }
            rest = &tail[4..];
        }
        assert_eq!(kinds, [b"IHDR", b"IDAT", b"IEND"]);
    }

    /// Bit by bit from the definition (PNG, annex D), so that it shares nothing with the encoder.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0_u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)))
        })
    }

    #[test]
    fn the_video_has_whole_boxes_and_fixed_bytes() {
        let file = video(1);
        assert_eq!(file.len(), VIDEO_BYTES);
        let ftyp = u32::from_be_bytes(file[..4].try_into().unwrap()) as usize;
        assert_eq!(&file[ftyp + 4..ftyp + 8], b"mdat");
        let mdat = u32::from_be_bytes(file[ftyp..ftyp + 4].try_into().unwrap()) as usize;
        assert_eq!(ftyp + mdat, VIDEO_BYTES);
        assert_eq!(file, video(1));
        assert_ne!(file, video(2));
    }
}
