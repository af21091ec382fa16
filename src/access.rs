//! The commands about users, roles, groups, policies and keys, handed to what carries them out.

use std::path::Path;

use anyhow::Context as _;
use warren::config::{
    AccessKeyCommand, GroupCommand, Policy, PolicyCommand, Question, QuotaCommand, RoleCommand,
    UserCommand,
};
use warren::model::policy::{Context, PolicyDocument};
use warren::model::principal_tag::AskedTag;
use warren::model::quota::Quota;
use warren::model::role::{Role, RoleTerms};
use warren::model::{
    AccessKeyId,
    principal::{Name, Subject},
};
use warren::roles::{self, Installation, policy::Labelled};

pub(crate) async fn access_key(
    installation: &Installation,
    command: AccessKeyCommand,
) -> anyhow::Result<()> {
    match command {
        AccessKeyCommand::Create { account, user } => {
            let user = user.as_deref().map(name).transpose()?;
            roles::admin::create_access_key(installation, &account, user.as_ref()).await?;
        }
        AccessKeyCommand::List { account } => {
            roles::admin::list_access_keys(installation, &account).await?;
        }
        AccessKeyCommand::Enable { id } => {
            roles::admin::enable_access_key(installation, &key_id(&id)?, true).await?;
        }
        AccessKeyCommand::Disable { id } => {
            roles::admin::enable_access_key(installation, &key_id(&id)?, false).await?;
        }
        AccessKeyCommand::Delete { id } => {
            roles::admin::delete_access_key(installation, &key_id(&id)?).await?;
        }
    }
    Ok(())
}

pub(crate) async fn user(installation: &Installation, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Create {
            account,
            name: text,
        } => {
            roles::admin::create_user(installation, &account, name(&text)?).await?;
        }
        UserCommand::List { account } => {
            roles::admin::list_principals(installation, &account).await?;
        }
        UserCommand::Tag {
            account,
            name: text,
            tags,
        } => {
            tag(installation, &account, &Subject::User(name(&text)?), &tags).await?;
        }
        UserCommand::Untag {
            account,
            name: text,
            keys,
        } => {
            let subject = Subject::User(name(&text)?);
            roles::admin::untag_principal(installation, &account, &subject, &keys).await?;
        }
        UserCommand::Delete {
            account,
            name: text,
        } => {
            let subject = Subject::User(name(&text)?);
            roles::admin::delete_principal(installation, &account, &subject).await?;
        }
    }
    Ok(())
}

pub(crate) async fn role(installation: &Installation, command: RoleCommand) -> anyhow::Result<()> {
    match command {
        RoleCommand::Create {
            account,
            name: text,
            trust_policy,
            session_s_max,
        } => {
            let role = read_role(&text, &trust_policy, session_s_max)?;
            roles::admin::create_role(installation, &account, role).await?;
        }
        RoleCommand::Update {
            account,
            name: text,
            trust_policy,
            session_s_max,
        } => {
            let role = read_role(&text, &trust_policy, session_s_max)?;
            roles::admin::update_role(installation, &account, &role).await?;
        }
        RoleCommand::Tag {
            account,
            name: text,
            tags,
        } => {
            tag(installation, &account, &Subject::Role(name(&text)?), &tags).await?;
        }
        RoleCommand::Untag {
            account,
            name: text,
            keys,
        } => {
            let subject = Subject::Role(name(&text)?);
            roles::admin::untag_principal(installation, &account, &subject, &keys).await?;
        }
        RoleCommand::Delete {
            account,
            name: text,
        } => {
            let subject = Subject::Role(name(&text)?);
            roles::admin::delete_principal(installation, &account, &subject).await?;
        }
    }
    Ok(())
}

pub(crate) async fn group(
    installation: &Installation,
    command: GroupCommand,
) -> anyhow::Result<()> {
    match command {
        GroupCommand::Create {
            account,
            name: text,
        } => {
            roles::admin::create_group(installation, &account, name(&text)?).await?;
        }
        GroupCommand::List { account } => {
            roles::admin::list_groups(installation, &account).await?;
        }
        GroupCommand::AddUser {
            account,
            name: text,
            user,
        } => {
            let pair = (&name(&text)?, &name(&user)?);
            roles::admin::add_to_group(installation, &account, pair).await?;
        }
        GroupCommand::RemoveUser {
            account,
            name: text,
            user,
        } => {
            let pair = (&name(&text)?, &name(&user)?);
            roles::admin::remove_from_group(installation, &account, pair).await?;
        }
        GroupCommand::Delete {
            account,
            name: text,
        } => {
            let subject = Subject::Group(name(&text)?);
            roles::admin::delete_principal(installation, &account, &subject).await?;
        }
    }
    Ok(())
}

