use super::{Known, build_group, each_once};
use crate::active::Source;
use crate::active::worker::Pair;

#[test]
fn only_groups_of_builds_are_groups_of_builds() {
    let uid = "/nix.slice/nix-daemon.service/nix-build-uid-30001";
    for (path, expected) in [
        (uid, Some(uid)),
        (&format!("{uid}/inner/x"), Some(uid)),
        ("/nix-build-pid-7-12", Some("/nix-build-pid-7-12")),
        ("/system.slice/nix-build-foo.service", None),
        ("/system.slice/nix-build-uid-1.service", None),
        ("/nix-build-uid-", None),
        ("/", None),
        ("", None),
    ] {
        assert_eq!(build_group(path), expected, "{path}");
    }
}

#[test]
fn what_is_open_comes_before_what_is_said() {
    let known = |source, user| Known {
        worker: 7,
        store: None,
        client: None,
        pair: Pair { derivation: "a.drv".to_owned(), user, builder: None },
        cgroup: None,
        source,
        name: "a".to_owned(),
    };
    let said = || vec![known(Source::ActiveBuilds, Some(2))];
    let first = |by_files| {
        let known = each_once(by_files, said(), vec![known(Source::Locks, Some(3))]);
        known.iter().map(|build| (build.source, build.pair.user)).collect::<Vec<_>>()
    };
    let whole = vec![known(Source::OpenFiles, Some(1))];
    assert_eq!(first(whole), [(Source::OpenFiles, Some(1))]);
    let part = vec![known(Source::OpenFiles, None)];
    assert_eq!(first(part), [(Source::ActiveBuilds, Some(2))], "it says by whom");
}
