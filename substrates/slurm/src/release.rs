//! Ending one session: asked, then ended, and believed only from its own word or the state.
//!
//! `scancel` answers 0 for jobs that it never heard of, so its answer is no proof; and one
//! list that lacks a job that has begun is none either. It leaves out who is to be ended.

use std::time::{Duration, Instant};

use ilchul_substrate::{Error, ErrorKind, Handle, Urgency};

use crate::client::{argv, run};
use crate::look::MISSED;
use crate::record::Record;
use crate::words::Word;
use crate::{Site, Slurm};

const ACTION: &str = "end job";
/// Between two looks at a job that is ending, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// What Slurm itself needs between the end of a job's processes and saying so.
const MARGIN: Duration = Duration::from_secs(5);
/// A site's `KillWait` where it can't be asked.
const KILL_WAIT: Duration = Duration::from_secs(30);

pub(crate) fn release(slurm: &Slurm, handle: &Handle, urgency: Urgency) -> Result<(), Error> {
    let named = Slurm::named(handle)?;
    let record = Record::open(&named.folder)?;
    let begun = match &record {
        Some(record) if record.nonce != named.nonce => {
            let detail = format!("`{}`: its folder is another session's by now", handle.mark);
            return Err(Error::new(ErrorKind::Conflict, ACTION, detail));
        }
        // A job that hasn't begun never will; one that has is ended below.
        Some(record) if record.call_off()? => None,
        Some(record) => record.claim()?.and_then(|claim| claim.job),
        // Nothing says any more whether it began.
        None => handle.id.parse().ok(),
    };
    let ending = Ending { slurm, handle, nonce: named.nonce, record, begun };
    let words = ending.run(urgency)?;
    // Whoever was killed outright wrote nothing.
    if let (Some(record), Some(_), false) = (&ending.record, begun, ending.has_its_word()?) {
        record.set_end(words)?;
    }
    Ok(())
}

impl Slurm {
    /// The site's patience between TERM and KILL. Asked once.
    fn kill_wait(&self) -> Duration {
        let ask = || Site::ask(self.pace.limit).ok().and_then(|site| site.seconds("KillWait"));
        let seconds = self.kill_wait.get().copied().or_else(ask);
        seconds.map_or(KILL_WAIT, |seconds| Duration::from_secs(*self.kill_wait.get_or_init(|| seconds)))
    }
}

struct Ending<'a> {
    slurm: &'a Slurm,
    handle: &'a Handle,
    nonce: String,
    record: Option<Record>,
    /// The job that has begun.
    begun: Option<u64>,
}

/// What one list says.
enum Listed {
    /// Jobs of ours that aren't over: id, and the name that Slurm knows.
    Unfinished(Vec<(u64, String)>),
    /// The one that had begun is over, or none had.
    Over,
    /// It lacks the one that had begun.
    Missing,
}

