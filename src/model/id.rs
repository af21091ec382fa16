//! Identifiers as types of their own, so that no two of them are ever mixed up.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// `None` when the text does not have the form of this id.
            pub fn parse(text: &str) -> Option<Self> {
                let valid: fn(&str) -> bool = $valid;
                valid(text).then(|| Self(text.to_owned()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

text_id!(
    /// Twelve digits.
    AccountId,
    |text| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
);
text_id!(
    /// `b-` and a UUID in lower case.
    BrokerId,
    |text| prefixed_uuid("b-", text)
);
text_id!(
    /// `c-` and a UUID in lower case.
    ConfigurationId,
    |text| prefixed_uuid("c-", text)
);
text_id!(
    /// The public half of an access key: 16 to 128 letters, digits or underscores.
    AccessKeyId,
    |text| (16..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
);
uuid_id!(
    /// One engine process of a broker.
    NodeId
);
uuid_id!(
    /// One machine with an agent.
    HostId
);
uuid_id!(
    /// One row of the durable queue. Version 7, so that ids sort by the time they were made.
    JobId
);
uuid_id!(
    /// One API call, as told to the caller in `x-amzn-RequestId`.
    RequestId
);

impl BrokerId {
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(format!("b-{uuid}"))
    }
}

impl ConfigurationId {
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(format!("c-{uuid}"))
    }
}

fn prefixed_uuid(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| Uuid::try_parse(rest).is_ok_and(|uuid| uuid.to_string() == rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_accept_only_their_own_form() {
        let uuid = Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0);
        let broker = BrokerId::from_uuid(uuid);
        assert_eq!(BrokerId::parse(broker.as_str()), Some(broker.clone()));
        assert_eq!(ConfigurationId::parse(broker.as_str()), None);
        assert_eq!(BrokerId::parse(&broker.as_str().to_uppercase()), None);
        assert_eq!(BrokerId::parse("b-123456789abcdef0123456789abcdef0"), None);
        assert!(AccountId::parse("123456789012").is_some());
        assert!(AccountId::parse("12345678901").is_none());
        assert!(AccountId::parse("12345678901x").is_none());
        assert!(AccessKeyId::parse("AKIDEXAMPLE00000").is_some());
        assert!(AccessKeyId::parse("AKID/EXAMPLE0000").is_none());
    }
}
