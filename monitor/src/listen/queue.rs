//! Lines between who reads a connection and who makes sense of them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::event::{self, Kind, LONGEST_BYTES, Line, Progress, Said};

/// How much may wait before progress is dropped.
const ROOM_BYTES: usize = 4 << 20;

/// How much may wait at all: there is always room for one more line.
const MOST_BYTES: usize = 2 * ROOM_BYTES + LONGEST_BYTES;

/// What a line takes besides its text.
const LINE_BYTES: usize = 64;

/// How many counters are told from other progress.
const MOST_COUNTERS: usize = 256;

/// A line, and when it came. `None` was too long.
pub(super) type Arrived = (Option<Vec<u8>>, f64);

/// Lines that wait. Whoever pushes never waits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Arrived>,
    bytes: usize,
    /// What counts all builds and all downloads: by its progress alone it can be told
    /// what succeeded, so that is dropped no sooner than other lines.
    counters: BTreeSet<u64>,
    dropped: Dropped,
    closed: bool,
}

/// What there was no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) progress: u64,
    pub(super) others: u64,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Add a line, or drop it.
    pub(super) fn push(&self, line: Line, at: f64) {
        let line = match line {
            Line::Whole(line) => Some(line),
            Line::TooLong => None,
        };
        let begun = line
            .filter(|line| line.ends_with(b"\"type\":103}") || line.ends_with(b"\"type\":104}"));
        let counter = begun.and_then(|line| match event::read(line) {
            Said::Start(start) if matches!(start.kind, Kind::Builds | Kind::CopyPaths) => {
                Some(start.id)
            }
            _ => None,
        });
        let progress =
            line.filter(|line| Progress::is(line)).and_then(|line| match event::read(line) {
                Said::Progress(progress) => Some(progress.id),
                _ => None,
            });
        let bytes = line.map_or(0, <[u8]>::len) + LINE_BYTES;

        let mut state = self.state();
        if let Some(id) = counter.filter(|_| state.counters.len() < MOST_COUNTERS) {
            state.counters.insert(id);
        }
        let is_progress = progress.is_some_and(|id| !state.counters.contains(&id));
        if is_progress && state.bytes + bytes > ROOM_BYTES {
            state.dropped.progress += 1;
            return;
        }
        if state.bytes + bytes > MOST_BYTES {
            state.dropped.others += 1;
            return;
        }
        state.bytes += bytes;
        state.lines.push_back((line.map(<[u8]>::to_vec), at));
        drop(state);
        self.filled.notify_one();
    }

    /// No line will follow.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.filled.notify_one();
    }

    /// The next line, waited for; `None` when there will be none.
    pub(super) fn pop(&self) -> Option<Arrived> {
        let mut state = self.state();
        loop {
            if let Some(arrived) = state.lines.pop_front() {
                state.bytes -= arrived.0.as_ref().map_or(0, Vec::len) + LINE_BYTES;
                return Some(arrived);
            }
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What there was no room for since this was asked last.
    pub(super) fn dropped(&self) -> Dropped {
        std::mem::take(&mut self.state().dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::{Dropped, LONGEST_BYTES, Line, MOST_BYTES, Queue};

    fn progress(id: u64) -> String {
        format!(r#"{{"action":"result","fields":[1,2,0,0],"id":{id},"type":105}}"#)
    }

    #[test]
    fn progress_is_dropped_first_and_counts_last() {
        let queue = Queue::default();
        let push = |text: &str| queue.push(Line::Whole(text.as_bytes()), 0.0);
        push(r#"{"action":"start","id":1,"level":0,"text":"","type":104}"#);
        for _ in 0..100_000 {
            push(&progress(9));
        }
        let Dropped { progress: dropped, others } = queue.dropped();
        assert!(dropped > 10_000, "{dropped}");
        assert_eq!(others, 0);
        push(&progress(1));
        push(r#"{"action":"stop","id":7}"#);
        push(&progress(9));
        queue.close();
        assert_eq!(queue.dropped(), Dropped { progress: 1, others: 0 });

        let mut last = Vec::new();
        while let Some((line, _)) = queue.pop() {
            last.push(line.expect("not too long"));
        }
        let ends = [progress(1).into_bytes(), br#"{"action":"stop","id":7}"#.to_vec()];
        assert_eq!(last[last.len() - 2..], ends);
    }

    #[test]
    fn memory_is_bounded_and_nobody_waits() {
        let queue = Queue::default();
        let line = vec![b'x'; LONGEST_BYTES];
        for _ in 0..100 {
            queue.push(Line::Whole(&line), 0.0);
        }
        assert!(queue.state().bytes <= MOST_BYTES);
        assert!(queue.dropped().others > 80);
    }
}
