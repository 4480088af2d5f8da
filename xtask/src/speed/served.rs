//! A made-up cache, served by nginx on loopback.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use caches::forge::Forge;

/// Time for nginx to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A cache that is served until it is dropped.
pub(super) struct Served {
    folder: PathBuf,
    nginx: Child,
    /// Where it listens.
    pub(super) port: u16,
    /// The key that signed everything.
    pub(super) key: String,
    /// A file with its paths, one a line.
    pub(super) list: PathBuf,
}

impl Served {
    /// Make a cache of so many paths under a folder, and serve it.
    pub(super) fn new(folder: &Path, paths: usize) -> Result<Self> {
        let folder = folder.join(format!("cache-{paths}"));
        let files = folder.join("files");
        fs::create_dir_all(&files).with_context(|| files.display().to_string())?;
        fs::write(files.join("nix-cache-info"), "StoreDir: /nix/store\nPriority: 40\n")?;
        let forge = Forge::new("speed-1");
        let list = folder.join("paths");
        let mut names = fs::File::create(&list).map(std::io::BufWriter::new)?;
        for number in 0..paths {
            let forged = forge.narinfo(number, &[number / 2, number], Some(1000));
            writeln!(names, "/nix/store/{}", forged.path)?;
            fs::write(files.join(format!("{}.narinfo", forged.path.hash())), forged.text)?;
        }
        names.flush()?;
        // Whoever takes it in between makes nginx fail, which is said.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let at = folder.display();
        let conf = format!(
            "daemon off; pid {at}/pid; worker_processes 1; error_log stderr crit;\n\
             events {{ worker_connections 512; }}\n\
             http {{ access_log off; keepalive_requests 100000; open_file_cache max=4096;\n\
             server {{ listen 127.0.0.1:{port}; root {at}/files; }} }}\n"
        );
        let conf_file = folder.join("nginx.conf");
        fs::write(&conf_file, conf)?;
        // nginx drops root's rights, and must still read the files.
        let nginx = Command::new("nginx")
            .arg("-g")
            .arg("user root;")
            .arg("-c")
            .arg(&conf_file)
            .stdin(Stdio::null())
            .spawn()
            .context("nginx")?;
        let served = Self { folder, nginx, port, key: forge.key(), list };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if began.elapsed() > PATIENCE {
                bail!("nginx: does not listen");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(served)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Its worker ends with it when it is asked to.
        let pid = fs::read_to_string(self.folder.join("pid")).unwrap_or_default();
        let _ = Command::new("kill").arg(pid.trim()).stderr(Stdio::null()).status();
        let _ = self.nginx.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
