//! The simulated network as the registry lists it. Objects have the fields of all dialects; a schema shows only its own
//! fields.

use crate::config::Dialect;

use super::{
    super::{
        library::{Kind, Object, Video},
        scenario::{DISTRIBUTORS, FAMILIES, Family, NodeCondition, NodeSpec, Place, STORAGE, serves},
    },
    RegistryContent,
    graph::{Field, Graph, Key, leaf},
};

/// Builds everything that the registry knows.
pub(super) fn graph(dialect: Dialect, content: &RegistryContent<'_>) -> Graph {
    let mut lister = Lister { graph: Graph::default(), dialect };
    lister.graph.add("SquidStatus", [("height", leaf(HEIGHT))]);
    lister.graph.add("SquidVersion", [("version", leaf("2.1.0"))]);
    let bags: Vec<_> = content.library.bags.iter().map(|id| lister.entity("StorageBag", id)).collect();
    lister.storage(content, &bags);
    lister.distribution(content, &bags);
    let objects: Vec<_> =
        content.library.objects.iter().map(|object| lister.object(object, bags[object.bag])).collect();
    let channel = lister.entity("Channel", "7692");
    for video in &content.library.videos {
        lister.video(video, channel, &objects);
    }
    lister.graph
}

struct Lister {
    graph: Graph,
    dialect: Dialect,
}

impl Lister {
    /// Adds an object with the fields that every entity has.
    fn entity(&mut self, kind: &'static str, id: &str) -> Key {
        self.graph.add(kind, [("id", leaf(id)), ("createdAt", leaf(CREATED))])
    }

