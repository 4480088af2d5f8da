//! Archives of every compression, whole and not.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Compression::{self, Brotli, Bzip2, Xz, Zstd};
use super::unpack;
use crate::hash::Hash;

/// Text that compresses, and not to nothing.
fn text() -> Vec<u8> {
    (0..50_000_u32).flat_map(|number| number.wrapping_mul(number).to_le_bytes()).collect()
}

/// What a program of this machine makes of some bytes; `None` without it.
fn packed(program: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new(program[0])
        .args(&program[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().expect("stdin");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("output");
    writer.join().expect("the writer ends").expect("written");
    assert!(output.status.success(), "{program:?}");
    Some(output.stdout)
}

/// Unpack bytes that come in pieces of this size.
fn run(
    compression: Compression,
    file: &[u8],
    size: usize,
    nar_bytes: usize,
) -> Result<(u64, Hash, Hash), String> {
    let (sender, pieces) = mpsc::channel(2);
    let pieces_of: Vec<Vec<u8>> = file.chunks(size).map(<[u8]>::to_vec).collect();
    let sending = std::thread::spawn(move || {
        // Who unpacks may have seen enough.
        pieces_of.into_iter().try_for_each(|piece| sender.blocking_send(piece))
    });
    let deadline = Instant::now() + Duration::from_secs(60);
    let unpacked = unpack(compression, pieces, nar_bytes as u64, deadline);
    let _ = sending.join().expect("the sender ends");
    unpacked.map(|found| (found.file_bytes, found.file_hash, found.nar_hash))
}

#[test]
fn every_compression_whole_cut_off_and_spoiled() {
    let text = text();
    let kinds: [(Compression, &[&str]); 5] = [
        (Compression::None, &["cat"]),
        (Xz, &["xz", "-2"]),
        (Zstd, &["zstd", "-q"]),
        (Bzip2, &["bzip2"]),
        (Brotli, &["brotli", "-q", "3", "-c"]),
    ];
    for (kind, program) in kinds {
        // Each of them is unpacked in end-to-end tests as well.
        let Some(file) = packed(program, &text) else { continue };
        for size in [1 << 20, 4096, 333] {
            let (bytes, file_hash, nar_hash) = run(kind, &file, size, text.len()).expect("whole");
            assert_eq!(bytes, file.len() as u64, "{kind:?}");
            assert_eq!(file_hash, Hash::sha256(&file), "{kind:?}");
            assert_eq!(nar_hash, Hash::sha256(&text), "{kind:?}");
        }
        for cut in [0, 1, file.len() / 2, file.len() - 1] {
            // Some formats end with nothing but a check, which NarHash is for.
            let found = run(kind, &file[..cut], 4096, text.len());
            let is_text = |(_, _, hash)| hash == Hash::sha256(&text);
            assert!(cut == file.len() - 1 || found.is_err(), "{kind:?} up to {cut}");
            assert!(found.is_err() || found.is_ok_and(is_text), "{kind:?} up to {cut}");
        }
        let why = run(kind, &file, 4096, text.len() - 1).expect_err("too much");
        assert!(why.contains("more than"), "{kind:?}: {why}");
        let why = run(kind, &file, 4096, text.len() + 1).expect_err("too little");
        assert!(why.contains("it unpacks to"), "{kind:?}: {why}");
    }
}

#[test]
fn files_of_many_parts() {
    let text = text();
    let half = text.len() / 2;
    for (kind, program) in [(Xz, &["xz", "-2"]), (Zstd, &["zstd", "-q"]), (Bzip2, &["bzip2", "-1"])]
    {
        let parts = [packed(program, &text[..half]), packed(program, &text[half..])];
        let [Some(mut file), Some(rest)] = parts else { continue };
        file.extend(rest);
        let (_, _, nar_hash) = run(kind, &file, 4096, text.len()).expect("whole");
        assert_eq!(nar_hash, Hash::sha256(&text), "{kind:?}");
    }
}

#[test]
fn noise_is_no_archive() {
    let noise = text();
    for kind in [Xz, Zstd, Bzip2, Brotli] {
        for start in 0..8 {
            assert!(run(kind, &noise[start..], 4096, 1 << 30).is_err(), "{kind:?} from {start}");
        }
    }
    // A window of 1 GiB, which some take for brotli.
    assert!(run(Brotli, &[0x11, 0x1e, 0, 0, 0], 4096, 1 << 30).is_err());
}
