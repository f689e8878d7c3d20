//! What the controller knows: one `squeue` for everybody, seldom, and kept.
//!
//! A login node's controller is shared by a whole site, so however many handles are asked
//! about, there is one query in an interval, one under way, and longer pauses after
//! failures. It leaves out what an answer means for a session.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::client::{argv, gist, run};
use crate::words::{self, Word};

/// The longest pause after failures, however many.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Id, name, state, reason, nodes, comment. The comment is last: it may hold a `|`.
const FORMAT: &str = "%A|%j|%T|%r|%N|%k";

/// One job of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) id: u64,
    pub(crate) word: Word,
    /// As Slurm says it, for people.
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) nodes: String,
    /// The nonce in its comment; `None` where it has none, or a plugin of the site rewrote it.
    pub(crate) nonce: Option<String>,
}

impl Job {
    /// What Slurm says of it, for people.
    pub(crate) fn said(&self) -> String {
        let at = if self.nodes.is_empty() { String::new() } else { format!(" on {}", self.nodes) };
        let why = if self.reason == "None" { String::new() } else { format!(" ({})", self.reason) };
        format!("Slurm says {}{at}{why} of job {}", self.state, self.id)
    }
}

/// All our jobs at one moment, by name. The latest of one name is the last.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) jobs: BTreeMap<String, Vec<Job>>,
    /// When it was asked for: what was submitted later can't be in it.
    pub(crate) asked_at: Option<Instant>,
    /// One for each query that was answered.
    pub(crate) number: u64,
}

impl Snapshot {
    /// The job of this name and nonce; with a comment that isn't ours the name alone decides.
    pub(crate) fn find(&self, name: &str, nonce: &str) -> Option<&Job> {
        let jobs = self.jobs.get(name)?;
        let exact = |job: &&Job| job.nonce.as_deref() == Some(nonce);
        // Several are a submit that was doubtful and repeated: one that lives counts first.
        let lives = |job: &&Job| job.word != Word::Over;
        jobs.iter()
            .rev()
            .find(|job| exact(job) && lives(job))
            .or_else(|| jobs.iter().rev().find(exact))
            .or_else(|| jobs.iter().rev().find(|job| job.nonce.is_none()))
    }

    /// A job of this name under another nonce, or none: somebody else's.
    pub(crate) fn foreign(&self, name: &str, nonce: &str) -> Option<&Job> {
        let jobs = self.jobs.get(name)?;
        jobs.iter().find(|job| job.nonce.as_deref() != Some(nonce) && job.word != Word::Over)
    }

    /// All of names that begin with `prefix`.
    pub(crate) fn below<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = (&'s str, &'s Job)> {
        let named =
            self.jobs.range(prefix.to_owned()..).take_while(move |(name, _)| name.starts_with(prefix));
        named.filter_map(|(name, jobs)| Some((name.as_str(), jobs.last()?)))
    }

    fn parse(text: &str) -> Self {
        let mut snapshot = Self::default();
        for line in text.lines() {
            let mut fields = line.splitn(6, '|');
            let mut next = || fields.next().unwrap_or_default();
            let (id, name, state) = (next(), next(), next());
            let (reason, nodes, comment) = (next(), next(), next());
            let Ok(id) = id.parse() else { continue };
            // Other jobs of the user's are none of our business.
            if !name.starts_with("ilchul.") {
                continue;
            }
            let nonce = comment.strip_prefix(name).and_then(|rest| rest.strip_prefix(' '));
            snapshot.jobs.entry(name.to_owned()).or_default().push(Job {
                id,
                word: words::read(state),
                state: state.to_owned(),
                reason: reason.to_owned(),
                nodes: nodes.to_owned(),
                nonce: nonce.map(str::to_owned),
            });
        }
        for jobs in snapshot.jobs.values_mut() {
            jobs.sort_by_key(|job| job.id);
        }
        snapshot
    }
}

/// The kept answer, and the pause after failures.
#[derive(Debug)]
pub(crate) struct Queue {
    interval: Duration,
    limit: Duration,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    snapshot: Option<Arc<Snapshot>>,
    /// The last failure, when it was, and how many there were in a row.
    failure: Option<(Instant, String, u32)>,
    number: u64,
}

impl Queue {
    /// Asks at most once in `interval`, and waits `limit` for an answer.
    pub(crate) fn new(interval: Duration, limit: Duration) -> Self {
        Self { interval, limit, kept: Mutex::default() }
    }

