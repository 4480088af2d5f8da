//! Servers that do what no cache should.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType};

/// A server that lives as long as the test: a thread for each connection, and
/// one request in each.
pub(super) fn serve(answer: impl Fn(&str, &TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let first = lines.next().unwrap_or_default();
                // The rest of the request, up to the empty line.
                let _ = lines.take_while(|line| !line.is_empty()).count();
                answer(first.split(' ').nth(1).unwrap_or_default(), &stream);
            });
        }
    });
    address
}

/// Send what can be sent: whoever has seen enough hangs up. Whether it was.
pub(super) fn send(mut stream: &TcpStream, bytes: impl AsRef<[u8]>) -> bool {
    stream.write_all(bytes.as_ref()).is_ok()
}

/// The same, whether it was sent or not.
pub(super) fn raw(stream: &TcpStream, bytes: &str) {
    send(stream, bytes);
}

pub(super) fn ok(stream: &TcpStream, body: impl AsRef<[u8]>) {
    let body = body.as_ref();
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = send(stream, head) && send(stream, body);
}

/// An answer without a body, and lines of its head.
pub(super) fn status(stream: &TcpStream, code: u16, head: &str) {
    let length = if code == 204 { "" } else { "Content-Length: 0\r\n" };
    send(stream, format!("HTTP/1.1 {code} Sick\r\n{length}{head}Connection: close\r\n\r\n"));
}

/// Keep a connection open until the other side has had enough.
pub(super) fn stall(mut stream: &TcpStream) {
    let _ = stream.read(&mut [0; 64]);
}

/// Send a block again and again.
pub(super) fn flood(stream: &TcpStream, block: &[u8]) {
    if send(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n") {
        while send(stream, block) {}
    }
}

/// One byte in each second.
pub(super) fn drip(stream: &TcpStream, body: &str) {
    let second = Some(Duration::from_secs(1));
    stream.set_read_timeout(second).expect("a timeout");
    send(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    for byte in body.as_bytes() {
        send(stream, [*byte]);
        // Waits for a second, or until the other side has had enough.
        stall(stream);
    }
}

/// A port that nobody listens at.
pub(super) fn refused() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address")
}

/// A port whose queue is full, so that the kernel drops what asks for more; and
/// what keeps it so.
pub(super) fn dropping() -> (SocketAddr, impl Sized) {
    let socket =
        rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("socket");
    let any = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
    rustix::net::bind(&socket, &any).expect("a port");
    rustix::net::listen(&socket, 0).expect("a queue of one");
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().expect("an address");
    let first = TcpStream::connect(address).expect("the one that fits");
    (address, (listener, first))
}
