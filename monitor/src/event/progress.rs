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
    let (mut value, mut end) = (0_u64, 0);
    while let Some(digit) = text.get(end).map(|byte| byte.wrapping_sub(b'0'))
        && digit < 10
    {
        // Wrong only when there are too many digits, of which nothing is made.
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        end += 1;
    }
    // Nineteen digits always fit.
    let is_number = (1..=19).contains(&end) && (text[0] != b'0' || end == 1);
    is_number.then(|| (value, &text[end..]))
}
