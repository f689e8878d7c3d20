//! A sealed world for one test: a repository, a home, a tmux server, and nothing inherited.
//!
//! Tests read what happened from the journal, as any other process may. Whatever was left
//! alive is ended when its world is dropped.

#[path = "ending.rs"]
pub mod ending;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ilchul::engine::Engine;
use ilchul::engine::event::Event;
use ilchul::engine::moment::Moment;
use ilchul::engine::state::{RunState, WorkerState};
use ilchul::home::Home;
use ilchul::journal::{Journal, lock};
use ilchul_subprocess::process::{Identity, is_running};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;

/// How long anything may take before a test gives up; a passing test waits for far less.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Programs that a world without tmux still has.
const PLAIN_TOOLS: &[&str] = &[
    "sh", "git", "sleep", "cat", "touch", "printf", "mkdir", "rm", "sed", "date", "mv", "test", "true",
    "false", "dirname",
];

/// The first `Some` that `look` answers within [`PATIENCE`].
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        let late = Instant::now() >= until;
        if let Some(found) = look() {
            return found;
        }
        assert!(!late, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Returns once `holds`.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; -1 after a signal.
    pub code: i32,
    /// Results.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
}

impl Ran {
    /// Asserts the exit code, and shows everything where it is another.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }
}

/// A supervisor that runs in the background of a test.
pub struct Up {
    child: Option<Child>,
    /// Its process.
    pub pid: u32,
}

