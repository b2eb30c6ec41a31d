//! Problems outside the config: the data directory, and secrets that others can read.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::{
    archive::write_test::try_write,
    config::{Config, InfluxDb, TokenSource},
};

/// One sentence for each problem, with its remedy.
pub(super) fn findings(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    if let Err(error) = try_write(&config.archive.dir) {
        found.push(format!(
            "the data directory cannot be written: {error}; give the user that runs bandprobe write access, or change \
             archive.dir"
        ));
    }
    if let Some(database) = &config.influxdb {
        found.extend(readable(database));
        found.extend(unencrypted(database));
    }
    found
}

/// A token that every user of this machine can read. Group access is allowed, because Kubernetes mounts secrets that
/// way with `fsGroup`.
fn readable(database: &InfluxDb) -> Option<String> {
    let TokenSource::File(path) = &database.token_from else { return None };
    // A mounted Kubernetes secret is a link to a file in a hidden directory.
    let file = fs::canonicalize(path).ok()?;
    let mode = fs::metadata(&file).ok()?.permissions().mode() & 0o7777;
    if mode & 0o004 == 0 || !file.ancestors().skip(1).all(is_passable) {
        return None;
    }
    let shown = path.display();
    Some(format!(
        "every user of this machine can read the token in {shown} (mode {mode:04o}): run chmod 600 {shown}, or for a \
         Kubernetes secret set `defaultMode: 0400`"
    ))
}

/// Whether every user can enter this directory.
fn is_passable(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|folder| folder.permissions().mode() & 0o001 != 0)
}

/// A token that is sent unencrypted to another machine.
fn unencrypted(database: &InfluxDb) -> Option<String> {
    if database.url.scheme() != "http" || database.is_on_this_machine() {
        return None;
    }
    Some(format!(
        "the token and all results travel unencrypted to {} on another machine: use https, unless you trust the network \
         between them",
        database.root()
    ))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::config::Secret;

    fn database(url: &str, token_from: TokenSource) -> InfluxDb {
        InfluxDb { token_from, ..InfluxDb::new(url.parse().unwrap(), "o", "b", Secret::new("t")) }
    }

    #[test]
    fn plain_http_to_another_machine_is_found() {
        for (url, expected) in [
            ("http://127.0.0.1:8086/", false),
            ("http://127.9.9.9/", false),
            ("http://localhost:8086/", false),
            ("http://LOCALHOST./", false),
            ("http://influx.localhost/", false),
            ("http://[::1]:8086/", false),
            ("http://[::ffff:127.0.0.1]/", false),
            ("https://db.example/", false),
            ("http://db.example/influx/", true),
            ("http://influxdb:8086/", true),
            ("http://10.0.0.7:8086/", true),
            ("http://[fd00::1]/", true),
            ("http://localhost.example/", true),
        ] {
            let found = unencrypted(&database(url, TokenSource::Variable("X")));
            assert_eq!(found.is_some(), expected, "{url}: {found:?}");
        }
    }

    #[test]
    fn a_token_that_every_user_can_read_is_found() {
        let dir = TempDir::new().unwrap();
        let (file, link) = (dir.path().join("token"), dir.path().join("link"));
        fs::write(&file, "t").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        // Where other users cannot reach temporary files anyway, there is no finding.
        let is_open = dir.path().canonicalize().unwrap().ancestors().skip(1).all(is_passable);
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for (folder, mode, expected) in [
            (0o755, 0o600, false),
            (0o755, 0o440, false),
            (0o755, 0o640, false),
            (0o755, 0o644, true),
            (0o711, 0o604, true),
            (0o755, 0o444, true),
            (0o750, 0o644, false),
            (0o700, 0o666, false),
        ] {
            set(dir.path(), folder);
            set(&file, mode);
            for path in [&file, &link] {
                let found = readable(&database("http://db/", TokenSource::File(path.clone())));
                assert_eq!(found.is_some(), expected && is_open, "{folder:o} {mode:o}: {found:?}");
                assert!(found.is_none_or(|found| found.contains(&format!("(mode {mode:04o})"))));
            }
        }
        assert_eq!(readable(&database("http://db/", TokenSource::Variable("X"))), None);
        assert_eq!(readable(&database("http://db/", TokenSource::File(dir.path().join("gone")))), None);
    }
}
