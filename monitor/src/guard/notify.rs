//! Telling the service manager that the guard is there, and that it still is
//! (man 3 `sd_notify`): one that says nothing is killed, and everything thawed.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The service manager, where there is one that listens.
#[derive(Debug)]
pub(super) struct Manager(Option<(UnixDatagram, SocketAddr)>);

impl Manager {
    /// The one that started this program.
    pub(super) fn of_environment() -> Self {
        Self(std::env::var_os("NOTIFY_SOCKET").and_then(|name| connect(&name)))
    }

    /// Tell it something: `READY=1` or `WATCHDOG=1`.
    pub(super) fn tell(&self, what: &str) {
        if let Some((socket, address)) = &self.0 {
            // Who does not listen need not know.
            let _ = socket.send_to_addr(what.as_bytes(), address);
        }
    }
}

fn connect(name: &OsStr) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    };
    let socket = UnixDatagram::unbound().ok()?;
    // A manager that reads nothing must not stop the guard.
    socket.set_nonblocking(true).ok()?;
    Some((socket, address.ok()?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::{Manager, connect};

    #[test]
    fn the_manager_hears_it() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("socket");
        Manager(connect(path.as_os_str())).tell("READY=1");
        let mut heard = [0; 16];
        let length = manager.recv(&mut heard).expect("heard");
        assert_eq!(&heard[..length], b"READY=1");
        Manager(None).tell("READY=1");
    }
}
