//! What the machine runs in: a hypervisor, a container, a CI system, a lap.
//!
//! A virtual machine and a container are two facts: a container in a virtual
//! machine is both (systemd-detect-virt says just one).

use crate::hardware::Environment;
use crate::root::Root;

/// What `/sys/class/dmi/id` names hold, as systemd lists them in
/// `src/basic/virt.c`, and the hypervisor they mean.
const DMI: [(&str, &str); 16] = [
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("Google Compute Engine", "google"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "virtualbox"),
    ("VirtualBox", "virtualbox"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "hyperv"),
    ("Apple Virtualization", "apple"),
];

/// Chassis types of portable computers (SMBIOS, "System Enclosure or Chassis
/// Types": portable, laptop, notebook, sub notebook, convertible, detachable).
pub(crate) const PORTABLE: [u64; 6] = [8, 9, 10, 14, 31, 32];

/// Variables that CI systems set, and their names. The general `CI` comes last,
/// and those who also set GitHub's variable come before it.
const CI: [(&str, &str); 12] = [
    ("FORGEJO_ACTIONS", "forgejo-actions"),
    ("GITEA_ACTIONS", "gitea-actions"),
    ("GITHUB_ACTIONS", "github-actions"),
    ("GITLAB_CI", "gitlab-ci"),
    ("BUILDKITE", "buildkite"),
    ("CIRCLECI", "circleci"),
    ("CIRRUS_CI", "cirrus-ci"),
    ("GARNIX_CI", "garnix"),
    ("JENKINS_URL", "jenkins"),
    ("TF_BUILD", "azure-pipelines"),
    ("TRAVIS", "travis-ci"),
    ("CI", "unknown"),
];

/// Look around. `variable` reads an environment variable of this process; for
/// a captured tree it should know none.
pub fn environment(root: &Root, variable: &dyn Fn(&str) -> Option<String>) -> Environment {
    let set = |name: &str| variable(name).is_some_and(|value| !matches!(&*value, "" | "false"));
    Environment {
        virtual_machine: virtual_machine(root),
        container: container(root),
        ci: CI.iter().find(|(name, _)| set(name)).map(|(_, system)| (*system).to_owned()),
        laptop: laptop(root),
        kvm: root.exists("dev").then(|| root.exists("dev/kvm")),
    }
}

fn virtual_machine(root: &Root) -> Option<String> {
    let release = root.word("proc/sys/kernel/osrelease").unwrap_or_default().to_lowercase();
    if release.contains("microsoft") || release.contains("wsl") {
        return Some("wsl".to_owned());
    }
    let dmi = ["product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version"];
    let names = dmi.iter().filter_map(|file| root.word(format!("sys/class/dmi/id/{file}")));
    // Amazon's own machines, as of `m7i.metal-24xl`, bear its name, too.
    let is_metal = root.word("sys/class/dmi/id/product_name").is_some_and(|n| n.contains(".metal"));
    for name in names {
        let means = |&&(prefix, hypervisor): &&(&str, &str)| {
            name.starts_with(prefix) && !(is_metal && hypervisor == "amazon")
        };
        if let Some((_, hypervisor)) = DMI.iter().find(means) {
            return Some((*hypervisor).to_owned());
        }
    }
    // Xen's first domain sees the hypervisor too, but owns the hardware.
    let first_domain =
        root.word("proc/xen/capabilities").is_some_and(|text| text.contains("control_d"));
    if let Some(kind) = root.word("sys/hypervisor/type").filter(|_| !first_domain) {
        return Some(kind);
    }
    if let Some(name) = root.word("proc/device-tree/hypervisor/compatible") {
        return Some(if name.contains("kvm") { "kvm".to_owned() } else { name });
    }
    let mainframe = root.read("proc/sysinfo").unwrap_or_default();
    if mainframe.contains("z/VM") {
        return Some("zvm".to_owned());
    }
    if mainframe.contains("KVM/Linux") {
        return Some("kvm".to_owned());
    }
    // Firecracker and others tell nothing but the processor's own flag.
    let info = root.read("proc/cpuinfo").unwrap_or_default();
    let flags = info.lines().find(|line| line.starts_with("flags"))?;
    flags.split_whitespace().any(|flag| flag == "hypervisor").then(|| "unknown".to_owned())
}

