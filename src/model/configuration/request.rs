//! CreateConfiguration and UpdateConfiguration as callers send them, and what they must satisfy.
//!
//! Members are spelled as on the wire; unknown ones are ignored.

use serde::{Deserialize, Serialize};

use super::{SanitizationWarning, check_data};
use crate::model::{
    Invalid,
    broker::AuthenticationStrategy,
    engine::{Catalogue, EngineType, EngineVersion},
    parity::Parity,
    tag::{self, Tags},
};

const DESCRIPTION_CHARS_MAX: usize = 1024;

/// A CreateConfiguration request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CreateConfiguration {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication_strategy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
}

/// An UpdateConfiguration request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateConfiguration {
    /// It may name addresses and keys: the audit log does not have it.
    #[serde(skip_serializing)]
    pub data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A valid CreateConfiguration request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub name: String,
    pub engine_type: EngineType,
    pub engine_version: EngineVersion,
    pub authentication_strategy: AuthenticationStrategy,
    pub tags: Tags,
}

/// A valid UpdateConfiguration request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Base64, as it was sent if nothing had to be taken out.
    pub data: String,
    /// What was taken out.
    pub warnings: Vec<SanitizationWarning>,
    /// Empty when there is none.
    pub description: String,
}

impl CreateConfiguration {
    /// Checks every member and fills in the defaults.
    pub fn draft(self, catalogue: &Catalogue, parity: Parity) -> Result<Draft, Invalid> {
        let name = self.name.ok_or_else(|| Invalid::missing("name"))?;
        let engine = self
            .engine_type
            .ok_or_else(|| Invalid::missing("engineType"))?;
        check_name(&name)?;
        let engine_type = catalogue.engine_type(&engine)?;
        let engine_version =
            catalogue.choose(engine_type, self.engine_version.as_deref(), parity)?;
        let strategy = self.authentication_strategy.as_deref();
        let tags = self.tags.unwrap_or_default();
        tag::check(&tags)?;
        Ok(Draft {
            authentication_strategy: AuthenticationStrategy::choose(strategy, engine_type)?,
            name,
            engine_type,
            engine_version,
            tags,
        })
    }
}

impl UpdateConfiguration {
    /// Checks the data against what the configuration is for.
    pub fn check(
        self,
        engine: EngineType,
        version: &EngineVersion,
        strategy: AuthenticationStrategy,
    ) -> Result<Content, Invalid> {
        let data = self.data.ok_or_else(|| Invalid::missing("data"))?;
        let description = self.description.unwrap_or_default();
        let plain = !description
            .chars()
            .any(|c| c.is_control() && !c.is_whitespace());
        if !plain || description.chars().count() > DESCRIPTION_CHARS_MAX {
            return Err(Invalid::new(
                "description",
                format!(
                    "The description is invalid. It must be at most {DESCRIPTION_CHARS_MAX} \
                     characters long and must not contain control characters."
                ),
            ));
        }
        let checked = check_data(data, engine, version, strategy)?;
        Ok(Content {
            data: checked.data,
            warnings: checked.warnings,
            description,
        })
    }
}

/// 1 to 150 letters, digits, dashes, periods, underscores and tildes.
fn check_name(name: &str) -> Result<(), Invalid> {
    let valid = (1..=150).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    if valid {
        return Ok(());
    }
    Err(Invalid::new(
        "name",
        format!(
            "Configuration name [{name}] is invalid. It must be 1-150 characters long and can \
             contain only alphanumeric characters, dashes, periods, underscores, and tildes \
             (- . _ ~)."
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_of_one_to_a_hundred_and_fifty_characters_pass() {
        for name in ["a", "Orders.v2_eu~1-x", &"n".repeat(150)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "a b", "å", "a/b", &"n".repeat(151)] {
            assert_eq!(check_name(name).unwrap_err().attribute, "name", "{name}");
        }
    }

    #[test]
    fn data_is_in_no_printed_request() {
        let request = UpdateConfiguration {
            data: Some("c2VjcmV0".to_owned()),
            description: Some("why".to_owned()),
        };
        assert_eq!(
            serde_json::to_string(&request).unwrap(),
            r#"{"description":"why"}"#
        );
    }

    #[test]
    fn a_description_is_bounded_text() {
        let version = EngineVersion::parse("4.2").unwrap();
        let check = |description: &str| {
            let request = UpdateConfiguration {
                data: Some(String::new()),
                description: Some(description.to_owned()),
            };
            let simple = AuthenticationStrategy::Simple;
            request.check(EngineType::RabbitMq, &version, simple)
        };
        assert!(check("Raise the timeout: über 9 min").is_ok());
        for text in ["nul\u{0}", &"d".repeat(1025)] {
            assert_eq!(check(text).unwrap_err().attribute, "description");
        }
    }
}
