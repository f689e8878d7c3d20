//! What is known of one session: its files first, then the controller, then nothing.
//!
//! The job's own words outrank everything. What the controller says about an end counts
//! only after a while in which the files may still arrive, and its silence only after
//! several answers. It leaves out asking.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ilchul_substrate::{Exit, Facts, Mark, Observation, State};

use crate::Pace;
use crate::account::Account;
use crate::queue::{Job, Snapshot};
use crate::record::{Claim, End};

use crate::words::{Word, is_hopeless};

/// How many answers must lack a job before it is forgotten.
pub(crate) const MISSED: u32 = 3;

/// What this object remembers of one session between looks.
#[derive(Debug, Default, Clone, Copy)]
struct Memory {
    /// When this object submitted it: an older answer can't know it.
    submitted_at: Option<Instant>,
    /// When it was first seen to have begun.
    begun_at: Option<Instant>,
    /// Since when answers lack it, how many did, and the number of the last one.
    missing: Option<Missing>,
    /// Since when the controller calls it over.
    over_since: Option<Instant>,
    /// Since when it waits again, although it had begun.
    again_since: Option<Instant>,
    /// Since when it is pending for a hopeless reason.
    hopeless_since: Option<Instant>,
}

/// The memories of all sessions.
#[derive(Debug, Default)]
pub(crate) struct Memories(Mutex<HashMap<Mark, Memory>>);

impl Memories {
    fn lock(&self) -> MutexGuard<'_, HashMap<Mark, Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn submitted(&self, mark: &Mark) {
        self.lock().entry(mark.clone()).or_default().submitted_at = Some(Instant::now());
    }

    /// Whether answers lack it for so long that one more is enough.
    pub(crate) fn is_missing(&self, mark: &Mark, pace: &Pace) -> bool {
        let missing = self.lock().get(mark).and_then(|memory| memory.missing);
        missing.is_some_and(|missing| missing.is_long(pace))
    }

    /// Over and settled: nothing is asked of it any more.
    fn forget(&self, mark: &Mark) {
        self.lock().remove(mark);
    }
}

/// What was written down in a session's folder.
pub(crate) struct Written {
    pub(crate) claim: Option<Claim>,
    pub(crate) end: Option<End>,
}

/// The answer where the folder alone decides.
pub(crate) fn by_record(written: &Written, memories: &Memories, mark: &Mark) -> Option<Observation> {
    if let Some(end) = &written.end {
        memories.forget(mark);
        let note = Some(end.words.clone()).filter(|words| !words.is_empty());
        return Some(Observation { note, ..Observation::now(State::Ended(end.code.map(Exit::Code))) });
    }
    // Called off before it began: whatever Slurm still holds under its name ends by itself.
    let called_off = written.claim.as_ref().is_some_and(|claim| claim.job.is_none());
    called_off.then(|| {
        memories.forget(mark);
        let note = Some("it was called off before it began".to_owned());
        Observation { note, ..Observation::now(State::Ended(None)) }
    })
}

/// What a look at the queue comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    Seen(Observation),
    /// Enough answers lacked it: accounting has the word. The age of the last one.
    Forgotten(Duration),
}

/// The answer with the controller's, which is `job` or nothing.
pub(crate) fn by_queue(
    (mark, written): (&Mark, &Written),
    (snapshot, job): (&Snapshot, Option<&Job>),
    memories: &Memories,
    pace: &Pace,
) -> Looked {
    let mut all = memories.lock();
    let memory = all.entry(mark.clone()).or_default();
    let age = snapshot.asked_at.map_or(Duration::ZERO, |at| at.elapsed());
    let seen = |state, note| Looked::Seen(Observation { state, age, note });
    if written.claim.is_some() {
        memory.begun_at.get_or_insert_with(Instant::now);
    }
    let Some(job) = job else {
        if snapshot.asked_at <= memory.submitted_at {
            let state = match &written.claim {
                Some(claim) => live(claim),
                None => State::Queued("it was submitted, and Slurm wasn't asked since".to_owned()),
            };
            return seen(state, None);
        }
        return match missed_for_long(memory, snapshot, pace) {
            Ok(()) => Looked::Forgotten(age),
            Err(why) => seen(State::Unknown(why), None),
        };
    };
    memory.missing = None;
    let state = match (job.word, &written.claim) {
        (Word::Active, claim) => {
            memory.over_since = None;
            active(job, claim.as_ref())
        }
        (Word::Pending, Some(claim)) => waits_again(memory, (job, claim), snapshot, pace),
        (Word::Pending, None) => waiting(memory, job, pace),
        // What ended is the second start, which found the attempt begun; the first was lost
        // sight of when it was put back.
        (Word::Over, Some(_)) if memory.again_since.is_some() => State::Absent,
        (Word::Over, _) => {
            let since = *memory.over_since.get_or_insert_with(Instant::now);
            // Nothing can arrive any more of what never had a node.
            if job.nodes.is_empty() || since.elapsed() >= pace.settle {
                State::Ended(None)
            } else {
                State::Unknown(format!("{}; its own word may still arrive", job.said()))
            }
        }
        (Word::Strange, _) => State::Unknown(format!("{}, which isn't known here", job.said())),
    };
    seen(state, Some(job.said()))
}

