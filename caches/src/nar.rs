//! One archive of a cache, downloaded and unpacked: is it what was signed?
//!
//! What a signature proves is a narinfo; the archive it names may be gone, cut
//! off or another one, and Nix would only find that out in the middle of a build.
//!
//! **Invariant:** nothing is kept: an archive is hashed as it comes, packed and
//! unpacked, in memory that does not grow with it.

use std::io::{self, BufRead, Read};

use bzip2::bufread::MultiBzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::Instant;

use crate::address::Address;
use crate::client::{Client, Trouble};
use crate::hash::{Algorithm, Hash};
use crate::narinfo::NarInfo;

/// The largest archive downloaded.
const LARGEST_FILE: u64 = 256 << 20;

/// The largest one unpacked.
const LARGEST_NAR: u64 = 2 << 30;

/// How much larger an archive may become when it is unpacked; program files
/// become 3 to 10 times as large, and files of zeros thousands of times.
const LARGEST_RATIO: u64 = 1000;

/// Archives so small are unpacked whatever their ratio.
const SMALL: u64 = 64 << 20;

/// Memory for a dictionary, in KiB: twice what `xz -9` needs.
const LARGEST_DICTIONARY: u32 = 128 << 10;

/// Pieces that wait to be unpacked.
const WAITING: usize = 4;

/// Bytes unpacked at once.
const BLOCK: usize = 64 << 10;

/// An archive that is what was signed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Archive {
    /// How it is compressed.
    pub compression: String,
    /// Size as it was served.
    pub file_bytes: u64,
    /// Size unpacked.
    pub nar_bytes: u64,
    /// From asking for it to its last byte, unpacked.
    pub elapsed_seconds: f64,
}

/// Why an archive is not known to be what was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It was not looked at.
    Unchecked(String),
    /// It is not what was signed, or it did not come.
    Wrong(String),
}

/// Download an archive and check it. What else is wrong with it, of which Nix
/// takes no notice, is added to `findings`.
pub async fn check(
    client: &Client,
    cache: &Address,
    info: &NarInfo,
    findings: &mut Vec<String>,
) -> Result<Archive, Flaw> {
    let compression = Compression::of(info).map_err(Flaw::Unchecked)?;
    let wrong = |why: String| Flaw::Wrong(format!("the archive of {}: {why}", info.path));
    let began = Instant::now();
    let troubled = |trouble: Trouble| wrong(trouble.to_string());
    let mut body = client.open(cache, &info.url).await.map_err(troubled)?;
    let (sender, pieces) = mpsc::channel(WAITING);
    let (most, deadline) = (info.nar_size_bytes, client.deadline());
    let unpacking =
        tokio::task::spawn_blocking(move || unpack(compression, pieces, most, deadline));
    let mut received = 0;
    let came = loop {
        match body.next().await {
            Ok(None) => break Ok(()),
            Ok(Some(piece)) => {
                received += piece.len() as u64;
                if received > LARGEST_FILE {
                    break Err(wrong(format!("more than {LARGEST_FILE} bytes")));
                }
                // It has seen enough, and says why.
                if sender.send(piece).await.is_err() {
                    break Ok(());
                }
            }
            // It may just be large, or the way to it slow.
            Err(Trouble::Stalled(bytes)) => {
                let why = format!("no more than {bytes} bytes came in time (--timeout gives more)");
                break Err(wrong(why));
            }
            Err(trouble) => break Err(troubled(trouble)),
        }
    };
    drop(sender);
    let unpacked = unpacking.await.map_err(|error| wrong(error.to_string()))?;
    came?;
    let unpacked = unpacked.map_err(&wrong)?;
    if unpacked.nar_hash != info.nar_hash {
        let (found, signed) = (&unpacked.nar_hash, &info.nar_hash);
        return Err(wrong(format!("it is another than was signed: {found}, not {signed}")));
    }
    if info.file_hash.as_ref().is_some_and(|hash| *hash != unpacked.file_hash) {
        findings.push("FileHash is not that of the archive, though NarHash is".to_owned());
    }
    if let Some(size) = info.file_size_bytes.filter(|size| *size != unpacked.file_bytes) {
        let found = unpacked.file_bytes;
        findings.push(format!("FileSize says {size} bytes, and the archive has {found}"));
    }
    Ok(Archive {
        compression: info.compression.clone(),
        file_bytes: unpacked.file_bytes,
        nar_bytes: info.nar_size_bytes,
        elapsed_seconds: began.elapsed().as_secs_f64(),
    })
}

/// Compressions that are unpacked here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Xz,
    Zstd,
    Bzip2,
    Brotli,
}

