//! A node's output file. The node appends to it by itself; the agent only keeps it small.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const BYTES_MAX: u64 = 16 * 1024 * 1024;

pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

/// Copies a file that has grown too large aside and empties it. The node holds it open for
/// appending, so it goes on at the new end; lines written during the copy may be lost.
pub(super) fn rotate(path: &Path) {
    if let Err(error) = rotate_above(path, BYTES_MAX) {
        tracing::warn!(path = %path.display(), %error, "the node's output cannot be rotated");
    }
}

fn rotate_above(path: &Path, bytes_max: u64) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > bytes_max => {}
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    fs::copy(path, PathBuf::from(format!("{}.1", path.display())))?;
    OpenOptions::new().write(true).open(path)?.set_len(0)
}

/// The last line that the node wrote, to say why it exited.
pub(super) fn last_line(path: &Path) -> Option<String> {
    use std::io::{Read, Seek, SeekFrom};
    const TAIL: u64 = 4096;
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))
        .ok()?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail).ok()?;
    last_words(&tail)
}

/// The last line with something in it, cut short.
pub(super) fn last_words(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let line = text
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())?;
    Some(line.chars().take(300).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_writer_goes_on_at_the_start_of_an_emptied_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.log");
        let mut writer = open(&path).unwrap();
        writer.write_all(b"0123456789\n").unwrap();
        rotate_above(&path, 100).unwrap();
        assert_eq!(fs::read(&path).unwrap().len(), 11);

        rotate_above(&path, 10).unwrap();
        writer.write_all(b"next\n").unwrap();

        assert_eq!(fs::read(&path).unwrap(), b"next\n");
        assert_eq!(
            fs::read(dir.path().join("node.log.1")).unwrap(),
            b"0123456789\n"
        );
        assert_eq!(last_line(&path).as_deref(), Some("next"));
    }

    #[test]
    fn a_missing_file_needs_no_rotation() {
        let dir = tempfile::tempdir().unwrap();
        rotate_above(&dir.path().join("node.log"), 1).unwrap();
        assert_eq!(last_line(&dir.path().join("node.log")), None);
    }
}
