//! Sets of CPUs, as the kernel writes them: lists (`0-3,8`) and masks
//! (`ff,00000000`).

/// What kernels are built for at most (8,192): a larger number is damage, and
/// believing it would cost memory.
const MOST_CPUS: usize = 1 << 13;

/// A set of CPU numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuSet {
    /// Bit `n % 64` of word `n / 64` stands for CPU `n`; the last word is not 0.
    words: Vec<u64>,
}

impl CpuSet {
    /// Read a list such as `0-3,8,16-31:2/4`: numbers, ranges, and ranges of
    /// which the first USED of every GROUP count (`:USED/GROUP`), or every Nth
    /// (`:N`). A trailing NUL, seen in a real dump, is no CPU.
    pub fn parse_list(text: &str) -> Option<Self> {
        let mut set = Self::default();
        let mut steps = 0;
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (range, step) = part.split_once(':').unwrap_or((part, "1/1"));
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (cpu_number(first)?, cpu_number(last)?);
            let (used, group) = step.split_once('/').unwrap_or(("1", step));
            let (used, group): (usize, usize) = (used.parse().ok()?, group.parse().ok()?);
            if first > last || group == 0 {
                return None;
            }
            // A list that says a CPU many times over is damage too.
            steps += last - first;
            if steps > 2 * MOST_CPUS {
                return None;
            }
            for cpu in (first..=last).filter(|cpu| (cpu - first) % group < used) {
                set.insert(cpu);
            }
        }
        Some(set)
    }

    /// Read a mask: hexadecimal words of 32 bits, the highest first.
    pub fn parse_mask(text: &str) -> Option<Self> {
        let mut set = Self::default();
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        for (index, word) in text.split(',').rev().enumerate() {
            let bits = u32::from_str_radix(word.trim(), 16).ok()?;
            if index * 32 >= MOST_CPUS {
                return None;
            }
            for bit in (0..32).filter(|bit| bits >> bit & 1 == 1) {
                set.insert(index * 32 + bit);
            }
        }
        Some(set)
    }

    /// Add a CPU.
    pub fn insert(&mut self, cpu: usize) {
        let word = cpu / 64;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (cpu % 64);
    }

    /// Whether a CPU is in the set.
    pub fn contains(&self, cpu: usize) -> bool {
        self.words.get(cpu / 64).is_some_and(|word| word >> (cpu % 64) & 1 == 1)
    }

    /// The CPUs in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut words: Vec<u64> = self.words.iter().zip(&other.words).map(|(a, b)| a & b).collect();
        while words.last() == Some(&0) {
            words.pop();
        }
        Self { words }
    }

    /// How many CPUs there are.
    pub fn len(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether there is no CPU.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The CPUs, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        (0..self.words.len() * 64).filter(|&cpu| self.contains(cpu))
    }
}

impl FromIterator<usize> for CpuSet {
    fn from_iter<I: IntoIterator<Item = usize>>(cpus: I) -> Self {
        let mut set = Self::default();
        cpus.into_iter().filter(|&cpu| cpu < MOST_CPUS).for_each(|cpu| set.insert(cpu));
        set
    }
}

fn cpu_number(text: &str) -> Option<usize> {
    text.trim().parse().ok().filter(|&cpu| cpu < MOST_CPUS)
}

#[cfg(test)]
mod tests {
    use super::CpuSet;

    fn list(text: &str) -> Vec<usize> {
        CpuSet::parse_list(text).expect(text).iter().collect()
    }

    #[test]
    fn lists() {
        assert_eq!(list("0-3,8\n"), [0, 1, 2, 3, 8]);
        assert_eq!(list("0-6:2"), [0, 2, 4, 6], "every second");
        assert_eq!(list("0-7:1/4"), [0, 4], "one of every four");
        assert_eq!(list("\0"), [0; 0], "a NUL is empty");
        assert_eq!(list(""), [0; 0]);
        assert_eq!(list("1023,2047").len(), 2);
        for bad in ["a", "3-1", "0-", "0-3:0", "0-3:x", "4294967296", "0-4294967295", "-1"] {
            assert_eq!(CpuSet::parse_list(bad), None, "{bad}");
        }
    }

    #[test]
    fn masks() {
        let set = CpuSet::parse_mask("3,00000001\n").expect("mask");
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 32, 33]);
        assert_eq!(CpuSet::parse_mask("00000000,0000000f"), CpuSet::parse_list("0-3"));
        assert_eq!(CpuSet::parse_mask("xyz"), None);
        assert_eq!(CpuSet::parse_mask(&vec!["0"; 5000].join(",")), None, "too long to be real");
        assert_eq!(CpuSet::parse_list(&"0-8191,".repeat(20_000)), None, "too often to be real");
    }

    #[test]
    fn intersection_is_equal_however_it_came_about() {
        let low = CpuSet::parse_list("0-3").expect("list");
        let all = CpuSet::parse_list("0-200").expect("list");
        assert_eq!(low.intersection(&all), low);
        assert_eq!(all.intersection(&low), low);
        assert_eq!(all.len(), 201);
        assert!(low.intersection(&CpuSet::parse_list("70").expect("list")).is_empty());
    }
}
