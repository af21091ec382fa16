//! Writing small XML documents. Everything that comes from outside is escaped.

use std::fmt::{self, Display};

/// An element with either text or children.
pub(super) struct Element {
    name: String,
    attributes: String,
    content: String,
}

impl Element {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            attributes: String::new(),
            content: String::new(),
        }
    }

    pub(super) fn attribute(mut self, name: &str, value: &str) -> Self {
        self.attributes
            .push_str(&format!(" {name}=\"{}\"", escape(value)));
        self
    }

    pub(super) fn child(mut self, child: Self) -> Self {
        self.content.push_str(&child.to_string());
        self
    }

    /// With a child that has only this text.
    pub(super) fn text(self, name: &str, text: impl Display) -> Self {
        let content = escape(&text.to_string());
        self.child(Self {
            content,
            ..Self::new(name)
        })
    }
}

impl Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            attributes,
            content,
        } = self;
        write!(f, "<{name}{attributes}>{content}</{name}>")
    }
}

/// XML 1.0 has no way to write most control characters and two noncharacters (production 2, `Char`): they are left out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\r' | '\t' => escaped.push(c),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_cannot_break_the_document() {
        let document = Element::new("a")
            .attribute("b", "\"&")
            .text("c", "<d>\u{0}\u{fffe}\u{ffff}&amp;")
            .to_string();
        assert_eq!(
            document,
            "<a b=\"&quot;&amp;\"><c>&lt;d&gt;&amp;amp;</c></a>"
        );
    }
}