impl Ending<'_> {
    /// Once it returns it is over; the words for that, where it wrote none itself.
    fn run(&self, urgency: Urgency) -> Result<&'static str, Error> {
        let killed = "it was ended by ilchul, and left no word";
        let grace = self.slurm.pace.grace;
        // The batch script ends its terminal in order; it can't be asked while it is pending.
        let (signal, patience) = match urgency {
            Urgency::Asked => ("TERM", grace + MARGIN),
            Urgency::AtOnce => ("USR2", MARGIN),
        };
        let listed = self.look();
        if listed.is_err() {
            // Nothing can be proven now, but it may read that it is to end.
            self.tell(urgency)?;
        }
        let listed = listed?;
        if matches!(listed, Listed::Over) {
            return Ok(killed);
        }
        // A shell that runs a set-up line hears nothing before that line has ended: all of it is told.
        let sets_up = self.record.as_ref().is_some_and(Record::sets_up);
        if sets_up {
            self.tell(urgency)?;
        }
        if let Listed::Unfinished(jobs) = listed {
            for (id, name) in &jobs {
                // A twin, or one that waits, is nobody that could be asked.
                let asked = ["--batch", "--signal", signal];
                let how = if self.begun == Some(*id) && !sets_up { asked.as_slice() } else { &[] };
                self.cancel((*id, name), how);
            }
            if self.begun.is_some() && self.is_over_within(patience)? {
                return Ok(killed);
            }
        }
        self.tell(urgency)?;
        self.cancel_all()?;
        // TERM, the site's own patience, KILL.
        if self.is_over_within(self.slurm.kill_wait() + grace + MARGIN)? {
            return Ok(killed);
        }
        if matches!(self.look()?, Listed::Missing) && self.is_missing_for_long(patience)? {
            return Ok("Slurm knows nothing of its job any more, and it left no word");
        }
        let detail = format!("`{}`: Slurm still holds it after it was cancelled", self.handle.mark);
        Err(Error::new(ErrorKind::Io, ACTION, detail))
    }

    /// What Slurm can't reach looks into its folder.
    fn tell(&self, urgency: Urgency) -> Result<(), Error> {
        match (&self.record, self.begun) {
            (Some(record), Some(_)) => record.set_stop(urgency),
            (Some(_) | None, None) | (None, Some(_)) => Ok(()),
        }
    }

    /// A failed look is an error (law L9).
    fn look(&self) -> Result<Listed, Error> {
        let name = self.handle.mark.to_string();
        let unavailable = |why| Error::new(ErrorKind::Unavailable, ACTION, format!("`{name}`: {why}"));
        let snapshot = self.slurm.queue.fresh().map_err(unavailable)?;
        let jobs = snapshot.unfinished(&name, &self.nonce);
        if !jobs.is_empty() {
            return Ok(Listed::Unfinished(jobs.iter().map(|job| (job.id, job.name.clone())).collect()));
        }
        let over = |id| snapshot.find(&name, &self.nonce, Some(id)).is_some_and(|job| job.word == Word::Over);
        let known = self.begun.is_none_or(over) || self.has_its_word()?;
        Ok(if known { Listed::Over } else { Listed::Missing })
    }

    /// Whether its end was written down.
    fn has_its_word(&self) -> Result<bool, Error> {
        Ok(self.record.as_ref().map(Record::end).transpose()?.flatten().is_some())
    }

    /// Only where id and name agree: an id alone may be another's by now.
    fn cancel(&self, (id, name): (u64, &str), how: &[&str]) {
        let (id, name) = (id.to_string(), format!("--name={name}"));
        let words: Vec<&str> =
            ["scancel"].into_iter().chain(how.iter().copied()).chain([name.as_str(), &id]).collect();
        // Its answer proves nothing; the state does.
        let _ = run(&argv(&words), "", self.slurm.pace.limit);
    }

    /// Whatever there is of it, and the one that had begun even if no list has it.
    fn cancel_all(&self) -> Result<(), Error> {
        match self.look()? {
            Listed::Over => {}
            Listed::Unfinished(jobs) => jobs.iter().for_each(|(id, name)| self.cancel((*id, name), &[])),
            Listed::Missing => {
                if let Some(id) = self.begun {
                    self.cancel((id, &self.handle.mark.to_string()), &[]);
                }
            }
        }
        Ok(())
    }

    /// Whether it is over within `patience`; false as well once a list lacks it.
    fn is_over_within(&self, patience: Duration) -> Result<bool, Error> {
        let deadline = Instant::now() + patience;
        let mut pause = PAUSE.0;
        loop {
            let late = Instant::now() >= deadline;
            match self.look()? {
                Listed::Over => return Ok(true),
                Listed::Missing => return Ok(false),
                Listed::Unfinished(_) if late => return Ok(false),
                Listed::Unfinished(_) => std::thread::sleep(pause),
            }
            pause = (pause * 3 / 2).min(PAUSE.1);
        }
    }

    /// Whether it gave its word, or answers went on lacking it while it could have. Where looks
    /// lacked it long before, all that is waited for is that it reads what it was told.
    fn is_missing_for_long(&self, patience: Duration) -> Result<bool, Error> {
        let pace = &self.slurm.pace;
        let known = self.slurm.memories.is_missing(&self.handle.mark, pace);
        let (answers, patience) = if known { (1, patience) } else { (MISSED, patience.max(pace.forget)) };
        let (deadline, mut asked_at, mut count) =
            (Instant::now() + patience + pace.watch(), Instant::now(), 0);
        loop {
            std::thread::sleep(PAUSE.0);
            if self.has_its_word()? {
                return Ok(true);
            }
            let late = Instant::now() >= deadline;
            if !late && asked_at.elapsed() < pace.interval {
                continue;
            }
            asked_at = Instant::now();
            match self.look()? {
                Listed::Over => return Ok(true),
                // It was a hole in one list.
                Listed::Unfinished(_) => return Ok(false),
                Listed::Missing => count += 1,
            }
            if late && count >= answers {
                return Ok(true);
            }
        }
    }
}
