//! The Dockerfiles, and the files that are sent to the container engine.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::deploy;

/// A Dockerfile as its instructions with their text, continued lines joined.
pub(super) struct Image(Vec<(String, String)>);

impl Image {
    /// That of the binary.
    pub(super) fn read() -> Self {
        Self::of("Dockerfile")
    }

    pub(super) fn of(file: &str) -> Self {
        let text = fs::read_to_string(deploy().join(file)).unwrap();
        let lines: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        let whole = lines.join("\n").replace("\\\n", " ");
        let instructions = whole.lines().filter_map(|line| line.split_once(' '));
        Self(instructions.map(|(name, text)| (name.to_owned(), text.trim().to_owned())).collect())
    }

    fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(other, _)| other == name).map(|(_, text)| text.as_str()).collect()
    }

    /// The words of the last instruction of this name, written as a list: the form without a shell.
    pub(super) fn arguments(&self, name: &str) -> Vec<String> {
        serde_json::from_str(self.all(name).last().unwrap()).unwrap()
    }

    /// As `UID:GID`.
    pub(super) fn user(&self) -> String {
        (*self.all("USER").last().unwrap()).to_owned()
    }

    /// Sources, target and owner of each COPY, with the stage that it copies from if any.
    fn copies(&self) -> Vec<Copy<'_>> {
        self.all("COPY").into_iter().map(Copy::of).collect()
    }

    /// The file or directory of the repository that is at a path in the image.
    pub(super) fn origin(&self, path: &str) -> PathBuf {
        let copies = self.copies();
        let copy = copies.iter().find(|copy| Path::new(path).starts_with(copy.target)).unwrap();
        let [source] = copy.sources[..] else { panic!("one source: {}", copy.target) };
        // `join` of nothing would end it in a slash, as only a directory may.
        let below = Path::new(path).strip_prefix(copy.target).unwrap();
        root().join(source).components().chain(below.components()).collect()
    }

    /// What is copied from the context.
    fn sources(&self) -> BTreeSet<String> {
        let from_context = self.copies().into_iter().filter(|copy| copy.stage.is_none());
        from_context.flat_map(|copy| copy.sources).map(str::to_owned).collect()
    }
}

struct Copy<'a> {
    stage: Option<&'a str>,
    owner: Option<&'a str>,
    mode: Option<&'a str>,
    sources: Vec<&'a str>,
    target: &'a str,
}

impl<'a> Copy<'a> {
    fn of(text: &'a str) -> Self {
        let option = |name: &str| text.split(' ').find_map(|word| word.strip_prefix(name));
        let mut words: Vec<_> = text.split(' ').filter(|word| !word.starts_with("--")).collect();
        let target = words.pop().unwrap();
        Self { stage: option("--from="), owner: option("--chown="), mode: option("--chmod="), sources: words, target }
    }
}

#[test]
fn the_context_is_what_is_copied_and_it_exists() {
    for file in ["Dockerfile", "grafana.Dockerfile"] {
        let ignored = fs::read_to_string(deploy().join(format!("{file}.dockerignore"))).unwrap();
        let rules: Vec<_> = ignored.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        assert_eq!(rules[0], "*", "everything stays out");
        let sent: BTreeSet<_> = rules[1..].iter().map(|rule| rule.strip_prefix('!').unwrap().to_owned()).collect();
        let copied = Image::of(file).sources();
        assert_eq!(sent, copied, "{file}");
        assert!(copied.iter().all(|path| root().join(path).exists()), "{copied:?}");
    }
}

/// A checkout under umask 077 is closed to the users of the containers; what they read of it must not be.
#[test]
fn what_is_copied_to_be_read_is_open_to_all() {
    for copy in Image::of("grafana.Dockerfile").copies() {
        assert_eq!((copy.stage, copy.mode, copy.owner), (None, Some("0555"), None), "{}", copy.target);
    }
    // The binary has the mode that `install` gives it.
    let image = Image::read();
    let last = image.0.iter().rposition(|(name, _)| name == "FROM").unwrap();
    let copied = image.0[last..].iter().filter(|(name, _)| name == "COPY");
    assert!(copied.map(|(_, text)| Copy::of(text)).all(|copy| copy.stage == Some("build")));
    assert!(image.all("RUN").iter().any(|run| run.contains("install -D target/release/bandprobe /out/bandprobe")));
}

/// What the sources take in at compile time, outside their tests.
#[test]
fn the_context_has_every_included_file() {
    let copied = Image::read().sources();
    let mut included = 0;
    for file in rust_files(&root().join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for (_, rest) in code.match_indices("include_").map(|(at, _)| code.split_at(at)) {
            let Some(path) = rest.split_once("!(\"").filter(|(name, _)| !name.contains(' ')).map(|(_, rest)| rest)
            else {
                continue;
            };
            let path = file.parent().unwrap().join(path.split('"').next().unwrap()).canonicalize().unwrap();
            included += 1;
            assert!(copied.iter().any(|source| path.starts_with(root().join(source))), "{}", path.display());
        }
    }
    assert!(included >= 2, "the shipped probes");
}

#[test]
fn it_is_built_with_a_compiler_that_is_new_enough() {
    let image = Image::read();
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let number = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap()).collect() };
    let needed = number(manifest["package"]["rust-version"].as_str().unwrap());
    let tag = image.all("FROM")[0].strip_prefix("rust:").unwrap();
    let (version, rest) = tag.split_once('-').unwrap();
    assert!(number(version) >= needed, "{version}, {needed:?}");
    // Both of one Debian, so that the glibc that it was built with is the one that it runs with.
    let runtime = image.all("FROM")[1];
    assert!(
        rest.starts_with("slim-bookworm") && runtime.contains("debian12") && !runtime.ends_with("latest"),
        "{runtime}"
    );
    assert!(image.all("RUN").iter().any(|run| run.contains("cargo build --release --locked")));
}

#[test]
fn it_runs_as_nobody_in_particular() {
    let image = Image::read();
    let user = &*image.user();
    let (uid, gid) = user.split_once(':').unwrap();
    assert!(uid.parse::<u32>().unwrap() > 0 && gid.parse::<u32>().unwrap() > 0);
    let copies = image.copies();
    let target = |path: &str| copies.iter().find(|copy| copy.target == path).unwrap();
    for writable in [&*image.arguments("VOLUME")[0], "/config", image.all("WORKDIR").last().unwrap()] {
        assert_eq!(target(writable).owner, Some(user), "{writable}");
    }
    let binary = target(&image.arguments("ENTRYPOINT")[0]);
    assert_eq!(
        (binary.owner, &*binary.sources),
        (None, &["/out/bandprobe"][..]),
        "root's, whom it cannot be taken from"
    );
    assert!(image.arguments("VOLUME").len() == 1);
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] }).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
