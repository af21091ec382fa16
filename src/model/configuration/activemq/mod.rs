//! ActiveMQ's configuration: `activemq.xml` without what the service keeps to itself.
//!
//! What is not [`permitted`] is taken out and told, as Amazon MQ does; everything else stays byte
//! for byte. Values are looked at only where the schema narrows them ([`values`]): the others are
//! the engine's to judge. There are no document types, so there are no entities to expand or
//! fetch, and the tree is never walked by recursion.

mod permitted;
mod values;

use std::ops::Range;

use roxmltree::{Attribute, Document, Node, ParsingOptions};

use crate::model::{Invalid, broker::AuthenticationStrategy};
use permitted::{DIRECTORY_MAP, Element, ROOT};

const NAMESPACE: &str = "http://activemq.apache.org/schema/core";

/// Elements, comments and texts of one configuration.
const NODES_MAX: u32 = 50_000;

/// The parser compares every attribute of an element with every other, and every element has the
/// namespaces of those around it: more of either takes time and memory out of proportion.
const ATTRIBUTES_MAX: usize = 256;
const NAMESPACES_MAX: usize = 64;

/// Amazon MQ tells no more of them.
const WARNINGS_MAX: usize = 20;

/// The first revision of a configuration that nobody has written yet.
pub(super) const DEFAULT: &str = include_str!("default.xml");

/// What was taken out of a configuration, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SanitizationWarning {
    pub element: String,
    /// `None` when the whole element went.
    pub attribute: Option<String>,
    pub reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    DisallowedElementRemoved,
    DisallowedAttributeRemoved,
    InvalidAttributeValueRemoved,
}

impl Reason {
    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::DisallowedElementRemoved => "DISALLOWED_ELEMENT_REMOVED",
            Self::DisallowedAttributeRemoved => "DISALLOWED_ATTRIBUTE_REMOVED",
            Self::InvalidAttributeValueRemoved => "INVALID_ATTRIBUTE_VALUE_REMOVED",
        }
    }
}

/// A configuration with nothing in it that is not permitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sanitized {
    /// `None` when nothing had to go.
    pub(super) text: Option<String>,
    /// In the order of the elements, those of an element by attribute; the first of many.
    pub(super) warnings: Vec<SanitizationWarning>,
}

/// Takes out what is not permitted. `Err` when the text is not XML, is no configuration of a
/// broker, or has a value that no such attribute can have.
pub(super) fn sanitize(text: &str, strategy: AuthenticationStrategy) -> Result<Sanitized, Invalid> {
    check_size(text)?;
    let options = ParsingOptions {
        allow_dtd: false,
        nodes_limit: NODES_MAX,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options).map_err(|error| {
        if matches!(error, roxmltree::Error::DtdDetected) {
            invalid("A document type declaration is not allowed.")
        } else if matches!(error, roxmltree::Error::NodesLimitReached) {
            invalid(&format!("It has more than [{NODES_MAX}] elements."))
        } else {
            // The parser's words name what it met and where, never more of the text.
            invalid(&format!("{error}."))
        }
    })?;
    let root = document.root_element();
    if root.tag_name().name() != ROOT || !is_ours(&root) {
        return Err(invalid(&format!(
            "cvc-elt.1.a: Cannot find the declaration of element '{}'.",
            root.tag_name().name()
        )));
    }
    let mut pass = Pass {
        text,
        strategy,
        cuts: Vec::new(),
        warnings: Vec::new(),
    };
    pass.run(root)?;
    Ok(pass.finish())
}

/// Bounds what the parser has to compare, before it does.
fn check_size(text: &str) -> Result<(), Invalid> {
    if text.matches("xmlns").count() > NAMESPACES_MAX {
        return Err(invalid(&format!(
            "It declares more than [{NAMESPACES_MAX}] namespaces."
        )));
    }
    let has_value = |rest: &str| rest.trim_start().starts_with(['"', '\'']);
    // No attribute holds a `<`, so that each tag's are between two of them.
    let crowded = text.split('<').any(|tag| {
        let values = tag.split('=').skip(1).filter(|rest| has_value(rest));
        values.count() > ATTRIBUTES_MAX
    });
    if crowded {
        return Err(invalid(&format!(
            "An element has more than [{ATTRIBUTES_MAX}] attributes."
        )));
    }
    Ok(())
}

fn invalid(reason: &str) -> Invalid {
    let text = format!("The specified XML configuration data is invalid: {reason}");
    Invalid::new("data", text)
}

/// In ActiveMQ's namespace, or in none, as short configurations are written.
fn is_ours(node: &Node<'_, '_>) -> bool {
    matches!(node.tag_name().namespace(), None | Some(NAMESPACE))
}

