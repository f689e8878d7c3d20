//! Signs of life: what beats tell between two events.
//!
//! Never journaled, so a restart begins with a whole fresh grace (law L17). It
//! leaves out what follows from silence; see `timer.rs` and `decide`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::input::Beat;
use super::moment::Moment;

/// The last sign of life of one worker, on the supervisor's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// The last beat, or the moment from which its absence counts.
    pub seen: Moment,
    /// From then what it owes us counts: its launch, its echo, or the end of our own blindness.
    pub since: Moment,
    /// When we could last look again after a time in which we couldn't.
    pub regained: Option<Moment>,
    /// The highest sequence number seen.
    pub seq: Option<u64>,
    /// How often that number rose since the count of its silence was last begun anew: since its
    /// host last said that it is suspended, for one.
    pub rises: u32,
    /// The last progress figure.
    pub progress: u64,
    /// When that figure last moved.
    pub progressed: Moment,
    /// A beat under a dead token was already recorded once.
    pub complained: bool,
}

impl Pulse {
    fn renew(&mut self, now: Moment) {
        (self.seen, self.since, self.regained, self.progressed) = (now, now, Some(now), now);
        self.rises = 0;
    }

    fn new(now: Moment) -> Self {
        Self {
            seen: now,
            since: now,
            regained: None,
            seq: None,
            rises: 0,
            progress: 0,
            progressed: now,
            complained: false,
        }
    }
}

/// All pulses, by worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pulses(BTreeMap<String, Pulse>);

impl Pulses {
    /// The pulse of one worker, if it was ever watched.
    #[must_use]
    pub fn get(&self, worker: &str) -> Option<&Pulse> {
        self.0.get(worker)
    }

    /// Starts, or restarts, the count of one worker's silence.
    pub fn watch(&mut self, worker: &str, now: Moment) {
        let pulse = self.0.entry(worker.to_owned()).or_insert(Pulse::new(now));
        pulse.seen = now;
        pulse.since = now;
    }

    /// Forgets a worker that no longer lives.
    pub fn forget(&mut self, worker: &str) {
        self.0.remove(worker);
    }

    /// Gives everybody a whole fresh grace: we couldn't look for a while.
    pub fn renew_all(&mut self, now: Moment) {
        self.0.values_mut().for_each(|pulse| pulse.renew(now));
    }

    /// The same for one, who couldn't say anything.
    pub fn renew(&mut self, worker: &str, now: Moment) {
        if let Some(pulse) = self.0.get_mut(worker) {
            pulse.renew(now);
        }
    }

    /// Takes a beat; false when it is no fresh sign of life: an old one read again, or
    /// one that says itself that the child is gone (law L18).
    pub fn take(&mut self, worker: &str, beat: &Beat, now: Moment) -> bool {
        let pulse = self.0.entry(worker.to_owned()).or_insert(Pulse::new(now));
        if pulse.seq.is_some_and(|seq| beat.seq <= seq) {
            return false;
        }
        // The first figure of a life says nothing about progress: what was done may be long ago.
        let first = pulse.seq.replace(beat.seq).is_none();
        // Nor is it a rise: it may have lain there for long.
        pulse.rises = pulse.rises.saturating_add(u32::from(!first));
        if beat.alive == Some(false) {
            return false;
        }
        pulse.seen = now;
        if beat.progress > pulse.progress {
            pulse.progress = beat.progress;
            pulse.progressed = if first { pulse.progressed } else { now };
        }
        true
    }

    /// Whether a beat under a dead token is news: true once per worker.
    pub fn complain(&mut self, worker: &str, now: Moment) -> bool {
        self.watch_if_new(worker, now);
        self.0.get_mut(worker).is_some_and(|pulse| !std::mem::replace(&mut pulse.complained, true))
    }

    /// How long a worker has been silent.
    #[must_use]
    pub fn silence(&self, worker: &str, now: Moment) -> Option<Duration> {
        self.0.get(worker).map(|pulse| now.since(pulse.seen))
    }

    fn watch_if_new(&mut self, worker: &str, now: Moment) {
        if !self.0.contains_key(worker) {
            self.watch(worker, now);
        }
    }
}
