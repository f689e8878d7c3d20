//! The way to a machine: ssh, what is there, and the words for what goes wrong with either.
//!
//! It leaves out what runs there.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::super::detach::in_path;
use super::super::error::CliError;
use super::enter::{self, Entry, How, Program, below_home, say};
use super::seal::SEAL;
use super::target::Target;
use super::{pass, place};
use crate::host::{Call, Host, HostError, Input, Past, Ran, Ssh, Trouble, control_folder};

/// How long a short question may take; a person may have to be asked on the way.
const LIMIT: Duration = Duration::from_secs(20);
const ASKED_LIMIT: Duration = Duration::from_secs(180);

/// A machine, and our program on it.
pub(super) struct Link {
    pub(super) ssh: Ssh,
    pub(super) target: Target,
    pub(super) program: Program,
    /// Where sockets are, and what else is worth keeping between two commands.
    pub(super) kept: PathBuf,
    limit: Duration,
}

/// What one look at a machine finds.
#[derive(Debug, Default)]
pub(super) struct Look {
    said: BTreeMap<String, String>,
    /// Commit and name of its branches and tags, but for those of workers.
    pub(super) refs: Vec<(String, String)>,
}

impl Look {
    /// What it said under a name; empty where it said nothing.
    pub(super) fn get(&self, name: &str) -> &str {
        self.said.get(name).map_or("", String::as_str)
    }
}

impl Link {
    /// The way to the machine that `NAME[:FOLDER]` means. Nothing is asked of it yet.
    ///
    /// # Errors
    /// When it can't be meant, or there is no place for the link's socket.
    pub(super) fn to(named: &str) -> Result<Self, CliError> {
        let target = Target::of(named)?;
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let uid = nix::unistd::getuid().as_raw();
        let kept = control_folder(runtime.as_deref(), uid).map_err(|error| {
            CliError::new("host", format!("keep a link to `{}`: {error}", target.name))
                .hint("Move it away: ssh's socket may stand in a folder of yours alone.")
        })?;
        let program = match &target.program {
            Some(path) => Program::Named(path.clone()),
            None => Program::Placed(place::digest(&kept)?),
        };
        let asks = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let ssh = Ssh::new((in_path("ssh"), kept.clone()), &target.destination, asks);
        let limit = if asks { ASKED_LIMIT } else { LIMIT };
        Ok(Self { ssh, target, program, kept, limit })
    }

    /// The folder there.
    ///
    /// # Errors
    /// `host_folder` where none is named and none follows from a repository here.
    pub(super) fn folder(&self) -> Result<&str, CliError> {
        self.target.folder.as_deref().ok_or_else(|| {
            let name = &self.target.name;
            CliError::new("host_folder", format!("find a folder on `{name}`: there is no repository here"))
                .hint(format!("Name one: `--host {name}:FOLDER`."))
        })
    }

    /// The command whose streams are those of our program there. It ends with this process,
    /// however that ends; the link's master, which it may have forked, doesn't.
    ///
    /// # Errors
    /// Where its words can't be said in a line.
    pub(super) fn command(&self, entry: &Entry<'_>) -> Result<Command, CliError> {
        let is_terminal = entry.how == How::Terminal;
        let ssh = self.ssh.command(&enter::script(entry), is_terminal);
        let ssh = ssh.map_err(|error| self.failed(&error))?;
        // The program itself, though another one may have its name by now.
        let mut command = Command::new("/proc/self/exe");
        command.args(["shim", "--exec", "--parent", &std::process::id().to_string(), "--"]);
        command.arg(ssh.get_program()).args(ssh.get_args());
        Ok(command)
    }

    /// Runs a script of `sh` there.
    ///
    /// # Errors
    /// When the machine isn't reached.
    pub(super) fn sh(&self, script: &OsStr, input: Input) -> Result<Ran, CliError> {
        self.sh_within(script, input, self.limit)
    }

    /// The same, with a time of its own.
    ///
    /// # Errors
    /// As [`Link::sh`].
    pub(super) fn sh_within(&self, script: &OsStr, input: Input, limit: Duration) -> Result<Ran, CliError> {
        let argv = ["sh".into(), "-c".into(), script.to_owned()];
        self.ssh.run(Call { argv: &argv, input, limit }).map_err(|error| self.failed(&error))
    }

    /// The same, and what it prints goes into a file here.
    ///
    /// # Errors
    /// As [`Link::sh`], and where the file can't take it.
    pub(super) fn sh_into(&self, script: &OsStr, file: File, limit: Duration) -> Result<Ran, CliError> {
        let argv = ["sh".into(), "-c".into(), script.to_owned()];
        let call = Call { argv: &argv, input: Input::Nothing, limit };
        self.ssh.run_into(call, file).map_err(|error| self.failed(&error))
    }

