//! The MP4 file around the frames: boxes of ISO 14496-12, and of 14496-15 for H.264.

use mp4_atom::{
    Avc1, Avcc, Dinf, Dref, Encode, Ftyp, Hdlr, Header, Mdhd, Mdia, Minf, Moov, Mvhd, Result, Stbl, Stco, Stsc,
    StscEntry, Stsd, Stss, Stsz, StszSamples, Stts, SttsEntry, Tkhd, Trak, Url, Visual, Vmhd,
};

use super::{h264::Parameters, noise::Noise};

/// Ticks of the track per frame.
const TICKS: u32 = 512;

/// Ticks of the movie per second.
const MOVIE_TIMESCALE: u32 = 1_000;

/// Length of a box header in bytes: size and type.
const HEAD: usize = 8;

/// One video track, whose samples follow each other without gaps.
pub(super) struct Track<'a> {
    /// Width and height.
    pub(super) pixels: (u16, u16),
    /// Frames per second, which is also the number of frames in a chunk.
    pub(super) rate: u32,
    /// Number of frames from one sync sample to the next.
    pub(super) group: u32,
    pub(super) parameters: Parameters,
    /// The size of each sample in bytes.
    pub(super) sizes: &'a [u32],
    pub(super) content: &'a [u8],
}

/// A file of exactly `length` bytes: `ftyp`, `moov`, `mdat`, and a `free` box filled with noise.
///
/// # Panics
/// When the track does not fit into the length.
pub(super) fn progressive(track: &Track<'_>, length: usize, noise: &mut Noise) -> Vec<u8> {
    let mut file = Vec::with_capacity(length);
    write(track, length, &mut file).expect("invariant: a Vec takes every write, and every number is small");
    while file.len() < length {
        let word = noise.next().to_le_bytes();
        file.extend_from_slice(&word[..word.len().min(length - file.len())]);
    }
    file
}

/// Writes everything except the content of `free`.
fn write(track: &Track<'_>, length: usize, file: &mut Vec<u8>) -> Result<()> {
    let brands = [b"isom", b"iso2", b"avc1", b"mp41"].map(Into::into);
    let kind = Ftyp { major_brand: brands[0], minor_version: 512, compatible_brands: brands.into() };
    kind.encode(file)?;
    // `moov` holds offsets that depend on its own length, but its length does not depend on the offsets.
    let mut moov = vec![];
    movie(track, 0).encode(&mut moov)?;
    let media = file.len() + moov.len() + HEAD;
    movie(track, small(media)).encode(file)?;
    Header { kind: b"mdat".into(), size: Some(track.content.len()) }.encode(file)?;
    file.extend_from_slice(track.content);
    let rest = length.checked_sub(file.len() + HEAD).expect("invariant: the length leaves room for the track");
    Header { kind: b"free".into(), size: Some(rest) }.encode(file)
}

/// The `moov` of a track whose first sample begins at file offset `media`.
fn movie(track: &Track<'_>, media: u32) -> Moov {
    let frames = small(track.sizes.len());
    let duration = u64::from(frames) * u64::from(MOVIE_TIMESCALE) / u64::from(track.rate);
    let (width, height) = track.pixels;
    let tkhd = Tkhd {
        track_id: 1,
        duration,
        enabled: true,
        in_movie: true,
        width: width.into(),
        height: height.into(),
        ..Tkhd::default()
    };
    let mdhd = Mdhd {
        timescale: track.rate * TICKS,
        duration: u64::from(frames) * u64::from(TICKS),
        language: "und".to_owned(),
        ..Mdhd::default()
    };
    let minf = Minf {
        vmhd: Some(Vmhd::default()),
        dinf: Dinf { dref: Dref { entries: vec![Url::default().into()] } },
        stbl: sample_table(track, media),
        ..Minf::default()
    };
    let hdlr = Hdlr { handler: b"vide".into(), name: "bandprobe demo".to_owned() };
    Moov {
        mvhd: Mvhd {
            timescale: MOVIE_TIMESCALE,
            duration,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: 2,
            ..Mvhd::default()
        },
        trak: vec![Trak { tkhd, mdia: Mdia { mdhd, hdlr, minf }, ..Trak::default() }],
        ..Moov::default()
    }
}

/// Which bytes are which sample, when each sample is shown, and where a player may start (ISO 14496-12, §8.5 to §8.7).
fn sample_table(track: &Track<'_>, media: u32) -> Stbl {
    let (width, height) = track.pixels;
    let frames = small(track.sizes.len());
    let Parameters { sequence, picture } = &track.parameters;
    let avc1 = Avc1 {
        visual: Visual { data_reference_index: 1, width, height, ..Visual::default() },
        avcc: Avcc {
            configuration_version: 1,
            avc_profile_indication: sequence[1],
            profile_compatibility: sequence[2],
            avc_level_indication: sequence[3],
            length_size: 4,
            sequence_parameter_sets: vec![sequence.clone()],
            picture_parameter_sets: vec![picture.clone()],
            ext: None,
        },
        ..Avc1::default()
    };
    let chunks = track.sizes.chunks(track.rate as usize).scan(media, |offset, sizes| {
        let chunk = *offset;
        *offset += sizes.iter().sum::<u32>();
        Some(chunk)
    });
    Stbl {
        stsd: Stsd { codecs: vec![avc1.into()] },
        stts: Stts { entries: vec![SttsEntry { sample_count: frames, sample_delta: TICKS }] },
        stss: Some(Stss { entries: (1..=frames).step_by(track.group as usize).collect() }),
        stsc: Stsc {
            entries: vec![StscEntry { first_chunk: 1, samples_per_chunk: track.rate, sample_description_index: 1 }],
        },
        stsz: Stsz { samples: StszSamples::Different { sizes: track.sizes.to_vec() } },
        stco: Some(Stco { entries: chunks.collect() }),
        ..Stbl::default()
    }
}

