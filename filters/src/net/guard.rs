//! Whether an address is of the public internet: what is learned from others may lead nowhere else.
//!
//! **Invariant:** an address that carries another one is judged by that, too: v4-mapped and -compatible,
//! 6to4, NAT64 and Teredo.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is one that anybody may reach: no loopback, private, link-local, shared (CGNAT),
/// multicast, documentation or reserved one, and none of a cloud's metadata.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Names under which clouds serve metadata to their machines. What they lead to is closed as well, but a
/// resolver may be told otherwise, or not know.
const METADATA_NAMES: [&str; 6] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "instance-data",
    "instance-data.ec2.internal",
];

/// Whether a name is one of a cloud's metadata. Names are the same in any case, and with a dot at their
/// end.
#[must_use]
pub fn is_metadata(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let mut names = METADATA_NAMES.iter();
    names.any(|name| name.eq_ignore_ascii_case(host))
}

/// Networks of IANA's registry of special-purpose addresses that are not globally reachable, and
/// multicast.
const CLOSED_V4: [([u8; 4], u32); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    // Link-local, and with it most clouds' metadata.
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    // What Azure's machines ask their host for, credentials among it, lies in a public network.
    ([168, 63, 129, 16], 32),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_in = |(network, length): &([u8; 4], u32)| {
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or_default();
        u32::from(address) & mask == u32::from_be_bytes(*network) & mask
    };
    !CLOSED_V4.iter().any(is_in)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match [a, b, c, d, e, f] {
        // v4-mapped, v4-compatible (`::` and `::1` among them), and v4-translated.
        [0, 0, 0, 0, 0, 0xFFFF | 0] | [0, 0, 0, 0, 0xFFFF, 0] => is_public_v4(v4(g, h)),
        // NAT64: the well-known prefix, and the one for private use.
        [0x64, 0xFF9B, 0, 0, 0, 0] => is_public_v4(v4(g, h)),
        [0x64, 0xFF9B, 1, ..] => false,
        // 6to4.
        [0x2002, ..] => is_public_v4(v4(b, c)),
        // Teredo, benchmarking, ORCHID and documentation.
        [0x2001, 0..=0x1FF, ..] | [0x2001, 0xDB8, ..] | [0x3FFF, 0..=0xFFF, ..] => false,
        // Of the rest, only what is assigned as global unicast.
        _ => a & 0xE000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metadata_name_is_one_in_any_spelling() {
        for name in [
            "metadata.google.internal",
            "METADATA.google.Internal.",
            "instance-data",
            "metadata",
        ] {
            assert!(is_metadata(name), "{name}");
        }
        for name in ["metadata.example.com", "google.internal", "", "."] {
            assert!(!is_metadata(name), "{name}");
        }
    }

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        for (address, expected) in [
            ("8.8.8.8", true),
            ("1.1.1.1", true),
            ("100.63.255.255", true),
            ("100.128.0.0", true),
            ("172.15.255.255", true),
            ("172.32.0.0", true),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("100.64.0.1", false),
            ("100.100.100.200", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.0.0.192", false),
            ("168.63.129.16", false),
            ("168.63.129.17", true),
            ("::ffff:168.63.129.16", false),
            ("192.168.1.1", false),
            ("198.19.0.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("2606:4700:4700::1111", true),
            ("::", false),
            ("::1", false),
            ("::ffff:8.8.8.8", true),
            ("::ffff:127.0.0.1", false),
            ("::ffff:169.254.169.254", false),
            ("::10.0.0.1", false),
            ("::ffff:0:10.0.0.1", false),
            ("64:ff9b::8.8.8.8", true),
            ("64:ff9b::10.0.0.1", false),
            ("64:ff9b:1::1", false),
            ("2002:808:808::1", true),
            ("2002:a00:1::1", false),
            ("2002:7f00:1::", false),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", false),
            ("2001:db8::1", false),
            ("2001:4860:4860::8888", true),
            ("fc00::1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
            ("100::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }
}
