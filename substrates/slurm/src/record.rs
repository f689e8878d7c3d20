//! The folder of one session on the shared file system: who it is, what runs, how it ended.
//!
//! `intent` is written before anything is submitted, `job` after; `claim` and `exit` come
//! from the job. Each is whole or not there, and each is looked for by opening its name:
//! a network file system revalidates that, and not what a list says. It leaves out the
//! queue.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind as Io, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use ilchul_substrate::{Error, ErrorKind, Mark, Request, SessionSpec, Urgency};

use crate::Pace;

const ACTION: &str = "keep a session's record";
/// The most that is read of one file: each is a few lines.
const FILE_MAX: u64 = 64 << 10;
/// What a claim of ours says instead of a job.
const CALLED_OFF: &str = "called_off=1";
/// Where a job's set-up lines are, while they run.
const STAGE: &str = "stage";

/// Who holds an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// `None`: it was called off before any job began it.
    pub(crate) job: Option<u64>,
    pub(crate) node: String,
    pub(crate) socket: String,
}

/// How a session ended, as it was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    /// `None`: it was ended from outside, and nobody can know how.
    pub(crate) code: Option<i32>,
    /// Why, where that isn't the program's own affair.
    pub(crate) words: String,
}

/// The node whose job took the attempt of this session's folder, as far as one has; for people.
#[must_use]
pub fn node(folder: &Path) -> Option<String> {
    let record = Record { folder: folder.to_owned(), nonce: String::new() };
    record.claim().ok()?.map(|claim| claim.node).filter(|node| !node.is_empty())
}

/// The line of set-up that the job of this folder is at, as the end of a sentence; none where it
/// is elsewhere, or nobody can look. For people.
#[must_use]
pub fn stage(folder: &Path) -> Option<String> {
    let text = read(&folder.join(STAGE)).ok()??;
    let line: String = text.trim().chars().filter(|c| !c.is_control()).take(200).collect();
    (!line.is_empty()).then(|| format!("the set-up line `{line}`"))
}

/// What a session's folder tells of its end: for whoever must know that nothing of it can write
/// any more. What a controller says of an end proves nothing of a node that it can't reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastWord {
    /// There is no record of such a session.
    Nowhere,
    /// It was called off before it began, and never will.
    NeverBegan,
    /// Its job wrote down itself how it ended.
    Given,
    /// It didn't. Which job may go on, and on which node, where one has begun.
    Missing(Option<(u64, String)>),
}

/// See [`LastWord`]; a record under another `nonce` is another session's.
///
/// # Errors
/// When the folder can't be read.
pub fn last_word(folder: &Path, nonce: Option<&str>) -> Result<LastWord, Error> {
    let record = Record::open(folder)?.filter(|record| nonce.is_none_or(|nonce| nonce == record.nonce));
    let Some(record) = record else { return Ok(LastWord::Nowhere) };
    let claim = record.claim()?;
    if record.end()?.is_some_and(|end| end.code.is_some()) {
        return Ok(LastWord::Given);
    }
    Ok(match claim {
        None => LastWord::Missing(None),
        Some(Claim { job: None, .. }) if record.is_called_off()? => LastWord::NeverBegan,
        // Half of a claim says who took it no more than none does.
        Some(Claim { job: None, .. }) => LastWord::Missing(None),
        Some(Claim { job: Some(job), node, .. }) => LastWord::Missing(Some((job, node))),
    })
}

/// One session's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) folder: PathBuf,
    pub(crate) nonce: String,
}

impl Record {
    /// Makes the folder and its `intent`; `None` where there is a whole one already.
    pub(crate) fn make(folder: &Path, mark: &Mark) -> Result<Option<Self>, Error> {
        if let Err(error) = DirBuilder::new().mode(0o700).create(folder) {
            if error.kind() != Io::AlreadyExists {
                return Err(failed(folder, error));
            }
            if Self::open(folder)?.is_some() {
                return Ok(None);
            }
            let detail = format!("`{mark}`: `{}` holds something else, or half a record", folder.display());
            return Err(Error::new(ErrorKind::Conflict, "start session", detail));
        }
        let record = Self { folder: folder.to_owned(), nonce: nonce()? };
        // There from the start: that a name is missing is what network file systems remember longest.
        record.write("exit", b"")?;
        record.write("stop", b"")?;
        record.write(STAGE, b"")?;
        record.write("intent", format!("{}\n", record.nonce).as_bytes())?;
        Ok(Some(record))
    }

    /// The record in `folder`; `None` where there is none, or no whole one.
    pub(crate) fn open(folder: &Path) -> Result<Option<Self>, Error> {
        let text = read(&folder.join("intent")).map_err(|error| failed(folder, error))?;
        let nonce = text.as_deref().and_then(|text| text.lines().next()).filter(|nonce| is_nonce(nonce));
        Ok(nonce.map(|nonce| Self { folder: folder.to_owned(), nonce: nonce.to_owned() }))
    }

