//! The development account's access key, and the file that any AWS client can be given.

use std::net::SocketAddr;

use super::data_dir::DataDir;
use super::{CA, Error, shell};
use crate::app::App;
use crate::model::AccessKeyId;
use crate::roles;

pub(super) const FILE: &str = "credentials.env";
const ACCOUNT: &str = "development";

/// The key of earlier starts if it still is one, else a new one; the file says where the API is
/// now.
pub(super) async fn provide(
    data_dir: &DataDir,
    app: &App,
    api: SocketAddr,
    region: &str,
) -> Result<(), Error> {
    let known = data_dir.read(FILE)?;
    let (id, secret) = match known.as_deref().and_then(key) {
        Some((id, secret)) if is_valid(app, &id, &secret).await? => (id, secret),
        _ => {
            let found = app.find_account(ACCOUNT).await.map_err(roles::Error::App)?;
            let account = match found {
                Some(account) => account,
                None => app
                    .create_account(ACCOUNT)
                    .await
                    .map_err(roles::Error::App)?,
            };
            let made = app
                .create_access_key(&account, None)
                .await
                .map_err(roles::Error::App)?;
            (made.id.to_string(), made.secret)
        }
    };
    let ca = data_dir.join(CA).display().to_string();
    let text = render(&id, &secret, api, region, &ca);
    if known.as_deref() == Some(&text) {
        return Ok(());
    }
    data_dir.write(FILE, &text, 0o600)
}

async fn is_valid(app: &App, id: &str, secret: &str) -> Result<bool, Error> {
    let Some(id) = AccessKeyId::parse(id) else {
        return Ok(false);
    };
    let credential = app.credential(&id, None).await.map_err(roles::Error::App)?;
    Ok(credential.is_ok_and(|credential| credential.secret == secret.as_bytes()))
}

/// AWS_DEFAULT_REGION is what boto3 reads, AWS_REGION what the other SDKs do.
fn render(id: &str, secret: &str, api: SocketAddr, region: &str, ca: &str) -> String {
    let ca = shell::word(ca);
    format!(
        "export AWS_ACCESS_KEY_ID={id}\n\
         export AWS_SECRET_ACCESS_KEY={secret}\n\
         export AWS_REGION={region}\n\
         export AWS_DEFAULT_REGION={region}\n\
         export AWS_ENDPOINT_URL_MQ=http://{api}\n\
         export AWS_ENDPOINT_URL_STS=http://{api}\n\
         export WARREN_CA_FILE={ca}\n"
    )
}

fn key(text: &str) -> Option<(String, String)> {
    let value = |name: &str| {
        text.lines().find_map(|line| {
            let line = line.trim();
            let line = line.strip_prefix("export ").unwrap_or(line);
            Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned())
        })
    };
    Some((value("AWS_ACCESS_KEY_ID")?, value("AWS_SECRET_ACCESS_KEY")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_reads_back_and_no_value_needs_quotes() {
        let text = render(
            "AKIA1",
            "a+b/c=",
            "127.0.0.1:8080".parse().unwrap(),
            "us-east-1",
            "/d/ca.pem",
        );
        assert_eq!(key(&text), Some(("AKIA1".to_owned(), "a+b/c=".to_owned())));
        assert!(text.contains("AWS_ENDPOINT_URL_MQ=http://127.0.0.1:8080\n"));
        assert!(text.contains("WARREN_CA_FILE=/d/ca.pem\n"));
        assert_eq!(key("AWS_ACCESS_KEY_ID=x"), None);
    }
}
