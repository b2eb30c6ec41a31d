//! The source files as the rules see them: code without comments and tests, and the rooms that it names.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file of the project.
pub(super) struct Source {
    /// Relative to the repository.
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    /// The path below `src` without `.rs`: `net/tls`.
    pub(super) fn module(&self) -> &str {
        self.path.trim_start_matches("src/").trim_end_matches(".rs")
    }

    /// The room: `net` for `net.rs` and all below `net/`.
    pub(super) fn room(&self) -> String {
        self.module().split('/').next().unwrap().to_owned()
    }

    /// Numbered lines of code: without comments, and without the test module that ends the file or is one of its own.
    pub(super) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let ends = ["#[cfg(test)]\nmod ", "#[cfg(all(test", "\nmod tests {"].map(|mark| self.text.find(mark));
        let is_test = self.module().ends_with("/tests");
        let end = if is_test { 0 } else { ends.into_iter().flatten().min().unwrap_or(self.text.len()) };
        let numbered = self.text[..end].lines().enumerate().map(|(index, line)| (index + 1, line));
        numbered.map(|(number, line)| (number, without_comment(line))).filter(|(_, line)| !line.trim().is_empty())
    }
}

fn without_comment(line: &str) -> &str {
    line.find("//").filter(|at| !is_in_url(line, *at)).map_or(line, |at| &line[..at])
}

/// Is this `//` the one after a scheme?
fn is_in_url(line: &str, at: usize) -> bool {
    line[..at].ends_with(':')
}

/// The rooms that a file names by path, with the line of each.
pub(super) fn imported(source: &Source) -> Vec<(usize, String)> {
    let mut text = String::new();
    let mut numbers = Vec::new();
    for (number, line) in source.code() {
        numbers.resize(text.len() + line.len() + 1, number);
        text.push_str(line);
        text.push('\n');
    }
    let up = "super::".repeat(source.module().split('/').count());
    let mut found = Vec::new();
    for prefix in ["crate::", "bandprobe::", &up] {
        for (at, _) in text.match_indices(prefix) {
            let whole = text[..at].chars().next_back().is_none_or(|c| !is_name(c) && c != ':');
            if whole {
                heads(&text, at + prefix.len(), &mut |at, room| found.push((numbers[at], room.to_owned())));
            }
        }
    }
    found
}

/// Calls `found` with the first name of a path, or of each path of a group.
fn heads(text: &str, at: usize, found: &mut impl FnMut(usize, &str)) {
    let bytes = text.as_bytes();
    if bytes.get(at) != Some(&b'{') {
        let name: &str = text[at..].split(|c| !is_name(c)).next().unwrap();
        found(at, name);
        return;
    }
    let (mut depth, mut start) = (0, true);
    for (offset, c) in text[at..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => start = true,
            _ if start && depth == 1 && is_name(c) => {
                start = false;
                heads(text, at + offset, found);
            }
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

/// Does the line hold the word, not as a piece of a longer name?
pub(super) fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let joins = |beside: Option<char>, edge: Option<char>| beside.is_some_and(is_name) && edge.is_some_and(is_name);
        let before = joins(line[..at].chars().next_back(), word.chars().next());
        let after = joins(line[at + word.len()..].chars().next(), word.chars().next_back());
        !before && !after
    })
}

pub(super) fn sources(folder: &str) -> Vec<Source> {
    let source = |path: PathBuf| Source {
        path: path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/"),
        text: fs::read_to_string(&path).unwrap(),
    };
    files(&root().join(folder), "rs").into_iter().map(source).collect()
}

/// All files below a folder with that extension, sorted; none when there is no such folder.
pub(super) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
