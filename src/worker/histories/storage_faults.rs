//! The nodes that could not fetch from storage, shared by all processes on the archive. Changes are made in memory. The
//! state writer stores them, and reads what others stored, so that all processes learn of a fault or its end within about a
//! second.

use std::{
    collections::BTreeMap,
    mem,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use crate::{
    archive::{
        self,
        state::{self, FileVersion, Loaded},
    },
    measure::storage_faults::{StorageFaultChange, StorageFaults},
    model::{probe::Probe, sample::Sample},
    worker::state_writer::StateFile,
};

/// The storage faults of all nodes.
pub(super) struct SharedFaults {
    dir: PathBuf,
    memory: Mutex<InMemory>,
    /// Used only by the state writer.
    disk: Mutex<OnDisk>,
}

#[derive(Default)]
struct InMemory {
    faults: StorageFaults,
    /// Findings that are not on disk yet, by node id.
    new: BTreeMap<String, StorageFaultChange>,
}

/// The state on disk, as this process last read or wrote it.
#[derive(Default)]
struct OnDisk {
    version: Option<FileVersion>,
    stored: StorageFaults,
    is_refused: bool,
}

impl SharedFaults {
    /// Loads what the previous process left.
    pub(super) fn load(dir: &Path) -> Self {
        let mut disk = OnDisk::default();
        if let Err(error) = disk.read_if_changed(dir) {
            disk.is_refused = true;
            tracing::warn!("cannot read the list of nodes that cannot fetch from storage yet: {error}");
        }
        let memory = InMemory { faults: disk.stored.clone(), new: BTreeMap::new() };
        Self { dir: dir.to_owned(), memory: Mutex::new(memory), disk: Mutex::new(disk) }
    }

    /// Updates the fault of a node with a sample of a run of this probe.
    pub(super) fn note(&self, sample: &Sample, probe: &Probe) {
        let mut memory = self.memory();
        let Some(finding) = memory.faults.finding(sample, probe) else { return };
        let node = &*sample.labels.node;
        memory.faults.note(node, &finding);
        memory.new.insert(node.to_owned(), finding);
    }

    /// The error of the node's last fetch from storage; `None` if that is too old, or if the node has fetched something
    /// since.
    pub(super) fn error(&self, node: &str) -> Option<String> {
        self.memory().faults.error(node, Timestamp::now()).map(str::to_owned)
    }

    fn memory(&self) -> MutexGuard<'_, InMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateFile for SharedFaults {
    fn save(&self, _: bool) {
        let new = mem::take(&mut self.memory().new);
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match new.is_empty() {
            true => match disk.read_if_changed(&self.dir) {
                Ok(false) => return,
                learned => learned.map(drop),
            },
            false => disk.write(&self.dir, &new),
        };
        let mut memory = self.memory();
        if let Err(error) = &written {
            new.into_iter().for_each(|(node, finding)| _ = memory.new.entry(node).or_insert(finding));
            if !mem::replace(&mut disk.is_refused, true) {
                tracing::warn!("the list of nodes that cannot fetch from storage is kept in memory only: {error}");
            }
        } else {
            disk.is_refused = false;
        }
        let mut faults = disk.stored.clone();
        memory.new.iter().for_each(|(node, finding)| faults.note(node, finding));
        memory.faults = faults;
    }
}

impl OnDisk {
    /// Reads the file if it has changed since this process last read or wrote it; returns whether it did. If the file
    /// is missing or damaged, the known state stays. If the disk fails, the file is read again the next time.
    fn read_if_changed(&mut self, dir: &Path) -> Result<bool, archive::Error> {
        let version = state::version(dir, STATE);
        if version == self.version {
            return Ok(false);
        }
        let Loaded { value, problem } = match version.map(|version| version.size()) {
            None => {
                self.version = None;
                return Ok(false);
            }
            Some(0..=MAX_BYTES) => state::read::<StorageFaults>(dir, STATE)?,
            Some(bytes) => Loaded { value: StorageFaults::default(), problem: Some(format!("{STATE}: {bytes} bytes")) },
        };
        self.version = version;
        if let Some(problem) = problem {
            tracing::warn!("cannot read the list of nodes that cannot fetch from storage: {problem}");
            return Ok(false);
        }
        self.stored = value;
        self.stored.tidy(Timestamp::now());
        Ok(true)
    }

    /// Adds the new findings to the file. The file is locked, so no other process writes in between. Nothing is written
    /// if the disk fails to read the file, because the findings of the others would be lost.
    fn write(&mut self, dir: &Path, new: &BTreeMap<String, StorageFaultChange>) -> Result<(), archive::Error> {
        let _held = state::lock(dir, STATE)?;
        self.read_if_changed(dir)?;
        let mut faults = self.stored.clone();
        new.iter().for_each(|(node, finding)| faults.note(node, finding));
        faults.tidy(Timestamp::now());
        state::store(dir, STATE, &faults)?;
        self.stored = faults;
        self.version = state::version(dir, STATE);
        Ok(())
    }
}

const STATE: &str = "storage-faults";
/// The largest file that is read, in bytes. The faults of 10,000 nodes with a long message each take less.
const MAX_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests;