    /// The job that the submit answered with, once that is known.
    pub(crate) fn job(&self) -> Result<Option<u64>, Error> {
        let text = read(&self.folder.join("job")).map_err(|error| failed(&self.folder, error))?;
        Ok(text.and_then(|text| text.trim().parse().ok()))
    }

    pub(crate) fn set_job(&self, id: u64) -> Result<(), Error> {
        self.write("job", format!("{id}\n").as_bytes())
    }

    /// Who took the attempt, if anybody did.
    pub(crate) fn claim(&self) -> Result<Option<Claim>, Error> {
        let text = read(&self.folder.join("claim")).map_err(|error| failed(&self.folder, error))?;
        let Some(text) = text else { return Ok(None) };
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            lines.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        Ok(Some(Claim { job: value("job").parse().ok(), node: value("node"), socket: value("socket") }))
    }

    /// Takes the claim ourselves, so that no job can begin any more; false where one has begun.
    pub(crate) fn call_off(&self) -> Result<bool, Error> {
        let mine = self.folder.join(format!("claim.{}", std::process::id()));
        let text = format!("nonce={}\nnode=\nsocket=\n{CALLED_OFF}\n", self.nonce);
        self.write(mine.file_name().map_or("claim.new".as_ref(), |name| name), text.as_bytes())?;
        let linked = fs::hard_link(&mine, self.folder.join("claim"));
        let _ = fs::remove_file(&mine);
        match linked {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == Io::AlreadyExists => {
                Ok(self.claim()?.is_some_and(|claim| claim.job.is_none()))
            }
            Err(error) => Err(failed(&self.folder, error)),
        }
    }

    fn is_called_off(&self) -> Result<bool, Error> {
        let text = read(&self.folder.join("claim")).map_err(|error| failed(&self.folder, error))?;
        Ok(text.is_some_and(|text| text.lines().any(|line| line == CALLED_OFF)))
    }

    /// How it ended, if that was written down.
    pub(crate) fn end(&self) -> Result<Option<End>, Error> {
        let text = read(&self.folder.join("exit")).map_err(|error| failed(&self.folder, error))?;
        let Some(rest) = text.as_deref().and_then(|text| text.trim_end().strip_prefix(self.nonce.as_str()))
        else {
            return Ok(None);
        };
        let (code, words) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
        Ok(Some(End { code: code.parse().ok(), words: words.to_owned() }))
    }

    /// Writes down an end that nobody inside did.
    pub(crate) fn set_end(&self, words: &str) -> Result<(), Error> {
        self.write("exit", format!("{} - {words}\n", self.nonce).as_bytes())
    }

    /// Whether its job is at its set-up lines, as far as it said.
    pub(crate) fn sets_up(&self) -> bool {
        stage(&self.folder).is_some()
    }

    /// Tells a job to end that Slurm may not reach: it looks here by itself.
    pub(crate) fn set_stop(&self, urgency: Urgency) -> Result<(), Error> {
        let how = match urgency {
            Urgency::Asked => "term",
            Urgency::AtOnce => "kill",
        };
        self.write("stop", format!("{} {how}\n", self.nonce).as_bytes())
    }

