//! Webhooks: programs that organizations choose, and at which addresses they may be.

use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::sections::maybe_empty;

/// Where webhooks may be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    /// Networks beside the public internet, such as `192.168.7.0/24`. By their literal addresses webhooks there may be told
    /// by plain HTTP too.
    pub allow_networks: Vec<IpNet>,
    /// An authority to trust besides those that this machine trusts, in PEM.
    #[serde(with = "maybe_empty")]
    pub ca_file: Option<PathBuf>,
}
