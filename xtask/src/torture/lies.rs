//! A cache that answers anything but the truth.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use bench::random::Random;

use super::Outcome;
use super::arena::Arena;

/// Heads of answers; bodies follow, or do not.
const HEADS: [&str; 9] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 64\r\nConnection: close\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    "HTTP/1.1 302 Found\r\nLocation: /nix-cache-info\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 500 Sick\r\nContent-Length: 0\r\n\r\n",
    "HTTP/9.9 \r\n\r\n",
    "220 ftp ready\r\n",
    "",
];

/// Bodies, some of which look like something.
const BODIES: [&str; 6] = [
    "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 10\n",
    "StoreDir: /gnu/store\nPriority: -1\n",
    "<html>Please log in</html>",
    "StorePath: /nix/store/ibzx00wpszg959bxhbva99mwk4001dxf-a\nURL: nar/x\nCompression: none\n\
     NarHash: sha256:1lkgqb6fclns49861dwk9rzb6xnfkxbpws74mxnx01z9qyv1pjpj\nNarSize: 120\n\
     References: \nSig: cache.test-1:AAAA\n",
    "\u{1f}\u{8b}\u{0}",
    "",
];

/// A key that nothing is signed with.
const KEY: &str = "cache.test-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

/// A plan that is asked to take such a cache.
pub(super) fn lying(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let stage = &arena.stages[3];
    let done = AtomicBool::new(false);
    let mut lies = Random::new(random.number());
    let mut command = arena.tool("caches");
    command.arg("--quiet").arg("--cache").arg(format!("http://{address}={KEY}"));
    let ended = thread::scope(|scope| {
        scope.spawn(|| {
            for stream in listener.incoming().flatten() {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                // Whoever has heard enough hangs up.
                let _ = lie(stream, &mut lies);
            }
        });
        let ended = arena.run(&mut command, &stage.input);
        done.store(true, Ordering::Relaxed);
        // It waits for one more.
        drop(TcpStream::connect(address));
        ended
    })?;
    let stdout = String::from_utf8_lossy(&ended.stdout);
    let plan: serde_json::Value = serde_json::from_str(&stdout).unwrap_or_default();
    let settings = plan["settings"].to_string();
    Ok(match ended.offence() {
        Some(why) => Outcome::Lost(format!("caches: {why}")),
        None if ended.status.success() && plan.is_null() => Outcome::Lost("caches: no plan".into()),
        None if settings.contains("127.0.0.1") || settings.contains("cache.test-1") => {
            Outcome::Lost("caches: took a liar into the plan".into())
        }
        None => Outcome::Survived,
    })
}

fn lie(mut stream: TcpStream, random: &mut Random) -> std::io::Result<()> {
    let second = Some(Duration::from_millis(100));
    stream.set_read_timeout(second)?;
    stream.set_write_timeout(second)?;
    let mut request = [0; 4096];
    let _ = stream.read(&mut request)?;
    stream.write_all(HEADS[random.below(HEADS.len())].as_bytes())?;
    let body = BODIES[random.below(BODIES.len())].as_bytes();
    match random.below(5) {
        // As much as anybody takes, up to what would fill a small machine.
        0 => (0..1 << 16).try_for_each(|_| stream.write_all(&[b'a'; 1 << 12])),
        1 => stream.write_all(&body[..random.below(body.len() + 1)]),
        2 => {
            let noise: Vec<u8> =
                (0..random.below(512)).flat_map(|_| random.number().to_le_bytes()).collect();
            stream.write_all(&noise)
        }
        _ => stream.write_all(body),
    }
}
