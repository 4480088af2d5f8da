//! A way to a server that takes time: what comes in goes out so much later, in its
//! order, and no faster than a rate.

use std::io::{Read, Result, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Pieces on their way in one direction of a connection.
const ON_THE_WAY: usize = 1024;

/// When the way is free again, in one direction; all connections share it.
type Free = Arc<Mutex<Instant>>;

/// Listen on a port of its own, and pass everything on to another port of loopback,
/// each way so much later, and with a rate no faster. It ends with this process.
pub fn slow(port: u16, each_way: Duration, bytes_per_second: Option<f64>) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let own = listener.local_addr()?.port();
    let [there, back] = [(), ()].map(|()| Arc::new(Mutex::new(Instant::now())));
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            let ends =
                [&near, &far].map(|end| end.set_nodelay(true).and_then(|()| end.try_clone()));
            let [Ok(near_too), Ok(far_too)] = ends else { continue };
            pass(near, far_too, each_way, bytes_per_second, Arc::clone(&there));
            pass(far, near_too, each_way, bytes_per_second, Arc::clone(&back));
        }
    });
    Ok(own)
}

/// Pass on what comes.
fn pass(mut from: TcpStream, mut to: TcpStream, later: Duration, rate: Option<f64>, free: Free) {
    let (sender, pieces) = mpsc::sync_channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    thread::spawn(move || {
        let mut piece = [0; 16 << 10];
        while let Ok(size @ 1..) = from.read(&mut piece) {
            let sent = rate.map_or_else(Instant::now, |rate| turn(&free, size, rate));
            if sender.send((sent + later, piece[..size].to_vec())).is_err() {
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

/// When so many bytes are through, after all that came before.
fn turn(free: &Free, bytes: usize, rate: f64) -> Instant {
    let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    *free = (*free).max(Instant::now()) + Duration::from_secs_f64(f64::from(bytes) / rate);
    *free
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::slow;

    #[test]
    fn passes_everything_on_and_not_at_once() {
        let echo = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = echo.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            let (mut stream, _) = echo.accept().expect("a connection");
            let mut text = [0; 5000];
            stream.read_exact(&mut text).expect("text");
            stream.write_all(&text).expect("an echo");
        });
        let each_way = Duration::from_millis(15);
        let port = slow(port, each_way, Some(100_000.0)).expect("a way");
        let began = Instant::now();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        stream.write_all(&[b'x'; 5000]).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer and its end");
        assert_eq!(text, "x".repeat(5000));
        // 50 ms of rate and 15 ms of way, each way.
        assert!(began.elapsed() >= Duration::from_millis(130));
    }
}
