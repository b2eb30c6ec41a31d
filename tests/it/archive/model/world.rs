//! The directory under test, and what the model knows about it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Act, faults, *};

/// Lines by their text. What a fault hit may come out, unchanged, or not at all.
#[derive(Default)]
struct Reference {
    written: BTreeSet<String>,
    hit: BTreeSet<String>,
}

pub(super) struct World {
    dir: TempDir,
    spool: Spool,
    writer: Writer,
    now: Timestamp,
    lines: Reference,
    /// The open file of the living writer.
    growing: Option<String>,
    /// Bytes of the files in `open/` that would survive a power cut.
    synced: BTreeMap<String, usize>,
    /// Whether anything worse happened than that the process died.
    faulty: bool,
    rejected: u64,
    sent: BTreeSet<String>,
    /// Delivered files that a merge was killed before it deleted: another one holds their lines.
    left_over: BTreeSet<String>,
}

impl World {
    pub(super) fn new() -> Self {
        let dir = scratch();
        let (spool, writer) = (Spool::lock(dir.path()).unwrap(), Writer::open(dir.path()).unwrap());
        let (lines, growing, synced) = (Reference::default(), None, BTreeMap::new());
        let (faulty, rejected, sent, left_over) = (false, 0, BTreeSet::new(), BTreeSet::new());
        Self { dir, spool, writer, now: time(0), lines, growing, synced, faulty, rejected, sent, left_over }
    }

    pub(super) fn act(&mut self, act: Act) {
        // No two appends at the same time: a name is made of it.
        self.now += Duration::from_secs(1800);
        match act {
            Act::Append(points) => self.append(points),
            Act::Seal => {
                let sealed = self.writer.seal().unwrap();
                assert_eq!(sealed.map(|sealed| sealed.name), self.growing.take());
            }
            Act::Sync => {
                self.writer.sync().unwrap();
                if let Some(name) = &self.growing {
                    self.synced.insert(name.clone(), self.content(&format!("open/{name}")).len());
                }
            }
            Act::Clock(hours) => self.now = self.now + hours.hours() + 1.nanoseconds(),
            Act::Kill(points, written) => self.kill(points, written),
            Act::PowerCut(cut, from, to) => self.cut_power(cut, from, to),
            Act::Corrupt(file, at, change) => self.damage(file, |content| faults::corrupt(content, at, change)),
            Act::Truncate(file, at) => self.damage(file, |content| faults::truncate(content, at)),
            Act::Recover => drop(recover(self.dir.path()).unwrap()),
            Act::Deliver(recent_first) => drop(self.deliver(recent_first)),
            Act::Merge => self.merge(),
        }
    }

    fn append(&mut self, points: u64) {
        let first = self.lines.written.len() as u64;
        let lines: Vec<_> = (first..first + points).map(|id| format!("m,id={id} v={id}i {id}")).collect();
        self.writer.append(self.now, (lines.join("\n") + "\n").as_bytes(), points).unwrap();
        self.lines.written.extend(lines);
        let mut open = names(self.dir.path(), "open").into_iter();
        self.growing = self.growing.take().or_else(|| open.find(|name| !self.synced.contains_key(name)));
        let growing = self.growing.clone().expect("an appended file is open");
        self.synced.entry(growing).or_default();
    }

    /// What an unfinished append was about may be there or not.
    fn kill(&mut self, points: u64, share: u64) {
        let before = self.growing.as_ref().map_or(0, |name| self.content(&format!("open/{name}")).len());
        let known = self.lines.written.clone();
        self.append(points);
        self.lines.hit.extend(self.lines.written.difference(&known).cloned());
        let path = format!("open/{}", self.growing.take().unwrap());
        let content = self.content(&path);
        let left = before + faults::place(content.len() - before, share);
        self.writer = Writer::open(self.dir.path()).unwrap();
        fs::write(self.dir.path().join(path), &content[..left]).unwrap();
    }

    fn cut_power(&mut self, cut: u64, from: u64, to: u64) {
        self.faulty = true;
        self.growing = None;
        self.writer = Writer::open(self.dir.path()).unwrap();
        for name in names(self.dir.path(), "open") {
            let path = format!("open/{name}");
            let mut content = self.content(&path);
            let synced = self.synced[&name].min(content.len());
            let unsynced = content.split_off(synced);
            self.lines.hit.extend(faults::lines(&unsynced));
            content.extend(faults::cut_power(unsynced, cut, from, to));
            fs::write(self.dir.path().join(path), content).unwrap();
        }
    }

