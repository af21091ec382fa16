//! An LDAP directory on the wire, without its secret.

use serde::Serialize;

use crate::model::broker::Directory;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct LdapServer {
    hosts: Vec<String>,
    role_base: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_name: Option<String>,
    role_search_matching: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_search_subtree: Option<bool>,
    service_account_username: String,
    user_base: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_role_name: Option<String>,
    user_search_matching: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_search_subtree: Option<bool>,
}

impl From<Directory> for LdapServer {
    fn from(directory: Directory) -> Self {
        Self {
            hosts: directory.hosts,
            role_base: directory.role_base,
            role_name: directory.role_name,
            role_search_matching: directory.role_search_matching,
            role_search_subtree: directory.role_search_subtree,
            service_account_username: directory.service_account_username,
            user_base: directory.user_base,
            user_role_name: directory.user_role_name,
            user_search_matching: directory.user_search_matching,
            user_search_subtree: directory.user_search_subtree,
        }
    }
}
