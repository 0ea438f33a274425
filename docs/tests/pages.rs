//! The pages of the guide against each other and against the workspace: examples, the summary, tables of migration.

use std::fs;
use std::path::{Component, Path, PathBuf};

const LIB: &str = include_str!("../lib.rs");

#[test]
fn each_page_with_rust_is_compiled() {
    for page in pages() {
        let name = name_of(&page.path);
        let listed = LIB.contains(&format!("\"{name}\""));
        assert_eq!(
            listed,
            page.has_rust(),
            "{name}: lib.rs compiles the pages that have Rust, and no others"
        );
    }
}

#[test]
fn each_page_is_in_the_summary() {
    let summary = read(&src().join("SUMMARY.md"));
    for page in pages() {
        let name = name_of(&page.path);
        let linked = format!("({})", name.trim_start_matches("src/"));
        assert!(name == "src/SUMMARY.md" || summary.contains(&linked), "{name} is not in the summary");
    }
}

/// What stands in the column *here* of a page about migration is in an example of that page, and so compiles.
#[test]
fn each_mapping_is_in_an_example() {
    let mut missing = Vec::new();
    let mut mappings = 0;
    for page in
        pages().iter().filter(|page| page.path.parent().is_some_and(|folder| folder.ends_with("migration")))
    {
        let code = squeezed(&page.rust());
        for row in page.mappings() {
            mappings += 1;
            let is_there = |text: &str| text.split('…').all(|part| code.contains(&squeezed(part)));
            for text in in_backticks(&row).into_iter().filter(|text| !is_there(text)) {
                missing.push(format!("{}: `{text}`", name_of(&page.path)));
            }
        }
    }
    assert!(missing.is_empty(), "in no example of its page:\n{}", missing.join("\n"));
    assert!(mappings > 100, "{mappings} mappings: were the tables found?");
}

/// The page about the suite shows the test that the example storage really has.
#[test]
fn the_test_of_a_storage_is_the_one_that_is_run() {
    let test = read(&src().join("../../conformance/tests/map.rs"));
    let (_, test) = test.split_once("struct Map;").expect("the test's subject");
    let page = pages().into_iter().find(|page| page.path.ends_with("conformance.md")).expect("the page");
    assert!(page.rust().contains(test.trim()), "docs/src/conformance.md shows another test than {test}");
}

struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn has_rust(&self) -> bool {
        self.text.lines().any(|line| line.starts_with("```rust"))
    }

    /// The page's lines, each with whether it is within a block of code, and of which language.
    fn lines(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let mut block = None;
        self.text.lines().map(move |line| {
            let within = block;
            if let Some(language) = line.strip_prefix("```") {
                block = if block.is_some() { None } else { Some(language) };
                return (line, Some("```"));
            }
            (line, within)
        })
    }

    fn rust(&self) -> String {
        let code = self.lines().filter(|(_, block)| block.is_some_and(|block| block.starts_with("rust")));
        code.map(|(line, _)| line).collect::<Vec<_>>().join("\n")
    }

    /// The second cells of tables with the head `| LIBRARY | here | difference |`.
    fn mappings(&self) -> Vec<String> {
        let mut in_table = false;
        let mut cells = Vec::new();
        for (line, block) in self.lines() {
            let row = line.replace("\\|", "\u{1}");
            let row: Vec<_> = row.split('|').map(str::trim).collect();
            match row.as_slice() {
                ["", _, "here", "difference", ""] if block.is_none() => in_table = true,
                ["", first, here, ..] if in_table => {
                    if !first.starts_with("---") {
                        cells.push(here.replace('\u{1}', "|"));
                    }
                }
                _ => in_table = false,
            }
        }
        cells
    }
}

fn pages() -> Vec<Page> {
    let mut pages = Vec::new();
    let mut folders = vec![src()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of pages") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(Page { text: read(&path), path });
            }
        }
    }
    assert!(!pages.is_empty());
    pages
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `src/page.md`, with slashes on every system.
fn name_of(path: &Path) -> String {
    let relative = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("a page of this crate");
    let parts = relative.components().map(Component::as_os_str);
    parts.map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

fn in_backticks(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}
