//! Ending one session: asked, then ended, and believed only from the state.
//!
//! `scancel` answers 0 for jobs that it never heard of, so its answer is no proof. It
//! leaves out who is to be ended.

use std::time::{Duration, Instant};

use ilchul_substrate::{Error, ErrorKind, Handle, Urgency};

use crate::client::{argv, run};
use crate::record::Record;
use crate::words::Word;
use crate::{Site, Slurm};

const ACTION: &str = "end job";
/// Between two looks at a job that is ending, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// What Slurm itself needs between the end of a job's processes and saying so.
const MARGIN: Duration = Duration::from_secs(5);
/// A site's `KillWait` where it can't be asked.
const KILL_WAIT: u64 = 30;

pub(crate) fn release(slurm: &Slurm, handle: &Handle, urgency: Urgency) -> Result<(), Error> {
    let named = Slurm::named(handle)?;
    let record = Record::open(&named.folder)?;
    if let Some(record) = &record {
        if record.nonce != named.nonce {
            let detail = format!("`{}`: its folder is another session's by now", handle.mark);
            return Err(Error::new(ErrorKind::Conflict, ACTION, detail));
        }
        // A job that hasn't begun never will; one that has is ended below.
        record.call_off()?;
    }
    let job = Running { slurm, name: handle.mark.to_string(), nonce: named.nonce };
    if let Some(id) = job.look()? {
        job.end(id, urgency)?;
    }
    // Whoever was killed outright wrote nothing.
    if let Some(record) = record
        && record.end()?.is_none()
        && record.claim()?.is_some_and(|claim| claim.job.is_some())
    {
        record.set_end("it was ended by ilchul, and left no word")?;
    }
    Ok(())
}

struct Running<'a> {
    slurm: &'a Slurm,
    name: String,
    nonce: String,
}

impl Running<'_> {
    /// The job that isn't over yet, if there is one. A failed look is an error (law L9).
    fn look(&self) -> Result<Option<u64>, Error> {
        let unavailable = |why| Error::new(ErrorKind::Unavailable, ACTION, format!("`{}`: {why}", self.name));
        let snapshot = self.slurm.queue.fresh().map_err(unavailable)?;
        let job = snapshot.find(&self.name, &self.nonce).filter(|job| job.word != Word::Over);
        Ok(job.map(|job| job.id))
    }

    fn end(&self, id: u64, urgency: Urgency) -> Result<(), Error> {
        let grace = self.slurm.pace.grace;
        // The batch script ends its terminal in order; it can't be asked while it is pending.
        let (signal, patience) = match urgency {
            Urgency::Asked => ("TERM", grace + MARGIN),
            Urgency::AtOnce => ("USR2", MARGIN),
        };
        if self.is_begun()? {
            self.cancel(id, &["--batch", "--signal", signal]);
            if self.is_over_within(patience)? {
                return Ok(());
            }
        }
        self.cancel(id, &[]);
        // TERM, the site's own patience, KILL.
        let wait = Site::ask(self.slurm.pace.limit).ok().and_then(|site| site.seconds("KillWait"));
        let patience = Duration::from_secs(wait.unwrap_or(KILL_WAIT)) + grace + MARGIN;
        if self.is_over_within(patience)? {
            return Ok(());
        }
        let detail = format!(
            "`{}`: Slurm still holds job {id} {} s after it was cancelled",
            self.name,
            patience.as_secs()
        );
        Err(Error::new(ErrorKind::Io, ACTION, detail))
    }

    /// Only where id and name agree: an id alone may be another's by now.
    fn cancel(&self, id: u64, how: &[&str]) {
        let (id, name) = (id.to_string(), format!("--name={}", self.name));
        let words: Vec<&str> =
            ["scancel"].into_iter().chain(how.iter().copied()).chain([name.as_str(), &id]).collect();
        // Its answer proves nothing; the state does.
        let _ = run(&argv(&words), "", self.slurm.pace.limit);
    }

    fn is_begun(&self) -> Result<bool, Error> {
        let record = Record::open(&self.slurm.root.join(&self.name))?;
        Ok(record
            .map(|record| record.claim())
            .transpose()?
            .flatten()
            .is_some_and(|claim| claim.job.is_some()))
    }

    fn is_over_within(&self, patience: Duration) -> Result<bool, Error> {
        let deadline = Instant::now() + patience;
        let mut pause = PAUSE.0;
        loop {
            let late = Instant::now() >= deadline;
            if self.look()?.is_none() {
                return Ok(true);
            }
            if late {
                return Ok(false);
            }
            std::thread::sleep(pause);
            pause = (pause * 3 / 2).min(PAUSE.1);
        }
    }
}
