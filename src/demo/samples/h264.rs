//! An encoder for H.264, Constrained Baseline (ITU-T H.264, 08/2021), without compression.
//!
//! A macroblock is sent as its samples (`I_PCM`) or skipped (`P_Skip`: the same as in the previous frame). The
//! deblocking filter is off, so that a decoder shows exactly the card. Samples are at least 16 and the headers are
//! short, so no three bytes look like a start code, and emulation prevention (§7.4.1) is not needed. A test checks
//! this.

use super::{bits::BitWriter, card::TestCard, noise::Noise};

/// `nal_unit_type` with `nal_ref_idc` 3: every frame is a reference for others (§7.3.1).
const SEQUENCE_PARAMETERS: u8 = 0x67;
const PICTURE_PARAMETERS: u8 = 0x68;
const SYNC_SLICE: u8 = 0x65;
const SLICE: u8 = 0x61;

/// `mb_type` of `I_PCM`, in an I slice and in a P slice (§7.4.5, tables 7-11 and 7-13).
const PCM: u32 = 25;
const PCM_IN_P: u32 = 5 + PCM;

/// `slice_type` when all slices of the picture have the same type (§7.4.3).
const ALL_I: u32 = 7;
const ALL_P: u32 = 5;

/// Sequence and picture parameter sets, each as a NAL unit.
pub(super) struct Parameters {
    pub(super) sequence: Vec<u8>,
    pub(super) picture: Vec<u8>,
}

/// Encodes the samples of a track. Each sample is a length of 4 bytes and one slice (ISO 14496-15, §5.3).
pub(super) struct Encoder {
    card: TestCard,
    content: Vec<u8>,
    sizes: Vec<u32>,
}

impl Encoder {
    /// An encoder with room for `capacity` bytes.
    pub(super) fn new(card: TestCard, capacity: usize) -> Self {
        Self { card, content: Vec::with_capacity(capacity), sizes: vec![] }
    }

    /// Adds frame number `index` of its group. Number 0 holds the whole picture, the others only what changes.
    pub(super) fn push(&mut self, frame: u32, index: u32, noise: &mut Noise) {
        let start = self.content.len();
        let sync = index == 0;
        self.content.extend([0; 4]);
        self.content.push(if sync { SYNC_SLICE } else { SLICE });
        let mut bits = BitWriter::after(std::mem::take(&mut self.content));
        slice_header(&mut bits, frame, index);
        let mut skipped = 0;
        for row in 0..self.card.rows {
            for column in 0..self.card.columns {
                if !sync && !self.card.changes(frame, column) {
                    skipped += 1;
                    continue;
                }
                if !sync {
                    bits.ue(std::mem::take(&mut skipped)); // mb_skip_run
                }
                bits.ue(if sync { PCM } else { PCM_IN_P });
                bits.align();
                self.card.macroblock(frame, (column, row), noise, bits.bytes());
            }
        }
        if skipped > 0 {
            bits.ue(skipped);
        }
        bits.stop();
        self.content = std::mem::take(bits.bytes());
        let size = self.content.len() - start;
        let size = u32::try_from(size).expect("invariant: a frame of some hundred macroblocks is small");
        self.content[start..start + 4].copy_from_slice(&(size - 4).to_be_bytes());
        self.sizes.push(size);
    }

    /// All samples so far, without gaps.
    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }

    /// The size of each sample in bytes.
    pub(super) fn sizes(&self) -> &[u32] {
        &self.sizes
    }

    /// The parameter sets that a decoder needs before the first sample.
    pub(super) fn parameters(&self) -> Parameters {
        Parameters { sequence: sequence(&self.card), picture: picture() }
    }
}

