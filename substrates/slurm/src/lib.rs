#![doc = include_str!("../README.md")]

mod account;
mod backoff;
mod client;
mod discover;
mod look;
mod observe;
mod queue;
mod record;
mod release;
mod said;
mod site;
mod submit;
mod turn;
mod words;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use account::Accounts;
use ilchul_substrate::{
    Capabilities, Error, ErrorKind, Handle, Mark, Observation, SessionSpec, Substrate, Urgency,
};
use look::Memories;
use queue::Queue;
use record::Record;
pub use record::{LastWord, last_word, node, stage};
pub use site::Site;
pub use submit::{OWNED, line, margin, owned};
use turn::Turns;

/// The kind in handles.
pub const KIND: &str = "slurm";
const NONCE: &str = "nonce";
const FOLDER: &str = "folder";
/// What pids of a session mean: here nothing, they are another host's.
const BOOT: (&str, &str) = ("boot_id", "elsewhere");
/// What runs on the nodes.
const JOB: &str = include_str!("job.sh");

/// How often and how long things are waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// Between two queries of the controller. A site's patience is with 10 s and more.
    pub interval: Duration,
    /// The longest that one command of Slurm's may take.
    pub limit: Duration,
    /// How long a submit whose outcome is unknown is looked for.
    pub doubt: Duration,
    /// How long the files of a job may arrive after the controller called it over.
    pub settle: Duration,
    /// How long answers must lack a job before it is gone, and how long a refusal is kept.
    pub forget: Duration,
    /// How long a hopeless reason must last.
    pub hopeless: Duration,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// Between two submits, after the first [`BURST`].
    pub submit_every: Duration,
}

/// Submits that go out at once after a quiet time.
pub const BURST: u32 = 20;

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            limit: Duration::from_secs(30),
            doubt: Duration::from_secs(60),
            settle: Duration::from_secs(60),
            forget: Duration::from_secs(60),
            hopeless: Duration::from_secs(20),
            grace: Duration::from_secs(10),
            // Two a second is what sites ask of their users.
            submit_every: Duration::from_millis(500),
        }
    }
}

impl Pace {
    /// Between two looks of a job at what it was told: as often as whole seconds allow.
    fn watch(&self) -> Duration {
        Duration::from_secs(self.interval.as_secs().clamp(1, WATCH_MAX))
    }
}

/// The longest between two looks of a job at its folder, in seconds.
const WATCH_MAX: u64 = 5;

/// The substrate. Dropping it ends nothing.
pub struct Slurm {
    root: PathBuf,
    pace: Pace,
    queue: Queue,
    accounts: Accounts,
    turns: Turns,
    memories: Memories,
    /// Whether there is accounting to ask, once that is known.
    accounting: OnceLock<bool>,
    /// The site's seconds between TERM and KILL, once known.
    kill_wait: OnceLock<u64>,
    /// One lock for each mark, so that two threads never submit the same one.
    marks: Mutex<HashMap<Mark, Arc<Mutex<()>>>>,
}

/// What the handle says, checked for form and kind only.
struct Named {
    nonce: String,
    folder: PathBuf,
}

