//! CreateBroker: at most one broker for each creator request id, however often it is sent.

use serde_json::json;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{
    app::{App, Caller, audit::Change, caller::RequestTags, configuration},
    db::{self, Unique},
    error::{Error, Kind},
    model::{
        BrokerId, JobId, Scope,
        arn::ResourceArn,
        authorisation::Action,
        broker::{
            Broker, BrokerUser, CreateBroker, Directory, Draft, LOCAL_SUBNET_PREFIX, Launch,
            StagedLaunch, request::DraftUser,
        },
        configuration::{ConfigurationRef, default_name},
        job::Job,
        maintenance::Schedule,
        quota::Quota,
    },
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateBrokerOutput {
    pub broker_arn: ResourceArn,
    pub broker_id: BrokerId,
}

impl App {
    /// Accepts a broker for creation. A request that is sent again with its creator request id
    /// gets the first one's answer; the id with another request is a conflict.
    pub async fn create_broker(
        &self,
        caller: &Caller,
        request: CreateBroker,
    ) -> Result<CreateBrokerOutput, Error> {
        let scope = caller.scope();
        let tags = request.tags.clone().unwrap_or_default();
        caller.may(Action::CreateBroker, RequestTags::Set(&tags))?;
        let now = self.clock.now();
        let fingerprint = request.fingerprint();
        let catalogue = self.catalogue(&mut *self.pool.acquire().await?).await?;
        let settings = &self.settings;
        let draft = request.draft(&catalogue, settings.parity, settings.simulated_hosts, now)?;
        if let Some(first) = self.first_answer(&scope, &draft, &fingerprint).await? {
            return Ok(first);
        }

        let mut tx = self.begin().await?;
        let broker = self
            .plan(&mut tx, &scope, &draft, fingerprint.clone(), now)
            .await?;
        match db::broker_create(&mut tx, &broker).await {
            Ok(()) => {}
            // Either may be reported when a replay races its first request: look again.
            Err(db::Error::Taken(Unique::CreatorRequestId | Unique::BrokerName)) => {
                tx.rollback().await?;
                let first = self.first_answer(&scope, &draft, &fingerprint).await?;
                return first.ok_or(Error::AlreadyExists {
                    kind: Kind::Broker,
                    name: draft.name,
                });
            }
            Err(error) => return Err(error.into()),
        }
        let arn = broker.arn();
        if let Some((directory, draft)) = broker.intended.directory.as_ref().zip(draft.directory) {
            let secret = (directory.service_account_secret, &draft.password);
            self.seal_secret(&mut tx, &broker.id, secret, now).await?;
        }
        if let Some(primary_arn) = &draft.primary_arn {
            self.pair(&mut tx, caller, &broker, primary_arn, now)
                .await?;
        }
        for user in &draft.users {
            let user = self.broker_user(user);
            db::broker_user_create(&mut tx, &broker.id, &user, now).await?;
        }
        db::tags_put(&mut tx, &arn, &draft.tags).await?;
        let schedule = Schedule::first(&broker.settings.maintenance_window, now);
        db::maintenance_schedule_put(&mut tx, &broker.id, &schedule).await?;
        let job = Job::BrokerCreate {
            broker_id: broker.id.clone(),
            generation: broker.generation,
        };
        let job_id = JobId(self.entropy.uuid_at(now));
        db::job_insert_for(&mut tx, job_id, &job, caller.origin(), now).await?;
        let change = Change {
            action: Action::CreateBroker,
            resource: &arn,
            response: json!({"brokerArn": arn.to_string(), "brokerId": broker.id.as_str()}),
            now,
        };
        self.audit(&mut tx, caller, change).await?;
        tx.commit().await?;
        Ok(CreateBrokerOutput {
            broker_arn: arn,
            broker_id: broker.id,
        })
    }

    /// The answer to the first request with this creator request id.
    async fn first_answer(
        &self,
        scope: &Scope,
        draft: &Draft,
        fingerprint: &[u8],
    ) -> Result<Option<CreateBrokerOutput>, Error> {
        let Some(token) = &draft.creator_request_id else {
            return Ok(None);
        };
        let mut conn = self.pool.acquire().await?;
        let Some(broker) = db::broker_by_request(&mut conn, scope, token).await? else {
            return Ok(None);
        };
        let users = db::broker_users(&mut conn, &broker.id).await?;
        let directory = broker
            .intended
            .directory
            .as_ref()
            .zip(draft.directory.as_ref());
        let same_secret = match directory {
            Some((directory, draft)) => {
                let secret = directory.service_account_secret;
                self.is_secret(&mut conn, secret, &draft.password).await?
            }
            None => true,
        };
        let same = broker.creator_request_hash.as_deref() == Some(fingerprint)
            && draft.users.iter().all(|draft| is_same_login(draft, &users))
            && same_secret;
        if !same {
            return Err(Error::Conflict {
                attribute: "creatorRequestId",
                public: format!(
                    "Creator request id [{token}] was used for broker [{}] with different \
                     parameters.",
                    broker.id
                ),
            });
        }
        Ok(Some(CreateBrokerOutput {
            broker_arn: broker.arn(),
            broker_id: broker.id,
        }))
    }

    /// The broker to be, with its configuration made or found.
    async fn plan(
        &self,
        conn: &mut PgConnection,
        scope: &Scope,
        draft: &Draft,
        fingerprint: Vec<u8>,
        now: DateTime<Utc>,
    ) -> Result<Broker, Error> {
        let quota = Quota::BrokersPerRegion;
        db::quota_lock(conn, scope, quota).await?;
        let there_are = db::broker_count(conn, scope).await?;
        let quotas = db::quotas_fetch(conn, &scope.account_id).await?;
        quotas.allow_one_more(quota, there_are)?;
        quotas.allow(Quota::TagsPerResource, draft.tags.len())?;
        quotas.allow(Quota::UsersPerBroker, draft.users.len())?;
        for user in &draft.users {
            quotas.allow(Quota::GroupsPerUser, user.groups.len())?;
        }
        let configuration = match &draft.configuration {
            Some(choice) => configuration::choose(conn, scope, draft.engine_type, choice).await?,
            None => self.default_configuration(conn, scope, draft, now).await?,
        };
        let uuid = self.entropy.uuid();
        let subnet_ids = if draft.subnet_ids.is_empty() {
            let zones = &self.settings.zones;
            let first = usize::from(uuid.as_bytes()[0]);
            let nodes = draft.deployment_mode.nodes().min(zones.len());
            let zone = |node| &zones[(first + node) % zones.len()];
            (0..nodes)
                .map(|node| format!("{LOCAL_SUBNET_PREFIX}{}", zone(node)))
                .collect()
        } else {
            draft.subnet_ids.clone()
        };
        let directory = draft.directory.as_ref().map(|draft| Directory {
            service_account_secret: self.entropy.uuid(),
            ..draft.directory.clone()
        });
        Ok(Broker {
            id: BrokerId::from_uuid(uuid),
            scope: scope.clone(),
            name: draft.name.clone(),
            creator_request_id: draft.creator_request_id.clone(),
            creator_request_hash: Some(fingerprint),
            engine_type: draft.engine_type,
            deployment_mode: draft.deployment_mode,
            publicly_accessible: draft.publicly_accessible,
            storage_type: draft.storage_type,
            subnet_ids,
            settings: draft.settings.clone(),
            intended: Launch {
                engine_version: draft.engine_version.clone(),
                engine_release: draft.engine_release.clone(),
                host_instance_type: draft.instance_type.name.to_owned(),
                configuration,
                general_logs: draft.general_logs,
                audit_logs: draft.audit_logs,
                security_groups: draft.security_groups.clone(),
                authentication_strategy: draft.authentication_strategy,
                directory,
                storage_size_gb: draft.storage_size_gb,
            },
            applied: None,
            staged: StagedLaunch::default(),
            configuration_history: Vec::new(),
            generation: 1,
            applied_generation: 0,
            deletion_requested_at: None,
            failure: None,
            actions_required: Vec::new(),
            replication: None,
            created_at: now,
            updated_at: now,
        })
    }

    /// The configuration of a broker that was asked for without one. Its name may be taken: that
    /// of an earlier broker of the same name outlives it.
    async fn default_configuration(
        &self,
        conn: &mut PgConnection,
        scope: &Scope,
        draft: &Draft,
        now: DateTime<Utc>,
    ) -> Result<ConfigurationRef, Error> {
        let seed = configuration::Seed {
            name: default_name(&draft.name),
            default_for: &draft.name,
            engine_type: draft.engine_type,
            engine_version: draft.engine_version.clone(),
            authentication_strategy: draft.authentication_strategy,
        };
        let made = self.make_configuration(conn, scope, seed, now).await?;
        Ok(ConfigurationRef {
            id: made.id,
            revision: made.latest.revision,
        })
    }

    fn broker_user(&self, draft: &DraftUser) -> BrokerUser {
        BrokerUser {
            username: draft.username.clone(),
            password_hash: draft.password.hash(&*self.entropy),
            console_access: draft.console_access,
            replication_user: draft.replication_user,
            groups: draft.groups.clone(),
            // The broker's first start makes them.
            pending: None,
            is_bootstrap: true,
            revision: 0,
            removed_at: None,
        }
    }
}

/// Whether the broker was asked for with this user. Of one that was changed since, nobody can tell.
fn is_same_login(draft: &DraftUser, users: &[BrokerUser]) -> bool {
    users.iter().any(|user| {
        let is_changed = user.revision > 0;
        user.username == draft.username
            && (is_changed || draft.password.matches(&user.password_hash))
    })
}
