//! The bit strings of H.264 (ITU-T H.264, §7.2 and §9.1): most significant bit first.

/// A writer of bits. Its methods have the names of the descriptors in the standard's syntax tables.
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Free bits in the last byte, 0..=7.
    free: u32,
}

impl BitWriter {
    /// A writer that continues after whole bytes.
    pub(super) const fn after(bytes: Vec<u8>) -> Self {
        Self { bytes, free: 0 }
    }

    /// `u(n)`: the lowest `count` bits of `value`.
    pub(super) fn u(&mut self, count: u32, value: u32) {
        for position in (0..count).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            if value >> position & 1 == 1 {
                let last = self.bytes.len() - 1;
                self.bytes[last] |= 1 << self.free;
            }
        }
    }

    /// `ue(v)`: a number as an Exp-Golomb code: n zeros, then the n + 1 bits of `value + 1` (§9.1).
    pub(super) fn ue(&mut self, value: u32) {
        let code = value + 1;
        let length = u32::BITS - code.leading_zeros();
        self.u(length - 1, 0);
        self.u(length, code);
    }

    /// Zeros up to the next byte (`pcm_alignment_zero_bit`).
    pub(super) const fn align(&mut self) {
        self.free = 0;
    }

    /// `rbsp_trailing_bits()`: a one, then zeros up to the next byte (§7.3.2.11).
    pub(super) fn stop(&mut self) {
        self.u(1, 1);
        self.align();
    }

    /// The bytes so far. Whole bytes may be appended.
    ///
    /// # Panics
    /// When the last byte is incomplete.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        assert_eq!(self.free, 0, "invariant: whole bytes follow whole bytes");
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ITU-T H.264, table 9-2.
    #[test]
    fn numbers_have_the_codes_of_the_standard() {
        for (value, code) in [
            (0, "1"),
            (1, "010"),
            (2, "011"),
            (3, "00100"),
            (6, "00111"),
            (7, "0001000"),
            (25, "000011010"),
            (30, "000011111"),
        ] {
            let mut bits = BitWriter::after(vec![]);
            bits.ue(value);
            bits.align();
            let written: String = bits.bytes().iter().map(|byte| format!("{byte:08b}")).collect();
            assert_eq!(written.trim_end_matches('0'), code.trim_end_matches('0'), "{value}");
            assert_eq!(written.len(), code.len().next_multiple_of(8));
        }
    }

    #[test]
    fn a_string_ends_with_a_one_and_zeros() {
        for (count, value, bytes) in [(3, 0b101, &[0b1011_0000][..]), (8, 0xab, &[0xab, 0x80]), (0, 0, &[0x80])] {
            let mut bits = BitWriter::after(vec![]);
            bits.u(count, value);
            bits.stop();
            assert_eq!(bits.bytes(), bytes);
        }
    }
}