    fn set<const N: usize>(&mut self, key: Key, fields: [(&'static str, Field); N]) {
        for (name, field) in fields {
            self.graph.set(key, name, field);
        }
    }

    fn distribution(&mut self, content: &RegistryContent<'_>, bags: &[Key]) {
        let families = FAMILIES.map(|family| (family.id, self.family(&family)));
        for spec in DISTRIBUTORS {
            let Some(endpoint) = content.endpoints.get(spec.name) else { continue };
            for bucket in spec.buckets {
                self.bucket(&spec, bucket, &families, bags, endpoint.as_deref());
            }
        }
    }

    fn family(&mut self, family: &Family) -> Key {
        let key = self.entity("DistributionBucketFamily", family.id);
        let metadata = self.entity("DistributionBucketFamilyMetadata", family.id);
        self.set(
            metadata,
            [("family", Field::One(key)), ("region", leaf(family.region)), ("description", leaf(family.description))],
        );
        self.set(key, [("metadata", Field::One(metadata)), ("metadataId", leaf(family.id))]);
        key
    }

    fn bucket(&mut self, spec: &NodeSpec, id: &str, families: &[(&str, Key)], bags: &[Key], endpoint: Option<&str>) {
        let (family, index) = id.split_once(':').expect("invariant: the scenario's buckets have both numbers");
        let family = families.iter().find(|(id, _)| *id == family).map(|(_, key)| *key);
        let bucket = self.entity("DistributionBucket", id);
        self.set(
            bucket,
            [
                ("family", family.map_or(leaf(()), Field::One)),
                ("familyId", leaf(id.split(':').next().unwrap_or(id))),
                ("bucketIndex", leaf(index.parse::<i64>().unwrap_or_default())),
                ("acceptingNewBags", leaf(true)),
                ("distributing", leaf(!spec.condition.is_switched_off())),
            ],
        );
        let served = bags.iter().enumerate().filter(|(bag, _)| serves(id, *bag));
        for (_, bag) in served {
            self.join(("DistributionBucketBag", "distributionBucket", "distributionBuckets"), bucket, *bag);
        }
        let id = format!("{id}-{}", spec.worker);
        let operator = self.entity("DistributionBucketOperator", &id);
        let is_active = spec.condition != NodeCondition::Invited;
        self.set(
            operator,
            [
                ("distributionBucket", Field::One(bucket)),
                ("distributionBucketId", leaf(id.split('-').next().unwrap_or_default())),
                ("workerId", leaf(i64::from(spec.worker))),
                ("status", leaf(if is_active { "ACTIVE" } else { "INVITED" })),
            ],
        );
        self.graph.push(bucket, "operators", operator);
        if spec.condition != NodeCondition::NoMetadata {
            let metadata = self.site("DistributionBucketOperatorMetadata", &id, endpoint, spec.place);
            self.set(operator, [("metadata", Field::One(metadata)), ("metadataId", leaf(id.as_str()))]);
            self.set(metadata, [("distirbutionBucketOperator", Field::One(operator))]);
        }
    }

    fn storage(&mut self, content: &RegistryContent<'_>, bags: &[Key]) {
        for (name, id, worker, place) in STORAGE {
            let Some(endpoint) = content.endpoints.get(name) else { continue };
            let bucket = self.entity("StorageBucket", id);
            let metadata = self.site("StorageBucketOperatorMetadata", id, endpoint.as_deref(), place);
            let account = ("transactorAccountId", leaf(format!("account-{worker}")));
            let active = [("workerId", leaf(i64::from(worker))), account];
            let status = self.graph.add("StorageBucketOperatorStatusActive", active);
            self.set(
                bucket,
                [
                    ("operatorStatus", Field::One(status)),
                    ("operatorMetadata", Field::One(metadata)),
                    ("operatorMetadataId", leaf(id)),
                    ("acceptingNewBags", leaf(true)),
                    ("dataObjectsSizeLimit", leaf("20000000000000")),
                    ("dataObjectCountLimit", leaf("1000000")),
                    ("dataObjectsCount", leaf(content.library.objects.len().to_string())),
                    ("dataObjectsSize", leaf(size(content).to_string())),
                ],
            );
            self.set(metadata, [("storageBucket", Field::One(bucket))]);
            for bag in bags {
                self.join(("StorageBucketBag", "storageBucket", "storageBuckets"), bucket, *bag);
            }
        }
    }

    /// Adds the endpoint and the location that an operator has registered for a node.
    fn site(&mut self, kind: &'static str, id: &str, endpoint: Option<&str>, place: Place) -> Key {
        let coordinates = self.entity("GeoCoordinates", id);
        self.set(coordinates, [("latitude", leaf(place.latitude)), ("longitude", leaf(place.longitude))]);
        let location = self.entity("NodeLocationMetadata", id);
        self.set(
            location,
            [
                ("countryCode", leaf(place.country)),
                ("city", leaf(place.city)),
                ("coordinates", Field::One(coordinates)),
                ("coordinatesId", leaf(id)),
            ],
        );
        let metadata = self.entity(kind, id);
        let fields = [("nodeLocation", Field::One(location)), ("nodeLocationId", leaf(id))];
        self.set(metadata, fields);
        self.set(metadata, [("nodeEndpoint", endpoint.map_or(leaf(()), leaf))]);
        metadata
    }

    /// Puts a bag into a bucket. The query node (Hydra) lists each in the other; the squids have a join entity.
    fn join(&mut self, (kind, one, many): (&'static str, &'static str, &'static str), bucket: Key, bag: Key) {
        if self.dialect == Dialect::Hydra {
            self.graph.push(bucket, "bags", bag);
            self.graph.push(bag, many, bucket);
            return;
        }
        let id = format!("{bucket}-{bag}");
        let join = self.graph.add(kind, [("id", leaf(id)), (one, Field::One(bucket)), ("bag", Field::One(bag))]);
        self.graph.push(bucket, "bags", join);
        self.graph.push(bag, many, join);
    }

    fn object(&mut self, object: &Object, bag: Key) -> Key {
        let key = self.entity("StorageDataObject", &object.id);
        self.set(
            key,
            [
                ("createdAt", leaf(object.created_at.as_str())),
                ("isAccepted", leaf(object.is_accepted)),
                ("size", leaf(object.bytes.len().to_string())),
                ("storageBag", Field::One(bag)),
                ("storageBagId", self.graph.record(bag).fields["id"].clone()),
                ("ipfsHash", leaf(&*object.hash)),
                ("stateBloatBond", leaf("0")),
            ],
        );
        self.graph.push(bag, "objects", key);
        // The storage squid has types only for subtitles, and there are no subtitles here.
        if self.dialect != Dialect::StorageSquid {
            let kind = match object.kind {
                Kind::Thumbnail => "DataObjectTypeVideoThumbnail",
                Kind::Media => "DataObjectTypeVideoMedia",
                Kind::Avatar => "DataObjectTypeChannelAvatar",
            };
            let kind = self.graph.add(kind, []);
            self.set(key, [("type", Field::One(kind))]);
        }
        key
    }

    fn video(&mut self, video: &Video, channel: Key, objects: &[Key]) {
        let key = self.entity("Video", &video.id);
        let duration = i64::try_from(video.duration).unwrap_or(i64::MAX);
        self.set(
            key,
            [
                ("createdAt", leaf(video.created_at.as_str())),
                ("channel", Field::One(channel)),
                ("channelId", leaf("7692")),
                ("duration", leaf(duration)),
                ("isPublic", leaf(video.is_public)),
                ("isCensored", leaf(false)),
                ("media", Field::One(objects[video.media])),
                ("thumbnailPhoto", Field::One(objects[video.thumbnail])),
            ],
        );
        for object in [video.media, video.thumbnail] {
            if let Some(Field::One(kind)) = self.graph.record(objects[object]).fields.get("type") {
                self.graph.set(*kind, "video", Field::One(key));
            }
        }
    }
}

fn size(content: &RegistryContent<'_>) -> usize {
    content.library.objects.iter().map(|object| object.bytes.len()).sum()
}

/// The creation time of entities that have no more specific one.
const CREATED: &str = "2023-02-01T00:00:00.000000Z";
const HEIGHT: i64 = 5_678_899;