fn container(root: &Root) -> Option<String> {
    if let Some(name) = root.word("run/systemd/container") {
        return Some(name);
    }
    // Readable by root alone; elsewhere the marks that engines leave must do.
    let environ = root.read("proc/1/environ").unwrap_or_default();
    let named = environ.split('\0').find_map(|pair| pair.strip_prefix("container="));
    if let Some(name) = named.filter(|name| !name.is_empty()) {
        return Some(name.to_owned());
    }
    let marks = [
        ("run/.containerenv", "podman"),
        (".dockerenv", "docker"),
        ("var/run/secrets/kubernetes.io", "kubernetes"),
        ("dev/lxd", "lxc"),
    ];
    if let Some((_, engine)) = marks.iter().find(|(mark, _)| root.exists(mark)) {
        return Some((*engine).to_owned());
    }
    let vz = root.exists("proc/vz") && !root.exists("proc/bc");
    vz.then(|| "openvz".to_owned())
}

fn laptop(root: &Root) -> Option<bool> {
    let supplies = "sys/class/power_supply";
    let is_battery = |name: &String| {
        let folder = format!("{supplies}/{name}");
        // A mouse's battery has the scope "Device".
        root.word(format!("{folder}/type")).as_deref() == Some("Battery")
            && root.word(format!("{folder}/scope")).as_deref() != Some("Device")
    };
    if root.list(supplies).iter().any(is_battery) {
        return Some(true);
    }
    match root.number("sys/class/dmi/id/chassis_type") {
        Some(chassis) => Some(PORTABLE.contains(&chassis)),
        None => root.exists(supplies).then_some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::environment;
    use crate::fixture::tree;
    use crate::hardware::Environment;

    fn look(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Environment {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        environment(&tree(files).root, &variable)
    }

    #[test]
    fn a_container_in_a_virtual_machine_is_both() {
        let found = look(
            &[("sys/class/dmi/id/sys_vendor", "QEMU\n"), (".dockerenv", "")],
            &[("CI", "true"), ("GITHUB_ACTIONS", "true")],
        );
        assert_eq!(found.virtual_machine.as_deref(), Some("qemu"));
        assert_eq!(found.container.as_deref(), Some("docker"));
        assert_eq!(found.ci.as_deref(), Some("github-actions"));
        assert_eq!(found.laptop, None);
    }

    #[test]
    fn who_speaks_like_github_is_named() {
        for (own, name) in
            [("GITEA_ACTIONS", "gitea-actions"), ("FORGEJO_ACTIONS", "forgejo-actions")]
        {
            let variables = [("CI", "true"), ("GITHUB_ACTIONS", "true"), (own, "true")];
            assert_eq!(look(&[], &variables).ci.as_deref(), Some(name));
        }
    }

    #[test]
    fn bare_metal_of_amazon_is_no_virtual_machine() {
        let vendor = ("sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
        let of = |product| look(&[vendor, ("sys/class/dmi/id/product_name", product)], &[]);
        assert_eq!(of("m7i.large\n").virtual_machine.as_deref(), Some("amazon"));
        assert_eq!(of("m7i.metal-24xl\n").virtual_machine, None);
    }

    #[test]
    fn nothing_is_null() {
        let found = look(&[("proc/cpuinfo", "flags\t: fpu\n")], &[("CI", "false")]);
        assert_eq!(found, Environment::default());
    }

    #[test]
    fn a_mouse_makes_no_laptop() {
        let mouse = [
            ("sys/class/power_supply/hid/type", "Battery\n"),
            ("sys/class/power_supply/hid/scope", "Device\n"),
        ];
        assert_eq!(look(&mouse, &[]).laptop, Some(false));
        let battery = [("sys/class/power_supply/BAT0/type", "Battery\n")];
        assert_eq!(look(&battery, &[]).laptop, Some(true));
        assert_eq!(look(&[("sys/class/dmi/id/chassis_type", "10\n")], &[]).laptop, Some(true));
    }
}