    /// What is known, not much older than the interval; the error says why nothing is.
    pub(crate) fn known(&self) -> Result<Arc<Snapshot>, String> {
        // Held while asking: whoever comes meanwhile takes the same answer.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, why, count)) = &kept.failure {
            let pause =
                self.interval.saturating_mul(1 << (*count).min(6)).min(LONGEST_PAUSE.max(self.interval));
            if at.elapsed() < jittered(pause, kept.number) {
                return Err(why.clone());
            }
        }
        let fresh = kept.snapshot.as_ref().filter(|snapshot| {
            let age = snapshot.asked_at.map(|at| at.elapsed());
            age.is_some_and(|age| age < jittered(self.interval, snapshot.number))
        });
        match fresh {
            Some(snapshot) => Ok(Arc::clone(snapshot)),
            None => self.ask(&mut kept),
        }
    }

    /// What is so now: for verbs that change something.
    pub(crate) fn fresh(&self) -> Result<Arc<Snapshot>, String> {
        let began = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody asked while we waited for the lock.
        if let Some(snapshot) = kept.snapshot.as_ref().filter(|snapshot| snapshot.asked_at >= Some(began)) {
            return Ok(Arc::clone(snapshot));
        }
        self.ask(&mut kept)
    }

    fn ask(&self, kept: &mut Kept) -> Result<Arc<Snapshot>, String> {
        let asked_at = Instant::now();
        let command = argv(&["squeue", "--me", "-h", "-t", "all", "-o", FORMAT]);
        let why = match run(&command, "", self.limit) {
            Ok(answer) if answer.good => {
                kept.number += 1;
                let parsed = Snapshot::parse(&answer.out);
                let snapshot = Snapshot { asked_at: Some(asked_at), number: kept.number, ..parsed };
                let snapshot = Arc::new(snapshot);
                kept.snapshot = Some(Arc::clone(&snapshot));
                kept.failure = None;
                return Ok(snapshot);
            }
            Ok(answer) => format!("squeue: {}", gist(&answer.err)),
            Err(silence) => format!("squeue: {silence}"),
        };
        let count = kept.failure.as_ref().map_or(0, |(_, _, count)| count + 1);
        kept.failure = Some((Instant::now(), why.clone(), count));
        Err(why)
    }
}

/// A tenth more or less, so that the supervisors of a site don't ask in step. Chance isn't
/// needed for that: the process and the number of the query differ.
fn jittered(pause: Duration, number: u64) -> Duration {
    let mixed = (u64::from(std::process::id()) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
    let tenths = u32::try_from(mixed % 21).unwrap_or_default();
    pause.mul_f64(0.9 + f64::from(tenths) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
7|ilchul.r.a.1|RUNNING|None|n1|ilchul.r.a.1 abc\n\
9|ilchul.r.a.1|PENDING|Resources||ilchul.r.a.1 abc\n\
8|ilchul.r.a.1|FAILED|NonZeroExitCode|n2|ilchul.r.a.1 abc\n\
10|wrap|RUNNING|None|n1|(null)\n\
11|ilchul.r.b.1|EXPEDITING|None|n1|budget|42|x\n\
12|ilchul.r0.a.1|RUNNING|None|n3|ilchul.r0.a.1 other\n\
rubbish\n";

    #[test]
    fn a_job_is_found_by_name_and_nonce_and_one_that_lives_counts_first() {
        let snapshot = Snapshot::parse(TEXT);
        let found = snapshot.find("ilchul.r.a.1", "abc").unwrap();
        assert_eq!((found.id, found.word), (9, Word::Pending));
        assert_eq!(snapshot.find("ilchul.r.a.1", "xyz"), None, "another life of the same name");
        assert_eq!(snapshot.foreign("ilchul.r.a.1", "xyz").map(|job| job.id), Some(7));
        // A plugin of the site rewrote the comment: the name is all there is.
        let strange = snapshot.find("ilchul.r.b.1", "abc").unwrap();
        assert_eq!((strange.id, strange.word), (11, Word::Strange));
        assert!(snapshot.find("wrap", "").is_none());
    }

    #[test]
    fn a_run_has_its_own_jobs_and_not_those_of_a_longer_name() {
        let snapshot = Snapshot::parse(TEXT);
        let names: Vec<_> = snapshot.below("ilchul.r.").map(|(name, job)| (name, job.id)).collect();
        assert_eq!(names, [("ilchul.r.a.1", 9), ("ilchul.r.b.1", 11)]);
    }

    #[test]
    fn a_pause_differs_by_a_tenth_at_most() {
        let pause = Duration::from_secs(10);
        let all: Vec<_> = (0..100).map(|number| jittered(pause, number)).collect();
        assert!(all.iter().all(|one| *one >= pause.mul_f64(0.89) && *one <= pause.mul_f64(1.11)));
        assert!(all.iter().any(|one| *one != all[0]));
    }
}