    /// Looks at what is there: system, home, our program, git, the folder.
    ///
    /// # Errors
    /// When the machine isn't reached.
    pub(super) fn look(&self) -> Result<Look, CliError> {
        let mut script = OsString::from(say());
        script.push(SEAL);
        script.push("p=");
        script.push(self.program.path());
        script.push("\nf=");
        script.push(below_home(self.target.folder.as_deref().unwrap_or(".")));
        script.push(LOOK);
        let ran = self.sh(&script, Input::Nothing)?;
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        let mut look = Look::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match (name, value.split_once(' ')) {
                ("ref", Some((commit, name))) => look.refs.push((commit.to_owned(), name.to_owned())),
                _ => {
                    look.said.insert(name.to_owned(), value.to_owned());
                }
            }
        }
        Ok(look)
    }

    /// Makes sure that our program, and `folder`, are there.
    ///
    /// # Errors
    /// When they aren't, and can't be.
    pub(super) fn ready(&self, folder: &str) -> Result<(), CliError> {
        self.entered((Some(folder), How::Ask), &[], Duration::ZERO).map(|_| ())
    }

    /// Runs our program there, in the folder, and answers what it printed.
    ///
    /// # Errors
    /// When the machine isn't reached, or has no such folder or program.
    pub(super) fn ilchul(&self, words: &[OsString], limit: Duration) -> Result<Ran, CliError> {
        self.entered((Some(self.folder()?), How::Plain), words, limit)
    }

    fn entered(
        &self,
        (folder, how): (Option<&str>, How),
        words: &[OsString],
        limit: Duration,
    ) -> Result<Ran, CliError> {
        let entry = Entry { program: &self.program, folder, words, env: &[], how };
        let script = enter::script(&entry);
        for is_second in [false, true] {
            let ran = self.sh_within(&script, Input::Nothing, limit.max(self.limit))?;
            let (mut out, mut err) = (Past::default(), Past::default());
            let (stdout, stderr) = (out.feed(&ran.stdout).to_vec(), err.feed(&ran.stderr).to_vec());
            match out.said() {
                Some(enter::RUN) => return Ok(Ran { code: ran.code, stdout, stderr }),
                Some(enter::ABSENT) if !is_second => place::send(self)?,
                said => return Err(pass::refused(self, said.unwrap_or(enter::ABSENT))),
            }
        }
        Err(pass::refused(self, enter::ABSENT))
    }

    /// The error for a machine that isn't reached, or a link that broke.
    pub(super) fn failed(&self, error: &HostError) -> CliError {
        let (name, destination) = (&self.target.name, &self.target.destination);
        let silent = |why: String| CliError::new("host", format!("reach `{name}`: {why}"));
        match error {
            HostError::Lost(_) => CliError::new("host_lost", format!("keep the link to `{name}`: {error}"))
                .hint("What runs there goes on. Try again."),
            HostError::Start(error) => silent(format!("`ssh` can't be started: {error}"))
                .hint("Install ssh (the package `openssh-client`)."),
            HostError::Late(_) => {
                silent(error.to_string()).hint(format!("Try `ssh {destination} true`; the machine may hang."))
            }
            HostError::Long => silent(error.to_string()),
            HostError::Keep(_) => silent(error.to_string()).hint("Look at the space of the disk here."),
            HostError::Words => silent(error.to_string()).hint("Say less on the command line."),
            HostError::Unreached(trouble, _) => silent(error.to_string()).hint(self.hint(*trouble)),
        }
    }

    fn hint(&self, trouble: Trouble) -> String {
        let destination = &self.target.destination;
        match trouble {
            Trouble::Name => "Name it as in ssh's configuration, or by `hosts` of your settings.".to_owned(),
            Trouble::Silent => "Look at the network, and whether the machine is up.".to_owned(),
            Trouble::Key => format!(
                "Run `ssh {destination} true` once and look at its key: one that nobody knows isn't trusted."
            ),
            Trouble::Denied => format!(
                "Run `ssh {destination} true` in a terminal; where it asks for more than a key, the link then stays for 10 minutes after its last use."
            ),
            Trouble::Shell => "Look at what its login shell's files do without a terminal.".to_owned(),
            Trouble::Other => format!("Run `ssh {destination} true` to see what it says."),
        }
    }
}

/// One `name=value` a line.
const LOOK: &str = r#"
echo "system=$(uname -sm)"
echo "home=$HOME"
if [ -x "$p" ]; then
  echo "program=$(sha256sum < "$p" | cut -d ' ' -f 1)"
  echo "version=$("$p" --version 2> /dev/null)"
elif [ "$(stat -c %a -- "$p" 2> /dev/null)" = 700 ]; then echo "program=noexec"; fi
echo "git=$(git --version 2> /dev/null)"
echo "tmux=$(tmux -V 2> /dev/null)"
echo "sbatch=$(sbatch --version 2> /dev/null)"
if cd -- "$f" 2> /dev/null; then
  echo "folder=$(pwd -P)"
  if [ -e .git ]; then
    echo "kind=repository"
    echo "from=$(g config --local --get ilchul.from 2> /dev/null)"
    echo "branch=$(g symbolic-ref -q HEAD)"
    echo "head=$(g rev-parse -q --verify 'HEAD^{commit}' 2> /dev/null)"
    if sealed; then
      echo "dirty=$(g status --porcelain -uno --ignore-submodules=dirty 2> /dev/null | head -n 5 | cut -c 4- | tr '\n' ' ')"
    else echo "dirty=(the settings of its filters can't be read)"; fi
    g for-each-ref --format='ref=%(objectname) %(refname)' refs/heads refs/tags refs/remotes refs/ilchul-base 2> /dev/null | grep -v ' refs/heads/ilchul/' | head -n 500
  elif [ -z "$(ls -A | head -n 1)" ]; then echo "kind=empty"
  else echo "kind=other"; fi
else
  echo "kind=none"
fi
"#;
