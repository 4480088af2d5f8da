//! How fast this machine builds, as a number for lists of machines.
//!
//! Nix gives a build to the host with the largest `speedFactor` among the least
//! loaded. What is asked here is what builds ask: branches and hashing, as compilers
//! do, and matching of text, as compressors do; once on one CPU and once on all.

use std::collections::HashMap;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use detect::number::Version;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::random::Random;
use crate::statistics::median;

/// What one CPU of the machine that is 1 does in a second of either: a virtual CPU
/// of an AMD EPYC (Zen 2) on which these figures were first taken.
const REFERENCE: [f64; 2] = [55.0, 22.0];

/// How long each measurement is.
const WHILE: Duration = Duration::from_millis(300);

/// Measurements of each, of which the median counts.
const TIMES: usize = 3;

/// How fast a machine is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calibrated {
    /// Version of this document's format.
    pub version: Version<1>,
    /// What to write as `speedFactor`: one CPU by one of the reference machine, as
    /// Nix weighs each build and not all of them.
    pub speed_factor: f64,
    /// The same for all CPUs together, by one of the reference machine.
    pub all_cpus: f64,
    /// CPUs that computed at once.
    pub cpus: u32,
    /// What was computed.
    pub kernels: Vec<Kernel>,
}

/// A kind of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// `compile` or `compress`.
    pub name: String,
    /// Pieces of it a second, on one CPU.
    pub one_cpu_per_second: f64,
    /// On all of them.
    pub all_cpus_per_second: f64,
}

/// Measure.
pub fn calibrate(cpus: u32) -> Calibrated {
    let text = text();
    let kernels: [(&str, Piece); 2] = [("compile", compile), ("compress", compress)];
    let kernels: Vec<Kernel> = kernels
        .into_iter()
        .map(|(name, piece)| Kernel {
            name: name.to_owned(),
            one_cpu_per_second: rate(1, piece, &text),
            all_cpus_per_second: rate(cpus, piece, &text),
        })
        .collect();
    // Factors multiply: their mean is the geometric one.
    let mean = |figure: fn(&Kernel) -> f64| {
        let ratios = kernels.iter().zip(REFERENCE).map(|(kernel, one)| (figure(kernel) / one).ln());
        let mean = (ratios.sum::<f64>() / 2.0).exp();
        (mean * 100.0).round() / 100.0
    };
    Calibrated {
        version: Version,
        speed_factor: mean(|kernel| kernel.one_cpu_per_second),
        all_cpus: mean(|kernel| kernel.all_cpus_per_second),
        cpus,
        kernels,
    }
}

type Piece = fn(&[u8]) -> u64;

/// Pieces a second on so many CPUs at once.
fn rate(cpus: u32, piece: Piece, text: &[u8]) -> f64 {
    let once = || {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..cpus)
                .map(|_| {
                    scope.spawn(move || {
                        let (began, mut count) = (Instant::now(), 0.0);
                        while began.elapsed() < WHILE {
                            black_box(piece(black_box(text)));
                            count += 1.0;
                        }
                        count / began.elapsed().as_secs_f64()
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).sum::<f64>()
        })
    };
    let rates: Vec<f64> = (0..TIMES).map(|_| once()).collect();
    median(&rates).unwrap_or(0.0)
}

/// Something that looks like a program: words that come again, at all distances.
fn text() -> Vec<u8> {
    let mut random = Random::new(1);
    let mut text = Vec::new();
    while text.len() < 256 << 10 {
        let word = random.below(900).min(random.below(900));
        text.extend_from_slice(format!("name_{word}").as_bytes());
        text.extend_from_slice(
            [" = ", "(", ");\n", " + ", ".", "{\n    "][random.below(6)].as_bytes(),
        );
    }
    text
}

/// Words told apart and counted in a table, as a compiler's front end does.
fn compile(text: &[u8]) -> u64 {
    let mut table: HashMap<&[u8], u64> = HashMap::new();
    let mut sum = 0u64;
    for (number, word) in
        (0u64..).zip(text.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_'))
    {
        let entry = table.entry(word).or_insert(number);
        sum = sum.rotate_left(5) ^ *entry;
        *entry = number;
    }
    sum
}

/// The longest match among earlier places of the same three bytes, as deflate does.
fn compress(text: &[u8]) -> u64 {
    const CHAIN: usize = 16;
    let mut heads = vec![usize::MAX; 1 << 15];
    let mut before = vec![usize::MAX; text.len()];
    let (mut at, mut sum) = (0, 0u64);
    while at + 3 < text.len() {
        let bytes = [text[at], text[at + 1], text[at + 2]].map(usize::from);
        let hash = (bytes[0] << 10 ^ bytes[1] << 5 ^ bytes[2]) & 0x7fff;
        let (mut candidate, mut longest) = (heads[hash], 0);
        for _ in 0..CHAIN {
            let Some(earlier) = text.get(candidate..at) else { break };
            let same =
                earlier.iter().zip(&text[at..]).take(258).take_while(|(a, b)| a == b).count();
            longest = longest.max(same);
            candidate = before[candidate];
        }
        before[at] = heads[hash];
        heads[hash] = at;
        sum = sum.wrapping_mul(31).wrapping_add(longest as u64);
        at += longest.max(1);
    }
    sum
}

impl Calibrated {
    /// For people.
    pub fn table(&self) -> String {
        let mut text =
            format!("| Kernel | One CPU | {} CPUs | × |\n|---|---:|---:|---:|\n", self.cpus);
        for Kernel { name, one_cpu_per_second: one, all_cpus_per_second: all } in &self.kernels {
            text += &format!("| {name} | {one:.1} /s | {all:.1} /s | {:.2} |\n", all / one);
        }
        text + &format!(
            "\nspeedFactor {} (all CPUs together {})\n",
            self.speed_factor, self.all_cpus
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{compile, compress, text};

    #[test]
    fn the_work_is_the_same_everywhere() {
        let text = text();
        assert_eq!(text, super::text());
        assert_eq!(compile(&text), compile(&text));
        assert_eq!(compress(&text), compress(&text));
        assert_ne!(compress(&text), compress(&text[1..]));
    }
}
