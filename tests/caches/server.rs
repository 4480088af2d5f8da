//! nginx, which serves caches as most of them are served.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::machine::Machine;
use crate::tools::text;

/// An nginx that serves a machine's caches, by HTTP and by TLS.
pub(super) struct Server {
    child: Child,
    http: u16,
    tls: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

impl Server {
    /// Certificates, nginx, and patience until it listens.
    pub(super) fn start(machine: &Machine) -> Self {
        let folder = machine.folder.path();
        let certificates = "
            new() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
                    -days 2 -keyout $1.key -out $1.pem -subj /CN=$1 \"${@:2}\"; }
            new ca -addext basicConstraints=critical,CA:TRUE
            new tls -CA ca.pem -CAkey ca.key -addext basicConstraints=critical,CA:FALSE \
                -addext subjectAltName=DNS:localhost,IP:127.0.0.1
            echo 'me:{PLAIN}secret' > logins";
        let made = Command::new("bash").args(["-euc", certificates]).current_dir(folder).output();
        let made = made.expect("bash runs");
        assert!(made.status.success(), "{}", text(&made.stderr));
        let (http, tls, folder) = (free_port(), free_port(), folder.display());
        let private = format!(
            "location /private/ {{ alias {folder}/caches/good/; auth_basic x; \
             auth_basic_user_file {folder}/logins; }}"
        );
        let conf = format!(
            "daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
            events {{}}
            http {{ access_log off;
                server {{ listen 127.0.0.1:{http}; root {folder}/caches; {private} }}
                server {{ listen 127.0.0.1:{tls} ssl; root {folder}/caches; {private}
                    ssl_certificate {folder}/tls.pem; ssl_certificate_key {folder}/tls.key;
                    location /down/ {{ return 302 http://127.0.0.1:{http}/good/nix-cache-info; }}
                    location /away/ {{ return 302 https://localhost:{tls}/private/nix-cache-info; }}
                }} }}"
        );
        fs::write(machine.path("nginx.conf"), conf).expect("written");
        let child = Command::new("nginx")
            .arg("-c")
            .arg(machine.path("nginx.conf"))
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let server = Self { child, http, tls };
        let listens = |port: u16| {
            (0..500).any(|_| {
                std::thread::sleep(Duration::from_millis(10));
                TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
            })
        };
        assert!(listens(http) && listens(tls), "nginx does not listen");
        server
    }

    pub(super) fn http(&self, cache: &str) -> String {
        format!("http://127.0.0.1:{}/{cache}", self.http)
    }

    pub(super) fn tls(&self, cache: &str) -> String {
        format!("https://127.0.0.1:{}/{cache}", self.tls)
    }
}
