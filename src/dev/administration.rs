//! The file that lets `warren admin` and `warren catalog` reach the private database.
//!
//! Invariant: `dev` started in a shell that sourced the file goes on with its private database: it
//! does not wait for a server that it would have to start itself.

use super::data_dir::DataDir;
use super::{Error, MASTER_KEY, shell};

const FILE: &str = "admin.env";

/// Says where the private database is now.
pub(super) fn write(data_dir: &DataDir, url: &str) -> Result<(), Error> {
    let master_key = data_dir.join(MASTER_KEY).display().to_string();
    data_dir.write(FILE, &render(url, &master_key), 0o600)
}

/// Whether this address is what the file says.
pub(super) fn is_private(data_dir: &DataDir, url: &str) -> Result<bool, Error> {
    let text = data_dir.read(FILE)?.unwrap_or_default();
    let line = database(url);
    Ok(text.lines().any(|known| known == line))
}

fn render(url: &str, master_key: &str) -> String {
    let master_key = shell::word(master_key);
    format!(
        "{}\nexport WARREN_MASTER_KEY_FILE={master_key}\n",
        database(url)
    )
}

fn database(url: &str) -> String {
    format!("export DATABASE_URL={}", shell::word(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_words_of_a_shell_whatever_the_directory_is_called() {
        assert_eq!(
            render(
                "postgres://w:p@localhost/warren?host=/a",
                "/it's/master.key"
            ),
            "export DATABASE_URL='postgres://w:p@localhost/warren?host=/a'\n\
             export WARREN_MASTER_KEY_FILE='/it'\\''s/master.key'\n"
        );
    }
}