impl Up {
    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(process(self.pid), signal).unwrap();
    }

    /// Sends one to its whole process group, as a terminal does.
    pub fn signal_group(&self, signal: Signal) {
        let group = process(self.pid);
        assert!(group.as_raw() > 1);
        killpg(group, signal).unwrap();
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some())
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Ran {
        wait_until("the end of `up`", || self.has_ended());
        ran(&self.child.take().unwrap().wait_with_output().unwrap())
    }

    /// Ends it as nobody can prepare for.
    pub fn kill(self) -> Ran {
        self.signal(Signal::SIGKILL);
        self.wait()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Already ended is the usual answer.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a command that has ended printed.
pub fn ran(output: &std::process::Output) -> Ran {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

fn process(pid: u32) -> Pid {
    let pid = i32::try_from(pid).unwrap();
    assert!(pid > 1);
    Pid::from_raw(pid)
}

/// One sealed world.
pub struct World {
    dir: tempfile::TempDir,
    /// What `PATH` is.
    pub path: std::ffi::OsString,
}

impl World {
    /// A repository with one commit, and no workflow yet.
    pub fn new() -> Self {
        // Short, because the path of tmux's socket may have 107 bytes.
        let within = std::env::var_os("ILCHUL_TEST_ROOT").unwrap_or_else(|| "/tmp".into());
        let dir = tempfile::Builder::new().prefix("ia").tempdir_in(within).unwrap();
        let world = Self { dir, path: std::env::var_os("PATH").unwrap() };
        for folder in ["repo/src", "user", "tmux"] {
            fs::create_dir_all(world.root().join(folder)).unwrap();
        }
        fs::write(world.repo().join("src/lib.txt"), "one\n").unwrap();
        fs::write(world.repo().join("README"), "A repository.\n").unwrap();
        world.git(&["init", "-q", "-b", "main"]);
        world.commit("Begin");
        world
    }

    /// A world whose workflow is `text`, committed as `ilchul.yaml`.
    pub fn with(text: &str) -> Self {
        let world = Self::new();
        world.workflow(text);
        world
    }

    /// Writes and commits the workflow; `$W` in it stands for the world's folder and
    /// `$FIXTURES` for the workers of `fixtures/workers`.
    pub fn workflow(&self, text: &str) {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/workers");
        let text = text.replace("$W", self.root().to_str().unwrap());
        let text = text.replace("$FIXTURES", fixtures.to_str().unwrap());
        fs::write(self.repo().join("ilchul.yaml"), format!("version: 1\nname: test\n{text}")).unwrap();
        self.commit("Change the workflow");
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-q", "-m", message]);
    }

    /// Everything of this test is below it.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The checkout.
    pub fn repo(&self) -> PathBuf {
        self.root().join("repo")
    }

    /// ilchul's home.
    pub fn home(&self) -> Home {
        Home::at(self.root().join("repo.ilchul"))
    }

    /// Takes tmux out of `PATH`.
    pub fn without_tmux(mut self) -> Self {
        let tools = self.root().join("tools");
        fs::create_dir(&tools).unwrap();
        for tool in PLAIN_TOOLS {
            let found =
                std::env::split_paths(&self.path).map(|dir| dir.join(tool)).find(|path| path.exists());
            symlink(found.unwrap(), tools.join(tool)).unwrap();
        }
        self.path = tools.into_os_string();
        self
    }

    /// Puts wrappers of git and tmux first in `PATH` that write their arguments into `argv.log`.
    pub fn with_logged_tools(mut self) -> Self {
        let tools = self.root().join("logged");
        fs::create_dir(&tools).unwrap();
        for tool in ["git", "tmux"] {
            let real = std::env::split_paths(&self.path).map(|dir| dir.join(tool)).find(|path| path.exists());
            let (real, log) = (real.unwrap(), self.root().join("argv.log"));
            let script = format!(
                "#!/bin/sh\necho {tool} \"$@\" >> {}\nexec {} \"$@\"\n",
                log.display(),
                real.display()
            );
            fs::write(tools.join(tool), script).unwrap();
            fs::set_permissions(tools.join(tool), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let others = std::env::split_paths(&self.path).collect::<Vec<_>>();
        self.path = std::env::join_paths(std::iter::once(tools).chain(others)).unwrap();
        self
    }

    /// Any program in this world's environment, in the checkout.
    pub fn sealed(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.repo()).stdin(Stdio::null());
        command.env("PATH", &self.path).env("HOME", self.root().join("user"));
        command.env("TMUX_TMPDIR", self.root().join("tmux")).env("LANG", "C.UTF-8").env("SHELL", "/bin/sh");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command
    }

    /// Runs git in the checkout.
    #[track_caller]
    pub fn git(&self, args: &[&str]) -> String {
        let output = ran(&self.sealed("git").args(args).output().unwrap());
        output.exits(0).stdout
    }

    /// The commit that the checkout is at.
    #[track_caller]
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"]).trim_end().to_owned()
    }

    /// Runs tmux on this world's own server.
    pub fn tmux(&self, args: &[&str]) -> Ran {
        ran(&self.sealed("tmux").args(args).output().unwrap())
    }

    /// The binary, ready to be run.
    pub fn ilchul(&self, args: &[&str]) -> Command {
        let mut command = self.sealed(env!("CARGO_BIN_EXE_ilchul"));
        command.args(args);
        command
    }

    /// Runs the binary to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        ran(&self.ilchul(args).output().unwrap())
    }

    /// What the binary prints where nothing is wrong.
    #[track_caller]
    pub fn ok(&self, args: &[&str]) -> String {
        self.run(args).exits(0).stdout
    }

    /// The data of its JSON answer, whatever it ends with.
    #[track_caller]
    pub fn data(&self, args: &[&str]) -> Value {
        self.document(args, true).1
    }

    /// The exit code and the error of its JSON answer.
    #[track_caller]
    pub fn refused(&self, args: &[&str]) -> (i32, Value) {
        self.document(args, false)
    }

    #[track_caller]
    fn document(&self, args: &[&str], ok: bool) -> (i32, Value) {
        let ran = self.run(&[args, &["--json"]].concat());
        let mut whole: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
        assert_eq!((&whole["schema_version"], &whole["ok"]), (&1.into(), &ok.into()), "{args:?}: {ran:?}");
        (ran.code, whole[if ok { "data" } else { "error" }].take())
    }

    /// `up` on plain processes, to its end.
    pub fn up(&self) -> Ran {
        self.run(&["up", "--session", "subprocess"])
    }

    /// Starts `up` in the background.
    pub fn start(&self, args: &[&str]) -> Up {
        self.spawn(self.ilchul(args))
    }

    /// Starts a command in the background.
    pub fn spawn(&self, mut command: Command) -> Up {
        // A group of its own, as a shell gives to each job.
        command.process_group(0);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Up { pid: child.id(), child: Some(child) }
    }

    /// Starts `up` on plain processes in the background.
    pub fn start_up(&self) -> Up {
        self.start(&["up", "--session", "subprocess"])
    }

    /// The latest run's id, once there is one.
    pub fn run_id(&self) -> Option<String> {
        Journal::open_read(&self.home()).ok()?.runs().ok()?.pop().map(|run| run.id)
    }

    /// The latest run's events, oldest first.
    pub fn events(&self) -> Vec<Event> {
        let Ok(journal) = Journal::open_read(&self.home()) else { return Vec::new() };
        let Some(run) = journal.runs().unwrap().pop() else { return Vec::new() };
        journal.read_run(&run.id).unwrap().into_iter().map(|row| row.event).collect()
    }

    /// When the first event of this kind in the latest run was decided, on the run's line; none yet.
    pub fn moment_of(&self, kind: &str) -> Option<Moment> {
        let journal = Journal::open_read(&self.home()).ok()?;
        let run = journal.runs().ok()?.pop()?;
        let rows = journal.read_run(&run.id).ok()?;
        rows.into_iter().find(|row| row.event.kind() == kind).map(|row| row.at.moment)
    }

    /// The latest run, folded from the disk; none before its first event.
    pub fn peek(&self) -> Option<RunState> {
        let journal = Journal::open_read(&self.home()).ok()?;
        let run = journal.runs().ok()?.pop()?;
        let rows = journal.read_run(&run.id).unwrap();
        if rows.is_empty() {
            return None;
        }
        Some(Engine::replay(rows.into_iter().map(|row| (row.at, row.event))).unwrap().state().clone())
    }

    /// The latest run, folded from the disk.
    #[track_caller]
    pub fn state(&self) -> RunState {
        self.peek().unwrap()
    }

    /// A task's state in words: phase, and the reason where there is one.
    #[track_caller]
    pub fn told(&self, task: &str) -> String {
        let state = self.state();
        let task = &state.tasks[state.task_index(task).unwrap()];
        if task.reason.is_empty() {
            task.phase.to_string()
        } else {
            format!("{} ({})", task.phase, task.reason)
        }
    }

    /// Each task's phase, in the workflow's order.
    pub fn phases(&self) -> Vec<(String, String)> {
        let state = self.state();
        let word = |(task, planned): (&ilchul::engine::state::TaskState, &ilchul::workflow::Task)| {
            (planned.id.clone(), task.phase.to_string())
        };
        state.tasks.iter().zip(&state.workflow().tasks).map(word).collect()
    }

    /// Waits until a task is in a phase.
    #[track_caller]
    pub fn await_task(&self, task: &str, phase: &str) {
        wait_until(&format!("{task} to be {phase}"), || {
            let state = self.peek();
            state.is_some_and(|state| {
                state.task_index(task).is_some_and(|index| state.tasks[index].phase.word() == phase)
            })
        });
    }

    /// Waits until `times` supervisors have gone on with the run.
    #[track_caller]
    pub fn await_resumes(&self, times: usize) {
        let resumed = |event: &Event| event.kind() == "run.resumed";
        wait_until("the resumed run", || {
            self.events().iter().filter(|event| resumed(event)).count() >= times
        });
    }

    /// Waits until a worker is in a phase.
    #[track_caller]
    pub fn await_worker(&self, worker: &str, phase: &str) {
        wait_until(&format!("{worker} to be {phase}"), || {
            let state = self.peek();
            state.is_some_and(|state| state.workers.get(worker).is_some_and(|one| one.phase.word() == phase))
        });
    }

    /// The process in a worker's session: the shim, or a worker of its own.
    #[track_caller]
    pub fn shim(&self, worker: &str) -> Identity {
        // What a worker does may be seen before the journal says where it runs.
        wait_for("the shim in the journal", || identity(self.peek()?.workers.get(worker)?))
    }

    /// The process that the shim beats for.
    #[track_caller]
    pub fn child(&self, worker: &str) -> Identity {
        wait_for("a beat that names the child", || child(&self.home().mail(&self.run_id()?, worker)))
    }

    /// A worker's mail folder.
    pub fn mail(&self, worker: &str) -> PathBuf {
        self.home().mail(&self.run_id().unwrap(), worker)
    }

    /// A worker's tree.
    pub fn tree(&self, worker: &str) -> PathBuf {
        self.home().tree(&self.run_id().unwrap(), worker)
    }

    /// The lines of the ledger outside of everything: what really ran.
    pub fn ledger(&self) -> Vec<String> {
        let text = fs::read_to_string(self.root().join("ledger")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Lets workers that wait for it go on.
    pub fn touch(&self, name: &str) {
        fs::write(self.root().join(name), "").unwrap();
    }

    /// Whether a supervisor holds the home.
    pub fn is_held(&self) -> bool {
        lock::held(&self.home().lock()).unwrap().is_some()
    }
}

/// The process that a worker's session began with.
fn identity(worker: &WorkerState) -> Option<Identity> {
    let session = worker.session.as_ref()?;
    let pid = session.fields.get("pid").unwrap_or(&session.id).parse().ok()?;
    Some(Identity { pid, start_ticks: session.fields.get("start_ticks")?.parse().ok()? })
}

fn child(mail: &Path) -> Option<Identity> {
    let bytes = fs::read(mail.join("heartbeat.json")).ok()?;
    let beat: Value = serde_json::from_slice(&bytes).ok()?;
    let number = |name: &str| beat["child"][name].as_u64();
    Some(Identity { pid: u32::try_from(number("pid")?).ok()?, start_ticks: number("start_ticks")? })
}

/// Whether that very process runs.
pub fn runs(identity: Identity) -> bool {
    is_running(identity).unwrap()
}

/// Sends a signal to one process, proven to be the one that was meant.
pub fn signal(identity: Identity, signal: Signal) {
    assert!(runs(identity));
    kill(process(identity.pid), signal).unwrap();
}

impl Drop for World {
    fn drop(&mut self) {
        ending::end_all(self.root());
    }
}
