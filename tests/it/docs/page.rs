//! Reads Markdown pages: code blocks, tables, links and headings.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A page of Markdown, and its path from the root of the repository.
pub(crate) struct Page {
    pub(super) path: PathBuf,
    pub(crate) text: String,
}

/// A fenced block without its indentation.
pub(super) struct Block {
    pub(super) language: String,
    /// The line above it.
    pub(super) before: String,
    pub(super) text: String,
}

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The paths of the pages in docs/src.
pub(super) fn book() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("docs/src")).expect("docs/src is there");
    let paths = files.map(|file| file.expect("it can be listed").path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// What is written for people who use bandprobe or work on it.
pub(super) fn pages() -> Vec<Page> {
    let at_root = fs::read_dir(root()).expect("the root is there").map(|file| file.expect("it can be listed").path());
    let at_root = at_root.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let others = ["deploy/README.md", "grafana/README.md", "probes/README.md"].map(|path| root().join(path));
    let paths = at_root.chain(others).chain(book());
    let page = |path: PathBuf| Page {
        text: fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        path: path.strip_prefix(root()).expect("it is below the root").to_owned(),
    };
    paths.map(page).collect()
}

pub(crate) fn page(path: &str) -> Page {
    pages().into_iter().find(|page| page.path == Path::new(path)).unwrap_or_else(|| panic!("no page {path}"))
}

/// The InfluxQL of all pages.
pub(crate) fn queries() -> Vec<String> {
    blocks().into_iter().filter(|block| block.language == "sql").map(|block| block.text).collect()
}

/// All fenced blocks of the README and of the book.
pub(super) fn blocks() -> Vec<Block> {
    pages().iter().filter(|page| page.is_for_users()).flat_map(Page::blocks).collect()
}

impl Page {
    fn is_for_users(&self) -> bool {
        self.path == Path::new("README.md") || self.path.starts_with("docs")
    }

    /// Its fenced blocks.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let (mut open, mut before) = (None, "");
        for line in self.text.lines() {
            let bare = line.trim_start();
            match (bare.strip_prefix("```"), open) {
                (Some(language), None) => {
                    open = Some(line.len() - bare.len());
                    blocks.push(Block { language: language.into(), before: before.into(), text: String::new() });
                }
                (Some(_), Some(_)) => open = None,
                (None, Some(indent)) => {
                    let block = blocks.last_mut().expect("one is open");
                    block.text.push_str(line.get(indent..).unwrap_or_default());
                    block.text.push('\n');
                }
                (None, None) => {}
            }
            before = bare;
        }
        blocks
    }

    /// From a heading to the next one of its level or above.
    pub(crate) fn section(&self, heading: &str) -> &str {
        let start = self.text.find(&format!("\n{heading}")).unwrap_or_else(|| panic!("no heading {heading}")) + 1;
        let rest = &self.text[start..];
        let level = heading.bytes().take_while(|byte| *byte == b'#').count();
        let ends = (2..=level).filter_map(|level| rest.find(&format!("\n{} ", "#".repeat(level))));
        &rest[..ends.min().unwrap_or(rest.len())]
    }
}
