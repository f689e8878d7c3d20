//! Looking at many sessions at once: their files each, the controller once, accounting once.
//!
//! What files say costs no question, and what the controller says costs accounting none. It
//! leaves out what an answer means; that is `look.rs`.

use std::sync::Arc;
use std::time::Duration;

use ilchul_substrate::{Error, Handle, Observation, State};

use crate::account::{Account, Key};
use crate::client;
use crate::look::{self, Looked, Written};
use crate::queue::Snapshot;
use crate::record::Record;
use crate::{Site, Slurm};

/// What is known of one after its files and the controller.
enum Look {
    Done(Observation),
    /// Nobody but accounting may know more; the id is there, unless nobody ever knew one.
    Forgotten(Written, Duration, Option<Key>),
}

type Known = Result<Arc<Snapshot>, String>;

impl Slurm {
    /// One observation for each handle, in order.
    pub(crate) fn looked_at(&self, handles: &[Handle]) -> Vec<Observation> {
        // Asked for once, and only if some file leaves a question.
        let mut snapshot = None;
        let unknown = |error: Error| Look::Done(Observation::now(State::Unknown(error.to_string())));
        let mut look = |handle| self.look(handle, &mut snapshot).unwrap_or_else(unknown);
        let looks: Vec<Look> = handles.iter().map(&mut look).collect();
        let left = looks.iter().filter_map(|look| match look {
            Look::Forgotten(_, _, job) => job.clone(),
            Look::Done(_) => None,
        });
        let mut accounts = self.accounts(&left.collect::<Vec<Key>>()).into_iter();
        let settled = |look| match look {
            Look::Done(observation) => observation,
            Look::Forgotten(written, age, None) => look::forgotten(&written, age, Ok(Account::Nothing)),
            Look::Forgotten(written, age, Some(_)) => {
                let unasked = || Err("accounting wasn't asked".to_owned());
                look::forgotten(&written, age, accounts.next().unwrap_or_else(unasked))
            }
        };
        looks.into_iter().map(settled).collect()
    }

    fn look(&self, handle: &Handle, snapshot: &mut Option<Known>) -> Result<Look, Error> {
        let named = Self::named(handle)?;
        let done = |state| Ok(Look::Done(Observation::now(state)));
        let record = match Record::open(&named.folder)? {
            Some(record) if record.nonce == named.nonce => Some(record),
            // Another life of the same name: the one that was named isn't there.
            Some(_) => return done(State::Absent),
            None => None,
        };
        let mut written = Written { claim: None, end: None };
        if let Some(record) = &record {
            // The end is read after the claim: who ends has begun.
            written.claim = record.claim()?;
            written.end = record.end()?;
            if let Some(seen) = look::by_record(&written, &self.memories, &handle.mark) {
                return Ok(Look::Done(seen));
            }
        }
        // Only now, so that what its files say costs the controller nothing.
        let snapshot = match snapshot.get_or_insert_with(|| self.queue.known()) {
            Ok(snapshot) => Arc::clone(snapshot),
            Err(why) => return done(State::Unknown(why.clone())),
        };
        let name = handle.mark.to_string();
        let claimed = written.claim.as_ref().and_then(|claim| claim.job);
        let job = snapshot.find(&name, &named.nonce, claimed);
        if record.is_none() {
            return done(match job {
                Some(job) => State::Unknown(format!("{}, but its folder is gone", job.said())),
                None => State::Absent,
            });
        }
        let looked = look::by_queue((&handle.mark, &written), (&snapshot, job), &self.memories, &self.pace);
        Ok(match looked {
            Looked::Seen(observation) => Look::Done(observation),
            Looked::Forgotten(age) => {
                let id = claimed.or_else(|| handle.id.parse().ok());
                Look::Forgotten(written, age, id.map(|id| (id, name)))
            }
        })
    }

    /// What accounting knows of each; nothing where there is none.
    fn accounts(&self, jobs: &[Key]) -> Vec<Result<Account, String>> {
        if jobs.is_empty() {
            return Vec::new();
        }
        match self.has_accounting() {
            Ok(true) => self.accounts.known(jobs),
            Ok(false) => jobs.iter().map(|_| Ok(Account::Nothing)).collect(),
            Err(why) => jobs.iter().map(|_| Err(why.clone())).collect(),
        }
    }

    /// Whether there is an `sacct` to ask. Asked once; a failed look is asked again.
    fn has_accounting(&self) -> Result<bool, String> {
        if let Some(has) = self.accounting.get() {
            return Ok(*has);
        }
        // Sites keep it from some hosts, and then it isn't theirs to say.
        let has = client::is_there("sacct") && Site::ask(self.pace.limit)?.has_accounting();
        Ok(*self.accounting.get_or_init(|| has))
    }
}
