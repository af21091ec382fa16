//! What a message's way may depend on besides its key: read when the first exchange on the way asks, and only then.

use std::cell::OnceCell;

use crate::broker::{envelope::Envelope, value::Table};

/// One message's headers and properties.
pub(crate) struct Reading<'a> {
    envelope: &'a dyn Envelope,
    properties: &'a [u8],
    read_headers: &'a dyn Fn() -> Table,
    headers: OnceCell<Table>,
}

impl<'a> Reading<'a> {
    /// Of properties in wire form. The headers may be others than those of the properties, where they are about to be
    /// rewritten.
    pub(crate) fn new(
        envelope: &'a dyn Envelope,
        properties: &'a [u8],
        read_headers: &'a dyn Fn() -> Table,
    ) -> Self {
        Self {
            envelope,
            properties,
            read_headers,
            headers: OnceCell::new(),
        }
    }

    pub(crate) fn headers(&self) -> &Table {
        self.headers.get_or_init(self.read_headers)
    }

    /// A property as text; empty when the message does not have it.
    pub(super) fn property(&self, name: &str) -> String {
        let text = self.envelope.text(self.properties, name);
        text.unwrap_or_default()
    }
}
