//! A store with real Nix, caches made by it, and a server for them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::tools::{RealNix, binaries, path_with, text};

/// A store with one path that was built, and keys to sign it with.
pub(crate) struct Bed<'a> {
    nix: &'a RealNix,
    folder: TempDir,
}

impl<'a> Bed<'a> {
    pub(crate) fn new(nix: &'a RealNix) -> Self {
        // Nix, which has a root of its own, sees these folders too.
        let base = Path::new("/dev/shm");
        let base = if base.is_dir() { base.to_owned() } else { std::env::temp_dir() };
        Self { nix, folder: tempfile::tempdir_in(base).expect("folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn store(&self) -> String {
        self.path("store").display().to_string()
    }

    /// A command as one of several machines that share a place for their store.
    pub(crate) fn command(&self, program: &str, machine: &str, config: &str) -> Command {
        let settings = "experimental-features = nix-command ca-derivations\n\
                        build-users-group =\nsandbox = false\nbuilders =\n\
                        download-attempts = 1\nconnect-timeout = 2\n";
        let mut command = Command::new(program);
        command
            .env("PATH", path_with(&[binaries(), &self.nix.bin]))
            .env("HOME", self.path(&format!("{machine}/home")))
            .env("NIX_STATE_DIR", self.path(&format!("{machine}/var")))
            .env("NIX_LOG_DIR", self.path(&format!("{machine}/log")))
            .env("NIX_STORE_DIR", self.store())
            .env("NIX_CONF_DIR", "/nonexistent")
            .env("NIX_CONFIG", format!("{settings}{config}"))
            .env_remove("XDG_CACHE_HOME")
            .env_remove("NIX_USER_CONF_FILES");
        fs::create_dir_all(self.path(&format!("{machine}/home"))).expect("home");
        command
    }

    /// A run of Nix on the machine that builds.
    pub(crate) fn build(&self, program: &str, arguments: &[&str]) -> String {
        let program = self.nix.bin.join(program);
        let mut command =
            self.command(program.to_str().expect("a path"), "builder", "substituters =");
        let output = command.args(arguments).output().expect("nix runs");
        let what = format!("Nix {}, {arguments:?}", self.nix.version);
        assert!(output.status.success(), "{what}: {}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    }

    /// The derivation of an expression over `build`.
    pub(crate) fn derivation(&self, extra: &str) -> String {
        let expression = format!(
            "derivation ({{ name = \"a\"; system = builtins.currentSystem; builder = \"/bin/sh\"; \
             args = [ \"-c\" \"echo \\\"x\\ty\\\" > $out\" ]; }} // {extra})"
        );
        self.build("nix-instantiate", &["-E", &expression])
    }

    pub(crate) fn key(&self, name: &str, file: &str) -> String {
        let (secret, public) =
            (self.path(&format!("{file}.sec")), self.path(&format!("{file}.pub")));
        let paths = [secret.to_str().expect("a path"), public.to_str().expect("a path")];
        self.build("nix-store", &["--generate-binary-cache-key", name, paths[0], paths[1]]);
        fs::read_to_string(public).expect("the public key").trim().to_owned()
    }

    /// Upload paths to a cache that is a folder.
    pub(crate) fn upload(&self, path: &str, cache: &str, key: Option<&str>) {
        let folder = self.path(cache);
        let key = key.map_or_else(String::new, |key| {
            format!("?secret-key={}", self.path(&format!("{key}.sec")).display())
        });
        let url = format!("file://{}{key}", folder.display());
        self.build("nix", &["copy", "--no-check-sigs", "--to", &url, path]);
    }

    /// Whether real Nix fetches a path, on a machine that may remember things.
    pub(crate) fn fetches(&self, machine: &str, config: &str, path: &str) -> bool {
        let program = self.nix.bin.join("nix-store");
        let mut command = self.command(program.to_str().expect("a path"), machine, config);
        let output = command.args(["-r", path]).output().expect("nix runs");
        // Whoever asks next has a store without it, and remembers no less.
        fs::remove_dir_all(self.path(&format!("{machine}/var"))).expect("a store");
        output.status.success()
    }

    /// The cache from which real Nix fetches a path.
    pub(crate) fn source(&self, machine: &str, config: &str, path: &str) -> Option<String> {
        let program = self.nix.bin.join("nix-store");
        let mut command = self.command(program.to_str().expect("a path"), machine, config);
        let output = command.args(["-r", path]).output().expect("nix runs");
        fs::remove_dir_all(self.path(&format!("{machine}/var"))).expect("a store");
        let errors = text(&output.stderr);
        let (_, url) = errors.split_once(" from '")?;
        Some(url.split_once('\'')?.0.to_owned())
    }

    /// What `caches why` says, and whether it ends well.
    pub(crate) fn why(&self, machine: &str, config: &str, arguments: &[&str]) -> (Value, Output) {
        let mut command = self.command("caches", machine, config);
        let output = command.args(["why", "--json"]).args(arguments).output().expect("it runs");
        let why = serde_json::from_slice(&output.stdout);
        (why.unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr))), output)
    }
}

/// Serve a folder over HTTP until the test ends; its address.
pub(crate) fn serve(folder: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let folder = folder.clone();
            std::thread::spawn(move || {
                // Whoever hangs up has what it wanted.
                let _ = answer(stream, &folder);
            });
        }
    });
    url
}

fn answer(mut stream: TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let file = fs::read(folder.join(path.trim_start_matches('/')));
    let status = if file.is_ok() { "200 OK" } else { "404 Not Found" };
    let body = file.unwrap_or_default();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    if method != "HEAD" {
        stream.write_all(&body)?;
    }
    Ok(())
}

/// An address where nobody answers.
pub(crate) fn dead() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}", listener.local_addr().expect("an address"))
}
