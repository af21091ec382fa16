//! The repository's Rust files, with and without their tests.

use std::path::{Path, PathBuf};

/// One Rust file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the repository.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    /// The text without inline test modules; empty for a file that holds nothing but tests.
    pub(crate) fn code(&self) -> String {
        if self.is_test() {
            String::new()
        } else {
            without_test_modules(&self.text)
        }
    }

    pub(crate) fn is_test(&self) -> bool {
        self.path.file_name().is_some_and(|name| name == "tests.rs")
            || self
                .path
                .iter()
                .any(|part| part == "tests" || part == "benches" || part == "fuzz")
    }
}

/// Files below `directory`, sorted, of any kind.
pub(crate) fn files(directory: &str) -> Vec<PathBuf> {
    let root = test_support::directory::repository();
    let mut found = Vec::new();
    let mut waiting = vec![root.join(directory)];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let name = path.file_name().unwrap_or_default();
            if name == "target" || name == "__pycache__" {
                continue;
            }
            let entries = std::fs::read_dir(&path).expect("the repository is readable");
            waiting
                .extend(entries.map(|entry| entry.expect("a directory entry is readable").path()));
        } else if path.is_file() {
            found.push(
                path.strip_prefix(&root)
                    .expect("found below the root")
                    .to_path_buf(),
            );
        }
    }
    found.sort();
    found
}

/// Every Rust file below `directories`.
pub(crate) fn rust(directories: &[&str]) -> Vec<Source> {
    let paths = directories.iter().flat_map(|directory| files(directory));
    let rust = paths.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.map(|path| Source {
        text: read(&path),
        path,
    })
    .collect()
}

/// The text of a file, by its path in the repository.
pub(crate) fn read(path: &Path) -> String {
    let path = test_support::directory::repository().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Relies on rustfmt: a module at the left margin ends with a brace at the left margin.
fn without_test_modules(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        // Further attributes may stand between, and a module in a file of its own has no body.
        for line in lines.by_ref() {
            if line.ends_with(';') || line == "}" {
                break;
            }
        }
    }
    kept
}

#[test]
fn inline_tests_are_not_code() {
    let text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {}\n#[cfg(test)]\nmod more;\n";
    assert_eq!(without_test_modules(text), "fn a() {}\n\nfn c() {}\n");
}
