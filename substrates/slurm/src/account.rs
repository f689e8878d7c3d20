//! What `sacct` remembers of jobs that left the queue: asked in bulk, seldom, and kept.
//!
//! Accounting is optional, may be down for hours and lags. After a restart it says `FAILED`
//! of what runs, and a controller that lost its memory has it call all cancelled that it
//! lost: so it is believed only where it knows when a job ended, and only of jobs that
//! nobody else knows. It leaves out what follows for a session.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::client::{argv, gist, run};
use crate::words::{self, Word};

/// What accounting knows of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Account {
    /// It ended so.
    Over(String),
    /// It hasn't ended, as far as is known there.
    Open,
    /// There is no record of it.
    Nothing,
}

/// A job's id and name: an id alone may be another's by now.
pub(crate) type Key = (u64, String);

/// How far back accounting is asked: its own default is midnight.
const SINCE: &str = "now-14days";
/// The most that one question is about; the rest waits for the next.
const ASKED_MAX: usize = 1000;
const NOT_YET: &str = "accounting has no record of it yet";
const SOON: &str = "accounting wasn't asked about it yet";

/// All that accounting said.
#[derive(Debug)]
pub(crate) struct Accounts {
    limit: Duration,
    /// How long it must go on knowing nothing of a job.
    lag: Duration,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    turns: Backoff,
    /// The last answer; an end is final.
    known: BTreeMap<Key, Account>,
    /// Since when it has known nothing of them: it lags, most of all after it was down.
    blank_since: BTreeMap<Key, Instant>,
    /// Whom the next question is about as well, whoever asks it.
    wanted: BTreeSet<Key>,
}

impl Accounts {
    /// Asks at most once in `interval`, waits `limit` for an answer, and believes that there is
    /// no record after `lag`.
    pub(crate) fn new(interval: Duration, limit: Duration, lag: Duration) -> Self {
        let (known, blank_since, wanted) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let kept = Kept { turns: Backoff::new(interval), known, blank_since, wanted };
        Self { limit, lag, kept: Mutex::new(kept) }
    }

    /// What is known of each of `jobs`, in order; the error says why nothing is.
    pub(crate) fn known(&self, jobs: &[Key]) -> Vec<Result<Account, String>> {
        // Held while asking: one question is under way.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let open = jobs.iter().filter(|job| !matches!(kept.known.get(*job), Some(Account::Over(_))));
        let open: Vec<Key> = open.cloned().collect();
        let mut trouble = None;
        if !open.is_empty() {
            kept.wanted.extend(open);
            trouble = kept.turns.held().map(str::to_owned);
            if trouble.is_none() && !kept.turns.is_fresh() {
                trouble = kept.ask(self.limit).err();
            }
        }
        let said = |job: &Key| match (kept.known.get(job), &trouble) {
            (Some(over @ Account::Over(_)), _) => Ok(over.clone()),
            (_, Some(why)) => Err(why.clone()),
            (Some(Account::Nothing), None) if !kept.is_blank(job, self.lag) => Err(NOT_YET.to_owned()),
            (Some(account), None) => Ok(account.clone()),
            (None, None) => Err(SOON.to_owned()),
        };
        jobs.iter().map(said).collect()
    }
}

impl Kept {
    fn is_blank(&self, job: &Key, lag: Duration) -> bool {
        self.blank_since.get(job).is_some_and(|since| since.elapsed() >= lag)
    }

    fn ask(&mut self, limit: Duration) -> Result<(), String> {
        // Those of whom nothing is known go first.
        let mut asked: Vec<Key> = self.wanted.iter().cloned().collect();
        asked.sort_by_key(|job| self.known.contains_key(job));
        asked.truncate(ASKED_MAX);
        let ids: BTreeSet<String> = asked.iter().map(|(id, _)| id.to_string()).collect();
        let ids = ids.into_iter().collect::<Vec<_>>().join(",");
        let format = "JobIDRaw,JobName,State,ExitCode,End";
        // Duplicates too: without them an id that was given again hides who had it first.
        let command =
            argv(&["sacct", "-n", "-P", "-X", "--duplicates", "-S", SINCE, "-j", &ids, "-o", format]);
        let asked_at = Instant::now();
        let why = match run(&command, "", limit) {
            Ok(answer) if answer.good => {
                self.turns.answered(asked_at);
                for job in asked {
                    let account = read(&answer.out, &job);
                    self.wanted.remove(&job);
                    if account == Account::Nothing {
                        self.blank_since.entry(job.clone()).or_insert(asked_at);
                    } else {
                        self.blank_since.remove(&job);
                    }
                    self.known.insert(job, account);
                }
                return Ok(());
            }
            Ok(answer) => format!("sacct: {}", gist(&answer.err)),
            Err(silence) => format!("sacct: {silence}"),
        };
        self.turns.failed(why.clone());
        Err(why)
    }
}

fn read(text: &str, (id, name): &Key) -> Account {
    let mut found = Account::Nothing;
    for line in text.lines() {
        let fields: Vec<&str> = line.split('|').collect();
        let [number, named, state, code, end, ..] = fields.as_slice() else { continue };
        if named != name || number.parse() != Ok(*id) {
            continue;
        }
        // After a restart of the database it says FAILED of what runs, but never when it ended.
        let ended = !matches!(*end, "" | "Unknown" | "None");
        if !ended || words::read(state) != Word::Over {
            return Account::Open;
        }
        // One that was started twice has two: the last one is its end.
        found = Account::Over(format!("sacct says {state}, exit {code}"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, id: u64, name: &str) -> Account {
        read(text, &(id, name.to_owned()))
    }

    #[test]
    fn accounting_is_believed_only_where_it_knows_an_end_under_our_name() {
        let ended = "7|ilchul.r.a.1|COMPLETED|0:0|2026-11-21T18:44:37\n";
        assert_eq!(of(ended, 7, "ilchul.r.a.1"), Account::Over("sacct says COMPLETED, exit 0:0".to_owned()));
        assert_eq!(of(ended, 7, "ilchul.r.a.2"), Account::Nothing);
        assert_eq!(of(ended, 70, "ilchul.r.a.1"), Account::Nothing);
        for lie in
            ["7|x|FAILED|0:0|Unknown", "7|x|RUNNING|0:0|Unknown", "7|x|NEWWORD|0:0|2026-11-21T18:44:37"]
        {
            assert_eq!(of(lie, 7, "x"), Account::Open, "{lie}");
        }
        assert_eq!(of("", 7, "x"), Account::Nothing);
    }

    #[test]
    fn one_that_was_started_again_is_open_until_its_last_start_ended() {
        let both = "7|x|CANCELLED|0:0|2026-11-21T18:44:37\n7|x|RUNNING|0:0|Unknown\n";
        assert_eq!(of(both, 7, "x"), Account::Open);
        let over = "7|x|CANCELLED|0:0|2026-11-21T18:44:37\n7|x|FAILED|79:0|2026-11-21T18:45:00\n";
        assert_eq!(of(over, 7, "x"), Account::Over("sacct says FAILED, exit 79:0".to_owned()));
        // An id that was given again is somebody else's.
        let reused = "7|x|COMPLETED|0:0|2026-11-21T18:44:37\n7|y|RUNNING|0:0|Unknown\n";
        assert!(matches!(of(reused, 7, "x"), Account::Over(_)));
    }
}
