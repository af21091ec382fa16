//! Users, roles and sessions for tests.

use serde_json::{Value, json};
use warren::model::{
    AccountId,
    principal::{Name, Subject},
    role::{Role, RoleTerms},
};

use crate::server::{Answer, Server};
use crate::signer::{Key, encode};

pub(crate) const USER: &str = "alice";
pub(crate) const ROLE: &str = "deployer";

pub(crate) struct Account<'a> {
    pub(crate) server: &'a Server,
    pub(crate) id: AccountId,
}

impl<'a> Account<'a> {
    pub(crate) fn of(server: &'a Server) -> Self {
        let id = AccountId::parse(&server.account).expect("an account id");
        Self { server, id }
    }

    pub(crate) async fn user(&self, name: &str) -> Key {
        let name = name_of(name);
        let app = &self.server.app;
        app.create_user(&self.id, name.clone())
            .await
            .expect("a user can be made");
        let key = app
            .create_access_key(&self.id, Some(&name))
            .await
            .expect("a key can be made");
        Key {
            id: key.id.to_string(),
            secret: key.secret,
            token: None,
        }
    }

    pub(crate) async fn role(&self, name: &str, trust: &Value) {
        let trust = json!({"Version": "2012-10-17", "Statement": trust}).to_string();
        let role = Role {
            name: name_of(name),
            terms: RoleTerms::check(&trust, 3600).expect("the terms are good"),
        };
        self.server
            .app
            .create_role(&self.id, role)
            .await
            .expect("a role can be made");
    }

    /// Makes a policy and gives it to a user or a role.
    pub(crate) async fn grant(&self, subject: &Subject, policy: &str, statements: &Value) {
        let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let (app, name) = (&self.server.app, name_of(policy));
        app.put_policy(&self.id, &name, &document)
            .await
            .expect("the policy is good");
        app.attach_policy(&self.id, subject, &name)
            .await
            .expect("both are there");
    }

    pub(crate) async fn attach(&self, subject: &Subject, managed: &str) {
        let app = &self.server.app;
        app.attach_policy(&self.id, subject, &name_of(managed))
            .await
            .expect("both are there");
    }

    pub(crate) fn role_arn(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:role/{name}", self.id)
    }

    pub(crate) async fn assume(&self, key: &Key, role: &str, more: &str) -> Answer {
        let arn = encode(&self.role_arn(role), false);
        let form = format!(
            "Action=AssumeRole&Version=2011-06-15&RoleSessionName=build-7&RoleArn={arn}{more}"
        );
        self.server.sts(key, &form).await
    }
}

pub(crate) fn name_of(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

pub(crate) fn user() -> Subject {
    Subject::User(name_of(USER))
}

pub(crate) fn role() -> Subject {
    Subject::Role(name_of(ROLE))
}

pub(crate) fn element<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml
        .split_once(&format!("<{name}>"))
        .unwrap_or_else(|| panic!("{xml}"));
    rest.split_once('<').expect("an element ends").0
}

pub(crate) fn session(answer: &Answer) -> Key {
    assert_eq!(answer.status, 200, "{}", answer.text);
    Key {
        id: element(&answer.text, "AccessKeyId").to_owned(),
        secret: element(&answer.text, "SecretAccessKey").to_owned(),
        token: Some(element(&answer.text, "SessionToken").to_owned()),
    }
}

pub(crate) async fn list(server: &Server, key: &Key) -> Answer {
    server.send(key, "GET", "/v1/brokers", "", b"").await
}