    /// Surroundings and program, for the job's script.
    pub(crate) fn set_spec(&self, mark: &Mark, spec: &SessionSpec, pace: &Pace) -> Result<(), Error> {
        let refused =
            |why: String| Error::new(ErrorKind::Refused, "start session", format!("`{mark}`: {why}"));
        let (mut env, mut own) = (OsString::new(), OsString::new());
        let line = |text: &mut OsString, words: &[&OsStr]| {
            for word in words {
                text.push(word);
            }
            text.push("\n");
        };
        let quoted = |value: &OsStr| quote(value).ok_or_else(|| refused("a value holds a NUL".to_owned()));
        // Before the set-up lines: those may build on it, and change it.
        for (name, value) in &spec.env {
            let Some(name) = name.to_str().filter(|name| is_name(name)) else {
                return Err(refused(format!("`{}` can't be a variable of a shell", name.display())));
            };
            line(&mut env, &["export ".as_ref(), name.as_ref(), "=".as_ref(), &quoted(value)?]);
        }
        if let Some(seconds) = spec.request.wall.map(crate::submit::allowed) {
            line(&mut env, &["export ILCHUL_WALL=".as_ref(), seconds.to_string().as_ref()]);
        }
        for (name, value) in [("il_cwd", spec.cwd.as_os_str()), ("il_log", spec.log.as_os_str())] {
            line(&mut own, &[name.as_ref(), "=".as_ref(), &quoted(value)?]);
        }
        line(&mut own, &["il_title=".as_ref(), &quoted(spec.title.as_ref())?]);
        line(&mut own, &["il_capture=".as_ref(), if spec.capture { "1" } else { "0" }.as_ref()]);
        line(&mut own, &["il_grace=".as_ref(), pace.grace.as_secs().to_string().as_ref()]);
        line(&mut own, &["il_watch=".as_ref(), pace.watch().as_secs().to_string().as_ref()]);
        let plain = is_plain(spec);
        line(&mut own, &["il_plain=".as_ref(), if plain { "1" } else { "0" }.as_ref()]);
        if let Some(file) = &spec.request.env_file {
            line(&mut env, &["env_file ".as_ref(), &quoted(file.as_os_str())?]);
        }
        for step in &spec.request.setup {
            line(&mut env, &["step ".as_ref(), &quoted(step.as_ref())?]);
        }
        self.write("env", env.as_bytes())?;
        self.write("spec", own.as_bytes())?;
        let words: Option<Vec<OsString>> = spec.argv.iter().map(|word| quote(word)).collect();
        let words = words.filter(|words| !words.is_empty());
        let words = words
            .ok_or_else(|| refused("there is no program to run, or a NUL in its arguments".to_owned()))?;
        let mut command = OsString::from("exec");
        for word in words {
            command.push(" ");
            command.push(word);
        }
        command.push("\n");
        self.write("command", command.as_bytes())
    }