/// It has begun, and Slurm says that it waits: an older answer, or it was put back into the
/// queue, by a person or by a controller that crashed. Its second start will find the attempt
/// begun and do nothing, so Slurm knows nothing of the first one any more.
fn waits_again(memory: &mut Memory, (job, claim): (&Job, &Claim), snapshot: &Snapshot, pace: &Pace) -> State {
    if snapshot.asked_at <= memory.begun_at {
        return live(claim);
    }
    let since = *memory.again_since.get_or_insert_with(Instant::now);
    if since.elapsed() >= pace.settle {
        State::Absent
    } else {
        State::Unknown(format!("{}, although it had begun", job.said()))
    }
}

fn live(claim: &Claim) -> State {
    State::Live(facts(claim))
}

fn facts(claim: &Claim) -> Facts {
    // The pid on another host names nothing here.
    let job = claim.job.map(|job| job.to_string()).unwrap_or_default();
    let notes = vec![("job", job), ("node", claim.node.clone())];
    Facts { notes, ..Facts::default() }
}

/// It has nodes. Nothing of it runs while Slurm has it stopped, whether or not it has begun.
fn active(job: &Job, claim: Option<&Claim>) -> State {
    // A node that boots may take its time. Once the script was sent there, it is the worker's
    // own: a login shell that hangs comes before any claim.
    if claim.is_none() && job.state == "CONFIGURING" {
        return State::Queued(format!("starting on {}", job.nodes));
    }
    let mut facts = claim.map_or_else(|| begins(job), facts);
    if ["SUSPENDED", "STOPPED"].contains(&job.state.as_str()) {
        facts.notes.push(("suspended", job.said()));
    }
    State::Live(facts)
}

/// It runs, and has said nothing yet.
fn begins(job: &Job) -> Facts {
    let notes = vec![("job", job.id.to_string()), ("node", job.nodes.clone()), ("starts", String::new())];
    Facts { notes, ..Facts::default() }
}

/// Reasons come and go while Slurm plans, so a hopeless one has to last.
fn waiting(memory: &mut Memory, job: &Job, pace: &Pace) -> State {
    if !is_hopeless(&job.reason) {
        memory.hopeless_since = None;
        return State::Queued(job.reason.clone());
    }
    let since = *memory.hopeless_since.get_or_insert_with(Instant::now);
    if since.elapsed() >= pace.hopeless {
        State::Stuck(format!("Slurm holds job {} for ever: {}", job.id, job.reason))
    } else {
        State::Queued(job.reason.clone())
    }
}

/// Whether enough answers, over long enough, lacked it; the error says that it isn't so yet.
fn missed_for_long(memory: &mut Memory, snapshot: &Snapshot, pace: &Pace) -> Result<(), String> {
    // By the answers' own times, so that all that one answer lacks are judged alike.
    let asked_at = snapshot.asked_at.unwrap_or_else(Instant::now);
    let new = Missing { since: asked_at, last: asked_at, count: 0, number: u64::MAX };
    let missing = memory.missing.get_or_insert(new);
    if missing.number != snapshot.number {
        *missing = Missing { last: asked_at, count: missing.count + 1, number: snapshot.number, ..*missing };
    }
    if missing.is_long(pace) {
        return Ok(());
    }
    Err(format!("Slurm doesn't list it; asked {} times", missing.count))
}

/// The answers that lacked a job.
#[derive(Debug, Clone, Copy)]
struct Missing {
    /// When the first and the last of them were asked for.
    since: Instant,
    last: Instant,
    count: u32,
    /// Of the last one.
    number: u64,
}

