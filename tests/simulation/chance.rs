//! Chance, owned: every choice of a run follows from its seed and from what it is about.
//!
//! A choice is named by a site, by whom it is about and by its number there, not by its
//! place in a stream: leaving one out changes no other, which is what lets a trace
//! shrink. Zero is always the calm choice. It leaves out what is chosen.

use std::collections::BTreeSet;

/// What a choice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Where in the simulator.
    pub site: &'static str,
    /// Whom it is about: a task, a worker, a life.
    pub who: u64,
    /// Which one, where there are several.
    pub n: u64,
}

/// Choices that are made calmly, whatever the seed says.
#[derive(Debug, Clone, Default)]
pub struct Quiet {
    /// All of a site.
    pub sites: BTreeSet<&'static str>,
    /// Single ones.
    pub keys: BTreeSet<Key>,
}

/// The choices of one run.
#[derive(Debug)]
pub struct Chance {
    seed: u64,
    quiet: Quiet,
    calm: bool,
    /// Every choice that wasn't the calm one, in the order in which they were made.
    pub deviations: Vec<Key>,
}

impl Chance {
    /// The choices of `seed`, but for those that are quiet.
    pub fn new(seed: u64, quiet: Quiet) -> Self {
        Self { seed, quiet, calm: false, deviations: Vec::new() }
    }

    /// From here on every choice is the calm one.
    pub fn heal(&mut self) {
        self.calm = true;
    }

    /// Whether nothing goes wrong any more.
    pub fn is_healed(&self) -> bool {
        self.calm
    }

    /// One of `0..of`.
    pub fn pick(&mut self, site: &'static str, (who, n): (u64, u64), of: u64) -> u64 {
        if self.calm || of < 2 {
            return 0;
        }
        let key = Key { site, who, n };
        let chosen = self.hash(key) % of;
        if chosen == 0 || self.quiet.sites.contains(site) || self.quiet.keys.contains(&key) {
            return 0;
        }
        self.deviations.push(key);
        chosen
    }

    /// True in `per_mille` of a thousand cases.
    pub fn rarely(&mut self, site: &'static str, about: (u64, u64), per_mille: u64) -> bool {
        // The deviation is recorded only where something comes of it.
        let key = Key { site, who: about.0, n: about.1 };
        let hit = !self.calm && self.hash(key) % 1000 < per_mille;
        let quiet = self.quiet.sites.contains(site) || self.quiet.keys.contains(&key);
        if !hit || quiet {
            return false;
        }
        self.deviations.push(key);
        true
    }

    /// A span in milliseconds; `low` is the calm one.
    pub fn span(&mut self, site: &'static str, about: (u64, u64), (low, high): (u64, u64)) -> u64 {
        low + self.pick(site, about, high.saturating_sub(low) + 1)
    }

    /// Bytes for nonces: no choice, so nothing is calmer than anything else.
    pub fn bytes(&self, who: u64, n: u64) -> [u8; 16] {
        let left = self.hash(Key { site: "bytes", who, n });
        let right = self.hash(Key { site: "more bytes", who, n });
        (u128::from(left) << 64 | u128::from(right)).to_le_bytes()
    }

    fn hash(&self, key: Key) -> u64 {
        let mut hash = self.seed ^ 0x9e37_79b9_7f4a_7c15;
        for part in key.site.as_bytes().chunks(8) {
            let word = part.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
            hash = mix(hash ^ word);
        }
        mix(mix(hash ^ key.who.wrapping_mul(0xff51_afd7_ed55_8ccd)) ^ key.n)
    }
}

/// The finaliser of splitmix64: every bit of the input moves about half of the output's.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_follows_from_what_it_is_about_and_from_nothing_else() {
        let mut one = Chance::new(7, Quiet::default());
        let mut other = Chance::new(7, Quiet::default());
        one.pick("something before", (1, 1), 100);
        assert_eq!(one.pick("a", (2, 3), 1000), other.pick("a", (2, 3), 1000));
        let spread: BTreeSet<u64> = (0..100).map(|n| other.pick("a", (2, n), 1000)).collect();
        assert!(spread.len() > 80, "{} of 100 differ", spread.len());
    }

    #[test]
    fn what_is_quiet_or_healed_is_calm_and_no_deviation() {
        let quiet = Quiet { sites: BTreeSet::from(["a"]), keys: BTreeSet::new() };
        let mut chance = Chance::new(7, quiet);
        assert!((0..50).all(|n| chance.pick("a", (0, n), 9) == 0));
        chance.heal();
        assert!((0..50).all(|n| chance.span("b", (0, n), (3, 9)) == 3));
        assert_eq!(chance.deviations, []);
    }
}
