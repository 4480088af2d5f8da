//! Where a cache may send us: a redirect, or an archive at an address of its own.
//!
//! Never from https to http, and never from a public host to one of this machine
//! or its network, which could then be made to answer things they tell nobody
//! else.

use std::net::{IpAddr, Ipv4Addr};

use url::{Host, Url};

use crate::client::Trouble;

/// Where an answer from one address sends us, if we may go there.
pub(crate) async fn follow(from: &Url, target: &str) -> Result<Url, Trouble> {
    let refuse = |why: &str| Err(Trouble::Redirect(why.to_owned()));
    let Ok(to) = from.join(target) else {
        return refuse("its target is no address");
    };
    match (from.scheme(), to.scheme()) {
        ("https" | "http", "https") | ("http", "http") => {}
        ("https", "http") => return refuse("from https to http"),
        _ => return refuse("to something that is not HTTP"),
    }
    if from.host() != to.host() && !reaches_inside(from).await && reaches_inside(&to).await {
        return refuse("from a public host to this machine or its own network");
    }
    Ok(to)
}

/// Whether a host is this machine, or next to it.
async fn reaches_inside(url: &Url) -> bool {
    let port = url.port_or_known_default().unwrap_or(0);
    match url.host() {
        Some(Host::Ipv4(address)) => is_inside(address.into()),
        Some(Host::Ipv6(address)) => is_inside(address.into()),
        Some(Host::Domain(name)) => match tokio::net::lookup_host((name, port)).await {
            Ok(mut addresses) => addresses.any(|address| is_inside(address.ip())),
            Err(_) => false,
        },
        None => true,
    }
}

/// Whether an address is this machine's or its network's.
pub(crate) fn is_inside(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_loopback()
                || address.is_link_local()
                || address.is_private()
                // This network, and the one behind a carrier's translator.
                || first == 0
                || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(address) => {
            // A translator's name for an IPv4 address reaches what that does.
            if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() {
                let bits = u32::from(high) << 16 | u32::from(low);
                return is_inside(Ipv4Addr::from_bits(bits).into());
            }
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::follow;
    use crate::client::Trouble;

    fn to(from: &str, target: &str) -> Result<String, Trouble> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let from = Url::parse(from).expect(from);
        runtime.block_on(follow(&from, target)).map(String::from)
    }

    fn why(from: &str, target: &str) -> String {
        match to(from, target) {
            Err(Trouble::Redirect(why)) => why,
            other => panic!("{from} to {target}: {other:?}"),
        }
    }

    #[test]
    fn what_is_followed() {
        let found = to("https://9.9.9.9/a/", "../b?c=d").expect("the same host");
        assert_eq!(found, "https://9.9.9.9/b?c=d");
        for (from, target) in [
            ("http://9.9.9.9", "https://9.9.9.9"),
            ("http://9.9.9.9", "https://8.8.8.8/x"),
            ("http://127.0.0.1:1", "http://127.0.0.1:2"),
            ("http://127.0.0.1", "http://192.168.0.1"),
            ("http://192.168.0.1", "http://9.9.9.9"),
            ("http://9.9.9.9", "http://100.128.0.1"),
            ("http://9.9.9.9", "http://[64:ff9b::9.9.9.9]"),
        ] {
            assert!(to(from, target).is_ok(), "{from} to {target}");
        }
    }

    #[test]
    fn what_is_not() {
        assert_eq!(why("https://9.9.9.9", "http://9.9.9.9"), "from https to http");
        for target in ["file:///etc/passwd", "ftp://9.9.9.9", "data:,x"] {
            assert_eq!(why("http://9.9.9.9", target), "to something that is not HTTP", "{target}");
        }
        assert_eq!(why("http://9.9.9.9", "http://["), "its target is no address");
        for host in [
            "127.0.0.1",
            "127.1",
            "0.0.0.0",
            "0x7f000001",
            "169.254.169.254",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[fe80::1]",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
            "0.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b::10.0.0.1]",
        ] {
            let found = why("https://9.9.9.9", &format!("https://{host}/x"));
            assert!(found.starts_with("from a public host"), "{host}: {found}");
        }
    }
}
