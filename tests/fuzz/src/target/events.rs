//! Streams of Nix's events, from any bytes: whatever they hold, they are read, in
//! bounded memory, and what is said of them makes sense.

use monitor::event::each;
use monitor::recorded::{Outcome, Recorded};
use monitor::stream::Stream;
use monitor::trace::trace;

fn read(data: &[u8], times: bool) -> Recorded {
    let (mut stream, mut at) = (Stream::default(), 0.0);
    let mut shown = 0_usize;
    each(data, |line| {
        at += 1.0;
        stream.line(line, times.then_some(at), &mut |_| shown += 1);
        Ok(())
    })
    .expect("memory can be read");
    assert!(shown <= data.len() + 1);
    stream.finish()
}

/// Hold the laws for an input.
pub fn run(data: &[u8]) {
    let found = read(data, true);
    for build in &found.builds {
        assert_eq!(build.reason.is_some(), build.outcome == Outcome::Failed);
        assert!(build.outcome != Outcome::Built || build.wall_seconds.is_some());
        let phases: f64 = build.phases.iter().filter_map(|phase| phase.wall_seconds).sum();
        assert!(build.wall_seconds.is_none_or(|wall| phases <= wall));
    }
    // What is written can be read.
    let text = serde_json::to_string(&found).expect("a document");
    assert_eq!(serde_json::from_str::<Recorded>(&text).expect("ours"), found);
    serde_json::to_string(&trace(&found)).expect("a timeline");

    // Without times, the same happened, and nothing took any.
    let mut untimed = found;
    for build in &mut untimed.builds {
        (build.started_seconds, build.wall_seconds) = (None, None);
        build.phases.iter_mut().for_each(|phase| phase.wall_seconds = None);
    }
    for path in &mut untimed.substitutions {
        (path.started_seconds, path.wall_seconds) = (None, None);
    }
    untimed.waits.iter_mut().for_each(|wait| wait.wall_seconds = None);
    assert_eq!(read(data, false), untimed);
}
