//! Makes room on a full disk: delivered files are deleted, undelivered ones are not.

use std::{fs, path::Path};

use super::{DELIVERED, Error, list, on};
use crate::model::units::Bytes;

/// [`make`] stops once it has freed this many bytes. That is room for some minutes of any worker.
const ROOM: u64 = 16 << 20;

/// Deletes the oldest delivered files until at least 16 MiB are freed or none is left. Returns the number of bytes
/// freed. Only the process that holds the [`Spool`](super::spool::Spool) may call it.
///
/// # Errors
/// When the folder cannot be listed or a file cannot be deleted.
pub fn make(dir: &Path) -> Result<Bytes, Error> {
    let folder = dir.join(DELIVERED);
    let mut freed = 0;
    for path in list(&folder)?.into_iter().map(|name| folder.join(name)) {
        if freed >= ROOM {
            break;
        }
        let size = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        fs::remove_file(&path).map_err(on("delete", &path))?;
        freed += size;
    }
    Ok(Bytes(freed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_oldest_delivered_files_are_deleted() {
        let dir = tempfile::tempdir().unwrap();
        super::super::create(dir.path()).unwrap();
        for (folder, name, size) in [
            ("archive", "2026-11-20.lp", ROOM / 2),
            ("archive", "2026-11-21.lp", ROOM / 2),
            ("archive", "2026-11-22.lp", 10),
            ("spool", "2026-11-19T100000.000000000Z-1.lp", 10),
        ] {
            fs::File::create(dir.path().join(folder).join(name)).unwrap().set_len(size).unwrap();
        }
        assert_eq!(make(dir.path()).unwrap(), Bytes(ROOM));
        assert_eq!(list(&dir.path().join(DELIVERED)).unwrap(), ["2026-11-22.lp"]);
        assert_eq!(make(dir.path()).unwrap(), Bytes(10));
        assert_eq!(make(dir.path()).unwrap(), Bytes(0));
        assert_eq!(list(&dir.path().join("spool")).unwrap().len(), 1);
    }
}