    fn write(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<(), Error> {
        whole(&self.folder.join(name), bytes).map_err(|error| failed(&self.folder, error))
    }
}

/// Whether a shell that took these surroundings over is still like a fresh one: nothing of the
/// user's ran in it, and no name means something to shells themselves or to the job's script.
fn is_plain(spec: &SessionSpec) -> bool {
    let meant = |name: &OsStr| name == "IFS" || name.as_bytes().starts_with(b"il");
    let Request { setup, env_file, .. } = &spec.request;
    setup.is_empty() && env_file.is_none() && !spec.env.iter().any(|(name, _)| meant(name))
}

/// A file that is whole for every reader, and on the disk of its server.
pub(crate) fn whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let mut temporary = path.as_os_str().to_owned();
    let mut suffix = String::new();
    // Two threads may write the same file at once: each its own, and the last one stays.
    let number = WRITES.fetch_add(1, Ordering::Relaxed);
    let _ = write!(suffix, ".{}-{number}.tmp", std::process::id());
    temporary.push(suffix);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

fn read(path: &Path) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let mut once = || {
        bytes.clear();
        File::open(path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut bytes))
    };
    let mut found = once();
    // Replaced on the server between open and read: the name has another file by now.
    if found.as_ref().is_err_and(|error| error.kind() == Io::StaleNetworkFileHandle) {
        found = once();
    }
    match found {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == Io::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn failed(folder: &Path, error: io::Error) -> Error {
    Error::io(ACTION, format!("`{}`", folder.display()), error)
}

fn nonce() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    let source = Path::new("/dev/urandom");
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| failed(source, error))?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// 32 hexadecimal digits.
pub(crate) fn is_nonce(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn is_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A word that a shell reads back as it is; `None` with a NUL, which nothing can quote.
pub(crate) fn quote(word: &OsStr) -> Option<OsString> {
    let bytes = word.as_bytes();
    if bytes.contains(&0) {
        return None;
    }
    let mut quoted = vec![b'\''];
    for byte in bytes {
        match byte {
            b'\'' => quoted.extend(b"'\\''"),
            other => quoted.push(*other),
        }
    }
    quoted.push(b'\'');
    Some(OsString::from_vec(quoted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn record() -> (tempfile::TempDir, Record) {
        let dir = tempfile::tempdir().unwrap();
        let mark = Mark::new("r", "a", 1).unwrap();
        let record = Record::make(&dir.path().join("x"), &mark).unwrap().unwrap();
        (dir, record)
    }

    #[test]
    fn a_record_is_made_once_and_found_again() {
        let (dir, record) = record();
        let mark = Mark::new("r", "a", 1).unwrap();
        assert_eq!(Record::make(&record.folder, &mark).unwrap(), None);
        assert_eq!(Record::open(&record.folder).unwrap(), Some(record.clone()));
        assert_eq!(Record::open(dir.path()).unwrap(), None);
        assert_eq!(
            (record.job().unwrap(), record.claim().unwrap(), record.end().unwrap()),
            (None, None, None)
        );
        record.set_job(7).unwrap();
        assert_eq!(record.job().unwrap(), Some(7));
    }

    #[test]
    fn a_file_that_many_threads_write_at_once_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::thread::scope(|scope| {
            let write = || (0..50).for_each(|_| whole(&path, b"whole").unwrap());
            for _ in 0..8 {
                scope.spawn(write);
            }
        });
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn half_a_record_is_in_the_way_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let mark = Mark::new("r", "a", 1).unwrap();
        std::fs::write(dir.path().join("intent"), "not a nonce\n").unwrap();
        let error = Record::make(dir.path(), &mark).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(std::fs::read_to_string(dir.path().join("intent")).unwrap(), "not a nonce\n");
    }

    #[test]
    fn what_was_called_off_is_never_begun_and_what_was_begun_is_never_called_off() {
        let (_dir, mine) = record();
        assert!(mine.call_off().unwrap());
        assert!(mine.call_off().unwrap(), "twice is once");
        assert_eq!(mine.claim().unwrap().map(|claim| claim.job), Some(None));
        let (_dir, begun) = record();
        std::fs::write(begun.folder.join("claim"), "nonce=x\njob=7\nnode=n2\nsocket=/tmp/s\n").unwrap();
        assert!(!begun.call_off().unwrap());
        assert_eq!(begun.claim().unwrap().unwrap().node, "n2");
    }

    #[test]
    fn r4_only_its_own_word_or_that_it_never_began_proves_the_end_of_a_session() {
        let (dir, mine) = record();
        let told = || last_word(&mine.folder, Some(&mine.nonce)).unwrap();
        assert_eq!(last_word(dir.path(), None).unwrap(), LastWord::Nowhere);
        assert_eq!(last_word(&mine.folder, Some(&"0".repeat(32))).unwrap(), LastWord::Nowhere);
        assert_eq!(told(), LastWord::Missing(None), "its job may still come out of a queue");
        std::fs::write(mine.folder.join("claim"), "nonce=x\njob=7\nnode=n2\nsocket=/tmp/s\n").unwrap();
        assert_eq!(told(), LastWord::Missing(Some((7, "n2".to_owned()))));
        // That Slurm calls it over is written down by us, and nothing that the node said.
        mine.set_end("it was ended by ilchul, and left no word").unwrap();
        assert_eq!(told(), LastWord::Missing(Some((7, "n2".to_owned()))));
        std::fs::write(mine.folder.join("exit"), format!("{} 73 a line failed\n", mine.nonce)).unwrap();
        assert_eq!(told(), LastWord::Given);
        let (_dir, off) = record();
        assert!(off.call_off().unwrap());
        assert_eq!(last_word(&off.folder, None).unwrap(), LastWord::NeverBegan);
    }

    #[test]
    fn an_end_counts_only_under_its_own_nonce() {
        let (_dir, record) = record();
        let write = |text: String| std::fs::write(record.folder.join("exit"), text).unwrap();
        write(format!("{} 7 \n", "0".repeat(32)));
        assert_eq!(record.end().unwrap(), None);
        write(format!("{} 7 \n", record.nonce));
        assert_eq!(record.end().unwrap(), Some(End { code: Some(7), words: String::new() }));
        write(format!("{} 143 its wall time\n", record.nonce));
        assert_eq!(record.end().unwrap().unwrap().words, "its wall time");
        record.set_end("released").unwrap();
        assert_eq!(record.end().unwrap(), Some(End { code: None, words: "released".to_owned() }));
    }

    #[test]
    fn surroundings_are_plain_until_something_of_the_users_runs_or_shells_take_a_name_for_theirs() {
        let plain = |change: &dyn Fn(&mut SessionSpec)| {
            let mut spec = SessionSpec {
                title: String::new(),
                cwd: PathBuf::new(),
                argv: Vec::new(),
                env: vec![("GIVEN".into(), "a".into())],
                log: PathBuf::new(),
                capture: false,
                request: Request::default(),
            };
            change(&mut spec);
            is_plain(&spec)
        };
        assert!(plain(&|_| ()));
        assert!(!plain(&|spec| spec.request.setup.push("module load x".to_owned())));
        assert!(!plain(&|spec| spec.request.env_file = Some("/f".into())));
        for name in ["IFS", "il_run", "ilchul_script"] {
            assert!(!plain(&|spec| spec.env.push((name.into(), "a".into()))), "{name}");
        }
    }

    #[test]
    fn a_shell_reads_back_any_word_as_it_was() {
        for word in ["", "a b", "it's", "$(touch x)`y`", "-n", "ä\n\\", "#{x}"] {
            let mut script = OsString::from("printf %s ");
            script.push(quote(word.as_ref()).unwrap());
            let out = Command::new("sh").arg("-c").arg(script).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), word);
        }
        assert_eq!(quote("a\0b".as_ref()), None);
    }
}
