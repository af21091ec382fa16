//! `warren admin` and `warren policy`, as far as they say who may do what: what operators type, and
//! what is printed.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;
use test_support::postgres::{self, Database};
use test_support::python::{printed, succeed};
use warren::secrets::MasterKey;

struct Operator {
    database: Database,
    directory: TempDir,
}

impl Operator {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let key = directory.path().join("master.key");
        MasterKey::generate_file(&key).expect("a key file can be made");
        let operator = Self {
            database: postgres::database().await,
            directory,
        };
        operator.admin("account create --name acme");
        operator
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_warren"));
        command
            .args(line.split(' '))
            .env("DATABASE_URL", &self.database.url)
            .env(
                "WARREN_MASTER_KEY_FILE",
                self.directory.path().join("master.key"),
            );
        command
    }

    /// What a command prints that succeeds.
    fn admin(&self, line: &str) -> String {
        succeed(&mut self.command(&format!("admin {line}")))
    }

    /// What a command says that fails.
    fn refused(&self, line: &str) -> String {
        let output = self.command(&format!("admin {line}")).output();
        let output = output.expect("the program can be run");
        assert!(!output.status.success(), "{line}: {}", printed(&output));
        printed(&output)
    }

    fn document(&self, name: &str, statements: &serde_json::Value) -> String {
        let path: PathBuf = self.directory.path().join(name);
        let document = json!({"Version": "2012-10-17", "Statement": statements});
        std::fs::write(&path, document.to_string()).expect("a file can be written");
        path.display().to_string()
    }
}

/// The words of the line that begins with this one.
fn line<'a>(table: &'a str, first: &str) -> Vec<&'a str> {
    let words = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut found = words.filter(|words| words.first() == Some(&first));
    found
        .next()
        .unwrap_or_else(|| panic!("{first} is not in\n{table}"))
}

#[tokio::test]
async fn an_operator_sees_who_has_what_and_which_statement_decides() {
    let operator = Operator::start().await;
    let admin = |line: &str| operator.admin(line);
    admin("user create --account acme --name alice");
    admin("user tag --account acme --name alice --tag team=red --tag Env=prod");
    admin("user untag --account acme --name alice --key ENV");
    admin("group create --account acme --name ops");
    admin("group add-user --account acme --name ops --user alice");
    admin("policy attach --account acme --principal group/ops --name AmazonMQReadOnlyAccess");
    let own = operator.document(
        "own.json",
        &json!([
            {"Effect": "Allow", "Action": "mq:RebootBroker", "Resource": "*", "Condition":
                {"StringEquals": {"aws:PrincipalTag/team": "red"}}},
            {"Sid": "Never", "Effect": "Deny", "Action": "mq:Delete*", "Resource": "*"},
        ]),
    );
    let put =
        format!("policy put --account acme --principal user/alice --name own --document {own}");
    admin(&put);

    let users = admin("user list --account acme");
    let alice = line(&users, "user/alice");
    assert_eq!(alice[4..], ["inline/own", "ops", "team=red"]);
    let groups = admin("group list --account acme");
    assert_eq!(
        line(&groups, "ops")[3..],
        ["AmazonMQReadOnlyAccess", "alice"]
    );
    let held = admin("policy list --account acme --principal user/alice");
    assert_eq!(line(&held, "AmazonMQReadOnlyAccess")[1], "group/ops");
    assert_eq!(line(&held, "inline/own")[1], "user/alice");
    let shown = admin("policy show --account acme --principal user/alice --name own");
    assert_eq!(shown.trim(), std::fs::read_to_string(&own).unwrap());

    let actions = [
        "mq:ListBrokers",
        "mq:RebootBroker",
        "mq:DeleteBroker",
        "mq:CreateBroker",
    ];
    let simulate = format!(
        "policy simulate --account acme --principal user/alice --action {}",
        actions.join(" --action ")
    );
    let decided = admin(&simulate);
    for (action, expected) in actions.iter().zip([
        ["allowed", "AmazonMQReadOnlyAccess", "group/ops", "#1"],
        ["allowed", "inline/own", "user/alice", "#1"],
        ["explicitDeny", "inline/own", "user/alice", "Never"],
        ["implicitDeny", "-", "-", "-"],
    ]) {
        assert_eq!(line(&decided, action)[2..], expected, "{decided}");
    }
    let blue = admin(&format!("{simulate} --context aws:PrincipalTag/team=blue"));
    assert_eq!(line(&blue, "mq:RebootBroker")[2], "implicitDeny");
    let of_files = format!("policy simulate --document {own} --action mq:DeleteBroker");
    let decided = succeed(&mut operator.command(&of_files));
    assert_eq!(
        line(&decided, "mq:DeleteBroker")[2..],
        ["explicitDeny", &own, "-", "Never"]
    );

    admin("group remove-user --account acme --name ops --user alice");
    admin("policy delete --account acme --principal user/alice --name own");
    admin("group delete --account acme --name ops");
    let users = admin("user list --account acme");
    assert_eq!(line(&users, "user/alice")[4..], ["-", "-", "team=red"]);
}

#[tokio::test]
async fn mistakes_are_told_in_a_sentence() {
    let operator = Operator::start().await;
    operator.admin("user create --account acme --name alice");
    for (command, text) in [
        (
            "user tag --account acme --name alice --tag team",
            "is not KEY=VALUE",
        ),
        (
            "user tag --account acme --name alice --tag aws:team=red",
            "are not allowed",
        ),
        (
            "user tag --account acme --name alice --tag a=1 --tag A=2",
            "Tag keys are case insensitive",
        ),
        (
            "user tag --account acme --name bob --tag a=1",
            "Can't find requested principal [user/bob]",
        ),
        (
            "group add-user --account acme --name ops --user alice",
            "[group/ops]",
        ),
        (
            "group create --account 123456789012 --name ops",
            "Can't find requested account",
        ),
        (
            "policy list --account acme --principal team/alice",
            "is not user/NAME, role/NAME or group/NAME",
        ),
        (
            "policy simulate --account acme --principal role/ci --action mq:ListBrokers",
            "[role/ci]",
        ),
    ] {
        let told = operator.refused(command);
        assert!(told.contains(text), "{command}: {told}");
    }
}
