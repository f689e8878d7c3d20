//! The user's own settings: `ilchul/config.yaml` in their configuration folder.
//!
//! Theirs are the last word only where neither the command line nor the workflow
//! says anything (contract 2). It leaves out finding the folder, and what follows
//! from any of them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use super::adapters::Catalogue;
use super::bounds::Defaults;
use super::error::{Errors, Sink};
use super::keys::{self, BELLS};
use super::model::{Limits, SessionKind};
use super::place::{Path as Place, quote};
use super::scalar;
use super::take::{found, is_null};
use super::tree::{Node, Value};
use super::{ReadError, parsed, read};

/// What a user prefers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// What hosts the workers where nobody else says.
    pub session: Option<SessionKind>,
    /// What tasks have that say nothing of it, and whose workflow doesn't either.
    pub defaults: Defaults,
    /// The kinds of agents that they can name.
    pub agents: Catalogue,
    /// How they are told that something waits for them, in their order, each once.
    pub notify: Vec<Notify>,
    /// The machines that they can name.
    pub hosts: BTreeMap<String, HostSettings>,
}

/// A machine on which ilchul runs in place of this one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSettings {
    /// What ssh calls it; its name where nothing is said.
    pub ssh: Option<String>,
    /// The checkout there.
    pub folder: Option<String>,
    /// An ilchul that is there.
    pub program: Option<String>,
}

/// One way to tell a person something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notify {
    /// The terminal's bell.
    Bell,
    /// A message in the status line of tmux.
    Tmux,
    /// A message of the desktop.
    Desktop,
    /// A program and its arguments, executed directly.
    Command(Vec<String>),
}

/// Settings that can't be used.
#[derive(Debug)]
pub enum SettingsError {
    /// The file can't be read.
    Read(ReadError),
    /// All that is wrong with it.
    Wrong(Errors),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "read the settings: {error}"),
            Self::Wrong(errors) => {
                write!(f, "use the settings `{}`", errors.name)?;
                let Some(first) = errors.problems.first() else { return Ok(()) };
                write!(f, ": line {}: {first}", first.line)?;
                match errors.problems.len() + errors.more {
                    1 => Ok(()),
                    count => write!(f, " (and {} more)", count - 1),
                }
            }
        }
    }
}

impl std::error::Error for SettingsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            // What is wrong is said whole, with its lines.
            Self::Wrong(_) => None,
        }
    }
}

impl Settings {
    /// Those of another machine, of which nothing is known here: what only they can tell isn't
    /// judged.
    #[must_use]
    pub fn elsewhere() -> Self {
        let agents = Catalogue { elsewhere: true, ..Catalogue::default() };
        Self { agents, ..Self::default() }
    }

    /// The settings in a file; a missing or empty one says nothing.
    ///
    /// # Errors
    /// When it can't be read, or all that is wrong with it.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        match read(path) {
            Ok(bytes) => Self::parse(&path.display().to_string(), &bytes),
            Err(ReadError::Missing { .. }) => Ok(Self::default()),
            Err(error) => Err(SettingsError::Read(error)),
        }
    }

    /// The settings that a text holds; `name` is the file as messages show it.
    ///
    /// # Errors
    /// All that is wrong with it, each with its line.
    pub fn parse(name: &str, text: &[u8]) -> Result<Self, SettingsError> {
        // Nothing but comments is no document to YAML, and says as little as no file.
        let says = |line: &[u8]| line.trim_ascii().first().is_some_and(|first| *first != b'#');
        if !text.split(|byte| *byte == b'\n').any(says) {
            return Ok(Self::default());
        }
        let read = parsed(name, text, |sink, root| sink.settings(root)).map_err(SettingsError::Wrong)?;
        Ok(read.0)
    }
}

