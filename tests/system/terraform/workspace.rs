//! A directory with a configuration and its state, and what is done with them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use test_support::{programs, python};

use super::program::Terraform;

/// What `plan` exits with when there is something to do.
const DIFFERENT: i32 = 2;

pub(super) struct Workspace {
    terraform: Terraform,
    directory: TempDir,
    /// Credentials and variables.
    environment: BTreeMap<String, String>,
}

impl Workspace {
    /// A copy of the configuration in `source`.
    pub(super) fn copy(
        terraform: Terraform,
        environment: BTreeMap<String, String>,
        source: &Path,
    ) -> Self {
        let workspace = Self::empty(terraform, environment);
        copy(source, workspace.directory.path());
        workspace.terraform.prepare(workspace.directory.path());
        workspace
    }

    /// A configuration in Terraform's JSON, with the provider told nothing but where the API is.
    pub(super) fn new(
        terraform: Terraform,
        environment: BTreeMap<String, String>,
        configuration: &Value,
    ) -> Self {
        let workspace = Self::empty(terraform, environment);
        workspace.write(configuration);
        workspace.terraform.prepare(workspace.directory.path());
        workspace
    }

    fn empty(terraform: Terraform, environment: BTreeMap<String, String>) -> Self {
        Self {
            terraform,
            directory: tempfile::tempdir().expect("a temporary directory can be created"),
            environment,
        }
    }

    /// Replaces the configuration.
    pub(super) fn write(&self, configuration: &Value) {
        let mut whole = json!({
            "terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}},
            "provider": {"aws": {"skip_metadata_api_check": "true"}},
        });
        merge(&mut whole, configuration);
        let file = self.directory.path().join("main.tf.json");
        std::fs::write(file, whole.to_string()).expect("the directory is writable");
    }

    /// Sets a variable of the configuration for everything that follows.
    pub(super) fn set(&mut self, variable: &str, value: impl Into<String>) {
        self.environment
            .insert(format!("TF_VAR_{variable}"), value.into());
    }

    pub(super) fn run(&self, arguments: &[&str]) -> String {
        python::succeed(self.command().args(arguments))
    }

    pub(super) fn apply(&self) {
        self.run(&["apply", "-auto-approve", "-no-color"]);
    }

    pub(super) fn destroy(&self) {
        self.run(&["destroy", "-auto-approve", "-no-color"]);
    }

    /// Takes what stands at `address` into the state, which must not have it.
    pub(super) fn import(&self, address: &str, id: &str) {
        self.run(&["import", "-no-color", address, id]);
    }

    /// What the program says when it cannot do what `arguments` ask for, on lines of its own width.
    pub(super) fn refused(&self, arguments: &[&str]) -> String {
        let output = self
            .command()
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the program can be run");
        assert!(!output.status.success(), "{}", python::printed(&output));
        let text = String::from_utf8_lossy(&output.stderr);
        let words: Vec<_> = text
            .split_whitespace()
            .filter(|word| *word != "│")
            .collect();
        words.join(" ")
    }

    /// What a new plan would do to which resource.
    pub(super) fn plan(&self) -> BTreeMap<String, String> {
        let mut command = self.command();
        command.args(["plan", "-json", "-detailed-exitcode"]);
        let output = command
            .stdin(Stdio::null())
            .output()
            .expect("the program can be run");
        let code = output.status.code();
        let failed = !matches!(code, Some(0 | DIFFERENT));
        assert!(!failed, "{}", python::printed(&output));
        let text = String::from_utf8(output.stdout).expect("output is UTF-8");
        let planned: BTreeMap<_, _> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("each line is an event"))
            .filter(|event| event["type"] == "planned_change")
            .map(|event| {
                let change = &event["change"];
                (
                    text_of(&change["resource"]["addr"]),
                    text_of(&change["action"]),
                )
            })
            .collect();
        assert_eq!(planned.is_empty(), code == Some(0), "{text}");
        planned
    }

    /// The property that matters: what was applied is what is read back.
    pub(super) fn assert_settled(&self) {
        assert_eq!(self.plan(), BTreeMap::new());
    }

    /// The same of what only the API chooses.
    pub(super) fn assert_read_alike(&self, kind: &str) {
        let before = self.attributes(kind);
        self.run(&["apply", "-refresh-only", "-auto-approve", "-no-color"]);
        for (name, value) in &self.attributes(kind) {
            assert_alike(name, value, &before[name]);
        }
    }

    pub(super) fn outputs(&self) -> Map<String, Value> {
        let printed = self.run(&["output", "-json"]);
        let outputs: Map<String, Value> =
            serde_json::from_str(&printed).expect("outputs are printed as JSON");
        let values = outputs
            .into_iter()
            .map(|(name, mut output)| (name, output["value"].take()));
        values.collect()
    }

    /// The state of the one resource of this type.
    pub(super) fn attributes(&self, kind: &str) -> Map<String, Value> {
        let file = self.directory.path().join("terraform.tfstate");
        let text = std::fs::read_to_string(file).expect("something was applied");
        let state: Value = serde_json::from_str(&text).expect("the state is JSON");
        let resources = state["resources"].as_array().expect("a list");
        let mut found = resources
            .iter()
            .filter(|found| found["mode"] == "managed" && found["type"] == kind);
        let resource = found.next().expect("the resource is in the state");
        assert!(found.next().is_none(), "one {kind}");
        let attributes = &resource["instances"][0]["attributes"];
        attributes.as_object().expect("an object").clone()
    }

    fn command(&self) -> Command {
        let mut command = self.terraform.command(self.directory.path());
        programs::without_settings_of_aws(&mut command);
        command.envs(&self.environment);
        command
    }
}

/// Right after it made something the provider has null where it reads nothing but an empty set or map later.
pub(super) fn assert_alike(name: &str, found: &Value, expected: &Value) {
    let is_nothing = |value: &Value| value.is_null() || [json!([]), json!({})].contains(value);
    if !(is_nothing(found) && is_nothing(expected)) {
        assert_eq!(found, expected, "{name}");
    }
}

pub(super) fn text_of(value: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

/// Lays `changes` over `whole`, object by object; null takes a member away.
pub(super) fn merge(whole: &mut Value, changes: &Value) {
    let Some(changes) = changes.as_object() else {
        *whole = changes.clone();
        return;
    };
    if !whole.is_object() {
        *whole = json!({});
    }
    let members = whole.as_object_mut().expect("an object");
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), change);
        }
    }
}

/// The files of a configuration and of its modules, and no state that may stand beside them.
fn copy(source: &Path, target: &Path) {
    for entry in std::fs::read_dir(source).expect("the configuration is readable") {
        let entry = entry.expect("a directory entry is readable");
        let (from, to) = (entry.path(), target.join(entry.file_name()));
        if from.extension().is_some_and(|extension| extension == "tf") {
            std::fs::copy(&from, &to).expect("the directory is writable");
        } else if from.is_dir() && entry.file_name() != ".terraform" {
            std::fs::create_dir(&to).expect("the directory is writable");
            copy(&from, &to);
        }
    }
}
