//! The one trait behind which ilchul hosts work, and its plain data.
//!
//! A *workspace* substrate hosts files (a git worktree), a *session* substrate
//! hosts a process (a tmux window, a process group, a cluster job). Both are the
//! same five verbs over a [`Mark`]; the suite in `ilchul-conformance` says, with
//! real git and real tmux, what each verb promises once it returns.
//!
//! Left out on purpose: a verb that deletes (none exists, so nothing can call
//! one), knowledge of the DAG, retries, timeouts, heartbeats, reports, evidence,
//! the journal, async, a clock, and wording for people. Standard library only.

mod error;
mod mark;
mod observation;

pub use error::{Error, ErrorKind};
pub use mark::{InvalidMark, Mark};
pub use observation::{Exit, Facts, Observation, State};

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Where a marked thing is: enough to find it again from a cold start.
///
/// It is journaled and read back by another process, perhaps after a reboot, so
/// it holds text only, and identity (start time, server, boot) beside location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle {
    /// Whose it is.
    pub mark: Mark,
    /// The substrate that made it: `worktree`, `tmux`, `subprocess`, ...
    pub kind: String,
    /// What a person would type to name it (`%12`, a pid, a path).
    pub id: String,
    /// Everything else the substrate needs to prove identity later.
    pub fields: BTreeMap<String, String>,
}

impl Handle {
    /// The field `name`, or an error of kind [`ErrorKind::Refused`] that names what is missing.
    ///
    /// # Errors
    /// When a handle of another kind, or of an older form, is given to a substrate.
    pub fn field(&self, name: &str) -> Result<&str, Error> {
        self.fields.get(name).map(String::as_str).ok_or_else(|| {
            Error::new(ErrorKind::Refused, "read handle", format!("`{}` has no field `{name}`", self.mark))
        })
    }
}

/// How much of a hurry a release is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Ask first (TERM), end what is left after the grace the substrate was built with.
    Asked,
    /// End the whole process tree now (KILL).
    AtOnce,
}

/// What a substrate can do, as data: policy is decided by the caller, never by downcasting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent yes/no facts, each with its own reader")]
pub struct Capabilities {
    /// `ensure` may return before the thing runs (a cluster queue).
    pub queued: bool,
    /// It can ring a doorbell when something changes.
    pub push_events: bool,
    /// `attach` returns a command.
    pub attach: bool,
    /// inotify on this machine sees the writes of what it hosts.
    pub local_files: bool,
    /// It ends work by itself after a limit.
    pub wall_time: bool,
    /// The host can be cut off while the work goes on.
    pub can_partition: bool,
}

/// What a session runs: the same for every session substrate.
///
/// The environment is complete and holds nothing secret, because some
/// substrates can only hand it over where other processes of the user can
/// read it. Secrets travel in files of mode 0600.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSpec {
    /// Shown to people; letters, digits, `.`, `_`, `-` only.
    pub title: String,
    /// Working directory: must exist.
    pub cwd: PathBuf,
    /// Program and arguments, executed directly: no shell reads them.
    pub argv: Vec<OsString>,
    /// The whole environment, in order; nothing else is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// Where output goes that no terminal takes; created when missing, appended to.
    pub log: PathBuf,
    /// Also copy what the terminal shows into `log` (for programs that no shim captures).
    pub capture: bool,
    /// What a cluster is asked for; a host that is all there is passes it over.
    pub request: Request,
}

/// What a session asks of a host that shares itself out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// Long options of the host's own submit command (`--partition=main`), in order.
    pub options: Vec<String>,
    /// Lines for the host's shell, run in the session's environment before its program.
    pub setup: Vec<String>,
    /// A file of `NAME=VALUE` lines for the session, which only its owner can read.
    pub env_file: Option<PathBuf>,
    /// The longest that the session may take; `None`: the host's own default. Its program is told
    /// by `ILCHUL_WALL`, the seconds after which its work should end, and `ILCHUL_JOB_BEGAN`, the
    /// running time of its node from which they count; `ILCHUL_WALL_SIGN` is a file that is there
    /// once the host itself asked it to end for that reason.
    pub wall: Option<Duration>,
}

/// One way to host workspaces or sessions.
///
/// Every verb may be repeated. All of them block; none of them deletes.
/// A caller may use one substrate from several threads.
pub trait Substrate: Send + Sync {
    /// What `ensure` needs to know to make one.
    type Spec;

    /// The kind written into handles; one lowercase word.
    fn kind(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Makes the thing marked `mark`, or finds it.
    ///
    /// Once it returns, exactly one such thing exists and the handle finds it from
    /// a cold start; a second call returns an equal handle and starts nothing. If
    /// we die halfway, what was half made is recognised by its mark: `discover`
    /// shows it or a later `ensure` answers `Conflict`; it is never retried in place.
    ///
    /// # Errors
    /// `Unavailable` when the host can't serve now (nothing was made), `Conflict`
    /// when something that isn't ours, or is half made, is in the way (left as it
    /// was), `Refused` for a spec that can't be served, `Io` for the rest.
    fn ensure(&self, mark: &Mark, spec: &Self::Spec) -> Result<Handle, Error>;

    /// Looks, in bulk and without changing anything; one observation per handle, in order.
    ///
    /// Once it returns, each answer was true at some moment during the call (or
    /// [`Observation::age`] earlier) of *that* thing: identity is proven, because
    /// pids, pane ids and job ids are reused. A failed look is `Unknown`, never `Absent`.
    fn observe(&self, handles: &[Handle]) -> Vec<Observation>;

    /// Stops using it; what it holds stays.
    ///
    /// Once it returns, a session's whole process tree has ended (its terminal and
    /// log stay), a workspace is retained: locked, with a reason. Something already
    /// gone is `Ok`. If we die halfway, calling again completes it.
    ///
    /// # Errors
    /// `Conflict` when the handle's identity doesn't match what is there (nothing
    /// was touched), `Unavailable` or `Io` when it couldn't be done or proven.
    fn release(&self, handle: &Handle, urgency: Urgency) -> Result<(), Error>;

    /// All that exists now of `run`, whole or half made, by mark, in the order of marks.
    ///
    /// # Errors
    /// When it couldn't look: an empty list would mean absence, so it isn't one.
    fn discover(&self, run: &str) -> Result<Vec<(Mark, Handle)>, Error>;

    /// The command that puts a person there, or none where nobody can be.
    fn attach(&self, handle: &Handle) -> Option<Vec<OsString>>;
}
