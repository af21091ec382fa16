//! Forms in any bytes, and documents with any text in them.

use super::{Form, assume_role, xml::Element};

pub fn forms(bytes: &[u8]) {
    let form = Form::of_body(bytes);
    let members = bytes.iter().filter(|byte| **byte == b'&').count() + 1;
    let request = assume_role(&form);
    assert!(request.policy_arns.len() + request.tags.len() <= members);
    let texts = [&request.role_arn, &request.session_name, &request.policy];
    let mut texts = texts.into_iter().flatten().chain(&request.policy_arns);
    assert!(!texts.any(|text| text.contains('\0')));
    // Whatever was sent can be told in an answer, and is read there as it was but for what XML has no way to write.
    let text = String::from_utf8_lossy(bytes);
    let document = Element::new("Answer")
        .attribute("xmlns", &text)
        .text("Told", &text)
        .to_string();
    let read = roxmltree::Document::parse(&document).expect("an answer is XML");
    let told = read.root_element().first_element_child();
    let told = told.and_then(|told| told.text()).unwrap_or_default();
    assert!(told.chars().count() <= text.chars().count());
}