impl Missing {
    fn is_long(&self, pace: &Pace) -> bool {
        self.count >= MISSED && self.last.saturating_duration_since(self.since) >= pace.forget
    }
}

/// What is said of a job that the controller has forgotten. It is never called ended once it
/// has begun: nobody who could know says so, and its own beats may say the opposite.
pub(crate) fn forgotten(written: &Written, age: Duration, account: Result<Account, String>) -> Observation {
    let (state, note) = match account {
        Ok(Account::Over(words)) if written.claim.is_none() => (State::Ended(None), Some(words)),
        Ok(Account::Over(words)) => (State::Absent, Some(words)),
        Ok(Account::Open) => {
            (State::Unknown("Slurm doesn't list it, and accounting knows no end".to_owned()), None)
        }
        // A site's accounting may be down for hours: that is no news of the job.
        Err(why) => (State::Unknown(format!("Slurm doesn't list it, and {why}")), None),
        Ok(Account::Nothing) => (State::Absent, None),
    };
    Observation { state, age, note }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        Mark::new("r", "a", 1).unwrap()
    }

    fn job(word: Word, reason: &str, nodes: &str) -> Job {
        let (state, reason, nodes) = (format!("{word:?}"), reason.to_owned(), nodes.to_owned());
        Job { id: 7, name: mark().to_string(), word, state, reason, nodes, nonce: None }
    }

    fn claim() -> Claim {
        Claim { job: Some(7), node: "n2".to_owned(), socket: String::new() }
    }

    fn pace(settle: u64) -> Pace {
        let settle = Duration::from_secs(settle);
        Pace { settle, hopeless: settle, forget: settle, ..Pace::default() }
    }

    fn seen(memories: &Memories, claim: Option<Claim>, job: Option<&Job>, number: u64, settle: u64) -> State {
        let written = Written { claim, end: None };
        let snapshot = Snapshot { asked_at: Some(Instant::now()), number, ..Snapshot::default() };
        match by_queue((&mark(), &written), (&snapshot, job), memories, &pace(settle)) {
            Looked::Seen(observation) => observation.state,
            Looked::Forgotten(age) => forgotten(&written, age, Ok(Account::Nothing)).state,
        }
    }

    #[test]
    fn files_outrank_the_controller() {
        let end = Some(End { code: Some(7), words: String::new() });
        let found = by_record(&Written { claim: Some(claim()), end }, &Memories::default(), &mark());
        assert_eq!(found.unwrap().state, State::Ended(Some(Exit::Code(7))));
        let off = Claim { job: None, ..claim() };
        let found = by_record(&Written { claim: Some(off), end: None }, &Memories::default(), &mark());
        assert_eq!(found.unwrap().state, State::Ended(None));
        assert_eq!(
            by_record(&Written { claim: Some(claim()), end: None }, &Memories::default(), &mark()),
            None
        );
    }

    #[test]
    fn the_controllers_end_counts_only_after_a_while_in_which_files_may_arrive() {
        let over = job(Word::Over, "None", "n2");
        let memories = Memories::default();
        assert!(matches!(seen(&memories, Some(claim()), Some(&over), 1, 600), State::Unknown(_)));
        assert_eq!(seen(&memories, Some(claim()), Some(&over), 1, 0), State::Ended(None));
        let never_ran = job(Word::Over, "None", "");
        assert_eq!(seen(&Memories::default(), None, Some(&never_ran), 1, 600), State::Ended(None));
    }

    #[test]
    fn a_job_that_runs_has_begun_whether_or_not_it_claimed_and_one_whose_node_boots_has_not() {
        let mut runs = job(Word::Active, "None", "n1");
        for (state, begun) in [("CONFIGURING", false), ("RUNNING", true), ("COMPLETING", true)] {
            state.clone_into(&mut runs.state);
            match seen(&Memories::default(), None, Some(&runs), 1, 600) {
                State::Live(facts) => {
                    assert!(begun, "{state}");
                    assert_eq!(facts.notes[..2], [("job", "7".to_owned()), ("node", "n1".to_owned())]);
                }
                State::Queued(why) => assert!(!begun && why == "starting on n1", "{state}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn l17_a_job_that_slurm_suspended_lives_and_is_said_to_be_suspended() {
        let mut stopped = job(Word::Active, "None", "n2");
        "SUSPENDED".clone_into(&mut stopped.state);
        let State::Live(facts) = seen(&Memories::default(), Some(claim()), Some(&stopped), 1, 600) else {
            panic!("it lives");
        };
        assert!(facts.notes.iter().any(|(name, value)| *name == "suspended" && value.contains("SUSPENDED")));
    }

    #[test]
    fn l9_a_job_that_isnt_listed_is_unknown_until_several_answers_lacked_it() {
        let memories = Memories::default();
        for _ in 0..9 {
            // The same answer again is no other answer.
            assert!(matches!(seen(&memories, None, None, 1, 0), State::Unknown(_)));
        }
        assert!(matches!(seen(&memories, None, None, 2, 0), State::Unknown(_)));
        assert!(matches!(seen(&memories, None, None, 3, 600), State::Unknown(_)), "not for long enough");
        assert_eq!(seen(&memories, None, None, 3, 0), State::Absent);
        // One answer that has it counts more than all that hadn't.
        let runs = job(Word::Active, "None", "n2");
        assert!(matches!(seen(&memories, Some(claim()), Some(&runs), 4, 0), State::Live(_)));
        assert!(matches!(seen(&memories, Some(claim()), None, 5, 0), State::Unknown(_)));
    }

    #[test]
    fn l9_accounting_that_is_down_is_no_news_of_a_job_and_what_began_is_never_called_ended_by_it() {
        let said = |claim: Option<Claim>, account| {
            forgotten(&Written { claim, end: None }, Duration::ZERO, account).state
        };
        let down = || Err("sacct: connection refused".to_owned());
        assert!(matches!(said(Some(claim()), down()), State::Unknown(_)));
        assert!(matches!(said(None, Ok(Account::Open)), State::Unknown(_)));
        let over = || Ok(Account::Over("sacct says CANCELLED".to_owned()));
        assert_eq!(said(None, over()), State::Ended(None));
        // A controller that lost its memory has accounting say so of jobs that run.
        assert_eq!(said(Some(claim()), over()), State::Absent);
        assert_eq!(said(Some(claim()), Ok(Account::Nothing)), State::Absent);
    }

    #[test]
    fn l10_what_was_put_back_into_the_queue_after_it_began_isnt_ended_by_its_second_start() {
        let memories = Memories::default();
        let waits = job(Word::Pending, "None", "");
        let asked_at = Some(Instant::now());
        let look = |asked_at, job: &Job, settle| {
            let written = Written { claim: Some(claim()), end: None };
            let snapshot = Snapshot { asked_at, number: 1, ..Snapshot::default() };
            match by_queue((&mark(), &written), (&snapshot, Some(job)), &memories, &pace(settle)) {
                Looked::Seen(observation) => observation.state,
                Looked::Forgotten(_) => panic!("it is listed"),
            }
        };
        assert!(matches!(look(asked_at, &waits, 0), State::Live(_)), "an older answer");
        let later = || Some(Instant::now());
        assert!(matches!(look(later(), &waits, 600), State::Unknown(_)));
        assert_eq!(look(later(), &waits, 0), State::Absent);
        let second = job(Word::Over, "NonZeroExitCode", "n1");
        assert_eq!(look(later(), &second, 0), State::Absent, "and not ended");
    }

    #[test]
    fn a_hopeless_reason_has_to_last_and_a_word_of_another_version_is_unknown() {
        let stuck = job(Word::Pending, "PartitionConfig", "");
        let memories = Memories::default();
        assert!(matches!(seen(&memories, None, Some(&stuck), 1, 600), State::Queued(_)));
        assert!(matches!(seen(&memories, None, Some(&stuck), 1, 0), State::Stuck(_)));
        let hoping = job(Word::Pending, "Priority", "");
        assert_eq!(seen(&memories, None, Some(&hoping), 1, 0), State::Queued("Priority".to_owned()));
        let strange = job(Word::Strange, "None", "n1");
        assert!(matches!(seen(&memories, Some(claim()), Some(&strange), 1, 0), State::Unknown(_)));
    }

    #[test]
    fn what_was_submitted_after_an_answer_is_queued_whatever_that_answer_lacks() {
        let memories = Memories::default();
        let asked_at = Some(Instant::now());
        memories.submitted(&mark());
        let snapshot = Snapshot { asked_at, number: 1, ..Snapshot::default() };
        let written = Written { claim: None, end: None };
        let found = by_queue((&mark(), &written), (&snapshot, None), &memories, &pace(0));
        let queued = matches!(&found, Looked::Seen(Observation { state: State::Queued(_), .. }));
        assert!(queued, "{found:?}");
    }
}
