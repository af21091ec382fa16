//! Class `exchange`.

use super::super::error::Error;
use super::arguments;
use super::{Channel, Context, Deferred};
use crate::broker;
use crate::codec::amqp::{
    ExchangeBind, ExchangeBindOk, ExchangeDeclare, ExchangeDeclareOk, ExchangeDelete,
    ExchangeDeleteOk, ExchangeUnbind, ExchangeUnbindOk,
};

const EXCHANGE: &str = "Exchange";

impl Channel {
    pub(super) fn exchange_declare(
        &self,
        context: &Context,
        declare: &ExchangeDeclare<'_>,
    ) -> Result<Deferred, Error> {
        let name = &*self.name(EXCHANGE, declare.exchange)?;
        let durable = if declare.passive {
            context.session.exchange_check(name)?;
            None
        } else {
            let declaration = broker::ExchangeDeclare {
                name: name.to_owned(),
                kind: declare.kind.to_owned(),
                durable: declare.durable,
                auto_delete: declare.auto_delete,
                internal: declare.internal,
                arguments: arguments::table(&declare.arguments),
            };
            context.session.exchange_declare(declaration)?
        };
        Ok(self.reply(declare.no_wait, durable, &ExchangeDeclareOk {}))
    }

    pub(super) fn exchange_bind(
        &self,
        context: &Context,
        bind: &ExchangeBind<'_>,
    ) -> Result<Deferred, Error> {
        let durable = context.session.exchange_bind(
            &self.name(EXCHANGE, bind.destination)?,
            &self.name(EXCHANGE, bind.source)?,
            bind.routing_key,
            &arguments::table(&bind.arguments),
        )?;
        Ok(self.reply(bind.no_wait, durable, &ExchangeBindOk {}))
    }

    pub(super) fn exchange_unbind(
        &self,
        context: &Context,
        unbind: &ExchangeUnbind<'_>,
    ) -> Result<Deferred, Error> {
        let durable = context.session.exchange_unbind(
            &self.name(EXCHANGE, unbind.destination)?,
            &self.name(EXCHANGE, unbind.source)?,
            unbind.routing_key,
            &arguments::table(&unbind.arguments),
        )?;
        Ok(self.reply(unbind.no_wait, durable, &ExchangeUnbindOk {}))
    }

    pub(super) fn exchange_delete(
        &self,
        context: &Context,
        delete: &ExchangeDelete<'_>,
    ) -> Result<Deferred, Error> {
        let name = &*self.name(EXCHANGE, delete.exchange)?;
        let durable = context.session.exchange_delete(name, delete.if_unused)?;
        Ok(self.reply(delete.no_wait, durable, &ExchangeDeleteOk {}))
    }
}
