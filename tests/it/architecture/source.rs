//! The source files as the rules see them: code without comments and tests, and the modules that it names.

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

    /// The top-level module: `net` for `net.rs` and all below `net/`.
    pub(super) fn top_module(&self) -> String {
        self.module().split('/').next().unwrap().to_owned()
    }

    /// Numbered lines of code: without comments, and without the test module that ends the file or is one of its own.
    pub(super) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let ends = ["#[cfg(test)]\nmod ", "#[cfg(all(test", "\nmod tests {"].map(|mark| self.text.find(mark));
        let is_test = self.module().ends_with("/tests") || self.module().contains("/tests/");
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

/// The top-level modules that a file names by path, with the line of each.
pub(super) fn imported(source: &Source) -> Vec<(usize, String)> {
    let named = named_paths(source).into_iter();
    let mut tops: Vec<_> = named.filter_map(|(line, path)| Some((line, path.into_iter().next()?))).collect();
    tops.dedup();
    tops
}

/// The paths below the crate that a file names, from the crate's root, with the line of each.
pub(super) fn named_paths(source: &Source) -> Vec<(usize, Vec<String>)> {
    let mut text = String::new();
    let mut numbers = Vec::new();
    for (number, line) in source.code() {
        numbers.resize(text.len() + line.len() + 1, number);
        text.push_str(line);
        text.push('\n');
    }
    let module: Vec<&str> = source.module().split('/').filter(|name| *name != "main" && *name != "lib").collect();
    let mut found = Vec::new();
    for start in ["crate::", "bandprobe::", "self::", "super::"] {
        for (at, _) in text.match_indices(start) {
            if text[..at].chars().next_back().is_none_or(|c| !is_name(c) && c != ':') {
                tree(&text, at, &mut Vec::new(), &mut |at, path| {
                    found.extend(from_root(&module, path).map(|path| (numbers[at], path)));
                });
            }
        }
    }
    found
}

/// Calls `found` with each path of a tree like that of `use`, and returns where the tree ends.
fn tree<'t>(text: &'t str, at: usize, path: &mut Vec<&'t str>, found: &mut impl FnMut(usize, &[&str])) -> usize {
    let skip = |at: usize, c: char| at + text[at..].len() - text[at..].trim_start_matches([c, ' ', '\n']).len();
    let start = skip(at, ' ');
    if text[start..].starts_with('{') {
        let mut at = skip(start + 1, ' ');
        while !text[at..].is_empty() && !text[at..].starts_with('}') {
            let end = skip(tree(text, at, path, found), ',');
            if end == at {
                break; // a block, and no group of paths
            }
            at = end;
        }
        return at + 1;
    }
    let name: &str = text[start..].split(|c| !is_name(c)).next().unwrap();
    path.push(name);
    let mut end = start + name.len();
    if text[end..].starts_with("::") {
        end = tree(text, end + 2, path, found);
    } else {
        found(start, path);
    }
    path.pop();
    end
}

/// Resolves `crate`, `self` and `super` in a path that a module names. `None` for a path that leads above the crate.
fn from_root(module: &[&str], path: &[&str]) -> Option<Vec<String>> {
    let mut base = match path.first()? {
        &"self" | &"super" => module.to_vec(),
        _ => Vec::new(),
    };
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        match *first {
            "super" => drop(base.pop()?),
            "crate" | "bandprobe" | "self" => {}
            _ => break,
        }
        rest = after;
    }
    Some(base.iter().chain(rest).filter(|name| !name.is_empty()).map(|name| (*name).to_owned()).collect())
}

/// Does the line hold the word, not as a piece of a longer name?
pub(super) fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let joins =
            |neighbor: Option<char>, edge: Option<char>| neighbor.is_some_and(is_name) && edge.is_some_and(is_name);
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
