//! The link that the default route uses.

use crate::hardware::Network;
use crate::root::Root;

/// Bridges on bonds on VLANs: deeper is a circle.
const MOST_LAYERS: usize = 8;

/// Look at the interface of the default route; all unknown when there is none.
pub fn network(root: &Root) -> Network {
    let routes = root.read("proc/net/route").unwrap_or_default();
    let Some(route) = default_interface(&routes) else {
        return Network::default();
    };
    let name = physical(root, route);
    let folder = format!("sys/class/net/{name}");
    if !root.exists(&folder) {
        return Network::default();
    }
    let device = format!("{folder}/device");
    let is_virtual = !root.exists(&device) || {
        let card = root.device(std::path::Path::new(&format!("/sys/class/net/{name}")));
        let path = card.unwrap_or_default();
        path.iter().any(|part| {
            let part = part.to_string_lossy();
            ["virtio", "vif-", "VMBUS"].iter().any(|prefix| part.starts_with(prefix))
        })
    };
    Network {
        // -1 on virtual cards, and an error when the link is down.
        link_speed_mbps: root.word(format!("{folder}/speed")).and_then(|text| text.parse().ok()),
        wireless: Some(
            root.exists(format!("{folder}/wireless")) || root.exists(format!("{folder}/phy80211")),
        ),
        is_virtual: Some(is_virtual),
    }
}

/// The interface with the cheapest route to everywhere in /proc/net/route.
fn default_interface(routes: &str) -> Option<&str> {
    let route = |line| {
        let words: Vec<&str> = str::split_whitespace(line).collect();
        let everywhere = words.get(1) == Some(&"00000000") && words.get(7) == Some(&"00000000");
        let metric: u32 = words.get(6)?.parse().ok()?;
        everywhere.then_some((metric, words[0]))
    };
    let cheapest = routes.lines().skip(1).filter_map(route).min_by_key(|(metric, _)| *metric);
    cheapest.map(|(_, interface)| interface)
}

/// The device below a bridge, bond or VLAN.
fn physical(root: &Root, name: &str) -> String {
    let mut name = name.to_owned();
    for _ in 0..MOST_LAYERS {
        if root.exists(format!("sys/class/net/{name}/device")) {
            break;
        }
        let entries = root.list(format!("sys/class/net/{name}"));
        let lower = entries.iter().filter_map(|entry| entry.strip_prefix("lower_"));
        // A bridge also carries the virtual links of containers.
        let real = |lower: &&str| root.exists(format!("sys/class/net/{lower}/device"));
        match lower.clone().find(real).or_else(|| lower.clone().next()) {
            Some(lower) => lower.clone_into(&mut name),
            None => break,
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::default_interface;

    #[test]
    fn the_cheapest_default_route() {
        let routes = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
            eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        assert_eq!(default_interface(routes), Some("eth0"));
        assert_eq!(default_interface("Iface\n"), None);
        assert_eq!(default_interface(""), None);
    }
}
