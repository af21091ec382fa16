//! Where tests find and put files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The directory cargo built the running test into: it holds the workspace's binaries.
pub fn profile() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    test.ancestors()
        .find(|path| path.file_name().is_some_and(|name| name == "deps"))
        .and_then(Path::parent)
        .expect("cargo puts test binaries into <profile>/deps")
        .to_path_buf()
}

/// Cargo's target directory.
pub fn target() -> PathBuf {
    profile()
        .parent()
        .expect("a profile directory has a parent")
        .to_path_buf()
}

/// A binary of the workspace, built in the same profile as the test.
pub fn binary(name: &str) -> PathBuf {
    let path = profile().join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        path.exists(),
        "{} is missing: run `cargo build --bins` first",
        path.display()
    );
    path
}

/// The root of the repository whose tests run. Cargo says where it is: what was compiled may come from another clone
/// that has the same target directory.
pub fn repository() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR");
    let package = package.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    package
        .ancestors()
        .find(|directory| directory.join("Cargo.lock").exists())
        .expect("every package lies in the workspace")
        .to_path_buf()
}

/// Runs `prepare` alone among all processes that ask for `lock` in the target directory.
pub fn exclusively<T>(lock: &str, prepare: impl FnOnce() -> T) -> T {
    let path = target().join(lock);
    fs::create_dir_all(target()).expect("the target directory can be created");
    let file = File::create(&path).expect("a lock file can be created in the target directory");
    file.lock().expect("the lock file can be locked");
    prepare()
}
