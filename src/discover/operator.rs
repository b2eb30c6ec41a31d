//! Single rows of a registry's lists. Every value may be missing or have another type; it is unknown then.

use std::sync::Arc;

use serde_json::Value;

use crate::model::{
    multihash,
    size::Size,
    tag,
    target::{Asset, AssetKind, Coordinates, is_object_id},
    units::Bytes,
};

/// What an operator runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Distributor,
    Storage,
}

/// An operator of a bucket.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operator {
    /// `{bucket}-{worker}`.
    pub(super) id: Arc<str>,
    pub(super) role: Role,
    pub(super) bucket: Option<Arc<str>>,
    pub(super) distributing: Option<bool>,
    /// The endpoint as the operator wrote it.
    pub(super) endpoint: Option<String>,
    pub(super) region: Option<Arc<str>>,
    pub(super) country: Option<String>,
    pub(super) location: Option<Coordinates>,
}

/// Reads a row of the distribution buckets' operators. `None` when it has no id.
pub(super) fn distributor(row: &Value) -> Option<Operator> {
    // The id is used in queries and messages. Ids of Joystream are valid tags, so any other is ignored.
    let bucket = text(row, "/distributionBucket/id").filter(|id| tag::reduced(id).as_deref() == Some(*id));
    let place = NodeLocation::of(row.get("metadata"));
    Some(Operator {
        id: tag::reduced(text(row, "/id")?)?.into(),
        role: Role::Distributor,
        bucket: bucket.map(Arc::from),
        distributing: row.pointer("/distributionBucket/distributing").and_then(Value::as_bool),
        endpoint: text(row, "/metadata/nodeEndpoint").map(str::to_owned),
        region: text(row, "/distributionBucket/family/metadata/region").and_then(tag::reduced).map(Arc::from),
        country: place.country,
        location: place.location,
    })
}

/// Does this row of the storage buckets have an active operator?
pub(super) fn is_active(row: &Value) -> bool {
    text(row, "/operatorStatus/__typename") == Some("StorageBucketOperatorStatusActive")
}

/// Reads a row of the storage buckets. `None` when it has no id.
pub(super) fn storage(row: &Value) -> Option<Operator> {
    let bucket = text(row, "/id")?;
    let worker = row.pointer("/operatorStatus/workerId").and_then(Value::as_u64);
    let id = worker.map_or_else(|| bucket.to_owned(), |worker| format!("{bucket}-{worker}"));
    let place = NodeLocation::of(row.get("operatorMetadata"));
    Some(Operator {
        id: tag::reduced(&id)?.into(),
        role: Role::Storage,
        bucket: tag::reduced(bucket).map(|bucket| storage_bucket(&bucket).into()),
        distributing: None,
        endpoint: text(row, "/operatorMetadata/nodeEndpoint").map(str::to_owned),
        region: None,
        country: place.country,
        location: place.location,
    })
}

/// Reads a data object. `None` without an id that a node accepts.
pub(super) fn object(row: &Value, kind: AssetKind) -> Option<Asset> {
    let id = text(row, "/id").filter(|id| is_object_id(id))?;
    Some(Asset {
        kind,
        id: id.into(),
        size: row.get("size").and_then(size).map(Size::from),
        hash: text(row, "/ipfsHash").filter(|hash| multihash::is_blake3(hash)).map(Arc::from),
        fixed: false,
    })
}

/// The buckets that must serve an object, distribution and storage buckets, with or without the join entity.
pub(super) fn buckets(object: &Value) -> Vec<String> {
    let listed = |list: &str, one: &'static str| {
        let joined = object.pointer(list).and_then(Value::as_array);
        joined.into_iter().flatten().filter_map(move |row| text(row, one).or(text(row, "/id")))
    };
    let distribution = listed("/storageBag/distributionBuckets", "/distributionBucket/id").map(str::to_owned);
    let storage = listed("/storageBag/storageBuckets", "/storageBucket/id").map(storage_bucket);
    distribution.chain(storage).collect()
}

/// The id of a storage bucket among distribution buckets. The prefix is needed because both kinds are numbered.
fn storage_bucket(id: &str) -> String {
    format!("{STORAGE_BUCKET}{id}")
}

/// Is this the id of a storage bucket?
pub(super) fn is_storage_bucket(bucket: &str) -> bool {
    bucket.starts_with(STORAGE_BUCKET)
}

/// `BigInt` is a string, or a number from some servers. A size of 0 counts as unknown.
fn size(value: &Value) -> Option<Bytes> {
    let bytes = value.as_str().map_or_else(|| value.as_u64(), |text| text.parse().ok());
    bytes.filter(|bytes| *bytes > 0).map(Bytes)
}

const STORAGE_BUCKET: &str = "storage:";

struct NodeLocation {
    country: Option<String>,
    location: Option<Coordinates>,
}