impl Sink<'_> {
    /// The whole file.
    fn settings(&mut self, root: &Node<'_>) -> Option<Settings> {
        if is_null(root) {
            return Some(Settings::default());
        }
        let at = Place::ROOT;
        let body = self.fields(&at, root, &keys::SETTINGS)?;
        let mut settings = Settings::default();
        if let Some(field) = body.get("defaults") {
            let table = &keys::SETTINGS_DEFAULTS;
            let start = (&Limits::default(), Defaults::default());
            (settings.session, settings.defaults) =
                self.defaults(&at.key("defaults"), (field.value, table), start);
        }
        if let Some(field) = body.get("agents") {
            let at = at.key("agents");
            for entry in self.entries(&at, field.value, "agent") {
                let at = at.key(entry.name);
                if let Err(fault) = scalar::slug(entry.name) {
                    self.error(&at, entry.span, format!("{}: {}", quote(entry.name), fault.message));
                }
                if let Some(adapter) = self.own_adapter(&at, (entry.name, entry.span), entry.value) {
                    settings.agents.own.insert(entry.name.to_owned(), adapter);
                }
            }
        }
        if let Some(field) = body.get("notify") {
            let at = at.key("notify");
            for (index, node) in self.list(&at, field.value).unwrap_or_default().iter().enumerate() {
                settings.notify.extend(self.notify(&at.index(index), node));
            }
        }
        if let Some(field) = body.get("hosts") {
            let at = at.key("hosts");
            for entry in self.entries(&at, field.value, "host") {
                let at = at.key(entry.name);
                if let Some(host) = self.host(&at, entry.value) {
                    settings.hosts.insert(entry.name.to_owned(), host);
                }
            }
        }
        Some(settings)
    }

    /// One machine.
    fn host(&mut self, at: &Place<'_>, node: &Node<'_>) -> Option<HostSettings> {
        let body = self.fields(at, node, &keys::HOST)?;
        let mut text = |name: &str| {
            let field = body.get(name)?;
            self.filled(&at.key(name), field.value).map(str::to_owned)
        };
        Some(HostSettings { ssh: text("ssh"), folder: text("folder"), program: text("program") })
    }

    /// One way, by its word or as a command.
    fn notify(&mut self, at: &Place<'_>, node: &Node<'_>) -> Option<Notify> {
        match &node.value {
            Value::Map(_) => {
                let body = self.fields(at, node, &keys::NOTIFY)?;
                body.get("command").and_then(|field| self.argv(at, field)).map(Notify::Command)
            }
            Value::Scalar { .. } => Some(match self.one_of(at, node, BELLS)? {
                "bell" => Notify::Bell,
                "tmux" => Notify::Tmux,
                // The list of words has no other.
                _ => Notify::Desktop,
            }),
            Value::List(_) => {
                let message = format!("{}: a word, or {{ command: [...] }}, is allowed here", found(node));
                self.error(at, node.span, message);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn load(text: &str) -> Result<Settings, SettingsError> {
        Settings::parse("config.yaml", text.as_bytes())
    }

    #[test]
    fn a_missing_or_empty_file_says_nothing() {
        assert_eq!(Settings::load(Path::new("/nowhere/config.yaml")).unwrap(), Settings::default());
        for text in ["", " \n", "# nothing yet\n"] {
            assert_eq!(load(text).unwrap(), Settings::default(), "{text:?}");
        }
    }

    #[test]
    fn every_default_of_a_user_is_read() {
        let text = "defaults: { session: subprocess, timeout: 2h, retries: 2, env: { A: x, B: null } }\n";
        let settings = load(text).unwrap();
        assert_eq!(settings.session, Some(SessionKind::Subprocess));
        assert_eq!(settings.defaults.timeout, Duration::from_secs(7200));
        assert_eq!(settings.defaults.retries, 2);
        assert_eq!(settings.defaults.env.len(), 2);
    }

    #[test]
    fn machines_are_named_with_what_ssh_calls_them_and_what_is_there() {
        let text =
            "hosts:\n  hpc: { ssh: me@login, folder: /scratch/me/p, program: ~/bin/ilchul }\n  big: {}\n";
        let settings = load(text).unwrap();
        let some = |text: &str| Some(text.to_owned());
        let hpc = HostSettings {
            ssh: some("me@login"),
            folder: some("/scratch/me/p"),
            program: some("~/bin/ilchul"),
        };
        assert_eq!(settings.hosts["hpc"], hpc);
        assert_eq!(settings.hosts["big"], HostSettings::default());
    }

    #[test]
    fn notifications_are_words_or_a_program_without_a_shell() {
        let text = "notify: [bell, tmux, desktop, { command: [./tell, --loud] }]\n";
        let command = Notify::Command(vec!["./tell".to_owned(), "--loud".to_owned()]);
        assert_eq!(load(text).unwrap().notify, [Notify::Bell, Notify::Tmux, Notify::Desktop, command]);
    }

    #[test]
    fn every_mistake_is_named_with_its_file_and_line_and_what_was_probably_meant() {
        for (text, expected) in [
            ("defaults:\n  sesion: tmux\n", "line 2: defaults.sesion: unknown key `sesion`"),
            (
                "notify: [bel]\n",
                "line 1: notify[0]: found `bel`: `bell`, `tmux` or `desktop` is allowed here",
            ),
            ("notify:\n  - command: []\n", "line 2: notify[0].command: the program is missing"),
            ("notify: bell\n", "line 1: notify: found `bell`: a list is allowed here"),
            ("notify: [[bell]]\n", "line 1: notify[0]: found a list"),
            ("session: tmux\n", "line 1: session: `session` stands in `defaults`"),
            ("hosts:\n  hpc:\n    shh: x\n", "line 3: hosts.hpc.shh: unknown key `shh`"),
            ("hosts: { hpc: { port: 22 } }\n", "line 1: hosts.hpc.port: `port` stands in ssh's own"),
            ("[]\n", "line 1: found a list"),
            ("a: [\n", "line 1: this isn't YAML: "),
        ] {
            let error = load(text).unwrap_err().to_string();
            let whole = format!("use the settings `config.yaml`: {expected}");
            assert!(error.starts_with(&whole), "{error}\n{whole}");
        }
        let two = load("x: 1\ny: 2\n").unwrap_err().to_string();
        assert!(two.ends_with("(and 1 more)"), "{two}");
    }
}
