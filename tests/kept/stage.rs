//! A world whose every program is watched: by strace, by stubs of git and tmux, or by nobody.
//!
//! It leaves out what is played on it (`story.rs`) and how it is judged.

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::guard::{self, Verdict};
use super::lives;
use super::places::Places;
use super::trace;
use super::world::{Ran, World, wait_until};

/// Everything that can take a path away, and everything that says who did it.
const CALLS: &str = "trace=/^(unlink|rmdir|rename|open|creat$|truncate|ftruncate|link|symlink|mkdir\
    |chdir|fchdir|execve|clone|fork|vfork|kill|tkill|tgkill|pidfd_send_signal)";

/// A watched world.
pub struct Stage {
    /// What is watched.
    pub world: World,
    traced: bool,
    started: Cell<usize>,
    /// What lay there when somebody looked who isn't traced.
    found: RefCell<Vec<(u64, Vec<PathBuf>)>>,
}

/// A program of a stage that still runs.
pub struct Started {
    child: Child,
    said: PathBuf,
}

impl Stage {
    /// A stage where nobody watches.
    pub fn of(world: World) -> Self {
        Self { world, traced: false, started: Cell::new(0), found: RefCell::default() }
    }

    /// A stage where strace follows every program, and whatever it starts, to its end.
    pub fn traced(world: World) -> Self {
        let mut stage = Self::of(world);
        stage.traced = true;
        fs::create_dir(stage.folder()).unwrap();
        stage.note();
        stage
    }

    fn folder(&self) -> PathBuf {
        self.world.root().join("traces")
    }

    /// Remembers all that is there now: not everybody who makes something is traced.
    pub fn note(&self) {
        if self.traced {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let all = [self.world.repo(), self.world.home().root().to_owned()];
            let paths = all.iter().flat_map(|folder| below(folder)).collect();
            self.found.borrow_mut().push((u64::try_from(now.as_micros()).unwrap(), paths));
        }
    }

    /// Starts `ilchul`.
    pub fn start(&self, args: &[&str]) -> Started {
        self.start_program(&self.world.ilchul(args))
    }

    /// Runs `ilchul` to its end.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Ran {
        self.start(args).wait()
    }

    /// Runs it and asserts its exit code.
    #[track_caller]
    pub fn exits(&self, code: i32, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, code, "{args:?}\n--- stdout\n{}\n--- stderr\n{}", ran.stdout, ran.stderr);
        ran
    }

    /// Starts a program of this world.
    ///
    /// strace goes behind it (`-D`), so that the child is the program itself and whatever it
    /// leaves alive is still followed. Files take what it says: a pipe would stay open as long.
    pub fn start_program(&self, inner: &Command) -> Started {
        let number = self.started.replace(self.started.get() + 1);
        let said = self.world.root().join(format!("said.{number}"));
        let mut command = if self.traced {
            let mut strace = Command::new("strace");
            strace.args(["-DDD", "-f", "-q", "-ttt", "-yy", "-s", "8192", "--seccomp-bpf", "-e", CALLS]);
            strace.arg("-o").arg(self.folder().join(number.to_string()));
            strace.arg(inner.get_program());
            strace
        } else {
            Command::new(inner.get_program())
        };
        command.args(inner.get_args()).env_clear().current_dir(inner.get_current_dir().unwrap());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let file = |suffix: &str| File::create(said.with_added_extension(suffix)).unwrap();
        command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).process_group(0);
        Started { child: command.spawn().unwrap(), said }
    }

    /// Judges all that was traced, once nobody of it is left.
    #[track_caller]
    pub fn judge(&self) -> Verdict {
        let mut acts = Vec::new();
        for number in 0..self.started.get() {
            let file = self.folder().join(number.to_string());
            let read = || trace::read(whole_lines(&fs::read_to_string(&file).unwrap_or_default()));
            wait_until(&format!("the end of all that program {number} started"), || lives::is_over(&read()));
            acts.extend(lives::acts(number, &read(), &self.world.repo()));
        }
        guard::judge(&Places::of(&self.world), acts, self.found.take())
    }
}

/// Without the line that is just being written.
fn whole_lines(text: &str) -> &str {
    text.rfind('\n').map_or("", |end| &text[..end])
}

impl Started {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Ran {
        wait_until("the end of a program", || self.has_ended());
        let read = |suffix: &str| {
            let bytes = fs::read(self.said.with_added_extension(suffix)).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        Ran { code, stdout: read("out"), stderr: read("err") }
    }

    /// Ends it as nobody can prepare for.
    #[track_caller]
    pub fn kill(self) -> Ran {
        let pid = i32::try_from(self.pid()).unwrap();
        assert!(pid > 1);
        // Not reaped yet, so the number is still its own.
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        self.wait()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Already ended is the usual answer.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything below a folder, itself first; links are not followed.
pub fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        // What vanishes meanwhile was a temporary name.
        if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            let Ok(entries) = fs::read_dir(&path) else { continue };
            open.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
        }
        found.push(path);
    }
    found
}
