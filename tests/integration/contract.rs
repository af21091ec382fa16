//! The router serves exactly what `api-spec/mq.openapi.yaml` describes.

use std::collections::BTreeMap;

use serde_yaml_ng::Value;

const METHODS: &[&str] = &["get", "put", "post", "delete", "patch"];

fn specified() -> BTreeMap<(String, String), String> {
    let path = test_support::directory::repository().join("api-spec/mq.openapi.yaml");
    let text = std::fs::read_to_string(path).expect("the specification is readable");
    let document: Value = serde_yaml_ng::from_str(&text).expect("the specification is YAML");
    let mut found = BTreeMap::new();
    for (path, item) in document["paths"].as_mapping().expect("paths") {
        for method in METHODS {
            let operation = &item[*method];
            if operation.is_null() {
                continue;
            }
            let id = operation["operationId"]
                .as_str()
                .expect("every operation has an id");
            let path = path.as_str().expect("paths are strings").to_owned();
            found.insert((method.to_uppercase(), path), id.to_owned());
        }
    }
    found
}

#[test]
fn routes_and_specification_name_the_same_operations() {
    let served: BTreeMap<(String, String), String> = warren::api::ROUTES
        .iter()
        .map(|(method, path, operation)| {
            (
                ((*method).to_owned(), (*path).to_owned()),
                (*operation).to_owned(),
            )
        })
        .collect();
    assert_eq!(served, specified());
}