impl Slurm {
    /// Sessions whose folders are in `root`, which every node must see under this path.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, pace: Pace) -> Self {
        Self {
            root: root.into(),
            queue: Queue::new(pace.interval, pace.limit),
            turns: Turns::new(pace.submit_every, BURST),
            accounts: Accounts::new(pace.interval, pace.limit, pace.forget),
            pace,
            memories: Memories::default(),
            accounting: OnceLock::new(),
            kill_wait: OnceLock::new(),
            marks: Mutex::default(),
        }
    }

    fn named(handle: &Handle) -> Result<Named, Error> {
        let refused = |detail: String| Error::new(ErrorKind::Refused, "read handle", detail);
        if handle.kind != KIND {
            return Err(refused(format!("`{}` is of kind `{}`, not `{KIND}`", handle.mark, handle.kind)));
        }
        let (nonce, folder) = (handle.field(NONCE)?, PathBuf::from(handle.field(FOLDER)?));
        if !record::is_nonce(nonce) || !folder.is_absolute() {
            return Err(refused(format!(
                "`{}` names no job: `{nonce}`, `{}`",
                handle.mark,
                folder.display()
            )));
        }
        Ok(Named { nonce: nonce.to_owned(), folder })
    }

    fn handle(mark: &Mark, record: &Record, job: u64) -> Handle {
        let folder = record.folder.display().to_string();
        let fields = [(NONCE, record.nonce.clone()), (FOLDER, folder), (BOOT.0, BOOT.1.to_owned())];
        Handle {
            mark: mark.clone(),
            kind: KIND.to_owned(),
            id: job.to_string(),
            fields: fields.map(|(name, value)| (name.to_owned(), value)).into(),
        }
    }

    /// The script that runs on the nodes, placed once; a name for each content, so that a newer
    /// ilchul changes nothing under a job that runs.
    fn script(&self) -> Result<PathBuf, Error> {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in JOB.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let path = self.root.join(format!("job-{hash:016x}.sh"));
        let there = fs::read(&path).is_ok_and(|bytes| bytes == JOB.as_bytes());
        if !there {
            let failed = |error| Error::io("place the job's script", format!("`{}`", path.display()), error);
            fs::create_dir_all(&self.root).map_err(failed)?;
            record::whole(&path, JOB.as_bytes()).map_err(failed)?;
        }
        Ok(path)
    }

    fn make(&self, mark: &Mark, spec: &SessionSpec) -> Result<Handle, Error> {
        check(mark, spec)?;
        let script = self.script()?;
        let folder = self.root.join(mark.to_string());
        let Some(record) = Record::make(&folder, mark)? else { return self.find(mark, &folder, spec) };
        // Known to nobody yet, so whatever bears the name is somebody else's. An answer that
        // isn't quite new is good enough: a name is never used twice.
        if let Ok(snapshot) = self.queue.known()
            && let Some(job) = snapshot.foreign(&mark.to_string(), &record.nonce)
        {
            let detail = format!("`{mark}`: {} under this name, which isn't ours", job.said());
            return Err(Error::new(ErrorKind::Conflict, "start session", detail));
        }
        record.set_spec(mark, spec, &self.pace)?;
        self.submit(mark, &record, &script, spec)
    }

    fn submit(
        &self,
        mark: &Mark,
        record: &Record,
        script: &Path,
        spec: &SessionSpec,
    ) -> Result<Handle, Error> {
        let script = submit::script(script, &record.folder, &spec.request)?;
        let order = (script.as_str(), &spec.request);
        let job = submit::submit(&self.turns, mark, record, order, (&self.queue, &self.pace))?;
        self.memories.submitted(mark);
        record.set_job(job)?;
        Ok(Self::handle(mark, record, job))
    }

    /// The session of a folder that is there already, whoever made it.
    fn find(&self, mark: &Mark, folder: &Path, spec: &SessionSpec) -> Result<Handle, Error> {
        let conflict =
            |why: &str| Error::new(ErrorKind::Conflict, "start session", format!("`{mark}`: {why}"));
        let record = Record::open(folder)?.ok_or_else(|| conflict("its record is half made"))?;
        if let Some(job) = record.job()? {
            return Ok(Self::handle(mark, &record, job));
        }
        if record.claim()?.is_some_and(|claim| claim.job.is_none()) {
            return Err(conflict("it was called off, and is never begun again"));
        }
        // Whoever submitted it ended before the answer was written down, if it was submitted.
        let job = match submit::adopt(mark, &record, (&self.queue, &self.pace))? {
            submit::Adopted::Found(job) => job,
            submit::Adopted::Nothing => {
                record.set_spec(mark, spec, &self.pace)?;
                return self.submit(mark, &record, &self.script()?, spec);
            }
            submit::Adopted::Unknown(why) => {
                let detail = format!("`{mark}`: nobody knows whether it was submitted ({why})");
                return Err(Error::new(ErrorKind::Unavailable, "start session", detail));
            }
        };
        record.set_job(job)?;
        Ok(Self::handle(mark, &record, job))
    }

    fn lock_of(&self, mark: &Mark) -> Arc<Mutex<()>> {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(marks.entry(mark.clone()).or_default())
    }
}

/// What would be refused on the node is refused here, where somebody sees it.
fn check(mark: &Mark, spec: &SessionSpec) -> Result<(), Error> {
    let refused =
        |why: String| Err(Error::new(ErrorKind::Refused, "start session", format!("`{mark}`: {why}")));
    if !spec.cwd.is_absolute() || !spec.cwd.is_dir() {
        return refused(format!("`{}` is no folder with a whole path", spec.cwd.display()));
    }
    if let Some(option) = spec.request.options.iter().find(|option| owned(option).is_some()) {
        return refused(format!("the option `{option}` is ilchul's own"));
    }
    if let Some(option) = spec.request.options.iter().find(|option| !option.starts_with("--")) {
        return refused(format!("the option `{option}` isn't a long one (`--name=value`)"));
    }
    match spec.request.env_file.as_deref().and_then(unfit_env_file) {
        Some(why) => refused(why),
        None => Ok(()),
    }
}

/// Why a file of variables can't be used: it isn't there, is no file, or others can read it.
#[must_use]
pub fn unfit_env_file(file: &Path) -> Option<String> {
    match fs::metadata(file) {
        Ok(found) if !found.is_file() => Some(format!("`{}` is no file", file.display())),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            Some(format!("`{}` can be read by others: `chmod 600` it", file.display()))
        }
        Ok(_) => None,
        Err(error) => Some(format!("`{}`: {error}", file.display())),
    }
}

impl Substrate for Slurm {
    type Spec = SessionSpec;

    fn kind(&self) -> &'static str {
        KIND
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            queued: true,
            push_events: false,
            attach: true,
            local_files: false,
            wall_time: true,
            can_partition: true,
        }
    }

    fn ensure(&self, mark: &Mark, spec: &SessionSpec) -> Result<Handle, Error> {
        let lock = self.lock_of(mark);
        let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.make(mark, spec)
    }

    fn observe(&self, handles: &[Handle]) -> Vec<Observation> {
        self.looked_at(handles)
    }

    fn release(&self, handle: &Handle, urgency: Urgency) -> Result<(), Error> {
        release::release(self, handle, urgency)
    }

    fn discover(&self, run: &str) -> Result<Vec<(Mark, Handle)>, Error> {
        self.listed(run)
    }

    fn attach(&self, handle: &Handle) -> Option<Vec<OsString>> {
        let named = Self::named(handle).ok()?;
        let record = Record::open(&named.folder).ok()?.filter(|record| record.nonce == named.nonce)?;
        let claim = record.claim().ok()??;
        let job = format!("--jobid={}", claim.job?);
        let words = ["srun", &job, "--overlap", "--pty", "tmux", "-S", &claim.socket, "attach"];
        Some(client::argv(&words))
    }
}
