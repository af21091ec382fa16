use super::*;

const POLICY: &str = r#"{"Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "mq:*", "Resource": "*"}}"#;

fn request() -> AssumeRole {
    AssumeRole {
        role_arn: Some("arn:aws:iam::123456789012:role/deployer".to_owned()),
        session_name: Some("build-7".to_owned()),
        ..AssumeRole::default()
    }
}

fn tag(key: &str, value: &str) -> AskedTag {
    AskedTag {
        key: Some(key.to_owned()),
        value: Some(value.to_owned()),
    }
}

fn inherited(key: &str, value: &str) -> Inherited {
    Inherited {
        tags: [(key, value)].into_iter().collect(),
        source_identity: None,
    }
}

fn refused(change: impl FnOnce(&mut AssumeRole)) -> String {
    let mut request = request();
    change(&mut request);
    request.check(false).unwrap_err().to_string()
}

#[test]
fn a_plain_request_lasts_an_hour_and_carries_nothing() {
    let wanted = request().check(false).unwrap();
    assert_eq!(wanted.duration_s, 3_600);
    assert_eq!(
        (wanted.account_id.as_str(), wanted.role.as_str()),
        ("123456789012", "deployer")
    );
    let tags = wanted.all_tags(&Inherited::default()).unwrap();
    assert_eq!(wanted.packed_percent(&tags), Ok(None));
}

#[test]
fn members_are_held_to_the_service_model() {
    let nothing = AssumeRole::default().check(false).unwrap_err();
    assert_eq!(
        nothing.to_string(),
        "2 validation errors detected: Value null at 'roleArn' failed to satisfy constraint: \
         Member must not be null; Value null at 'roleSessionName' failed to satisfy constraint: \
         Member must not be null"
    );
    let text = |text: &str| Some(text.to_owned());
    for (found, expected) in [
        (
            refused(|request| request.session_name = text("a b")),
            r"'a b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*",
        ),
        (
            refused(|request| request.source_identity = text("x")),
            "'x' at 'sourceIdentity' failed to satisfy constraint: Member must have length greater",
        ),
        (
            refused(|request| request.duration_s = text("899")),
            "'899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900",
        ),
        (
            refused(|request| request.duration_s = text("43201")),
            "Member must have value less than or equal to 43200",
        ),
        (
            refused(|request| request.duration_s = text("1h")),
            "Member must be an integer",
        ),
        (
            refused(|request| request.policy = Some(" ".repeat(2_049))),
            "Member must have length less than or equal to 2048",
        ),
        (
            refused(|request| request.policy_arns = vec!["a".repeat(20); 11]),
            "Value at 'policyArns' failed to satisfy constraint: Member must have length less than or equal to 10",
        ),
        (
            refused(|request| request.external_id = text("a b")),
            r"at 'externalId' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@:\/-]*",
        ),
        (
            refused(|request| request.transitive_tag_keys = vec!["a;b".to_owned()]),
            "'a;b' at 'transitiveTagKeys.1.member' failed",
        ),
        (
            refused(|request| request.role_arn = text("arn:aws:iam::12:role/deployer")),
            "arn:aws:iam::12:role/deployer is invalid",
        ),
        (
            refused(|request| request.policy = text("{}")),
            "Statement is missing",
        ),
        (
            refused(|request| request.has_mfa = true),
            "MultiFactorAuthentication failed",
        ),
        (
            refused(|request| request.has_provided_contexts = true),
            "ProvidedContexts",
        ),
    ] {
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn a_chained_session_lasts_an_hour_at_most() {
    let request = AssumeRole {
        duration_s: Some("3601".to_owned()),
        ..request()
    };
    assert!(request.check(false).is_ok());
    assert_eq!(
        request.check(true).unwrap_err().to_string(),
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role \
         chaining"
    );
}

#[test]
fn transitive_keys_are_among_the_tags_whatever_their_case() {
    let mut request = request();
    request.tags = vec![tag("Team", "red"), tag("env", "prod")];
    request.transitive_tag_keys = vec!["TEAM".to_owned(), "team".to_owned()];
    let wanted = request.check(false).unwrap();
    assert_eq!(wanted.transitive, BTreeSet::from(["team".to_owned()]));
    request.transitive_tag_keys.push("owner".to_owned());
    assert_eq!(request.check(false), Err(NoSession::TransitiveWithoutTag));
}

#[test]
fn an_inherited_tag_stays_and_cannot_be_set_anew() {
    let mut request = request();
    request.tags = vec![tag("env", "prod")];
    let wanted = request.check(true).unwrap();
    let tags = wanted.all_tags(&inherited("Team", "red")).unwrap();
    assert_eq!(
        tags.iter().collect::<Vec<_>>(),
        [("env", "prod"), ("Team", "red")]
    );
    for value in ["blue", "red"] {
        request.tags = vec![tag("team", value)];
        let wanted = request.check(true).unwrap();
        let refused = wanted.all_tags(&inherited("Team", "red"));
        assert_eq!(refused, Err(NoSession::TagIsInherited));
    }
}

#[test]
fn policies_and_tags_share_the_space_of_a_session() {
    let mut request = request();
    request.policy = Some(POLICY.to_owned());
    let percent = |request: &AssumeRole, inherited: &Inherited| {
        let wanted = request.check(false)?;
        wanted.packed_percent(&wanted.all_tags(inherited)?)
    };
    let nothing = Inherited::default();
    assert_eq!(percent(&request, &nothing), Ok(Some(3)));
    request.policy = None;
    request.tags = (0..16)
        .map(|n| tag(&format!("{n:02}"), &"v".repeat(254)))
        .collect();
    assert_eq!(percent(&request, &nothing), Ok(Some(100)));
    assert_eq!(
        percent(&request, &inherited("a", "")),
        Err(NoSession::TagsTooLarge(101))
    );
    request.policy = Some(POLICY.to_owned());
    assert_eq!(
        percent(&request, &nothing),
        Err(NoSession::PolicyTooLarge(103))
    );
}
