//! The program under test, and where it gets its provider from.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_support::{directory, python};

/// Terraform or OpenTofu.
#[derive(Debug, Clone)]
pub(super) struct Terraform {
    program: OsString,
    /// A directory of providers, asked instead of the program's registry.
    mirror: Option<PathBuf>,
}

impl Terraform {
    /// None, and a word about it, where nobody asks for these tests.
    pub(super) fn asked_for() -> Option<Self> {
        let Some(program) = std::env::var_os("WARREN_TERRAFORM") else {
            eprintln!("Terraform is not tested: WARREN_TERRAFORM names none");
            return None;
        };
        let mirror = std::env::var_os("WARREN_TERRAFORM_MIRROR").map(PathBuf::from);
        Some(Self { program, mirror })
    }

    /// The program in `place`, with no setting of the developer's own.
    pub(super) fn command(&self, place: &Path) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TF_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(place)
            .env("TF_CLI_CONFIG_FILE", place.join("cli.tfrc"))
            .env("TF_IN_AUTOMATION", "1")
            .env("TF_INPUT", "0")
            .env("CHECKPOINT_DISABLE", "1");
        command
    }

    /// Fetches what the configuration in `place` needs; a provider is downloaded once for all.
    pub(super) fn prepare(&self, place: &Path) {
        let file = place.join("cli.tfrc");
        std::fs::write(file, self.installation()).expect("the directory is writable");
        // The program does not keep two of itself from writing to the cache at once.
        directory::exclusively("terraform.lock", || {
            python::succeed(self.command(place).args(["init", "-no-color"]));
        });
        let versions = python::succeed(self.command(place).arg("version"));
        println!("{}", versions.trim());
    }

    /// The program's own configuration file.
    fn installation(&self) -> String {
        match &self.mirror {
            Some(mirror) => format!(
                "provider_installation {{\n  filesystem_mirror {{\n    path = {mirror:?}\n  }}\n}}\n"
            ),
            None => {
                let cache = directory::target().join("terraform-providers");
                std::fs::create_dir_all(&cache).expect("the target directory is writable");
                format!("plugin_cache_dir = {cache:?}\n")
            }
        }
    }
}