    /// Merges, and is killed while it deletes the parts; how far it gets is practically random.
    fn merge(&mut self) {
        let content = |name: String| (name.clone(), self.content(&format!("archive/{name}")));
        let mut gone: BTreeMap<_, _> = names(self.dir.path(), "archive").into_iter().map(content).collect();
        merge_all(&self.spool, self.now);
        let after: BTreeSet<_> = names(self.dir.path(), "archive").into_iter().collect();
        // What was left over went before anything was merged.
        gone.retain(|name, _| !after.contains(name) && !self.left_over.contains(name));
        self.left_over = self.left_over.intersection(&after).cloned().collect();
        let deleted = self.lines.written.len() % (gone.len() + 1);
        for (name, content) in gone.into_iter().skip(deleted) {
            fs::write(self.dir.path().join("archive").join(&name), content).unwrap();
            self.left_over.insert(name);
        }
    }

    /// Damages one of the files that hold points, and notes which of them the damage may cost.
    fn damage(&mut self, file: prop::sample::Index, fault: impl FnOnce(&[u8]) -> (Vec<u8>, Vec<String>)) {
        let at = |folder: &'static str| names(self.dir.path(), folder).into_iter().map(move |name| (folder, name));
        // A file that holds left-over lines too must name them: one fault at a time.
        let folders = ["archive", "open", "spool"].into_iter().skip(usize::from(!self.left_over.is_empty()));
        let mut files: Vec<_> = folders.flat_map(at).collect();
        files.retain(|(_, name)| self.growing.as_ref() != Some(name));
        if files.is_empty() {
            return;
        }
        let (folder, name) = file.get(&files);
        let path = format!("{folder}/{name}");
        let (content, hit) = fault(&self.content(&path));
        fs::write(self.dir.path().join(path), content).unwrap();
        self.lines.hit.extend(hit);
        self.faulty = true;
    }

    fn deliver(&mut self, recent_first: bool) -> bool {
        let Some(name) = self.spool.next(recent_first, &HashSet::new()).unwrap() else { return false };
        if let Some(salvaged) = self.spool.salvage(&name).unwrap() {
            self.rejected += salvaged.set_aside;
            let left = self.spool.open(&name).unwrap().map_or(0, |lines| lines.map(Result::unwrap).count() as u64);
            assert_eq!((left, self.spool.salvage(&name).unwrap()), (salvaged.kept, None));
            return true;
        }
        self.sent.extend(self.spool.open(&name).unwrap().unwrap().map(Result::unwrap));
        self.spool.delivered(&name).unwrap();
        true
    }

    /// What a reader gets, and what is counted, after any act.
    pub(super) fn check(&self) {
        let (found, reported): (Vec<_>, Vec<_>) =
            reader::lines(self.dir.path(), None).unwrap().partition(Result::is_ok);
        let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
        let once: BTreeSet<_> = found.iter().cloned().collect();
        assert_eq!(found.len(), once.len(), "a line comes out twice");
        let Reference { written, hit } = &self.lines;
        assert!(once.is_subset(written), "never written: {:?}", once.difference(written));
        let missing: Vec<_> = written.difference(&once).filter(|line| !hit.contains(*line)).collect();
        assert!(missing.is_empty(), "written, not hit by any fault, and missing: {missing:?}");

        let counted = status(self.dir.path()).unwrap();
        assert_eq!(counted.bad.points, self.rejected);
        assert!(reported.is_empty() || self.faulty, "{reported:?}");
        if hit.is_empty() && !self.faulty && self.left_over.is_empty() {
            let sum = counted.open.points + counted.spool.points + counted.archived.points;
            assert_eq!(sum, written.len() as u64);
        }
    }

    /// At the end, every line that no fault hit was sent; damaged lines are in `rejected/` or in delivered files.
    pub(super) fn deliver_everything(mut self) {
        self.act(Act::Seal);
        recover(self.dir.path()).unwrap();
        while self.deliver(false) {}
        self.check();
        let Reference { written, hit } = &self.lines;
        assert!(self.sent.is_subset(written));
        assert!(written.difference(&self.sent).all(|line| hit.contains(line)), "not sent");
        let left = waiting(self.dir.path()).unwrap();
        assert!(left.iter().all(|file| file.newer.is_some()), "{left:?}");
    }

    fn content(&self, path: &str) -> Vec<u8> {
        fs::read(self.dir.path().join(path)).unwrap()
    }
}
