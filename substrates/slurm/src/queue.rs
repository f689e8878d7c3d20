//! What the controller knows: one `squeue` for everybody, seldom, and kept.
//!
//! A login node's controller is shared by a whole site, so however many handles are asked
//! about, there is one query in an interval, one under way, and longer pauses after
//! failures. It leaves out what an answer means for a session.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::client::{argv, gist, run};
use crate::record::is_nonce;
use crate::words::{self, Word};

/// Id, name, state, reason, nodes, comment. The comment is last: it may hold a `|`.
const FORMAT: &str = "%A|%j|%T|%r|%N|%k";

/// One job of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) id: u64,
    /// As Slurm knows it, which is the mark unless a plugin of the site renamed it.
    pub(crate) name: String,
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
    /// Where one of them has begun (`claimed`), it is that one or none: a submit that was
    /// doubtful and repeated makes two, and the other one ends without having done anything.
    pub(crate) fn find(&self, name: &str, nonce: &str, claimed: Option<u64>) -> Option<&Job> {
        let mut ours = self.ours(name, nonce);
        if let Some(id) = claimed {
            return ours.into_iter().find(|job| job.id == id);
        }
        let lives = ours.iter().rposition(|job| job.word != Word::Over);
        lives.map(|at| ours.remove(at)).or_else(|| ours.pop())
    }

    /// Every job of this name and nonce that isn't over.
    pub(crate) fn unfinished(&self, name: &str, nonce: &str) -> Vec<&Job> {
        self.ours(name, nonce).into_iter().filter(|job| job.word != Word::Over).collect()
    }

    /// Those of this nonce; without any, those whose comment a plugin of the site rewrote.
    fn ours(&self, name: &str, nonce: &str) -> Vec<&Job> {
        let jobs = self.jobs.get(name).map(Vec::as_slice).unwrap_or_default();
        let exact: Vec<&Job> = jobs.iter().filter(|job| job.nonce.as_deref() == Some(nonce)).collect();
        if exact.is_empty() { jobs.iter().filter(|job| job.nonce.is_none()).collect() } else { exact }
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
            // The comment says it more surely than the name, and sites rewrite either.
            let told = comment.split_once(' ').filter(|(_, nonce)| is_nonce(nonce));
            let mark = told.map_or(name, |(mark, _)| mark);
            // Other jobs of the user's are none of our business.
            if !mark.starts_with("ilchul.") {
                continue;
            }
            snapshot.jobs.entry(mark.to_owned()).or_default().push(Job {
                id,
                name: name.to_owned(),
                word: words::read(state),
                state: state.to_owned(),
                reason: reason.to_owned(),
                nodes: nodes.to_owned(),
                nonce: told.map(|(_, nonce)| nonce.to_owned()),
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
    limit: Duration,
    gap: Duration,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    turns: Backoff,
    snapshot: Option<Arc<Snapshot>>,
    /// The last question that got no answer: when it was asked, and why.
    failed: Option<(Instant, String)>,
    /// When the last question was over.
    asked_until: Option<Instant>,
}

/// Between two questions of verbs that change something: however many they are, they share one.
const GAP: Duration = Duration::from_millis(500);

impl Queue {
    /// Asks at most once in `interval`, and waits `limit` for an answer.
    pub(crate) fn new(interval: Duration, limit: Duration) -> Self {
        let kept = Kept { turns: Backoff::new(interval), snapshot: None, failed: None, asked_until: None };
        Self { limit, gap: GAP.min(interval), kept: Mutex::new(kept) }
    }

    /// What is known, not much older than the interval; the error says why nothing is.
    pub(crate) fn known(&self) -> Result<Arc<Snapshot>, String> {
        // Held while asking: whoever comes meanwhile takes the same answer.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = kept.turns.held() {
            return Err(why.to_owned());
        }
        match &kept.snapshot {
            Some(snapshot) if kept.turns.is_fresh() => Ok(Arc::clone(snapshot)),
            Some(_) | None => self.ask(&mut kept),
        }
    }

    /// What is so now: for verbs that change something. All that wait for an answer share the
    /// next one, and one that fails tells all of them why: a thousand jobs that are to end cost
    /// one question in each gap.
    pub(crate) fn fresh(&self) -> Result<Arc<Snapshot>, String> {
        let began = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody asked while we waited for the lock.
        if let Some(snapshot) = kept.snapshot.as_ref().filter(|snapshot| snapshot.asked_at >= Some(began)) {
            return Ok(Arc::clone(snapshot));
        }
        if let Some((_, why)) = kept.failed.as_ref().filter(|(asked_at, _)| *asked_at >= began) {
            return Err(why.clone());
        }
        // Held meanwhile: whoever comes now waits for this very answer.
        let rested = kept.asked_until.map_or(self.gap, |at| at.elapsed());
        std::thread::sleep(self.gap.saturating_sub(rested));
        self.ask(&mut kept)
    }

    fn ask(&self, kept: &mut Kept) -> Result<Arc<Snapshot>, String> {
        let asked_at = Instant::now();
        let command = argv(&["squeue", "--me", "-h", "-t", "all", "-o", FORMAT]);
        let answer = run(&command, "", self.limit);
        kept.asked_until = Some(Instant::now());
        let why = match answer {
            Ok(answer) if answer.good => {
                let number = kept.turns.answered(asked_at);
                let parsed = Snapshot::parse(&answer.out);
                let snapshot = Arc::new(Snapshot { asked_at: Some(asked_at), number, ..parsed });
                kept.snapshot = Some(Arc::clone(&snapshot));
                return Ok(snapshot);
            }
            Ok(answer) => format!("squeue: {}", gist(&answer.err)),
            Err(silence) => format!("squeue: {silence}"),
        };
        kept.turns.failed(why.clone());
        kept.failed = Some((asked_at, why.clone()));
        Err(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "abcabcabcabcabcabcabcabcabcabcab";
    const XYZ: &str = "11111111111111111111111111111111";

    fn text() -> String {
        format!(
            "7|ilchul.r.a.1|RUNNING|None|n1|ilchul.r.a.1 {ABC}\n\
             9|ilchul.r.a.1|PENDING|Resources||ilchul.r.a.1 {ABC}\n\
             8|ilchul.r.a.1|FAILED|NonZeroExitCode|n2|ilchul.r.a.1 {ABC}\n\
             10|wrap|RUNNING|None|n1|(null)\n\
             11|ilchul.r.b.1|BEWITCHED|None|n1|budget|42|x\n\
             12|ilchul.r0.a.1|RUNNING|None|n3|ilchul.r0.a.1 {XYZ}\n\
             13|lab_ilchul.r.c.1|RUNNING|None|n3|ilchul.r.c.1 {ABC}\n\
             a site's word of the day\n"
        )
    }

    #[test]
    fn a_job_is_found_by_name_and_nonce_and_one_that_lives_counts_first() {
        let snapshot = Snapshot::parse(&text());
        let found = snapshot.find("ilchul.r.a.1", ABC, None).unwrap();
        assert_eq!((found.id, found.word), (9, Word::Pending));
        assert_eq!(snapshot.find("ilchul.r.a.1", XYZ, None), None, "another life of the same name");
        assert_eq!(snapshot.foreign("ilchul.r.a.1", XYZ).map(|job| job.id), Some(7));
        // A plugin of the site rewrote the comment: the name is all there is.
        let strange = snapshot.find("ilchul.r.b.1", ABC, None).unwrap();
        assert_eq!((strange.id, strange.word), (11, Word::Strange));
        assert!(snapshot.find("wrap", "", None).is_none());
    }

    #[test]
    fn a_run_has_its_own_jobs_and_not_those_of_a_longer_name() {
        let snapshot = Snapshot::parse(&text());
        let names: Vec<_> = snapshot.below("ilchul.r.").map(|(name, job)| (name, job.id)).collect();
        assert_eq!(names, [("ilchul.r.a.1", 9), ("ilchul.r.b.1", 11), ("ilchul.r.c.1", 13)]);
    }

    #[test]
    fn of_two_jobs_of_one_attempt_the_one_that_began_it_counts_and_both_are_unfinished_business() {
        let snapshot = Snapshot::parse(&text());
        let claimed = |id| snapshot.find("ilchul.r.a.1", ABC, Some(id)).map(|job| (job.id, job.word));
        assert_eq!(claimed(7), Some((7, Word::Active)));
        assert_eq!(claimed(8), Some((8, Word::Over)));
        assert_eq!(claimed(6), None, "its twins say nothing of it");
        let unfinished = |nonce| {
            let jobs = snapshot.unfinished("ilchul.r.a.1", nonce).into_iter();
            jobs.map(|job| job.id).collect::<Vec<_>>()
        };
        assert_eq!(unfinished(ABC), [7, 9]);
        assert_eq!(unfinished(XYZ), [0; 0]);
        assert_eq!(snapshot.find("ilchul.r.b.1", ABC, Some(11)).map(|job| job.id), Some(11));
    }

    #[test]
    fn a_job_that_the_site_renamed_is_known_by_its_comment_and_keeps_its_name_for_commands() {
        let snapshot = Snapshot::parse(&text());
        let found = snapshot.find("ilchul.r.c.1", ABC, None).unwrap();
        assert_eq!((found.id, found.name.as_str()), (13, "lab_ilchul.r.c.1"));
    }
}
