//! The text of `sysctl`: one `name: value` a line.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

/// What the kernel says of itself, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sysctl<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Sysctl<'a> {
    /// Parse what `sysctl` prints; what is no such line is left out, and of two
    /// values of one name the first stands.
    pub fn parse(text: &'a str) -> Self {
        let mut values = BTreeMap::new();
        for (name, value) in text.lines().filter_map(|line| line.split_once(':')) {
            values.entry(name.trim()).or_insert(value.trim());
        }
        Self(values)
    }

    /// A value that is not empty.
    pub fn word(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).copied().filter(|value| !value.is_empty())
    }

    /// A value's words.
    pub fn words(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.word(name).unwrap_or_default().split_whitespace()
    }

    /// A number that is not negative.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.word(name)?.parse().ok()
    }

    /// A count, of which there is at least one.
    pub fn count(&self, name: &str) -> Option<NonZeroU32> {
        self.word(name)?.parse().ok()
    }

    /// A size that is not 0.
    pub fn size(&self, name: &str) -> Option<NonZeroU64> {
        self.word(name)?.parse().ok()
    }

    /// Whether the kernel says yes; `None` when it does not know the question.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.number(name).map(|number| number != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::Sysctl;

    #[test]
    fn values_by_name() {
        let sysctl = Sysctl::parse(
            "hw.ncpu: 8\nhw.ncpu: 9\nhw.osenvironment:\nhw.cpufamily: -634136515\nno value\n\
             sysctl.proc_translated: 0\nkern.boottime: { sec = 1, usec = 2 } Tue: 10:00\n",
        );
        assert_eq!(sysctl.number("hw.ncpu"), Some(8));
        assert_eq!(sysctl.word("hw.osenvironment"), None);
        assert_eq!(sysctl.number("hw.cpufamily"), None);
        assert_eq!(sysctl.flag("sysctl.proc_translated"), Some(false));
        assert_eq!(sysctl.flag("kern.hv_vmm_present"), None);
        assert_eq!(sysctl.word("kern.boottime"), Some("{ sec = 1, usec = 2 } Tue: 10:00"));
    }
}
