//! The catalogue of engine releases, for operators and for who publishes releases.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Database;

/// Engine releases: what brokers can be made of and upgraded to.
#[derive(Debug, Clone, Subcommand)]
pub enum Catalog {
    /// Take in a signed manifest: all of it, or nothing
    Import {
        #[command(flatten)]
        database: Database,
        #[command(flatten)]
        keys: EngineKeys,
        /// The signed manifest, as `warren catalog sign` writes it
        file: PathBuf,
    },
    /// List every release with its dates, data formats and artefact
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        database: Database,
    },
    /// Make a key for signing; prints the public half, which operators trust with --engine-key
    Keygen {
        /// Name of the key, such as releases-2026
        #[arg(long)]
        name: String,
        /// New file for the secret half
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Sign a manifest and the files that it names; prints it
    ///
    /// The draft is JSON: `{"serial": 1, "expires": "2027-01-01T00:00:00Z", "releases": [{"engine_type":
    /// "RABBITMQ", "engine_version": "4.2.2", "release": "0.2.0", "released": "2026-11-01",
    /// "end_of_support": null, "formats": {"reads": [1, 2], "writes": 2}, "file": "./brokerd",
    /// "url": "https://example.org/brokerd-0.2.0"}]}`. Paths are relative to the draft; without a URL
    /// agents read the file itself; without a file the entry sets the dates of the built-in engine.
    /// Hashes, sizes and signatures are filled in.
    #[command(verbatim_doc_comment)]
    Sign {
        /// File with the secret half of the key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The manifest to be
        draft: PathBuf,
    },
}

/// Whose engine releases are believed.
#[derive(Debug, Clone, Args)]
pub struct EngineKeys {
    /// Public key of a publisher of engine releases, NAME:BASE64; may be repeated
    #[arg(
        long = "engine-key",
        value_name = "KEY",
        env = "WARREN_ENGINE_KEYS",
        value_delimiter = ','
    )]
    pub engine_keys: Vec<String>,
}
