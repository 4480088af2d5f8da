//! Caches that real Nix made and signed, what we say of them, and what real Nix
//! does with the settings that follow.

pub(crate) mod machine;
mod server;

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::tools::{binaries, document, has, real_nix, shared, text, tool, workspace};
use machine::Machine;
use server::{Server, free_port};

/// `VERDICT …` of each cache, and the ids of what is wrong with the configuration.
fn found(document: &Value) -> String {
    let texts = |list: &str, field: &str| {
        let list = document[list].as_array().expect("a list").clone();
        list.iter().map(|one| one[field].as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    [texts("caches", "verdict"), texts("notes", "id")].concat().join(" ")
}

fn ready() -> bool {
    has(&["nginx", "openssl"])
}

#[test]
fn a_key_in_every_state_is_what_nix_makes_of_it() {
    if !ready() {
        return;
    }
    for nix in real_nix() {
        let machine = Machine::new(nix);
        let path = machine.build("keys");
        let [good, again, other] = ["a-1", "a-1", "b-1"].map(|name| machine.key(name));
        machine.copy(&path, "good", &good, "xz");
        machine.copy(&path, "other", &other, "none");
        let server = Server::start(&machine);
        let (one, two) = (server.http("good"), server.http("other"));
        let secret = fs::read_to_string(&good.secret).expect("secret");
        let (right, wrong, other) = (&*good.public, &*again.public, &*other.public);
        let cut = &right[..right.len() - 8];
        let cases: [(&[&str], &str, bool); 9] = [
            (&[right], "verified", true),
            (&[wrong], "bad-signature", false),
            (&[other], "other-key", false),
            (&[], "other-key cache-without-key", false),
            (&[right, wrong], "verified cache-key-duplicate", true),
            (&[wrong, right], "bad-signature cache-key-duplicate", false),
            (&[right, "nocolon"], "verified cache-key-malformed", false),
            (&[right, cut], "verified cache-key-malformed", false),
            (&[right, &secret], "verified cache-key-secret", false),
        ];
        for (keys, expected, taken) in cases {
            let what = format!("Nix {}: {keys:?}", machine.nix.version);
            machine.configure(&[&one], keys, "");
            let (document, succeeded) = machine.verify(&["--path", &path]);
            assert_eq!(found(&document), expected, "{what}: {document:#}");
            assert_eq!(succeeded, taken, "{what}");
            assert!(!document.to_string().contains(&secret[..40]), "{what}: a secret is told");
            assert_eq!(machine.takes(&path), taken, "{what}: real Nix");
        }
        machine.configure(&[&one, &two], &[right, other], "");
        let (document, succeeded) = machine.verify(&["--path", &path]);
        assert!(succeeded && found(&document) == "verified verified", "{document:#}");
        let keys = [&document["caches"][0]["key"], &document["caches"][1]["key"]];
        assert_eq!(keys, [right, other], "each is proven by its own");
        machine.configure(&[&one, &two], &[right], "");
        let (document, _) = machine.verify(&["--path", &path]);
        assert_eq!(found(&document), "verified other-key");
        // Nix was told this path by the first cache, and now we know it from there.
        assert!(machine.takes(&path));
        let (document, _) = machine.verify(&[]);
        assert_eq!(found(&document), "verified other-key", "{document:#}");
        assert_eq!(document["caches"][0]["source"], "nix-cache");
    }
}

#[test]
fn archives_of_every_compression() {
    if !ready() {
        return;
    }
    for nix in real_nix() {
        let machine = Machine::new(nix);
        let path = machine.build("archives");
        let key = machine.key("a-1");
        let kinds = ["none", "xz", "zstd", "bzip2", "br"];
        for kind in kinds {
            machine.copy(&path, kind, &key, kind);
        }
        let server = Server::start(&machine);
        let caches: Vec<String> = kinds
            .iter()
            .flat_map(|kind| {
                [
                    server.http(kind),
                    format!("file://{}", machine.path("caches/").join(kind).display()),
                ]
            })
            .collect();
        let caches: Vec<&str> = caches.iter().map(String::as_str).collect();
        machine.configure(&caches, &[&key.public], "");
        let (document, succeeded) = machine.verify(&["--deep", "--path", &path]);
        assert!(succeeded, "Nix {}: {document:#}", machine.nix.version);
        let reports = document["caches"].as_array().expect("reports");
        assert_eq!(reports.len(), 2 * kinds.len());
        for (report, kind) in reports.iter().zip(kinds.iter().flat_map(|kind| [kind, kind])) {
            assert_eq!(report["archive"]["compression"], *kind, "{report:#}");
            let priority = "nix-cache-info names no Priority: Nix takes that as 0 and asks it \
                            before all others";
            assert_eq!(report["findings"], serde_json::json!([priority]), "{report:#}");
        }
    }
}

#[test]
fn tls_by_an_authority_of_ones_own_and_logins() {
    let Some(nix) = real_nix().pop().filter(|_| ready()) else { return };
    let machine = Machine::new(nix);
    let path = machine.build("tls");
    let key = machine.key("a-1");
    machine.copy(&path, "good", &key, "xz");
    let server = Server::start(&machine);
    let urls = [
        server.tls("good"),
        server.tls("down"),
        server.tls("private"),
        server.tls("away"),
        server.http("private"),
    ];
    machine.configure(&urls.each_ref().map(String::as_str), &[&key.public], "");
    fs::write(
        machine.path("netrc"),
        "machine 127.0.0.1 login me password secret\nmachine localhost login me password secret\n",
    )
    .expect("written");
    let verify = |authority: Option<&str>, arguments: &[&str]| -> Vec<String> {
        let mut verify = machine.prepare(tool("caches"));
        if let Some(name) = authority {
            verify.env(name, machine.path("ca.pem"));
        }
        verify.args(["verify", "--json", "--path", &path]).args(arguments);
        let output = verify.output().expect("it runs");
        assert!(!text(&output.stdout).contains("secret"), "{}", text(&output.stdout));
        let found: Value = serde_json::from_slice(&output.stdout).expect("a document");
        let reports = found["caches"].as_array().expect("reports");
        let line = |report: &Value| format!("{}: {}", report["verdict"], report["why"]);
        reports.iter().map(line).collect()
    };
    let expect = |found: &[String], expected: [&str; 5]| {
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}, not {expected}");
        }
    };
    let stranger = "cannot be reached: invalid peer certificate";
    let login = "private: it wants a login, see --netrc (status 401)";
    let down = "not followed: from https to http";
    expect(&verify(None, &[]), [stranger, stranger, stranger, stranger, login]);
    for authority in ["NIX_SSL_CERT_FILE", "SSL_CERT_FILE"] {
        expect(&verify(Some(authority), &[]), ["verified", down, login, login, login]);
    }
    // Neither to another host than the cache's, nor without TLS.
    let found = verify(Some("SSL_CERT_FILE"), &["--netrc", "netrc"]);
    expect(&found, ["verified", down, "verified", login, login]);
}

