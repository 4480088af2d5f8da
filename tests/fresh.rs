//! The README's first command on machines that were never used.

use std::path::PathBuf;

use crate::tools::{apart, real_nix, text};

/// Runs `cargo xtask all` from a clone, in a Debian that has git, a C compiler and
/// this machine's Rust: in a new one without $BASE, else in $BASE, with its Nix.
const FRESH: &str = r#"
    mount -t tmpfs none .
    cd "$PWD"
    mkdir root upper work
    packages=git,gcc,libc6-dev,ca-certificates
    if [ -n "$BASE" ]; then
        mount -t overlay -o "lowerdir=$BASE,upperdir=$PWD/upper,workdir=$PWD/work" none root
    else
        mmdebstrap --quiet --variant=minbase --include=$packages bookworm root "$MIRROR"
    fi
    # What apt needs to reach its mirror from in there, too.
    for file in /etc/resolv.conf /etc/hosts /etc/apt/apt.conf.d; do
        if [ -e "$file" ]; then cp -r "$file" "root$(dirname "$file")/"; fi
    done
    for folder in /proc /dev /sys "$CARGO_HOME" "$RUSTUP_HOME"; do
        mkdir -p "root$folder"
        mount --rbind "$folder" "root$folder"
    done
    git clone --quiet "$CHECKOUT" root/root/nixpace
    inside() {
        chroot root env --ignore-environment HOME=/root DEBIAN_FRONTEND=noninteractive \
            CARGO_HOME="$CARGO_HOME" RUSTUP_HOME="$RUSTUP_HOME" \
            PATH="$CARGO_HOME/bin:/usr/sbin:/usr/bin:/sbin:/bin" "$@"
    }
    if [ -n "$BASE" ]; then
        inside apt-get update >&2
        inside apt-get install -y --no-install-recommends $(echo $packages | tr , ' ') >&2
    fi
    inside sh -c 'cd ~/nixpace && cargo xtask all && ls target/nixpace'
"#;

#[test]
#[ignore = "downloads Debian, and compiles everything twice: half an hour"]
fn the_readme_s_command_works_on_a_debian_of_today() {
    let home = |name: &str, folder: &str| {
        let set = std::env::var_os(name).map(PathBuf::from);
        set.unwrap_or_else(|| std::env::home_dir().expect("a home").join(folder))
    };
    let newest = real_nix().into_iter().find(|nix| nix.version == "2.34");
    let newest = newest.map(|nix| nix.bin.with_file_name("root").display().to_string());
    let cases = [(String::new(), "which is assumed"), (newest.unwrap_or_default(), "Nix 2.34")];
    for (base, expected) in cases {
        let script = format!(
            "BASE='{base}' MIRROR=http://deb.debian.org/debian CARGO_HOME='{}' RUSTUP_HOME='{}'\n{FRESH}",
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
