//! Who calls, from where, in which region.

use std::net::IpAddr;

use crate::model::{Region, RequestId, principal::Principal};

#[derive(Debug, Clone)]
pub struct Caller {
    pub principal: Principal,
    /// The region that the request is for.
    pub region: Region,
    pub request_id: RequestId,
    pub source_address: Option<IpAddr>,
}