impl Compression {
    /// The compression of an archive; why it is not unpacked otherwise.
    fn of(info: &NarInfo) -> Result<Self, String> {
        let unchecked = |why: &str| Err(format!("its archive was not checked: {why}"));
        if info.nar_hash.algorithm != Algorithm::Sha256 {
            return unchecked("its hash is no SHA-256");
        }
        let (file, nar) = (info.file_size_bytes.unwrap_or(0), info.nar_size_bytes);
        if file > LARGEST_FILE || nar > LARGEST_NAR {
            return unchecked(&format!("it is too large for a test ({} MiB unpacked)", nar >> 20));
        }
        if file > 0 && nar > SMALL && nar / file > LARGEST_RATIO {
            return unchecked(&format!("it says that {file} bytes become {nar}"));
        }
        Ok(match info.compression.as_str() {
            "none" => Self::None,
            "xz" => Self::Xz,
            "zstd" => Self::Zstd,
            "bzip2" => Self::Bzip2,
            "br" => Self::Brotli,
            other => {
                let other: String = other.chars().filter(|c| !c.is_control()).take(40).collect();
                return unchecked(&format!("{other:?} is not unpacked here"));
            }
        })
    }

    /// What unpacks it.
    fn reader<'a>(self, pieces: &'a mut Pieces) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::None => Box::new(pieces),
            Self::Xz => Box::new(XzReader::new_mem_limit(pieces, true, LARGEST_DICTIONARY)),
            Self::Zstd => Box::new(Frames { frame: None, pieces: Some(pieces) }),
            Self::Bzip2 => Box::new(MultiBzDecoder::new(pieces)),
            Self::Brotli => {
                // Windows of up to 1 GiB, which are no brotli (RFC 7932, 9.1).
                if pieces.fill_buf()?.first().is_some_and(|byte| byte & 0x7f == 0x11) {
                    return Err(io::Error::other("a window larger than brotli's"));
                }
                Box::new(brotli_decompressor::Decompressor::new(pieces, BLOCK))
            }
        })
    }
}

/// What an archive turned out to be.
#[derive(Debug)]
struct Unpacked {
    file_bytes: u64,
    file_hash: Hash,
    nar_hash: Hash,
}

/// Unpack what comes; what is wrong with it otherwise.
fn unpack(
    compression: Compression,
    pieces: Receiver<Vec<u8>>,
    nar_bytes: u64,
    deadline: Instant,
) -> Result<Unpacked, String> {
    let broken = |error: io::Error| format!("it does not unpack: {error}");
    let mut pieces = Pieces::new(pieces);
    let mut nar = Sha256::new();
    let mut unpacked = 0;
    {
        let mut reader = compression.reader(&mut pieces).map_err(broken)?;
        let mut block = vec![0; BLOCK];
        loop {
            let length = match reader.read(&mut block) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(broken(error)),
            };
            unpacked += length as u64;
            if unpacked > nar_bytes {
                return Err(format!("it unpacks to more than the {nar_bytes} bytes of NarSize"));
            }
            if Instant::now() > deadline {
                return Err(format!("it took too long, and {unpacked} bytes were unpacked"));
            }
            nar.update(&block[..length]);
        }
    }
    if unpacked < nar_bytes {
        return Err(format!("it unpacks to {unpacked} bytes, not the {nar_bytes} of NarSize"));
    }
    // What follows has a part in FileHash, if in nothing else.
    while let length @ 1.. = pieces.fill_buf().map_err(broken)?.len() {
        pieces.consume(length);
    }
    let sha256 =
        |hash: Sha256| Hash { algorithm: Algorithm::Sha256, bytes: hash.finalize().to_vec() };
    Ok(Unpacked { file_bytes: pieces.bytes, file_hash: sha256(pieces.hash), nar_hash: sha256(nar) })
}

/// The pieces of an archive as they come.
struct Pieces {
    source: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    used: usize,
    bytes: u64,
    hash: Sha256,
}

impl Pieces {
    fn new(source: Receiver<Vec<u8>>) -> Self {
        Self { source, piece: Vec::new(), used: 0, bytes: 0, hash: Sha256::new() }
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.used == self.piece.len() {
            let Some(piece) = self.source.blocking_recv() else { return Ok(&[]) };
            self.bytes += piece.len() as u64;
            self.hash.update(&piece);
            self.piece = piece;
            self.used = 0;
        }
        Ok(&self.piece[self.used..])
    }

    fn consume(&mut self, amount: usize) {
        self.used += amount;
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

/// The frames of a zstd file, of which there may be many.
struct Frames<'a> {
    frame: Option<StreamingDecoder<&'a mut Pieces, FrameDecoder>>,
    /// There between frames.
    pieces: Option<&'a mut Pieces>,
}

impl Read for Frames<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                match frame.read(buffer)? {
                    0 => {}
                    length => return Ok(length),
                }
            }
            if let Some(frame) = self.frame.take() {
                self.pieces = Some(frame.into_inner());
            }
            let Some(pieces) = self.pieces.take() else { return Ok(0) };
            if pieces.bytes > 0 && pieces.fill_buf()?.is_empty() {
                self.pieces = Some(pieces);
                return Ok(0);
            }
            let frame = StreamingDecoder::new(pieces).map_err(io::Error::other)?;
            self.frame = Some(frame);
        }
    }
}

#[cfg(test)]
mod tests;
