//! The thumbnail: a lossless WebP. It is as small as a photo of this size, because most of it is flat.

use image_webp::{ColorType, WebPEncoder};

use super::noise::Noise;

/// Red, green and blue of the bars, each on or off: white, yellow, cyan, green, magenta, red, blue, black.
const BARS: [[u8; 3]; 8] = [[1, 1, 1], [1, 1, 0], [0, 1, 1], [0, 1, 0], [1, 0, 1], [1, 0, 0], [0, 0, 1], [0, 0, 0]];

/// The value of a colour that is on in the topmost row, and how much lower it is in the bottom row.
const LIGHT: (u32, u32) = (191, 128);

/// Number of pixels that noise brightens. Each of them costs about five bytes, which determines the size of the file.
const GRAINS: usize = 6_000;

/// Colour bars that darken towards the bottom, with noise. `width` must be a multiple of 8 pixels.
pub(super) fn webp((width, height): (u32, u32), noise: &mut Noise) -> Vec<u8> {
    let mut pixels = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        let light = (LIGHT.0 - LIGHT.1 * y / height).to_le_bytes()[0];
        for bar in BARS.map(|bar| bar.map(|on| on * light)) {
            pixels.extend_from_slice(&bar.repeat(width as usize / BARS.len()));
        }
    }
    for _ in 0..GRAINS {
        let dice = noise.next();
        let place = (dice >> 8) % u64::from(width * height);
        let place = 3 * usize::try_from(place).expect("invariant: a place is one of the pixels");
        for colour in &mut pixels[place..place + 3] {
            *colour = colour.saturating_add(dice.to_le_bytes()[0] % 64);
        }
    }
    let mut webp = vec![];
    WebPEncoder::new(&mut webp)
        .encode(&pixels, width, height, ColorType::Rgb8)
        .expect("invariant: a Vec takes every write, and the size is one that WebP allows");
    webp
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn it_is_a_webp_of_a_thumbnails_size() {
        let webp = webp((640, 360), &mut Noise::new(1));
        assert!((20_000..50_000).contains(&webp.len()), "{}", webp.len());
        // RFC 9649, §2.3 to §2.6: a RIFF file of one VP8L chunk.
        let length = |at: usize| u32::from_le_bytes(webp[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!((&webp[..4], length(4), &webp[8..16]), (&b"RIFF"[..], webp.len() - 8, &b"WEBPVP8L"[..]));
        assert_eq!(length(16).next_multiple_of(2), webp.len() - 20);

        let mut decoder = image_webp::WebPDecoder::new(Cursor::new(&webp)).unwrap();
        assert_eq!((decoder.dimensions(), decoder.is_lossy(), decoder.has_alpha()), ((640, 360), false, false));
        let mut pixels = vec![0; decoder.output_buffer_size().unwrap()];
        decoder.read_image(&mut pixels).unwrap();
        let bright = |x: usize, y: usize| pixels[(y * 640 + x) * 3..][..3].iter().map(|c| u32::from(*c)).sum::<u32>();
        let bars = [0, 1, 3, 7].map(|bar| (0..80).map(|x| bright(bar * 80 + x, 0)).sum::<u32>());
        assert!(bars.is_sorted_by(|left, right| left > right), "from white to black: {bars:?}");
        assert!(bright(40, 0) > bright(40, 359), "it darkens towards the bottom");
    }
}
