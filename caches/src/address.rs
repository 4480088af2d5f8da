//! Where a cache is, as `substituters` says it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use detect::nix::SECRET;
use profile::refuse;
use url::Url;

/// A cache's address.
///
/// **Invariant:** what is printed of it holds no user, password or token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    place: Place,
    shown: String,
    is_plain: bool,
}

/// How it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// By HTTP; the path ends with a slash, and the query is gone.
    Http(Url),
    /// A folder of this machine.
    Folder(PathBuf),
    /// By something that only Nix speaks: the whole address.
    Other(String),
}

/// Parameters of an address that say something to people and nothing secret.
const SHOWN: [&str; 4] = ["priority", "trusted", "want-mass-query", "compression"];

impl Address {
    /// An address by its text; what is wrong with it otherwise.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Err("a store of this machine, not a cache: file:// makes it one".to_owned());
        }
        let url = Url::parse(text).map_err(|error| format!("no address: {error}"))?;
        let mut shown = url.clone();
        // Both fail only where there is no host, and so nobody to log in as.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        shown.set_fragment(None);
        let pairs = url.query_pairs().filter(|(name, _)| SHOWN.contains(&&**name));
        let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
        shown.set_query((!pairs.is_empty()).then(|| pairs.join("&")).as_deref());
        let place = match url.scheme() {
            "http" | "https" => {
                let mut root = url.clone();
                root.set_query(None);
                root.set_fragment(None);
                // `detect` keeps logins out of its document; what stands for them
                // logs nobody in.
                if [url.password(), Some(url.username())].contains(&Some(SECRET)) {
                    let _ = root.set_username("");
                    let _ = root.set_password(None);
                }
                if !root.path().ends_with('/') {
                    root.set_path(&format!("{}/", root.path()));
                }
                Place::Http(root)
            }
            "file" => match url.to_file_path() {
                Ok(path) => Place::Folder(path),
                Err(()) => {
                    return Err("file:// with a host: only folders of this machine".to_owned());
                }
            },
            _ => Place::Other(text.to_owned()),
        };
        let shown = String::from(shown);
        // As people write it; `Url` puts a slash after a bare host.
        let bare = matches!(place, Place::Http(_)) && !text.ends_with('/');
        let shown = if bare { shown.trim_end_matches('/').to_owned() } else { shown };
        let has_login = !url.username().is_empty() || url.password().is_some();
        let is_whole = !has_login
            && url.fragment().is_none()
            && url.query_pairs().all(|(name, _)| name == "priority");
        let is_plain = is_whole && refuse::place(&shown).is_some();
        Ok(Self { place, shown, is_plain })
    }

    /// How it is reached.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether what is printed of it is all of it, and all that a plan may hold: a
    /// cache by HTTP or in a folder, with no parameter but a priority.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Whether two addresses are one to Nix: but for parameters and a slash at
    /// the end, which it alone overlooks.
    pub fn is_same(&self, other: &Self) -> bool {
        self.place == other.place
    }

    /// Whether it is the cache that Nix asks by default.
    pub fn is_official(&self) -> bool {
        Self::parse(OFFICIAL).is_ok_and(|official| official.is_same(self))
    }

    /// Whether it can be asked without a network: a folder, or a server of this machine.
    pub fn is_here(&self) -> bool {
        match &self.place {
            Place::Folder(_) => true,
            Place::Http(url) => is_loopback(url),
            Place::Other(_) => false,
        }
    }
}

/// The cache that Nix asks by default.
pub(crate) const OFFICIAL: &str = "https://cache.nixos.org";

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(url::Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

/// Without credentials.
impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Address, Place};

    fn address(text: &str) -> Address {
        Address::parse(text).expect(text)
    }

    #[test]
    fn what_stands_for_a_login_logs_nobody_in() {
        let plain = address("https://a.example");
        assert!(plain.is_same(&address("https://me:SECRET@a.example")));
        assert!(plain.is_same(&address("https://SECRET@a.example")));
        assert!(!plain.is_same(&address("https://me:other@a.example")));
    }

    #[test]
    fn a_slash_and_parameters_make_no_difference() {
        let cache = address("https://cache.nixos.org");
        assert!(cache.is_same(&address("https://cache.nixos.org/?priority=10")));
        assert!(!cache.is_same(&address("http://cache.nixos.org")));
        assert!(!cache.is_same(&address("https://cache.nixos.org/x")));
        assert_eq!(cache.to_string(), "https://cache.nixos.org");
        let text = "https://a.example/x/?priority=10";
        assert_eq!(address(text).to_string(), text);
        let Place::Http(root) = address("https://a.example/x").place().clone() else {
            panic!("by HTTP")
        };
        assert_eq!(root.join("y.narinfo").expect("a URL").path(), "/x/y.narinfo");
    }

    #[test]
    fn secrets_are_not_shown() {
        let text = address("https://me:secret@a.example/?token=secret&priority=5#secret");
        assert_eq!(text.to_string(), "https://a.example/?priority=5");
        assert!(!address("s3://bucket?profile=secret").to_string().contains("secret"));
    }

    #[test]
    fn what_a_plan_may_hold() {
        for text in [
            "https://a.example",
            "http://127.0.0.1:5000/x/",
            "https://a.example?priority=5",
            "https://a.example/?",
            "file:///a/b",
        ] {
            assert!(address(text).is_plain(), "{text}");
        }
        for text in [
            "https://me@a.example",
            "https://me:secret@a.example",
            "https://a.example/#x",
            "https://a.example/?trusted=1",
            "https://a.example/?priority=5&token=x",
            "https://a.example/?priority=1&priority=2",
            "https://a.example/?priority=-1",
            "https://[::1]/",
            "https://a.example/a%20b",
            "s3://bucket",
            "ssh-ng://host",
        ] {
            assert!(!address(text).is_plain(), "{text}");
        }
    }

    #[test]
    fn folders_and_others() {
        assert_eq!(address("file:///a%20b").place(), &Place::Folder("/a b".into()));
        assert_eq!(address("ssh-ng://a").place(), &Place::Other("ssh-ng://a".to_owned()));
        for bad in ["", "cache.nixos.org", "/nix/store", "file://host/a", "https://"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(https?://|file:|s3:)?.*") {
            if let Ok(address) = Address::parse(&text) {
                let _ = address.to_string();
            }
        }
    }
}
