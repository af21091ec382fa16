//! `warren dev` as a program: one tree per data directory, several trees per machine.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use test_support::network;
use test_support::process::Family;
use test_support::python::printed;

use crate::patience::PATIENCE;
use crate::remote::Remote;
use crate::tree::{Tree, dev};

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
    for name in ["credentials.env", "master.key"] {
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
fn help_tells_the_options() {
    let family = Family::new();
    let mut command = dev("unused".as_ref(), 1);
    let mut help = family.spawn("warren dev --help", command.arg("--help"));
    assert!(help.exit(PATIENCE).success());
    for option in ["--data-dir", "--listen"] {
        assert!(help.log().contains(option), "{}", help.log());
    }
}