/// Where an element stands: what may be in it depends on that.
#[derive(Clone, Copy)]
enum Place {
    Element(&'static Element),
    /// With the names of its elements.
    Collection(&'static str),
}

struct Pass<'a> {
    text: &'a str,
    strategy: AuthenticationStrategy,
    cuts: Vec<Range<usize>>,
    warnings: Vec<SanitizationWarning>,
}

impl Pass<'_> {
    fn run(&mut self, root: Node<'_, '_>) -> Result<(), Invalid> {
        let mut open: Vec<_> = Element::find(ROOT)
            .map(|element| (root, Place::Element(element)))
            .into_iter()
            .collect();
        while let Some((node, place)) = open.pop() {
            self.attributes(&node, place)?;
            // The last is looked at first, so that warnings come in the order of the text.
            for child in node.children().rev().filter(Node::is_element) {
                match self.place_in(place, &child) {
                    Some(place) => open.push((child, place)),
                    None => self.cuts.push(child.range()),
                }
            }
            let refused = node.children().filter(Node::is_element);
            let refused = refused.filter(|child| self.place_in(place, child).is_none());
            let warnings: Vec<_> = refused
                .map(|child| SanitizationWarning {
                    element: child.tag_name().name().to_owned(),
                    attribute: None,
                    reason: Reason::DisallowedElementRemoved,
                })
                .collect();
            self.warnings.extend(warnings);
        }
        Ok(())
    }

    /// What `child` is to `parent`; `None` when it may not be there.
    fn place_in(&self, parent: Place, child: &Node<'_, '_>) -> Option<Place> {
        let name = child.tag_name().name();
        if !is_ours(child) || has_expression(child) {
            return None;
        }
        match parent {
            Place::Element(element) => element.collection(name).map(Place::Collection),
            Place::Collection(members) => {
                let directory = self.strategy == AuthenticationStrategy::Ldap;
                let fits = members.split(' ').any(|member| member == name)
                    && (name != DIRECTORY_MAP || directory);
                Element::find(name).filter(|_| fits).map(Place::Element)
            }
        }
    }

    fn attributes(&mut self, node: &Node<'_, '_>, place: Place) -> Result<(), Invalid> {
        let element = node.tag_name().name();
        let mut attributes: Vec<Attribute<'_, '_>> = node.attributes().collect();
        attributes.sort_by_key(|attribute| attribute.name());
        for attribute in &attributes {
            let permitted = match place {
                Place::Element(element) => {
                    attribute.namespace().is_none() && element.has_attribute(attribute.name())
                }
                Place::Collection(_) => false,
            };
            let reason = if !permitted {
                Reason::DisallowedAttributeRemoved
            } else if values::is_dynamic(attribute.value()) {
                Reason::InvalidAttributeValueRemoved
            } else {
                values::check(element, attribute.name(), attribute.value())
                    .map_err(|reason| invalid(&reason))?;
                continue;
            };
            self.cuts.push(self.with_space_before(attribute.range()));
            self.warnings.push(SanitizationWarning {
                element: element.to_owned(),
                attribute: Some(attribute.name().to_owned()),
                reason,
            });
        }
        if let Some(missing) = values::missing(element, |name| node.has_attribute(name)) {
            return Err(invalid(&format!(
                "cvc-complex-type.4: Attribute '{missing}' must appear on element '{element}'."
            )));
        }
        Ok(())
    }

    /// The range of an attribute with the white space that parts it from what stands before.
    fn with_space_before(&self, range: Range<usize>) -> Range<usize> {
        self.text[..range.start].trim_end().len()..range.end
    }

    fn finish(mut self) -> Sanitized {
        self.warnings.truncate(WARNINGS_MAX);
        if self.cuts.is_empty() {
            return Sanitized {
                text: None,
                warnings: self.warnings,
            };
        }
        self.cuts.sort_by_key(|cut| cut.start);
        let mut kept = String::with_capacity(self.text.len());
        let mut at = 0;
        for cut in &self.cuts {
            kept.push_str(&self.text[at..cut.start]);
            at = cut.end;
        }
        kept.push_str(&self.text[at..]);
        Sanitized {
            text: Some(kept),
            warnings: self.warnings,
        }
    }
}

/// Whether the element's own text would be computed by the engine.
fn has_expression(node: &Node<'_, '_>) -> bool {
    node.children()
        .filter(Node::is_text)
        .filter_map(|child| child.text())
        .any(values::is_dynamic)
}

#[cfg(test)]
mod tests;
