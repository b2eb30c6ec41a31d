//! Every query file is valid in the schema of every dialect that it is sent to. A query for a field that the real
//! schemas lack fails here, and not at the real server.

use std::{collections::BTreeSet, fs, path::Path};

use apollo_compiler::{ExecutableDocument, Schema, validation::Valid};
use bandprobe::config::Dialect;

/// Which query goes to which dialects.
const SENT: [(&str, &[Dialect]); 11] = [
    ("detect", &Dialect::ALL),
    ("operators", &Dialect::ALL),
    ("storage", &Dialect::ALL),
    ("newest-hydra", &[Dialect::Hydra]),
    ("newest-orion", &[Dialect::Orion]),
    ("newest-storage-squid", &[Dialect::StorageSquid]),
    ("samples-hydra", &[Dialect::Hydra]),
    ("samples-orion", &[Dialect::Orion]),
    ("samples-storage-squid", &[Dialect::StorageSquid]),
    ("fixed-hydra", &[Dialect::Hydra]),
    ("fixed-squid", &[Dialect::Orion, Dialect::StorageSquid]),
];

#[test]
fn queries_are_valid_in_their_schemas() {
    for (name, dialects) in SENT {
        let text = query(name);
        for &dialect in dialects {
            if let Err(errors) = ExecutableDocument::parse_and_validate(&schema(dialect), &text, name) {
                panic!("{name} in {}:\n{errors}", dialect.label());
            }
        }
    }
}

#[test]
fn no_query_file_is_forgotten() {
    let folder = fs::read_dir(root().join("src/discover")).unwrap();
    let files: BTreeSet<_> = folder
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "graphql"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(files, SENT.iter().map(|(name, _)| (*name).to_owned()).collect());
}

/// The schemas must contain what distinguishes the dialects, or the test above would pass for any query.
#[test]
fn the_test_schemas_differ_like_the_real_ones() {
    for (text, valid_in) in [
        ("{ storageDataObjects(where: { type_isNull: true }) { id } }", &[Dialect::Orion, Dialect::StorageSquid][..]),
        (r#"{ storageDataObjects(where: { type_json: { isTypeOf_eq: "a" } }) { id } }"#, &[Dialect::Hydra]),
        (
            "{ storageDataObjects { type { ... on DataObjectTypeVideoMedia { __typename } } } }",
            &[Dialect::Hydra, Dialect::Orion],
        ),
        ("{ storageDataObjects { type { ... on DataObjectTypeUnknown { __typename } } } }", &[Dialect::Hydra]),
        (
            "{ storageDataObjects { type { ... on DataObjectTypeChannelPayoutsPayload { phantom } } } }",
            &[Dialect::Hydra, Dialect::Orion],
        ),
        ("{ storageDataObjects { resolvedUrls } }", &[Dialect::Orion]),
        ("{ storageDataObjects { resolvedUrl } }", &[]),
        ("{ distributionBuckets { bags { id } } }", &Dialect::ALL),
        ("{ distributionBuckets { bags { bag { id } } } }", &[Dialect::Orion, Dialect::StorageSquid]),
        ("{ distributionBucketOperators(orderBy: [id_ASC]) { id } }", &[Dialect::Orion, Dialect::StorageSquid]),
        ("{ distributionBucketOperators(orderBy: [createdAt_ASC]) { id } }", &[Dialect::Hydra]),
        ("{ squidStatus { height } }", &[Dialect::Orion, Dialect::StorageSquid]),
        ("{ squidVersion { version } }", &[Dialect::StorageSquid]),
        ("{ videos { media { id } } }", &[Dialect::Hydra]),
        ("subscription { stateSubscription { chainHead } }", &[Dialect::Hydra]),
        ("{ distributionBucketOperators { nodeEndpoint } }", &[]),
    ] {
        for dialect in Dialect::ALL {
            let is_valid = ExecutableDocument::parse_and_validate(&schema(dialect), text, "probe").is_ok();
            assert_eq!(is_valid, valid_in.contains(&dialect), "{text} in {}", dialect.label());
        }
    }
}

/// The schema that the fake registry executes for a dialect.
pub(super) fn schema(dialect: Dialect) -> Valid<Schema> {
    let path = root().join(format!("src/demo/fleet/registry/{}.graphql", dialect.label()));
    let text = fs::read_to_string(&path).unwrap();
    Schema::parse_and_validate(text, path).unwrap_or_else(|errors| panic!("{errors}"))
}

fn query(name: &str) -> String {
    fs::read_to_string(root().join(format!("src/discover/{name}.graphql"))).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
