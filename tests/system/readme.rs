//! The tour in README.md, line by line as a reader would copy it.

use std::os::unix::fs::symlink;
use std::process::Command;

use test_support::{directory, python};

use crate::tree::{Tree, clean};

#[test]
fn the_tour_works_as_written() {
    let tree = Tree::start();
    let place = tempfile::tempdir().expect("a temporary directory can be created");
    symlink(&tree.data, place.path().join(".warren")).expect("links can be made");
    symlink(python::environment(), tree.data.join("venv")).expect("links can be made");
    let mut shell = Command::new("bash");
    clean(&mut shell);
    let text = tour(&directory::binary("warren").display().to_string());
    let printed = python::succeed(
        shell
            .args(["-e", "-c", &text])
            .current_dir(place.path())
            .env("NO_PROXY", "*"),
    );
    assert!(printed.contains("amqps://"), "{printed}");
    assert!(printed.contains("b'hello'"), "{printed}");
}

/// The shell blocks of the tour, without those lines that build what a test has ready.
fn tour(warren: &str) -> String {
    let path = directory::repository().join("README.md");
    let readme = std::fs::read_to_string(path).expect("README.md is readable");
    let (_, tour) = readme
        .split_once("## Sixty seconds")
        .expect("README.md has a tour");
    let (tour, _) = tour
        .split_once("\n## ")
        .expect("something follows the tour");
    let blocks: Vec<&str> = tour
        .split("```sh\n")
        .skip(1)
        .filter_map(|block| block.split("```").next())
        .collect();
    assert!(blocks.len() >= 4, "the tour has lost its blocks");
    let lines = blocks.iter().flat_map(|block| block.lines());
    let ready = |line: &&str| !line.contains("-m venv") && !line.contains("pip install");
    let endpoint = |line: &str| line.replace("cargo run --release --quiet --", warren);
    lines
        .filter(ready)
        .map(endpoint)
        .collect::<Vec<_>>()
        .join("\n")
}
