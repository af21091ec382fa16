//! What a start says when it is done: the lines to paste.

use std::io::Write;
use std::net::SocketAddr;

use super::credentials;
use super::data_dir::DataDir;
use super::shell;

/// On stdout. Who closed it does not want to know.
pub(super) fn print(data_dir: &DataDir, api: SocketAddr) {
    let text = text(
        &shell::word(&data_dir.join(credentials::FILE).display().to_string()),
        &data_dir.join(super::CA).display().to_string(),
        api,
    );
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        tracing::debug!(%error, "cannot print the summary");
    }
}

fn text(credentials: &str, ca: &str, api: SocketAddr) -> String {
    format!(
        "
Warren is ready on http://{api}. In another terminal:

  source {credentials}

  aws mq list-brokers                      any AWS client and SDK, e.g. boto3.client(\"mq\")
  warren broker create hello --wait        this program is a client as well
  warren broker connect-info hello         how applications connect

Applications verify brokers with {ca}.
Ctrl-C stops everything; the next start brings it all back.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_every_path_once_per_use() {
        let text = text(
            "/d/credentials.env",
            "/d/ca.pem",
            "127.0.0.1:1".parse().unwrap(),
        );
        for part in [
            "ready",
            "source /d/credentials.env",
            "/d/ca.pem",
            "http://127.0.0.1:1",
        ] {
            assert!(text.contains(part), "{part}");
        }
    }
}
