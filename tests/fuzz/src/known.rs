//! Defects that fuzzing found and that are not mended yet. The laws overlook
//! each, so that fuzzing goes on behind it; mend one, and delete it here.

/// A plan holds its Hardware one level deeper than `profile` read it, so that a
/// document just below JSON's limit gives a plan above it.
pub fn is_too_deep(data: &[u8]) -> bool {
    let deeper = |depth: (usize, usize), byte: &u8| match byte {
        b'[' | b'{' => (depth.0 + 1, depth.1.max(depth.0 + 1)),
        b']' | b'}' => (depth.0.saturating_sub(1), depth.1),
        _ => depth,
    };
    data.iter().fold((0, 0), deeper).1 > 120
}