impl NodeLocation {
    fn of(metadata: Option<&Value>) -> Self {
        let Some(place) = metadata.and_then(|metadata| metadata.get("nodeLocation")) else {
            return Self { country: None, location: None };
        };
        let country = text(place, "/countryCode").map(str::to_ascii_uppercase);
        let degrees = |key| place.pointer(key).and_then(Value::as_f64);
        let location = degrees("/coordinates/latitude").zip(degrees("/coordinates/longitude"));
        Self {
            country: country.filter(|code| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())),
            // Both zero means an empty form: there is no node in the Gulf of Guinea.
            location: location
                .filter(|place| *place != (0.0, 0.0))
                .and_then(|(lat, lon)| Coordinates::new(lat, lon).ok()),
        }
    }
}

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn invalid_sizes_are_unknown() {
        for (given, known) in [
            (json!("21136"), Some(21_136)),
            (json!(21_136), Some(21_136)),
            (json!("18446744073709551615"), Some(u64::MAX)),
            (json!("18446744073709551616"), None),
            (json!(18_446_744_073_709_551_616.0), None),
            (json!(-1), None),
            (json!("-1"), None),
            (json!(1.5), None),
            (json!("1.5"), None),
            (json!("1e6"), None),
            (json!(""), None),
            (json!(0), None),
            (json!(null), None),
            (json!([1]), None),
        ] {
            assert_eq!(size(&given), known.map(Bytes), "{given}");
        }
    }

    #[test]
    fn invalid_or_unset_locations_are_unknown() {
        let known = Coordinates::new(48.8566, 2.3522).ok();
        for (place, country, location) in [
            (
                json!({"countryCode": "fr", "coordinates": {"latitude": 48.8566, "longitude": 2.3522}}),
                Some("FR"),
                known,
            ),
            (json!({"countryCode": "FRA", "coordinates": {"latitude": 120.0, "longitude": 2.0}}), None, None),
            (json!({"countryCode": "F1", "coordinates": {"latitude": 0, "longitude": 0}}), None, None),
            (
                json!({"countryCode": "", "coordinates": {"latitude": 0, "longitude": 9}}),
                None,
                Coordinates::new(0.0, 9.0).ok(),
            ),
            (json!({"countryCode": null, "coordinates": {"latitude": 5, "longitude": 181}}), None, None),
            (json!({"countryCode": 7, "coordinates": {"latitude": "5", "longitude": null}}), None, None),
            (json!({"coordinates": null}), None, None),
            (json!(null), None, None),
            (json!("Paris"), None, None),
        ] {
            let read = NodeLocation::of(Some(&json!({ "nodeLocation": place })));
            assert_eq!((read.country.as_deref(), read.location), (country, location), "{place}");
        }
    }

    proptest! {
        #[test]
        fn rows_of_any_shape_are_read_or_left(row in shapes()) {
            for key in ["id", "distributionBucket", "metadata", "operatorStatus", "storageBag"] {
                let mut row = json!({"id": "1:0-1", key: row});
                let _ = (distributor(&row), is_active(&row), storage(&row), object(&row, AssetKind::Video));
                prop_assert!(buckets(&row).len() <= 4);
                row["id"] = json!("1343");
                prop_assert!(key == "id" || object(&row, AssetKind::Image).is_some());
            }
        }
    }

    /// JSON built from the words that occur in rows.
    fn shapes() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        let key = prop::sample::select(vec![
            "id",
            "distributing",
            "family",
            "region",
            "nodeEndpoint",
            "nodeLocation",
            "coordinates",
            "latitude",
            "longitude",
            "countryCode",
            "distributionBuckets",
            "distributionBucket",
            "__typename",
            "workerId",
        ]);
        leaf.prop_recursive(4, 40, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(key.clone(), inner, 0..4)
                    .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
            ]
        })
    }

    #[test]
    fn an_invalid_value_in_a_row_affects_only_itself() {
        for row in [
            json!({"id": "1:0-1"}),
            json!({"id": "1:0-1", "workerId": "x", "distributionBucket": null, "metadata": null}),
            json!({"id": "1:0-1", "distributionBucket": {"id": 7, "distributing": "yes", "family": []}, "metadata": 7}),
            json!({"id": "1:0-1", "distributionBucket": {"id": "x".repeat(101)}, "metadata": {"nodeEndpoint": 7}}),
        ] {
            let read = distributor(&row).unwrap();
            assert_eq!(
                (&*read.id, read.bucket, read.distributing, read.endpoint),
                ("1:0-1", None, None, None),
                "{row}"
            );
        }
        for row in [json!(null), json!("1:0-1"), json!({"id": null}), json!({"id": ""}), json!({"id": 7})] {
            assert_eq!((distributor(&row), storage(&row), object(&row, AssetKind::Image)), (None, None, None), "{row}");
        }
        let bucket =
            json!({"id": "4", "operatorStatus": {"__typename": "StorageBucketOperatorStatusActive", "workerId": 9}});
        assert_eq!((&*storage(&bucket).unwrap().id, is_active(&bucket), is_active(&json!({}))), ("4-9", true, false));
    }
}
