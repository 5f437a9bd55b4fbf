//! At which addresses webhooks may be told: those of the public internet, and what the operator allows besides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// What is not the public internet (IANA's registries of special-purpose addresses; multicast, and all that is not global
/// unicast in IPv6). 6to4 and Teredo are among it: they lead to any IPv4 address.
const INSIDE_V4: [(Ipv4Addr, u8); 15] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Global unicast, of which these are not public.
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const INSIDE_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Where webhooks may be told.
#[derive(Debug, Clone, Default)]
pub(super) struct Addresses {
    /// What the operator allows besides the public internet.
    pub(super) allowed: Vec<IpNet>,
}

impl Addresses {
    /// Whether the operator has named it.
    pub(super) fn names(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed.iter().any(|network| network.contains(&address))
    }

    /// Whether webhooks may be told there.
    pub(super) fn allows(&self, address: IpAddr) -> bool {
        self.names(address) || is_public(address.to_canonical())
    }
}

fn is_public(address: IpAddr) -> bool {
    let lies_in = |network: IpAddr, bits| IpNet::new(network, bits).is_ok_and(|network| network.contains(&address));
    match address {
        IpAddr::V4(_) => !INSIDE_V4
            .iter()
            .any(|(network, bits)| lies_in(IpAddr::V4(*network), *bits)),
        IpAddr::V6(_) => {
            let (global, bits) = GLOBAL_V6;
            lies_in(IpAddr::V6(global), bits)
                && !INSIDE_V6
                    .iter()
                    .any(|(network, bits)| lies_in(IpAddr::V6(*network), *bits))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(text: &str) -> bool {
        Addresses::default().allows(text.parse().unwrap())
    }

    #[test]
    fn the_public_internet_is_allowed() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:1.1.1.1",
        ] {
            assert!(allows(text), "{text}");
        }
    }

    #[test]
    fn the_inside_is_not() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
        ] {
            assert!(!allows(text), "{text}");
        }
    }

    #[test]
    fn what_the_operator_names_is_allowed_and_nothing_beside_it() {
        let addresses = Addresses {
            allowed: vec!["192.168.7.0/24".parse().unwrap(), "fd00:7::/32".parse().unwrap()],
        };
        for (text, allowed) in [
            ("192.168.7.9", true),
            ("::ffff:192.168.7.9", true),
            ("192.168.8.9", false),
            ("fd00:7::9", true),
            ("fd00:8::9", false),
        ] {
            assert_eq!(addresses.allows(text.parse().unwrap()), allowed, "{text}");
        }
    }
}
