//! narinfos, from any bytes: what is read can be written as Nix writes it, and
//! then says and proves the same.

use super::super::narinfo::{self, STORE};
use caches::judge::judge;
use caches::key::{Keys, PublicKey};
use caches::narinfo::NarInfo;

/// Hold the laws for an input.
pub fn run(data: &[u8]) {
    let Ok(info) = NarInfo::parse(data, STORE) else { return };
    assert!(info.nar_size_bytes > 0 && !info.url.is_empty());
    let print = info.fingerprint(STORE);
    assert!(!print.contains('\n') && print.starts_with("1;/nix/store/"));
    assert_eq!(print.split(';').count(), 5);

    let again = narinfo::written(&info);
    let canonical = NarInfo::parse(again.as_bytes(), STORE).expect("what we write");
    let sorted = NarInfo { is_sorted: true, ..info.clone() };
    assert_eq!(canonical, sorted, "round trip");
    assert_eq!(canonical.fingerprint(STORE), print);

    // Whoever is trusted, it makes no difference how it was written.
    let keys = Keys::new(narinfo::keys(&info));
    let own = judge(&info, &keys, STORE).map(|judged| judged.verdict);
    assert_eq!(own, judge(&canonical, &keys, STORE).map(|judged| judged.verdict));

    // Signed by a key of ours, it is verified by that and by no other.
    let mut signed = canonical.clone();
    signed.signatures = vec![narinfo::sign(&print, 1)];
    let judged = |keys: Vec<PublicKey>| {
        judge(&signed, &Keys::new(keys), STORE).expect("a whole signature").key
    };
    assert_eq!(judged(vec![narinfo::key("a", 1)]).map(|key| key.name), Some("a".to_owned()));
    assert_eq!(judged(vec![narinfo::key("b", 1)]), None, "another name");
    assert_eq!(judged(vec![narinfo::key("a", 2)]), None, "other bytes");
    signed.nar_size_bytes ^= 1;
    assert_eq!(judge(&signed, &Keys::new([narinfo::key("a", 1)]), STORE).expect("whole").key, None);
}
