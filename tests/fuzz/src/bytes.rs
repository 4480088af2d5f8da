//! Bytes changed at random, where there is no libFuzzer to do it.

use super::random::Random;

/// What parsers are likely to treat in a way of its own.
const TEXTS: [&[u8]; 12] = [
    b"\0",
    b"\n",
    b"-1",
    b"0",
    b"18446744073709551616",
    b"\xff",
    b"=",
    b":",
    b"/",
    b"\"",
    b",",
    b" ",
];

/// Change `data`, of which `size` bytes are used, in one place.
pub fn mutate(random: &mut Random, data: &mut [u8], size: usize, most: usize) -> usize {
    let most = most.min(data.len());
    let mut text = data[..size.min(most)].to_vec();
    let at = random.below(text.len() + 1);
    let end = (at + 1 + random.below(16)).min(text.len());
    match random.below(6) {
        0 if at < text.len() => text[at] ^= 1 << random.below(8),
        1 => text.insert(at, u8::try_from(random.below(256)).unwrap_or(0)),
        2 => drop(text.drain(at.min(end)..end)),
        3 => {
            let again = text[at.min(end)..end].to_vec();
            text.splice(at..at, again);
        }
        4 => text.truncate(at),
        _ => drop(text.splice(at..at, TEXTS[random.below(TEXTS.len())].iter().copied())),
    }
    text.truncate(most);
    data[..text.len()].copy_from_slice(&text);
    text.len()
}
