//! `warren dev` as a program: one tree per data directory, several trees per machine.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use test_support::directory;
use test_support::network;
use test_support::process::Family;
use test_support::python::printed;

use crate::patience::PATIENCE;
use crate::remote::Remote;
use crate::tree::{Tree, clean, dev};

#[test]
fn a_second_start_on_one_data_directory_is_refused() {
    let tree = Tree::start();
    let second = dev(&tree.data, network::free_port())
        .output()
        .expect("warren can be run");
    assert!(!second.status.success());
    let printed = printed(&second);
    assert!(
        printed.contains(&tree.data.display().to_string()),
        "{printed}"
    );
    let still = network::get(([127, 0, 0, 1], tree.port).into(), "/health");
    assert_eq!(
        still.map(|(status, _)| status),
        Some(200),
        "the first start is not disturbed"
    );
}

#[test]
fn the_parity_chosen_at_the_start_decides_what_is_refused() {
    let place = tempfile::tempdir().expect("a temporary directory can be created");
    let data = place.path().join("data");
    let start = |parity| {
        let mut command = dev(&data, network::free_port());
        command.args(["--parity", parity]);
        command
    };
    let unknown = start("lenient").output().expect("warren can be run");
    assert!(!unknown.status.success());
    assert!(printed(&unknown).contains("strict, extended"));

    let family = Family::new();
    let mut strict = family.spawn("warren dev", &mut start("strict"));
    strict.line("ready", PATIENCE);
    let credentials = data.join("credentials.env");
    let script = format!(
        ". {} && exec {} broker create orders --engine-version 3.13.7 --password {}",
        credentials.display(),
        directory::binary("warren").display(),
        "correct-horse-battery",
    );
    let mut shell = Command::new("sh");
    clean(&mut shell);
    let refused = shell.args(["-c", &script]).output().expect("sh can be run");
    assert!(!refused.status.success());
    let printed = printed(&refused);
    assert!(
        printed.contains("Broker engine version [3.13.7] is invalid"),
        "{printed}"
    );
}

#[test]
fn several_data_directories_run_side_by_side() {
    let (one, two) = (Tree::start(), Tree::start());
    let endpoints = [&one, &two].map(|tree| {
        let mut remote = Remote::start(tree.script("remote.py"));
        let id = remote.create("same-name");
        remote.running(&id)
    });
    assert_ne!(endpoints[0], endpoints[1]);
}

#[test]
fn secrets_are_for_their_owner_alone() {
    let mut tree = Tree::start();
    for name in ["credentials.env", "admin.env", "master.key"] {
        let mode = std::fs::metadata(tree.data.join(name))
            .expect("dev writes it")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let before = tree.credentials();
    for name in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_REGION",
        "AWS_ENDPOINT_URL_MQ",
    ] {
        assert!(before.contains_key(name), "{name} is missing in {before:?}");
    }
    assert!(tree.process.terminate(Duration::from_secs(30)).success());
    tree.restart();
    assert_eq!(tree.credentials(), before, "credentials survive a restart");
}

#[test]
fn a_shell_with_the_administration_file_reaches_the_private_database_and_starts_dev_again() {
    let mut tree = Tree::start();
    let mut listed = shell(&tree, "\"$0\" admin job list && \"$0\" catalog list");
    let listed = listed.output().expect("sh can be run");
    assert!(listed.status.success(), "{}", printed(&listed));
    assert!(printed(&listed).contains("4.2"), "{}", printed(&listed));

    assert!(tree.process.terminate(PATIENCE).success());
    let mut again = shell(&tree, "exec \"$0\" dev --data-dir \"$1\" --listen \"$2\"");
    tree.process = tree.family.spawn("warren dev", &mut again);
    tree.await_ready();
}

/// A command of a shell that sourced `admin.env`: `$0` is the program, `$1` the data directory, `$2` the API's address.
fn shell(tree: &Tree, text: &str) -> Command {
    let mut command = Command::new("sh");
    clean(&mut command);
    command
        .arg("-c")
        .arg(format!(". \"$1/admin.env\"; {text}"))
        .arg(directory::binary("warren"))
        .arg(&tree.data)
        .arg(format!("127.0.0.1:{}", tree.port));
    command
}

#[test]
fn help_tells_the_options() {
    let family = Family::new();
    let mut command = dev("unused".as_ref(), 1);
    let mut help = family.spawn("warren dev --help", command.arg("--help"));
    assert!(help.exit(PATIENCE).success());
    for option in ["--data-dir", "--listen"] {
        assert!(help.log().contains(option), "{}", help.log());
    }
}
