//! Tokens that continue a list: opaque to callers, and of use only to the account, region and
//! operation they were given to.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

use super::{App, Caller};
use crate::{
    error::Error,
    model::{Invalid, authorisation::Action},
    secrets::MasterKey,
};

/// Some rows of a list, and the token for those after them.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Most items that were asked for.
    pub size: u32,
    /// `None` on the last page.
    pub next_token: Option<String>,
}

/// Which part of a list a caller wants.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// From 1.
    pub size: u32,
    /// Of the page before; the first page without one.
    pub token: Option<String>,
}

impl PageRequest {
    /// How many rows to read: one more than asked for tells whether this is the last page.
    pub(super) fn limit(&self) -> u32 {
        self.size.saturating_add(1)
    }
}

impl<T> Page<T> {
    pub(super) fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(convert).collect(),
            size: self.size,
            next_token: self.next_token,
        }
    }
}

impl App {
    /// The page of `rows`, of which [`PageRequest::limit`] were read; `position` is where a row
    /// stands in the list.
    pub(super) fn page<T, P: Serialize>(
        &self,
        caller: &Caller,
        action: Action,
        request: &PageRequest,
        mut rows: Vec<T>,
        position: impl Fn(&T) -> P,
    ) -> Result<Page<T>, Error> {
        let size = usize::try_from(request.size).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        let next_token = match rows.last().filter(|_| more) {
            Some(last) => Some(self.seal_page(caller, action, &position(last))?),
            None => None,
        };
        Ok(Page {
            items: rows,
            size: request.size,
            next_token,
        })
    }

    /// Where the page before ended; `None` for the first page. Reads a token that [`Self::page`]
    /// made for the same caller and action.
    pub(super) fn position<P: DeserializeOwned>(
        &self,
        caller: &Caller,
        action: Action,
        request: &PageRequest,
    ) -> Result<Option<P>, Invalid> {
        let token = request.token.as_deref();
        token
            .map(|token| self.open_page(caller, action, token))
            .transpose()
    }

    /// The token that continues behind `last`.
    fn seal_page<P: Serialize>(
        &self,
        caller: &Caller,
        action: Action,
        last: &P,
    ) -> Result<String, Error> {
        seal(&self.master_key, &purpose(caller, action), last)
    }

    fn open_page<P: DeserializeOwned>(
        &self,
        caller: &Caller,
        action: Action,
        token: &str,
    ) -> Result<P, Invalid> {
        open(&self.master_key, &purpose(caller, action), token)
    }
}

fn seal<P: Serialize>(key: &MasterKey, purpose: &str, last: &P) -> Result<String, Error> {
    let text = serde_json::to_vec(last).map_err(Error::internal)?;
    let sealed = key.seal(purpose, &text).map_err(Error::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

fn open<P: DeserializeOwned>(key: &MasterKey, purpose: &str, token: &str) -> Result<P, Invalid> {
    let sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad_token())?;
    let text = key.open(purpose, &sealed).map_err(|_| bad_token())?;
    serde_json::from_slice(&text).map_err(|_| bad_token())
}

/// The refusal of a token that is none of ours.
pub(super) fn bad_token() -> Invalid {
    Invalid::new("nextToken", "[nextToken] is invalid.")
}

fn purpose(caller: &Caller, action: Action) -> String {
    format!(
        "page:{}:{}:{}",
        action.name(),
        caller.principal.account_id,
        caller.region
    )
}

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing {
    use super::*;

    const PURPOSE: &str = "page:mq:ListUsers:123456789012:us-east-1";

    /// Tokens in any bytes are refused, unless they are ours: then they say what we wrote.
    pub fn tokens(bytes: &[u8]) {
        let key = MasterKey::from_bytes([7; 32]);
        let text = String::from_utf8_lossy(bytes);
        assert!(open::<String>(&key, PURPOSE, &text).is_err());
        let token = seal(&key, PURPOSE, &text).expect("a position can be sealed");
        assert_eq!(open::<String>(&key, PURPOSE, &token).as_deref(), Ok(&*text));
        assert!(open::<String>(&key, "page:mq:ListBrokers", &token).is_err());
        // With one of its characters changed, as the input says.
        let at = bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>() % token.len();
        let other = if token.as_bytes()[at] == b'A' {
            "B"
        } else {
            "A"
        };
        let bent = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        assert!(open::<String>(&key, PURPOSE, &bent).is_err());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        app::{CallNote, Settings},
        model::{
            AccessKeyId, AccountId, Region, RequestId, clock::SystemClock, entropy::SystemEntropy,
            page::Cursor, policy::Grants, principal::Principal, principal_tag::PrincipalTags,
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
            principal: Principal::root(AccountId::parse(account).unwrap()),
            grants: Grants::All,
            unique_id: account.to_owned(),
            access_key_id: AccessKeyId::parse("AKIDEXAMPLE000000000").unwrap(),
            tags: PrincipalTags::default(),
            session: None,
            region: Region::parse(region).unwrap(),
            request_id: RequestId(uuid::Uuid::nil()),
            trace: None,
            source_address: None,
            is_secure: false,
            user_agent: None,
            received_at: chrono::DateTime::UNIX_EPOCH,
            note: CallNote::default(),
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
            app.open_page::<Cursor>(&owner, Action::ListBrokers, &token)
                .unwrap(),
            last
        );

        let stranger = caller("222222222222", "us-east-1");
        let elsewhere = caller("111111111111", "us-west-2");
        assert!(
            app.open_page::<Cursor>(&stranger, Action::ListBrokers, &token)
                .is_err()
        );
        assert!(
            app.open_page::<Cursor>(&elsewhere, Action::ListBrokers, &token)
                .is_err()
        );
        assert!(
            app.open_page::<Cursor>(&owner, Action::ListTags, &token)
                .is_err()
        );
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
                app.open_page::<Cursor>(&owner, Action::ListBrokers, &tampered)
                    .is_err(),
                "{at}"
            );
        }
        for token in ["", "x", "!!!", "AAAA"] {
            let refused = app
                .open_page::<Cursor>(&owner, Action::ListBrokers, token)
                .unwrap_err();
            assert_eq!(refused.attribute, "nextToken");
        }
    }
}
