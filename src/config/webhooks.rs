//! Webhooks: programs that organizations choose, and at which addresses they may be.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::sections::maybe_empty;

/// Networks, or single addresses.
fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let network = |text: &String| {
        let alone = || text.parse::<IpAddr>().map(IpNet::from);
        let network = text.parse::<IpNet>().or_else(|_| alone());
        network.map_err(|_| D::Error::custom(format!("{text} is no network, such as 192.168.7.0/24, and no address")))
    };
    texts.iter().map(network).collect()
}

/// Where webhooks may be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    /// Networks beside the public internet, such as `192.168.7.0/24`. By their literal addresses webhooks there may be told
    /// by plain HTTP too.
    #[serde(deserialize_with = "networks")]
    pub allow_networks: Vec<IpNet>,
    /// An authority to trust besides those that this machine trusts, in PEM.
    #[serde(with = "maybe_empty")]
    pub ca_file: Option<PathBuf>,
}
