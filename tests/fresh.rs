//! The README's two commands on machines that were never used.

use std::path::PathBuf;

use crate::tools::{apart, text};

/// Runs both from a clone, in a new Debian $RELEASE that has git, a C compiler, this
/// machine's Rust, and $MORE.
// It takes the place of this machine's root, and is not only a root that programs see:
// Nix 2.8 goes back to the real one for what it runs instead of ssh. The clone is where
// others than root may run what is built. Where this machine reaches registries by
// certificates of its own, so does the tree.
const FRESH: &str = r#"
    mkdir root
    mount --bind root root
    # A mirror's copy of sid may be days old; signatures are checked all the same.
    mmdebstrap --quiet --variant=minbase --include="git,gcc,libc6-dev,ca-certificates$MORE" \
        --aptopt='Acquire::Check-Valid-Until "false"' "$RELEASE" root "$MIRROR"
    for folder in /proc /dev /sys "$CARGO_HOME" "$RUSTUP_HOME"; do
        mkdir -p "root$folder"
        mount --rbind "$folder" "root$folder"
    done
    echo '127.0.0.1 localhost' > root/etc/hosts
    certificates=/etc/ssl/certs/ca-certificates.crt
    if [ -e $certificates ]; then cp $certificates root$certificates; fi
    git clone --quiet "$CHECKOUT" root/srv/nixpace
    cd root
    pivot_root . mnt
    umount --lazy mnt
    inside() {
        env --ignore-environment HOME=/root DEBIAN_FRONTEND=noninteractive \
            CARGO_HOME="$CARGO_HOME" RUSTUP_HOME="$RUSTUP_HOME" \
            PIP_CERT=$certificates NODE_EXTRA_CA_CERTS=$certificates \
            PATH="$CARGO_HOME/bin:/usr/sbin:/usr/bin:/sbin:/bin" "$@"
    }
    cd /srv/nixpace
    inside cargo xtask all
    ls target/nixpace
    inside cargo xtask test 2>&1
"#;

#[test]
#[ignore = "downloads Debian, and compiles everything twice: an hour"]
fn the_readme_s_commands_work_on_a_debian_of_today() {
    let home = |name: &str, folder: &str| {
        let set = std::env::var_os(name).map(PathBuf::from);
        set.unwrap_or_else(|| std::env::home_dir().expect("a home").join(folder))
    };
    let cases = [("sid", ",nix-bin", "Nix 2.34"), ("bookworm", "", "which is assumed")];
    for (release, more, expected) in cases {
        let script = format!(
            "RELEASE={release} MORE={more} MIRROR=http://deb.debian.org/debian \
             CARGO_HOME='{}' RUSTUP_HOME='{}'\n{FRESH}",
            home("CARGO_HOME", ".cargo").display(),
            home("RUSTUP_HOME", ".rustup").display(),
        );
        let Some(output) = apart(&script) else { return };
        let said = text(&output.stdout);
        assert!(output.status.success(), "{said}{}", text(&output.stderr));
        assert!(said.contains(expected), "{said}");
        for document in ["hardware.json", "nix.conf", "nixos.nix", "plan.json", "report.txt"] {
            assert!(said.lines().any(|line| line == document), "{document}: {said}");
        }
    }
}
