//! ListBrokers.

use crate::{
    app::{App, Caller, Page, PageRequest, caller::RequestTags},
    db,
    error::Error,
    model::{authorisation::Action, broker::Broker, page::Cursor},
};

impl App {
    /// The caller's brokers, oldest first.
    pub async fn list_brokers(
        &self,
        caller: &Caller,
        request: &PageRequest,
    ) -> Result<Page<Broker>, Error> {
        let scope = caller.scope();
        let action = Action::ListBrokers;
        caller.may(action, RequestTags::None)?;
        let after: Option<Cursor> = self.position(caller, action, request)?;
        let mut conn = self.pool.acquire().await?;
        let brokers = db::broker_list(&mut conn, &scope, after.as_ref(), request.limit()).await?;
        self.page(caller, action, request, brokers, |last| {
            Cursor::new(last.created_at, &last.id)
        })
    }
}
