//! The objects of the simulated network: real images and videos with their true hashes, and their registered metadata.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;

use super::super::{
    SEED,
    plan::{IMAGE_ID, VIDEO_ID},
    samples::{self, clip},
};
use crate::model::multihash;

/// Everything that is registered, whether its content is uploaded or not.
pub(in crate::demo) struct Library {
    /// Ids of the bags.
    pub(in crate::demo) bags: Vec<String>,
    pub(in crate::demo) objects: Vec<Object>,
    pub(in crate::demo) videos: Vec<Video>,
}

/// A data object.
pub(in crate::demo) struct Object {
    pub(in crate::demo) id: Arc<str>,
    /// The index of its bag.
    pub(in crate::demo) bag: usize,
    pub(in crate::demo) kind: Kind,
    /// ISO 8601 with microseconds.
    pub(in crate::demo) created_at: String,
    /// Whether its content is uploaded.
    pub(in crate::demo) is_accepted: bool,
    pub(in crate::demo) bytes: Bytes,
    /// Base58 of the BLAKE3 multihash of the content.
    pub(in crate::demo) hash: Arc<str>,
}

/// The kind of a data object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::demo) enum Kind {
    Thumbnail,
    Media,
    Avatar,
}

/// A video of a channel: two objects.
pub(in crate::demo) struct Video {
    pub(in crate::demo) id: String,
    pub(in crate::demo) created_at: String,
    /// In seconds.
    pub(in crate::demo) duration: u64,
    pub(in crate::demo) is_public: bool,
    /// Indices of its objects.
    pub(in crate::demo) media: usize,
    pub(in crate::demo) thumbnail: usize,
}

impl Library {
    /// The library of this process. It is generated once, and its contents are shared.
    pub(in crate::demo) fn shared() -> &'static Self {
        static SHARED: LazyLock<Library> = LazyLock::new(Library::new);
        &SHARED
    }

    fn new() -> Self {
        let bags = (0..BAGS).map(|bag| format!("dynamic:channel:{}", 7692 + bag)).collect();
        let mut library = Self { bags, objects: vec![], videos: vec![] };
        let mut hashes = HashMap::<_, Arc<str>>::new();
        let clips: Vec<_> = (0..CLIPS).map(|clip| clip::clip(SEED + clip)).collect();
        let mut object = |id: String, bag: usize, kind: Kind, created_at: &str, bytes: Bytes| {
            let hash = hashes.entry(bytes.as_ptr()).or_insert_with(|| multihash::of(&bytes).into()).clone();
            let created_at = created_at.to_owned();
            library.objects.push(Object { id: id.into(), bag, kind, created_at, is_accepted: true, bytes, hash });
            library.objects.len() - 1
        };
        let mut videos = vec![];
        let old = "2023-06-10T11:22:33.000000Z";
        let thumbnail = object(IMAGE_ID.into(), 0, Kind::Thumbnail, old, samples::image(SEED));
        let media = object(VIDEO_ID.into(), 0, Kind::Media, old, samples::video(SEED));
        let (duration, created_at) = (samples::VIDEO_DURATION.as_secs(), old.to_owned());
        videos.push(Video { id: "26000".into(), created_at, duration, is_public: true, media, thumbnail });
        for index in 0..VIDEOS {
            let bag = index % BAGS;
            let created_at = format!("2026-{:02}-{:02}T08:{index:02}:00.000000Z", 9 + index / 28, 1 + index % 28);
            let bytes = clip::thumbnail(SEED + 1 + index as u64);
            let thumbnail = object((600_000 + 2 * index).to_string(), bag, Kind::Thumbnail, &created_at, bytes);
            let bytes = clips[index % clips.len()].clone();
            let media = object((600_001 + 2 * index).to_string(), bag, Kind::Media, &created_at, bytes);
            let id = (30_000 + index).to_string();
            let duration = clip::CLIP_DURATION.as_secs();
            videos.push(Video { id, created_at, duration, is_public: index != SECRET, media, thumbnail });
        }
        let bytes = library.objects[0].bytes.clone();
        let hash = library.objects[0].hash.clone();
        let created_at = "2026-11-20T10:00:00.000000Z".to_owned();
        let late = |id: &str, kind, is_accepted| Object {
            id: id.into(),
            bag: 0,
            kind,
            created_at: created_at.clone(),
            is_accepted,
            bytes: bytes.clone(),
            hash: hash.clone(),
        };
        library.objects.extend([late(AVATAR_ID, Kind::Avatar, true), late(PENDING_ID, Kind::Thumbnail, false)]);
        library.videos = videos;
        library
    }
}

impl Kind {
    pub(in crate::demo) const fn content_type(self) -> &'static str {
        match self {
            Self::Media => "video/mp4",
            Self::Thumbnail | Self::Avatar => "image/webp",
        }
    }
}

const BAGS: usize = 6;
/// Number of different video contents; several objects share one.
const CLIPS: u64 = 3;
const VIDEOS: usize = 30;
/// The index of the video that is not public: the second newest.
const SECRET: usize = VIDEOS - 2;
/// An image that is not a thumbnail.
const AVATAR_ID: &str = "700000";
/// The newest thumbnail, whose content is not uploaded yet.
pub(in crate::demo) const PENDING_ID: &str = "700001";
