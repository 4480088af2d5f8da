//! Sick caches of every kind: each is named for what it is, none is waited for
//! beyond the deadline, and none is ever called proven.

mod server;

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use ::caches::base64;
use ::caches::hash::Hash;
use ::caches::narinfo::NarInfo;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

use crate::tools::{text, tool, workspace};
use server::{drip, dropping, flood, ok, raw, refused, send, serve, stall, status};

/// A path that no machine has.
const PATH: &str = "/nix/store/ibzx00wpszg959bxhbva99mwk4001dxf-sick-1.0";
const OTHER: &str = "/nix/store/d1hcb8w319vv6r4vk2j22wlmmw0zsxyv-sick-1.0";
const FILE: &str = "/ibzx00wpszg959bxhbva99mwk4001dxf.narinfo";
const INFO: &str = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n";

/// What a hotel's network answers with, whatever is asked for.
const PAGE: &str = "<!DOCTYPE html><html>Log in, please: it is free</html>";

/// Time for all of them together; longer than what is given a single connection.
const WITHIN: Duration = Duration::from_secs(6);

/// What the design allows.
const BOUND: Duration = Duration::from_secs(15);

fn secret() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn key() -> String {
    format!("test-1:{}", base64::encode(secret().verifying_key().as_bytes()))
}

/// A signed narinfo of an archive.
fn narinfo(path: &str, nar: &[u8], more: &str) -> String {
    let (hash, size) = (Hash::sha256(nar), nar.len());
    let text =
        format!("StorePath: {path}\nURL: nar/x.nar\nNarHash: {hash}\nNarSize: {size}\n{more}");
    let info = NarInfo::parse(text.as_bytes(), "/nix/store").expect("a narinfo");
    let signature = secret().sign(info.fingerprint("/nix/store").as_bytes());
    format!("{text}Sig: test-1:{}\n", base64::encode(&signature.to_bytes()))
}

fn good() -> String {
    narinfo(PATH, b"nar", "Compression: none\n")
}

/// A cache that is well until it is asked for this file.
fn well_but(
    file: &'static str,
    answer: impl Fn(&TcpStream) + Clone + Send + 'static,
) -> SocketAddr {
    serve(move |path, stream| match path {
        path if path == file => answer(stream),
        "/nix-cache-info" => ok(stream, INFO),
        FILE => ok(stream, good()),
        "/nar/x.nar" => ok(stream, "nar"),
        _ => status(stream, 404, ""),
    })
}

fn info(answer: impl Fn(&TcpStream) + Clone + Send + 'static) -> SocketAddr {
    well_but("/nix-cache-info", answer)
}

fn asked(answer: impl Fn(&TcpStream) + Clone + Send + 'static) -> SocketAddr {
    well_but(FILE, answer)
}

/// A plan for a machine whose Nix asks no cache.
fn plan(folder: &Path) -> std::path::PathBuf {
    let mut nix = detect::hardware::Nix::default();
    nix.settings.insert("substituters".to_owned(), json!([]));
    nix.settings.insert("trusted-public-keys".to_owned(), json!([]));
    let hardware = detect::hardware::Hardware { nix: Some(nix), ..Default::default() };
    let plan = profile::run(hardware, &profile::Options::default()).expect("a plan");
    let path = folder.join("plan.json");
    std::fs::write(&path, detect::stage::text(&plan).expect("text")).expect("written");
    path
}

/// Ask caches, all at once, and have their reports.
fn verify(caches: &[(&str, SocketAddr, &str)], more: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("folder");
    let mut verify = tool("caches");
    verify.args(["verify", "--json", "--path", PATH]).args(more);
    verify.args(["--timeout", &WITHIN.as_secs().to_string()]);
    for (_, address, _) in caches {
        verify.arg("--cache").arg(format!("http://{address}={}", key()));
    }
    let began = Instant::now();
    let output = verify.arg(plan(folder.path())).output().expect("caches runs");
    assert!(began.elapsed() < BOUND, "it took {:?}", began.elapsed());
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
    let schema = std::fs::read_to_string(workspace().join("caches/schema.json")).expect("schema");
    let schema = serde_json::from_str(&schema).expect("JSON");
    jsonschema::validate(&schema, &document).expect("a valid document");
    let reports = document["caches"].as_array().expect("reports").clone();
    assert_eq!(reports.len(), caches.len());
    let is_proven = |report: &Value| report["verdict"] == "verified";
    assert_eq!(output.status.success(), reports.iter().all(is_proven), "{}", text(&output.stderr));
    reports
}