pub(crate) async fn policy(
    installation: &Installation,
    command: PolicyCommand,
) -> anyhow::Result<()> {
    match command {
        PolicyCommand::Put {
            account,
            principal,
            name: text,
            document,
        } => {
            let (name, document) = (name(&text)?, read(&document)?);
            match principal.as_deref().map(subject).transpose()? {
                None => roles::admin::put_policy(installation, &account, &name, &document).await?,
                Some(subject) => {
                    let policy = (&name, &*document);
                    roles::admin::put_inline_policy(installation, &account, &subject, policy)
                        .await?;
                }
            }
        }
        PolicyCommand::List { account, principal } => {
            match principal.as_deref().map(subject).transpose()? {
                None => roles::admin::list_policies(installation, &account).await?,
                Some(subject) => {
                    roles::admin::list_policies_of(installation, &account, &subject).await?;
                }
            }
        }
        PolicyCommand::Show {
            account,
            principal,
            name: text,
        } => {
            let name = name(&text)?;
            match principal.as_deref().map(subject).transpose()? {
                None => roles::admin::show_policy(installation, &account, &name).await?,
                Some(subject) => {
                    roles::admin::show_inline_policy(installation, &account, &subject, &name)
                        .await?;
                }
            }
        }
        PolicyCommand::Delete {
            account,
            principal,
            name: text,
        } => {
            let name = name(&text)?;
            match principal.as_deref().map(subject).transpose()? {
                None => roles::admin::delete_policy(installation, &account, &name).await?,
                Some(subject) => {
                    roles::admin::delete_inline_policy(installation, &account, &subject, &name)
                        .await?;
                }
            }
        }
        PolicyCommand::Attach {
            account,
            principal,
            name: text,
        } => {
            let subject = subject(&principal)?;
            roles::admin::attach_policy(installation, &account, &subject, &name(&text)?).await?;
        }
        PolicyCommand::Detach {
            account,
            principal,
            name: text,
        } => {
            let subject = subject(&principal)?;
            roles::admin::detach_policy(installation, &account, &subject, &name(&text)?).await?;
        }
        PolicyCommand::Simulate {
            account,
            principal,
            question,
        } => {
            let (subject, context) = (subject(&principal)?, context(&question)?);
            let asked = (&question.actions[..], &*question.resource, &context);
            roles::admin::simulate_principal(installation, &account, &subject, asked).await?;
        }
    }
    Ok(())
}

/// Says what documents in files allow.
pub(crate) fn simulate(command: Policy) -> anyhow::Result<()> {
    let documents = command
        .documents
        .iter()
        .map(|path| {
            let name = path.display().to_string();
            let document = PolicyDocument::parse(&read(path)?).with_context(|| name.clone())?;
            Ok(Labelled {
                name,
                holder: "-".to_owned(),
                document,
            })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let context = context(&command.question)?;
    let Question {
        actions, resource, ..
    } = &command.question;
    roles::policy::simulate(&documents, (actions, resource, &context))?;
    Ok(())
}

fn context(question: &Question) -> anyhow::Result<Context> {
    let mut context = Context::default();
    for text in &question.context {
        let (key, value) = pair("--context", text)?;
        context = context.with(key, value);
    }
    Ok(context)
}

async fn tag(
    installation: &Installation,
    account: &str,
    subject: &Subject,
    tags: &[String],
) -> anyhow::Result<()> {
    let read = |text: &String| {
        let (key, value) = pair("--tag", text)?;
        Ok(AskedTag {
            key: Some(key.to_owned()),
            value: Some(value.to_owned()),
        })
    };
    let tags = tags.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    roles::admin::tag_principal(installation, account, subject, &tags).await?;
    Ok(())
}

/// An option's key and value.
fn pair<'text>(option: &str, text: &'text str) -> anyhow::Result<(&'text str, &'text str)> {
    text.split_once('=')
        .with_context(|| format!("{option} {text} is not KEY=VALUE"))
}

fn read_role(text: &str, trust_policy: &Path, session_s_max: u32) -> anyhow::Result<Role> {
    Ok(Role {
        name: name(text)?,
        terms: RoleTerms::check(&read(trust_policy)?, session_s_max)?,
    })
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn name(text: &str) -> anyhow::Result<Name> {
    Name::parse(text)
        .with_context(|| format!("{text:?} is no name: 1 to 64 letters, digits and _+=,.@-"))
}

fn subject(text: &str) -> anyhow::Result<Subject> {
    Subject::parse(text)
        .with_context(|| format!("{text:?} is not user/NAME, role/NAME or group/NAME"))
}

fn key_id(text: &str) -> anyhow::Result<AccessKeyId> {
    AccessKeyId::parse(text).with_context(|| format!("{text:?} is no access key id"))
}

pub(crate) async fn quota(
    installation: &Installation,
    command: QuotaCommand,
) -> anyhow::Result<()> {
    let parse = |name: &str| {
        let names: Vec<_> = Quota::ALL.into_iter().map(Quota::name).collect();
        Quota::parse(name)
            .with_context(|| format!("{name:?} is no quota; there are {}", names.join(", ")))
    };
    match command {
        QuotaCommand::List { account } => {
            roles::admin::list_quotas(installation, &account).await?;
        }
        QuotaCommand::Set {
            account,
            name,
            value,
        } => roles::admin::set_quota(installation, &account, parse(&name)?, value).await?,
        QuotaCommand::Reset { account, name } => {
            roles::admin::reset_quota(installation, &account, parse(&name)?).await?;
        }
    }
    Ok(())
}