#[test]
fn the_pipe_takes_the_good_caches_and_nix_takes_from_them() {
    if !ready() {
        return;
    }
    for nix in real_nix() {
        let machine = Machine::new(nix);
        let [first, second] = ["first", "second"].map(|name| machine.build(name));
        let [good, other, wrong] = ["good-1", "other-1", "good-1"].map(|name| machine.key(name));
        machine.copy(&first, "good", &good, "xz");
        machine.copy(&second, "other", &other, "zstd");
        machine.copy(&first, "bad", &wrong, "xz");
        let server = Server::start(&machine);
        let dead = format!("http://127.0.0.1:{}", free_port());
        let named = [
            (server.http("good"), &good),
            (server.http("other"), &other),
            (server.http("bad"), &good),
            (dead, &good),
        ];
        let named = named.map(|(url, key)| format!("--cache '{url}={}'", key.public)).join(" ");
        let script = format!(
            "set -euo pipefail; detect -q | profile -q \
             | caches -q {named} --path {first} --path {second} | nix-conf-write -q"
        );
        assert!(!machine.takes(&first) && !machine.takes(&second), "no cache yet");
        let mut pipe = machine.prepare(Command::new("bash"));
        let conf = document(&pipe.args(["-c", &script]).output().expect("bash runs"));
        let set = |name: &str| {
            let line = conf.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
            line.map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        };
        let caches = [server.http("good"), server.http("other")];
        assert_eq!(set("extra-substituters").as_deref(), Some(&caches[..]), "{conf}");
        let keys = [good.public, other.public];
        assert_eq!(set("extra-trusted-public-keys").as_deref(), Some(&keys[..]), "{conf}");
        fs::write(machine.path("conf/nixpace.conf"), &conf).expect("written");
        let what = &machine.nix.version;
        assert!(machine.takes(&first) && machine.takes(&second), "Nix {what} takes from them");
    }
}

