//! Tokens that continue a list: opaque to callers, and of use only to the account, region and
//! operation they were given to.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{App, Caller};
use crate::{
    error::Error,
    model::{Invalid, authorisation::Action, page::Cursor},
};

impl App {
    /// The token that continues behind `last`.
    pub(super) fn seal_page(
        &self,
        caller: &Caller,
        action: Action,
        last: &Cursor,
    ) -> Result<String, Error> {
        let text = serde_json::to_vec(last).map_err(Error::internal)?;
        let sealed = self
            .master_key
            .seal(&purpose(caller, action), &text)
            .map_err(Error::internal)?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Reads a token that [`Self::seal_page`] made for the same caller and action.
    pub(super) fn open_page(
        &self,
        caller: &Caller,
        action: Action,
        token: &str,
    ) -> Result<Cursor, Invalid> {
        let refused = || Invalid::new("nextToken", "[nextToken] is invalid.");
        let sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| refused())?;
        let text = self
            .master_key
            .open(&purpose(caller, action), &sealed)
            .map_err(|_| refused())?;
        serde_json::from_slice(&text).map_err(|_| refused())
    }
}

fn purpose(caller: &Caller, action: Action) -> String {
    format!(
        "page:{}:{}:{}",
        action.name(),
        caller.principal.account_id,
        caller.region
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        app::Settings,
        model::{
            AccountId, Region, RequestId, clock::SystemClock, entropy::SystemEntropy,
            principal::Principal,
        },
        secrets::MasterKey,
    };

    fn app() -> App {
        App {
            pool: sqlx::PgPool::connect_lazy("postgres://127.0.0.1:1/none").unwrap(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            master_key: MasterKey::from_bytes([7; 32]),
            settings: Arc::new(Settings::new(Vec::new())),
        }
    }

    fn caller(account: &str, region: &str) -> Caller {
        Caller {
            principal: Principal {
                account_id: AccountId::parse(account).unwrap(),
                path: "root".into(),
            },
            region: Region::parse(region).unwrap(),
            request_id: RequestId(uuid::Uuid::nil()),
            source_address: None,
        }
    }

    #[tokio::test]
    async fn a_token_is_good_only_for_whom_and_what_it_was_made() {
        let app = app();
        let owner = caller("111111111111", "us-east-1");
        let last = Cursor {
            created_at: chrono::DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
            id: "b-1".into(),
        };
        let token = app.seal_page(&owner, Action::ListBrokers, &last).unwrap();
        assert_eq!(
            app.open_page(&owner, Action::ListBrokers, &token).unwrap(),
            last
        );

        let stranger = caller("222222222222", "us-east-1");
        let elsewhere = caller("111111111111", "us-west-2");
        assert!(
            app.open_page(&stranger, Action::ListBrokers, &token)
                .is_err()
        );
        assert!(
            app.open_page(&elsewhere, Action::ListBrokers, &token)
                .is_err()
        );
        assert!(app.open_page(&owner, Action::ListTags, &token).is_err());
    }

    #[tokio::test]
    async fn tampered_and_invented_tokens_are_refused() {
        let app = app();
        let owner = caller("111111111111", "us-east-1");
        let last = Cursor {
            created_at: chrono::DateTime::UNIX_EPOCH,
            id: "b-1".into(),
        };
        let token = app.seal_page(&owner, Action::ListBrokers, &last).unwrap();
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let tampered = String::from_utf8(bytes).unwrap();
            assert!(
                app.open_page(&owner, Action::ListBrokers, &tampered)
                    .is_err(),
                "{at}"
            );
        }
        for token in ["", "x", "!!!", "AAAA"] {
            let refused = app
                .open_page(&owner, Action::ListBrokers, token)
                .unwrap_err();
            assert_eq!(refused.attribute, "nextToken");
        }
    }
}
