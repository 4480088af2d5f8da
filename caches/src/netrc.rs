//! Logins for private caches, of a netrc file that the user named.
//!
//! Read strictly, since a login that is understood wrongly may be sent to the
//! wrong host: `machine`, `login` and `password`, once each, and nothing else.
//!
//! **Invariant:** a login is never printed, and only ever sent to its own host,
//! by https.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// The largest file read.
const LARGEST_BYTES: u64 = 64 << 10;

/// Logins by their hosts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Netrc(Vec<Login>);

/// Who we are to a host.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Login {
    host: String,
    /// The name.
    pub name: String,
    /// The password.
    pub password: String,
}

/// How many, and nothing of what.
impl fmt::Debug for Netrc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Netrc({} logins)", self.0.len())
    }
}

impl Netrc {
    /// The logins of a file.
    pub fn read(path: &Path) -> Result<Self> {
        let name = || path.display().to_string();
        let mut text = String::new();
        let file = File::open(path).with_context(name)?;
        file.take(LARGEST_BYTES + 1).read_to_string(&mut text).with_context(name)?;
        ensure!(text.len() as u64 <= LARGEST_BYTES, "{}: larger than 64 KiB", name());
        Self::parse(&text).map_err(anyhow::Error::msg).with_context(name)
    }

    /// The logins of a text; what is wrong with it otherwise, with none of them
    /// in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut logins: Vec<Login> = Vec::new();
        let mut words = text
            .lines()
            .enumerate()
            .flat_map(|(index, line)| line.split_whitespace().map(move |word| (index + 1, word)));
        while let Some((line, word)) = words.next() {
            let wrong = |why: &str| format!("line {line}: {why}");
            if !["machine", "login", "password"].contains(&word) {
                // The word may be part of a password.
                return Err(wrong("only machine, login and password are understood"));
            }
            let Some((_, value)) = words.next() else {
                return Err(wrong(&format!("{word} of what?")));
            };
            if value.starts_with(['"', '\'', '#']) {
                return Err(wrong("quotes and comments are not understood"));
            }
            if word == "machine" {
                let host = value.to_ascii_lowercase();
                if logins.iter().any(|login| login.host == host) {
                    return Err(wrong("a second login for the same machine"));
                }
                logins.push(Login { host, ..Login::default() });
                continue;
            }
            let Some(login) = logins.last_mut() else {
                return Err(wrong(&format!("{word} before any machine")));
            };
            let field = if word == "login" { &mut login.name } else { &mut login.password };
            if !field.is_empty() {
                return Err(wrong(&format!("a second {word}")));
            }
            value.clone_into(field);
        }
        match logins.iter().find(|login| login.password.is_empty()) {
            Some(login) => Err(format!("{}: no password", login.host)),
            None => Ok(Self(logins)),
        }
    }

    /// Who we are to this host.
    pub fn find(&self, host: &str) -> Option<&Login> {
        self.0.iter().find(|login| login.host == host)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Netrc;

    #[test]
    fn a_login_for_each_machine() {
        let text = "machine A.example login me password secret\nmachine b.example\n\tpassword x\n";
        let netrc = Netrc::parse(text).expect("logins");
        let login = netrc.find("a.example").expect("a login");
        assert_eq!((login.name.as_str(), login.password.as_str()), ("me", "secret"));
        assert_eq!(netrc.find("b.example").expect("a login").name, "");
        assert!(netrc.find("c.example").is_none() && netrc.find("sub.a.example").is_none());
        assert_eq!(format!("{netrc:?}"), "Netrc(2 logins)");
    }

    #[test]
    fn what_is_not_understood_is_not_used() {
        let why = |text: &str| Netrc::parse(text).expect_err(text);
        for (text, expected) in [
            ("default login a password secret", "line 1: only"),
            ("machine a\npassword secret more", "line 2: only"),
            ("machine a password \"secret word\"", "line 1: quotes"),
            ("# secret\nmachine a password b", "line 1: only"),
            ("machine a login b", "a: no password"),
            ("login secret", "line 1: login before"),
            ("machine a password secret password secret", "line 1: a second password"),
            ("machine a password secret machine A password b", "line 1: a second login"),
            ("machine", "line 1: machine of what?"),
        ] {
            let why = why(text);
            assert!(why.starts_with(expected), "{text}: {why}");
            assert!(!why.contains("secret"), "{why}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "((machine|login|password|é)[ \n])*.*") {
            let _ = Netrc::parse(&text);
        }
    }
}
