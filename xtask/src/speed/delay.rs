//! A way to a server that takes time: what comes in goes out so much later, and
//! in its order.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Pieces on their way in one direction of a connection.
const ON_THE_WAY: usize = 1024;

/// Listen on a port of its own, and pass everything on to another port of
/// loopback, each way so much later. It ends with this process.
pub(super) fn delayed(port: u16, each_way: Duration) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let own = listener.local_addr()?.port();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            let ends =
                [&near, &far].map(|end| end.set_nodelay(true).and_then(|()| end.try_clone()));
            let [Ok(near_too), Ok(far_too)] = ends else { continue };
            pass(near, far_too, each_way);
            pass(far, near_too, each_way);
        }
    });
    Ok(own)
}

/// Pass on what comes, so much later.
fn pass(mut from: TcpStream, mut to: TcpStream, later: Duration) {
    let (sender, pieces) = mpsc::sync_channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    thread::spawn(move || {
        let mut piece = [0; 16 << 10];
        while let Ok(size @ 1..) = from.read(&mut piece) {
            if sender.send((Instant::now() + later, piece[..size].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (when, piece) in pieces {
            thread::sleep(when.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::delayed;

    #[test]
    fn passes_everything_on_and_not_at_once() {
        let echo = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = echo.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            let (mut stream, _) = echo.accept().expect("a connection");
            let mut text = [0; 5];
            stream.read_exact(&mut text).expect("text");
            stream.write_all(&text).expect("an echo");
        });
        let each_way = Duration::from_millis(15);
        let port = delayed(port, each_way).expect("a way");
        let began = Instant::now();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        stream.write_all(b"hello").expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer and its end");
        assert_eq!(text, "hello");
        assert!(began.elapsed() >= each_way * 2);
    }
}
