//! Mutants of a corpus. They are the same in every run.

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Changes inputs in small ways.
pub(super) struct Mutator<'a> {
    inputs: &'a [(String, Vec<u8>)],
    dice: StdRng,
}

impl<'a> Mutator<'a> {
    pub(super) fn new(inputs: &'a [(String, Vec<u8>)]) -> Self {
        Self { inputs, dice: StdRng::seed_from_u64(7) }
    }

    /// A mutant, and the name of what it came from.
    pub(super) fn next(&mut self) -> (&'a str, Vec<u8>) {
        let inputs = self.inputs;
        let (name, input) = &inputs[self.dice.random_range(0..inputs.len())];
        let mut mutant = input.clone();
        for _ in 0..self.dice.random_range(1..=3) {
            self.change(&mut mutant);
        }
        (name, mutant)
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.dice.random_range(0..=bytes.len());
        let end = bytes.len().min(at + self.dice.random_range(1..16));
        match self.dice.random_range(0..6) {
            // In the first bytes most inputs say how they are handed out.
            0 => bytes.iter_mut().take(2).for_each(|byte| *byte = self.dice.random()),
            1 => bytes[at..end].iter_mut().take(1).for_each(|byte| *byte ^= 1 << self.dice.random_range(0..8)),
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..at, bytes[at..end].to_vec())),
            4 => drop(bytes.splice(at..at, EDGES[self.dice.random_range(0..EDGES.len())].iter().copied())),
            _ => {
                let (_, other) = &self.inputs[self.dice.random_range(0..self.inputs.len())];
                let from = self.dice.random_range(0..=other.len());
                bytes.splice(at.., other[from..].iter().copied());
            }
        }
    }
}

/// What parsers trip over.
const EDGES: [&[u8]; 12] = [
    b"\r\n",
    b"\n",
    b"\r\n\r\n",
    b"\0",
    b"\xff\xff\xff\xff",
    b"-1",
    b"18446744073709551616",
    b"ffffffffffffffff",
    b": ",
    b"\r\n ",
    b"0\r\n\r\n",
    b"HTTP/1.1 100 \r\n\r\n",
];
