//! ListBrokers.

use crate::{
    app::{App, Caller},
    db,
    error::Error,
    model::{
        arn::ResourceArn,
        authorisation::{Action, authorise},
        broker::Broker,
        page::Cursor,
    },
};

/// Some brokers, oldest first, and the token for those after them.
#[derive(Debug, Clone)]
pub struct BrokerPage {
    pub brokers: Vec<Broker>,
    /// `None` on the last page.
    pub next_token: Option<String>,
}

impl App {
    pub async fn list_brokers(
        &self,
        caller: &Caller,
        size: u32,
        token: Option<&str>,
    ) -> Result<BrokerPage, Error> {
        let scope = caller.scope();
        let action = Action::ListBrokers;
        authorise(&caller.principal, action, &ResourceArn::all(&scope))?;
        let after = token
            .map(|token| self.open_page(caller, action, token))
            .transpose()?;
        let mut conn = self.pool.acquire().await?;
        // One more than asked for tells whether this is the last page.
        let mut brokers = db::broker_list(&mut conn, &scope, after.as_ref(), size + 1).await?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let more = brokers.len() > size;
        brokers.truncate(size);
        let next_token = match brokers.last().filter(|_| more) {
            Some(last) => {
                let last = Cursor {
                    created_at: last.created_at,
                    id: last.id.to_string(),
                };
                Some(self.seal_page(caller, action, &last)?)
            }
            None => None,
        };
        Ok(BrokerPage {
            brokers,
            next_token,
        })
    }
}
