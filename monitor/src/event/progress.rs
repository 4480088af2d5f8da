//! How far something is: `{"action":"result","fields":[D,E,R,F],"id":N,"type":105}`.

/// How far something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What.
    pub id: u64,
    /// How much is done: bytes, or things.
    pub done: u64,
    /// How much there is to do, as far as is known.
    pub expected: u64,
}

impl Progress {
    /// Read what Nix writes, byte by byte; what differs is left to a JSON parser.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        let rest = json.strip_prefix(b"{\"action\":\"result\",\"fields\":[")?;
        let (done, rest) = number(rest)?;
        let (expected, rest) = number(rest.strip_prefix(b",")?)?;
        let (_, rest) = number(rest.strip_prefix(b",")?)?;
        let (_, rest) = number(rest.strip_prefix(b",")?)?;
        let (id, rest) = number(rest.strip_prefix(b"],\"id\":")?)?;
        (rest == b",\"type\":105}").then_some(Self { id, done, expected })
    }

    /// Whether an event without its mark is progress, for those who must drop some.
    pub fn is(json: &[u8]) -> bool {
        json.starts_with(b"{\"action\":\"result\"") && json.ends_with(b",\"type\":105}")
    }
}

/// The number at the start of `text`, and what follows. Leading zeros are no JSON.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    // Nineteen digits always fit.
    if digits.is_empty() || digits.len() > 19 || (digits[0] == b'0' && digits.len() > 1) {
        return None;
    }
    let value = digits.iter().fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'));
    Some((value, rest))
}