/// Each is named as expected; those of which nothing is expected are proven.
fn check(caches: &[(&str, SocketAddr, &str)], more: &[&str]) {
    let reports = verify(caches, more);
    let mut wrong = Vec::new();
    for ((name, address, expected), report) in caches.iter().zip(&reports) {
        assert_eq!(report["url"], format!("http://{address}"));
        let (why, verdict) = (report["why"].as_str().expect("why"), &report["verdict"]);
        let is_well = expected.is_empty();
        if !why.contains(expected) || (verdict == "verified") != is_well || why.contains('\n') {
            wrong.push(format!("{name}: {verdict}: {why}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_sickness_is_named_and_none_is_waited_for() {
    let (dropping, _queue) = dropping();
    let caches = [
        ("well", asked(|stream| ok(stream, good())), ""),
        ("refused", refused(), "cannot be reached: Connection refused"),
        ("dropped", dropping, "no connection within 5 s"),
        ("silent", info(stall), "no answer within"),
        (
            "stalled",
            info(|stream| {
                send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nStoreDir: ");
                stall(stream);
            }),
            "stalled: the answer stops or drips after 10 bytes",
        ),
        ("dripping", info(|stream| drip(stream, INFO)), "stops or drips after"),
        ("500", info(|stream| status(stream, 500, "")), "out of order (status 500)"),
        ("503", info(|stream| status(stream, 503, "")), "out of order (status 503)"),
        ("204", info(|stream| status(stream, 204, "")), "out of order (status 204)"),
        (
            "503, again later",
            info(|stream| status(stream, 503, "Retry-After: 7\r\n")),
            "asked too often (status 503, again in 7 s)",
        ),
        ("429", info(|stream| status(stream, 429, "")), "asked too often (status 429)"),
        (
            "429, again later",
            info(|stream| status(stream, 429, "Retry-After: 120\r\n")),
            "asked too often (status 429, again in 120 s)",
        ),
        (
            "401",
            info(|stream| status(stream, 401, "")),
            "private: it wants a login, see --netrc (status 401)",
        ),
        ("403", info(|stream| status(stream, 403, "")), "private, or no cache"),
        ("404", info(|stream| status(stream, 404, "")), "no cache: it has no nix-cache-info"),
        ("page", serve(|_, stream| ok(stream, PAGE)), "a web page answers in its place"),
        (
            "another store",
            info(|stream| ok(stream, INFO.replace("/nix", "/gnu"))),
            "it is for the store \"/gnu/store\"",
        ),
        (
            "no number",
            info(|stream| ok(stream, INFO.replace("30", "high"))),
            "its Priority \"high\" is no number: Nix ends with `stoi`",
        ),
        ("endless", info(|stream| flood(stream, &[b'x'; 4096])), "endless: more than 65536"),
        (
            "endless head",
            info(|stream| {
                send(stream, "HTTP/1.1 200 OK\r\n");
                while send(stream, "X: x\r\n") {}
            }),
            "the answer is broken",
        ),
        ("no HTTP", info(|stream| raw(stream, "SSH-2.0-OpenSSH\r\n")), "is broken"),
        (
            "bomb",
            info(|stream| {
                send(stream, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n");
                stall(stream);
            }),
            "encoded as \"gzip\", which nobody asked for",
        ),
        (
            "circle",
            info(|stream| status(stream, 301, "Location: /nix-cache-info\r\n")),
            "more than 10 in a row",
        ),
        (
            "to a file",
            info(|stream| status(stream, 301, "Location: file:///etc/passwd\r\n")),
            "to something that is not HTTP",
        ),
    ];
    check(&caches, &[]);
}

#[test]
fn what_is_wrong_with_an_answer_is_named() {
    let cut = |text: &str, at: usize| text[..at].to_owned();
    let elsewhere = serve(|path, stream| match path {
        "/nix-cache-info" => ok(stream, INFO),
        _ => ok(stream, good()),
    });
    let caches = [
        (
            "elsewhere",
            asked(move |stream| {
                status(stream, 302, &format!("Location: http://{elsewhere}/x\r\n"));
            }),
            "",
        ),
        ("path: silent", asked(stall), "no answer within"),
        ("path: dripping", asked(|stream| drip(stream, &good())), "stops or drips after"),
        ("path: 500", asked(|stream| status(stream, 500, "")), "out of order (status 500)"),
        ("path: 429", asked(|stream| status(stream, 429, "")), "asked too often"),
        ("path: 401", asked(|stream| status(stream, 401, "")), "private"),
        ("path: 403", asked(|stream| status(stream, 403, "")), "it has none of 1 paths known"),
        ("path: page", asked(|stream| ok(stream, PAGE)), "a web page answers for"),
        ("path: endless", asked(|stream| flood(stream, &[b'x'; 4096])), "endless: more than"),
        (
            "path: broken off",
            asked(move |stream| {
                let head = "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n";
                send(stream, format!("{head}{}", cut(&good(), 99)));
            }),
            "the answer is broken",
        ),
        (
            "path: cut off",
            asked(move |stream| ok(stream, cut(&good(), 99))),
            "is malformed: line 3: no newline at its end",
        ),
        (
            "another path",
            asked(|stream| ok(stream, narinfo(OTHER, b"nar", ""))),
            "it answers with d1hcb8w319vv6r4vk2j22wlmmw0zsxyv-sick-1.0",
        ),
        (
            "changed",
            asked(|stream| ok(stream, good().replace("NarSize: 3", "NarSize: 4"))),
            "the signature by test-1 is not by that key",
        ),
        (
            "by somebody",
            asked(|stream| ok(stream, good().replace("test-1", "test-2"))),
            "signed by test-2 only",
        ),
        (
            "unsigned",
            asked(|stream| ok(stream, good().replace("\nSig", "\nNoSig"))),
            "nobody signed it",
        ),
    ];
    check(&caches, &[]);
}

/// What `xz` makes of a file of zeros.
fn zeros() -> &'static [u8] {
    static ZEROS: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    ZEROS.get_or_init(|| {
        let output = crate::tools::shell("head -c 100000000 /dev/zero | xz -1");
        assert!(output.status.success() && output.stdout.len() < 100_000);
        output.stdout
    })
}

#[test]
fn an_archive_is_what_was_signed_or_proves_nothing() {
    let nar = |answer: fn(&TcpStream)| well_but("/nar/x.nar", answer);
    let served = |narinfo: fn() -> String, archive: fn() -> &'static [u8]| {
        serve(move |path, stream| match path {
            "/nix-cache-info" => ok(stream, INFO),
            FILE => ok(stream, narinfo()),
            _ => ok(stream, archive()),
        })
    };
    let caches = [
        ("well", nar(|stream| ok(stream, "nar")), ""),
        (
            "too large to be tested",
            served(|| narinfo(PATH, b"nar", "FileSize: 999999999\n"), || b""),
            "",
        ),
        ("unpacked by nobody", served(|| narinfo(PATH, b"nar", "Compression: lz5\n"), || b""), ""),
        (
            "of another hash",
            served(
                || {
                    narinfo(
                        PATH,
                        b"nar",
                        &format!(
                            "Compression: none\nFileHash: {}\nFileSize: 4\n",
                            Hash::sha256(b"nur")
                        ),
                    )
                },
                || b"nar",
            ),
            "",
        ),
        ("gone", nar(|stream| status(stream, 404, "")), "not there (status 404)"),
        ("private", nar(|stream| status(stream, 401, "")), "private"),
        ("500", nar(|stream| status(stream, 500, "")), "out of order"),
        ("another", nar(|stream| ok(stream, "nur")), "it is another than was signed"),
        ("shorter", nar(|stream| ok(stream, "na")), "to 2 bytes, not the 3 of NarSize"),
        ("longer", nar(|stream| ok(stream, "nars")), "to more than the 3 bytes of NarSize"),
        ("endless", nar(|stream| flood(stream, &[b'n'; 4096])), "to more than the 3 bytes"),
        ("page", nar(|stream| ok(stream, "<html>")), "to more than the 3 bytes"),
        ("silent", nar(stall), "no answer within"),
        ("dripping", nar(|stream| drip(stream, "na")), "to 2 bytes, not the 3"),
        (
            "broken off",
            nar(|stream| raw(stream, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nna")),
            "the answer is broken",
        ),
        (
            "elsewhere",
            served(|| good().replace("nar/x.nar", "file:///etc/passwd"), || b""),
            "to something that is not HTTP",
        ),
        (
            "bomb",
            served(|| narinfo(PATH, b"nar", "Compression: xz\n"), zeros),
            "to more than the 3 bytes of NarSize",
        ),
        (
            "no xz",
            served(|| narinfo(PATH, b"nar", "Compression: xz\n"), || b"nar"),
            "it does not unpack",
        ),
    ];
    check(&caches, &["--deep"]);
    let findings = |index: usize| {
        let report = &verify(&caches[index..=index], &["--deep"])[0];
        let unchecked = [1, 2].contains(&index);
        assert_eq!(report["archive"].is_null(), unchecked, "{report}");
        report["findings"].to_string()
    };
    assert_eq!(findings(0), "[]");
    assert!(findings(1).contains("too large for a test"), "{}", findings(1));
    assert!(findings(2).contains("is not unpacked here"), "{}", findings(2));
    assert!(findings(3).contains("FileHash is not") && findings(3).contains("FileSize says 4"));
}