/// `seq_parameter_set_rbsp()` (§7.3.2.1.1).
fn sequence(card: &TestCard) -> Vec<u8> {
    // Profile 66 with constraints 0 and 1: Constrained Baseline; level 3.0: up to 10 Mbit/s (table A-1).
    let mut bits = BitWriter::after(vec![SEQUENCE_PARAMETERS, 66, 0b1100_0000, 30]);
    bits.ue(0); // seq_parameter_set_id
    bits.ue(0); // log2_max_frame_num_minus4: frames are counted modulo 16
    bits.ue(2); // pic_order_cnt_type: frames are shown in the order of decoding
    bits.ue(1); // max_num_ref_frames
    bits.u(1, 0); // gaps_in_frame_num_value_allowed_flag
    bits.ue(u32::from(card.columns) - 1);
    bits.ue(u32::from(card.rows) - 1);
    bits.u(1, 1); // frame_mbs_only_flag
    bits.u(1, 1); // direct_8x8_inference_flag
    bits.u(1, 1); // frame_cropping_flag
    for edge in [0, 0, 0, card.hidden / 2] {
        bits.ue(u32::from(edge)); // left, right, top, bottom, in rows of chroma
    }
    bits.u(1, 0); // vui_parameters_present_flag
    bits.stop();
    std::mem::take(bits.bytes())
}

/// `pic_parameter_set_rbsp()` (§7.3.2.2).
fn picture() -> Vec<u8> {
    let mut bits = BitWriter::after(vec![PICTURE_PARAMETERS]);
    bits.ue(0); // pic_parameter_set_id
    bits.ue(0); // seq_parameter_set_id
    bits.u(1, 0); // entropy_coding_mode_flag: CAVLC
    bits.u(1, 0); // bottom_field_pic_order_in_frame_present_flag
    bits.ue(0); // num_slice_groups_minus1
    bits.ue(0); // num_ref_idx_l0_default_active_minus1
    bits.ue(0); // num_ref_idx_l1_default_active_minus1
    bits.u(3, 0); // weighted_pred_flag, weighted_bipred_idc
    for _ in 0..3 {
        bits.ue(0); // pic_init_qp_minus26, pic_init_qs_minus26, chroma_qp_index_offset
    }
    bits.u(1, 1); // deblocking_filter_control_present_flag
    bits.u(2, 0); // constrained_intra_pred_flag, redundant_pic_cnt_present_flag
    bits.stop();
    std::mem::take(bits.bytes())
}

/// `slice_header()` (§7.3.3) of frame number `index` of a group.
fn slice_header(bits: &mut BitWriter, frame: u32, index: u32) {
    let sync = index == 0;
    bits.ue(0); // first_mb_in_slice
    bits.ue(if sync { ALL_I } else { ALL_P });
    bits.ue(0); // pic_parameter_set_id
    bits.u(4, index % 16); // frame_num
    if sync {
        bits.ue(frame % 2); // idr_pic_id
        bits.u(2, 0); // no_output_of_prior_pics_flag, long_term_reference_flag
    } else {
        bits.u(2, 0); // num_ref_idx_active_override_flag, ref_pic_list_modification_flag_l0
        bits.u(1, 0); // adaptive_ref_pic_marking_mode_flag
    }
    bits.ue(0); // slice_qp_delta
    bits.ue(1); // disable_deblocking_filter_idc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_nal_unit_needs_emulation_prevention() {
        let mut encoder = Encoder::new(TestCard::new((384, 216)), 0);
        let mut noise = Noise::new(1);
        for frame in 0..60 {
            encoder.push(frame, frame % 50, &mut noise);
        }
        let Parameters { sequence, picture } = encoder.parameters();
        let mut rest = encoder.content();
        let mut units = vec![sequence.as_slice(), &picture];
        for size in encoder.sizes() {
            let (sample, tail) = rest.split_at(*size as usize);
            assert_eq!(sample[..4], (size - 4).to_be_bytes());
            units.push(&sample[4..]);
            rest = tail;
        }
        assert_eq!((units.len(), rest.len()), (62, 0));
        for (index, unit) in units.iter().enumerate() {
            assert!(!unit.windows(3).any(|bytes| bytes[..2] == [0, 0] && bytes[2] <= 3), "unit {index}");
            assert_ne!(unit.last(), Some(&0), "unit {index} ends with its stop bit");
        }
    }
}