/// Converts a length or a count to 32 bits.
fn small(number: usize) -> u32 {
    u32::try_from(number).expect("invariant: the video is below 4 GiB")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{VIDEO_BYTES, VIDEO_DURATION, VIDEO_PIXELS, video};

    /// All boxes in order: type, offset of the content, content.
    fn boxes(mut bytes: &[u8]) -> Vec<(&[u8], usize, &[u8])> {
        let (mut found, mut at) = (vec![], 0);
        while !bytes.is_empty() {
            let (whole, rest) = bytes.split_at(number(bytes, 0));
            found.push((&whole[4..8], at + 8, &whole[8..]));
            at += whole.len();
            bytes = rest;
        }
        found
    }

    /// The content of the only box with this path.
    fn below<'a>(bytes: &'a [u8], path: &str) -> &'a [u8] {
        path.split('/').fold(bytes, |bytes, kind| {
            let found: Vec<_> = boxes(bytes).into_iter().filter(|found| found.0 == kind.as_bytes()).collect();
            assert_eq!(found.len(), 1, "{kind} of {path}");
            found[0].2
        })
    }

    fn number(bytes: &[u8], at: usize) -> usize {
        u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
    }

    /// The rows of a table, after its version, flags and number of rows.
    fn table<const COLUMNS: usize>(bytes: &[u8]) -> Vec<[usize; COLUMNS]> {
        assert_eq!((number(bytes, 0), bytes.len()), (0, 8 + number(bytes, 4) * COLUMNS * 4));
        bytes[8..].chunks(COLUMNS * 4).map(|row| std::array::from_fn(|column| number(row, column * 4))).collect()
    }

    #[test]
    fn the_boxes_fill_the_file_and_the_movie_comes_first() {
        let file = video(1);
        assert_eq!(file.len(), VIDEO_BYTES);
        let kinds: Vec<_> = boxes(&file).iter().map(|found| String::from_utf8_lossy(found.0)).collect();
        assert_eq!(kinds, ["ftyp", "moov", "mdat", "free"]);
        let wasted = below(&file, "free").len();
        assert!(wasted < VIDEO_BYTES / 50, "{wasted} bytes are no video");
    }

    #[test]
    fn every_sample_lies_in_the_media_data_and_is_one_nal_unit() {
        let file = video(1);
        let stbl = below(&file, "moov/trak/mdia/minf/stbl");
        let stsz = below(stbl, "stsz");
        assert_eq!(number(stsz, 4), 0, "sizes differ");
        let mut sizes = table::<1>(&[&stsz[..4], &stsz[8..]].concat()).into_iter();
        let [[1, per_chunk, 1]] = table(below(stbl, "stsc"))[..] else { panic!("one kind of chunk") };
        let sync: Vec<_> = table(below(stbl, "stss")).into_iter().map(|[sample]| sample).collect();
        let (_, start, media) = boxes(&file)[2];
        let (mut at, mut sample) = (start, 0);
        for [offset] in table(below(stbl, "stco")) {
            assert_eq!(offset, at, "chunks lie end to end");
            for [size] in sizes.by_ref().take(per_chunk) {
                sample += 1;
                assert_eq!(number(&file, at), size - 4, "sample {sample}");
                let kind = if sync.contains(&sample) { 5 } else { 1 };
                assert_eq!(file[at + 4] & 0x1f, kind, "nal_unit_type of sample {sample}");
                at += size;
            }
        }
        assert_eq!((at, sizes.next()), (start + media.len(), None));
        assert_eq!((sample, sync), (350, (1..350).step_by(50).collect()));
    }

    #[test]
    fn all_clocks_tell_the_duration() {
        let file = video(1);
        let moov = below(&file, "moov");
        let mdia = below(moov, "trak/mdia");
        // Version 1 of mvhd, tkhd and mdhd has 64-bit times.
        let (mvhd, tkhd, mdhd) = (below(moov, "mvhd"), below(moov, "trak/tkhd"), below(mdia, "mdhd"));
        assert_eq!([mvhd[0], tkhd[0], mdhd[0]], [1; 3]);
        let (movie, media) = (number(mvhd, 20), number(mdhd, 20));
        let frames = table::<2>(below(mdia, "minf/stbl/stts"));
        let shown = frames.iter().map(|[count, delta]| count * delta).sum();
        for (ticks, timescale) in
            [(number(mvhd, 28), movie), (number(tkhd, 32), movie), (number(mdhd, 28), media), (shown, media)]
        {
            assert_eq!(Duration::from_secs(ticks as u64), VIDEO_DURATION * u32::try_from(timescale).unwrap());
        }
        let (width, height) = (number(tkhd, tkhd.len() - 8) >> 16, number(tkhd, tkhd.len() - 4) >> 16);
        assert_eq!((width, height), (usize::from(VIDEO_PIXELS.0), usize::from(VIDEO_PIXELS.1)));
    }
}
