//! Messages that ask to be handed out at once or to come back: LavinMQ's meaning of `immediate`.

use super::super::error::Error;
use super::super::reply_code::ReplyCode;
use super::publish::Publishes;
use super::{Channel, Context, arguments};
use crate::codec::amqp::BasicPublish;

impl Channel {
    /// Publishes one message alone, after those before it, if a consumer can take it now; else returns it. Within a
    /// transaction that is decided now as well, not at the commit.
    pub(super) fn publish_immediate<'a>(
        &mut self,
        context: &Context,
        publish: &BasicPublish<'a>,
        (properties, body): (&'a [u8], &'a [u8]),
        before: &mut Publishes<'a>,
    ) -> Result<(), Error> {
        let outcome = self.publish(context, before);
        before.clear();
        outcome?;
        let mut as_it_came = Publishes::default();
        let decoded = as_it_came.push(context, publish, (properties, &[]), body)?;
        let rewritten = self.rewrite(context, &decoded)?;
        let mut alone = as_it_came;
        if let Some(rewritten) = &rewritten {
            let properties = (&*rewritten.properties, &*rewritten.copies);
            alone = Publishes::default();
            alone.push(context, publish, properties, body)?;
        }
        let message = alone.first().expect("a message was put there above");
        let publisher = self
            .publisher
            .get_or_insert_with(|| Box::new(context.session.publisher(arguments::read_headers)));
        if publisher.is_awaited(message)? {
            return self.publish(context, &alone);
        }
        self.send_return(message, ReplyCode::NoConsumers);
        if let Some(confirms) = &mut self.confirms {
            confirms.published(1, None);
        }
        Ok(())
    }
}
