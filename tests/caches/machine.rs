//! A machine with one real Nix and a store of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::tools::{RealNix, binaries, document, path_with, text, tool};

/// A Nix with a store of its own, in which nothing but our caches is asked.
pub(crate) struct Machine {
    /// The Nix.
    pub(crate) nix: RealNix,
    /// All that it has.
    pub(crate) folder: TempDir,
}

/// A key pair in files.
pub(crate) struct Key {
    /// The file of its secret half.
    pub(crate) secret: PathBuf,
    /// Its public half.
    pub(crate) public: String,
}

impl Machine {
    pub(crate) fn new(nix: RealNix) -> Self {
        // Where the wrappers of other Nix versions see it too.
        let folder = tempfile::tempdir_in("/tmp").expect("folder");
        fs::create_dir(folder.path().join("conf")).expect("folder");
        let machine = Self { nix, folder };
        machine.configure(&[], &[], "");
        machine
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Write its nix.conf.
    pub(crate) fn configure(&self, caches: &[&str], keys: &[&str], more: &str) {
        let (caches, keys) = (caches.join(" "), keys.join(" "));
        let conf = format!(
            "substituters = {caches}\ntrusted-public-keys = {keys}\nsandbox = false\n\
             build-users-group =\nexperimental-features = nix-command\nconnect-timeout = 2\n\
             !include nixpace.conf\n{more}\n"
        );
        fs::write(self.path("conf/nix.conf"), conf).expect("written");
    }

    pub(crate) fn prepare(&self, mut command: Command) -> Command {
        for (name, folder) in
            [("STORE", "store"), ("STATE", "var"), ("LOG", "log"), ("CONF", "conf")]
        {
            command.env(format!("NIX_{name}_DIR"), self.path(folder));
        }
        for name in ["NIX_CONFIG", "NIX_REMOTE", "NIX_PATH", "XDG_CACHE_HOME", "SSL_CERT_FILE"] {
            command.env_remove(name);
        }
        command
            .env_remove("NIX_SSL_CERT_FILE")
            .env("HOME", self.folder.path())
            .env("PATH", path_with(&[&self.nix.bin, binaries()]))
            .current_dir(self.folder.path());
        command
    }

    pub(crate) fn nix(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = self.prepare(Command::new(self.nix.bin.join(program)));
        command.args(arguments).output().expect("nix runs")
    }

    /// What a Nix that must succeed prints.
    pub(crate) fn says(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.nix(program, arguments);
        let errors = text(&output.stderr);
        assert!(output.status.success(), "Nix {}: {arguments:?}: {errors}", self.nix.version);
        text(&output.stdout).trim().to_owned()
    }

    /// Build something that needs a signature to be taken from elsewhere.
    pub(crate) fn build(&self, name: &str) -> String {
        let derivation = format!(
            "derivation {{ name = \"{name}\"; system = builtins.currentSystem; \
             builder = \"/bin/sh\"; args = [\"-c\" \"echo {name} > $out\"]; }}"
        );
        self.says("nix-build", &["--no-out-link", "-E", &derivation])
    }

    pub(crate) fn key(&self, name: &str) -> Key {
        let secret = self.says("nix", &["key", "generate-secret", "--key-name", name]);
        let file = tempfile::NamedTempFile::new_in(self.folder.path()).expect("file");
        let (_, path) = file.keep().expect("kept");
        fs::write(&path, &secret).expect("written");
        let mut convert = self.prepare(Command::new(self.nix.bin.join("nix")));
        convert.args(["key", "convert-secret-to-public"]).stdin(fs::File::open(&path).expect("it"));
        let public = document(&convert.output().expect("nix runs"));
        Key { secret: path, public: public.trim().to_owned() }
    }

    /// Copy a path to a cache in a folder, signed.
    pub(crate) fn copy(&self, path: &str, cache: &str, key: &Key, compression: &str) {
        let to = format!(
            "file://{}?secret-key={}&compression={compression}",
            self.path("caches").join(cache).display(),
            key.secret.display()
        );
        fs::create_dir_all(self.path("caches")).expect("folder");
        self.says("nix", &["copy", "--to", &to, path]);
    }

    /// Whether Nix takes a path from its caches, once it is gone.
    pub(crate) fn takes(&self, path: &str) -> bool {
        self.nix("nix-store", &["--delete", path]);
        assert!(!Path::new(path).exists(), "{path} is still there");
        // What it remembers of a cache is not what it would make of it now.
        let _ = fs::remove_dir_all(self.path(".cache"));
        self.nix("nix-store", &["--realise", path]).status.success() && Path::new(path).exists()
    }

    /// `caches verify` on this machine: its document, and whether it succeeded.
    pub(crate) fn verify(&self, arguments: &[&str]) -> (Value, bool) {
        let mut verify = self.prepare(tool("caches"));
        let output = verify.args(["verify", "--json"]).args(arguments).output().expect("it runs");
        let errors = text(&output.stderr);
        let document = serde_json::from_slice(&output.stdout).expect(&errors);
        (document, output.status.success())
    }
}