#[test]
fn stores_that_only_nix_speaks_to() {
    for nix in real_nix() {
        let machine = Machine::new(nix);
        let path = machine.build("foreign");
        let key = machine.key("a-1");
        // Nix itself takes this for its own store, and runs no ssh.
        let url = "ssh-ng://localhost";
        let version = &machine.nix.version;
        machine.configure(&[url], &[&key.public], "");
        let (document, _) = machine.verify(&["--path", &path]);
        assert_eq!(document["caches"][0]["verdict"], "unsigned", "Nix {version}: {document:#}");
        machine.says("nix", &["store", "sign", "-k", &key.secret.to_string_lossy(), &path]);
        let (document, succeeded) = machine.verify(&["--path", &path]);
        assert!(succeeded && found(&document) == "verified", "Nix {version}: {document:#}");
        machine.nix("nix-store", &["--delete", &path]);
        let (document, _) = machine.verify(&["--path", &path]);
        let report = &document["caches"][0];
        let why = report["why"].as_str().expect("why");
        assert!(why.contains("none of 1 paths"), "Nix {version}: {report:#}");
    }
}

#[test]
fn buckets_by_a_nix_that_speaks_to_them() {
    for nix in real_nix().into_iter().filter(|_| ready()) {
        let machine = Machine::new(nix);
        let path = machine.build("bucket");
        let key = machine.key("a-1");
        machine.copy(&path, "bucket", &key, "xz");
        let server = Server::start(&machine);
        let host = server.http("").replace("http://", "").replace('/', "");
        let url = format!("s3://bucket?endpoint={host}&scheme=http&region=x");
        machine.configure(&[&url], &[&key.public], "");
        let mut verify = machine.prepare(tool("caches"));
        verify.envs([("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x")]);
        let output = verify.args(["verify", "--json", "--path", &path]).output().expect("it runs");
        let report: Value = serde_json::from_slice(&output.stdout).expect("a document");
        let report = &report["caches"][0];
        // Debian builds the older ones without it.
        let speaks = machine.nix.version == "2.34";
        let expected = if speaks { "signed by a-1" } else { "don't know how to open Nix store" };
        let why = report["why"].as_str().expect("why");
        assert!(why.contains(expected), "Nix {}: {report:#}", machine.nix.version);
        assert_eq!(report["verdict"], if speaks { "verified" } else { "unverified" });
        assert!(!why.contains("region"), "no more of the address than is needed: {why}");
    }
}

#[test]
fn the_conformance_suite_agrees() {
    let Some(script) = shared("conform/caches.py") else { return };
    let data = script.ancestors().nth(2).expect("a folder").to_owned();
    let output = Command::new("python3")
        .arg(&script)
        .args([binaries().join("caches"), data])
        .arg("--show")
        .current_dir(workspace())
        .output()
        .expect("python3 runs");
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}
