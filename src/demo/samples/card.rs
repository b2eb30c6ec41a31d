//! The moving test card of the video: eight colour bars above steps of grey, and a bright band that moves to the right.
//!
//! Everything on it is a multiple of 8 pixels wide, so that a row of 8 samples is one number plus noise.

use super::noise::Noise;

/// Width and height of a macroblock in luma samples.
pub(super) const MACROBLOCK: u16 = 16;

/// Y, Cb and Cr of the bars: white, yellow, cyan, green, magenta, red, blue and black at 75 % (SMPTE EG 1 with the
/// matrix of ITU-R BT.601).
const BARS: [[u8; 3]; 8] = [
    [180, 128, 128],
    [162, 44, 142],
    [131, 156, 44],
    [112, 72, 58],
    [84, 184, 198],
    [65, 100, 212],
    [35, 212, 114],
    [16, 128, 128],
];

/// Rows of macroblocks below the bars, for the steps of grey.
const STEP_ROWS: u16 = 4;

/// Number of steps of grey, from left to right.
const STEPS: u16 = 24;

/// Y of the darkest step, and the difference between two steps. The brightest step has 177.
const STEP: (u8, u8) = (16, 7);

/// How much the band adds to Y. The highest sum is 180 + 40 + 15 (noise) = 235, the brightest value in BT.601.
const LIFT: u8 = 40;

/// Width of the band in groups of 8 pixels. It moves by one group in each frame.
const BAND: u16 = 6;

/// Columns of macroblocks to send in each frame: enough for the band and one more group, wherever they are.
const TOUCHED: u16 = 4;

/// The test card, as a grid of macroblocks.
pub(super) struct TestCard {
    /// Macroblocks in a row.
    pub(super) columns: u16,
    /// Rows of macroblocks.
    pub(super) rows: u16,
    /// Rows of pixels at the bottom of the last macroblocks that are not shown.
    pub(super) hidden: u16,
}

impl TestCard {
    /// A card of this width and height in pixels.
    pub(super) const fn new((width, height): (u16, u16)) -> Self {
        let (columns, rows) = (width.div_ceil(MACROBLOCK), height.div_ceil(MACROBLOCK));
        Self { columns, rows, hidden: rows * MACROBLOCK - height }
    }

    /// Whether the band may have left, entered or crossed a column since the previous frame.
    pub(super) const fn changes(&self, frame: u32, column: u16) -> bool {
        let groups = 2 * self.columns;
        let left = (self.band(frame) + groups - 1) % groups / 2;
        (column + self.columns - left) % self.columns < TOUCHED
    }

    /// Appends the samples of one macroblock with new noise: 16 × 16 of Y, 8 × 8 of Cb, 8 × 8 of Cr. All are at least
    /// 16, so that they never look like a start code.
    pub(super) fn macroblock(&self, frame: u32, (column, row): (u16, u16), noise: &mut Noise, out: &mut Vec<u8>) {
        let [y, cb, cr] = self.colour(column, row);
        let halves = [2 * column, 2 * column + 1].map(|group| splat(if self.lit(frame, group) { y + LIFT } else { y }));
        let (blue, red) = (splat(cb), splat(cr));
        let mut put = |base: u64, mask: u8| out.extend_from_slice(&(base + (noise.next() & splat(mask))).to_le_bytes());
        for _ in 0..MACROBLOCK {
            put(halves[0], 0x0f);
            put(halves[1], 0x0f);
        }
        for base in [blue, red] {
            for _ in 0..MACROBLOCK / 2 {
                put(base, 0x03);
            }
        }
    }

    /// The colour of a macroblock without the band.
    fn colour(&self, column: u16, row: u16) -> [u8; 3] {
        if row + STEP_ROWS < self.rows {
            return BARS[usize::from(column) * BARS.len() / usize::from(self.columns)];
        }
        let step = u8::try_from(STEPS * column / self.columns).expect("invariant: a column is one of the row");
        [STEP.0 + STEP.1 * step, 128, 128]
    }

    /// Whether the band covers a group of 8 pixels.
    const fn lit(&self, frame: u32, group: u16) -> bool {
        let groups = 2 * self.columns;
        (group + groups - self.band(frame)) % groups < BAND
    }

    /// The leftmost group of the band.
    #[expect(clippy::cast_possible_truncation, reason = "a remainder of a number of 16 bits has no more")]
    const fn band(&self, frame: u32) -> u16 {
        (frame % (2 * self.columns as u32)) as u16
    }
}

/// One sample, repeated eight times.
const fn splat(sample: u8) -> u64 {
    u64::from_ne_bytes([sample; 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: TestCard = TestCard::new((384, 216));

    #[test]
    fn every_sample_is_in_the_range_of_bt_601() {
        let mut noise = Noise::new(1);
        for frame in 0..48 {
            for row in [0, CARD.rows - 1] {
                for column in 0..CARD.columns {
                    let mut samples = vec![];
                    CARD.macroblock(frame, (column, row), &mut noise, &mut samples);
                    assert_eq!(samples.len(), 384);
                    assert!(samples.iter().all(|sample| (16..=235).contains(sample)), "{frame} {column} {row}");
                }
            }
        }
    }

    /// A column that is not sent again must look as before.
    #[test]
    fn only_the_columns_that_change_differ_from_the_frame_before() {
        for frame in 1..200 {
            let sent = (0..CARD.columns).filter(|column| CARD.changes(frame, *column)).count();
            assert_eq!(sent, usize::from(TOUCHED));
            for group in 0..2 * CARD.columns {
                let differs = CARD.lit(frame, group) != CARD.lit(frame - 1, group);
                assert!(!differs || CARD.changes(frame, group / 2), "frame {frame}, group {group}");
            }
        }
    }
}
