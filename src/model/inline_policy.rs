//! Policies that are part of one user, role or group: how much room there is for them.
//!
//! IAM User Guide, "IAM and AWS STS quotas": the sum of all inline policies of one holder, counted
//! without white space.

use super::{
    Invalid,
    policy::{PolicyDocument, characters},
    principal::Subject,
};

/// Checks a document that is to be part of `holder`, beside `others` that are.
pub fn check<'a>(
    holder: &Subject,
    document: &str,
    others: impl IntoIterator<Item = &'a str>,
) -> Result<(), Invalid> {
    PolicyDocument::parse(document).map_err(|error| Invalid::new("document", error.to_string()))?;
    let max = characters_max(holder);
    let sum: usize = others.into_iter().map(characters).sum();
    if sum + characters(document) <= max {
        return Ok(());
    }
    let (noun, name) = (holder.noun().to_lowercase(), holder.name());
    let text = format!("Maximum policy size of {max} bytes exceeded for {noun} {name}");
    Err(Invalid::new("document", text))
}

fn characters_max(holder: &Subject) -> usize {
    match holder {
        Subject::User(_) => 2_048,
        Subject::Group(_) => 5_120,
        Subject::Role(_) => 10_240,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::principal::Name;

    /// A policy of this many characters, and white space that does not count.
    fn document(size: usize) -> String {
        let rest = r#"{"Statement":{"Effect":"Allow","Action":"mq:*","Resource":"arn:"}}"#;
        let arn = format!("arn:{}", "x".repeat(size - rest.len()));
        rest.replace("arn:", &arn).replace(",", " ,\n ")
    }

    #[test]
    fn all_policies_of_one_holder_share_its_room() {
        let name = Name::parse("a").unwrap();
        for (holder, max) in [
            (Subject::User(name.clone()), 2_048),
            (Subject::Group(name.clone()), 5_120),
            (Subject::Role(name), 10_240),
        ] {
            let (whole, half, more) = (document(max), document(max / 2), document(max / 2 + 1));
            assert_eq!(check(&holder, &whole, []), Ok(()));
            assert_eq!(check(&holder, &half, [&*half]), Ok(()));
            let refused = check(&holder, &more, [&*half]).unwrap_err().message;
            assert!(refused.starts_with(&format!("Maximum policy size of {max} bytes")));
        }
    }
}
