//! The user's own settings: `ilchul/config.yaml` in their configuration folder.
//!
//! Theirs are the last word only where neither the command line nor the workflow
//! says anything (contract 2). It leaves out finding the folder, and settings that
//! no part of this version reads.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ReadError, SessionKind, read};

/// What a user prefers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// For what a workflow leaves open.
    pub defaults: Defaults,
}

/// For what a workflow leaves open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// What hosts the workers.
    pub session: Option<SessionKind>,
}

/// Settings that can't be used.
#[derive(Debug)]
pub enum SettingsError {
    /// The file can't be read.
    Read(ReadError),
    /// The file says something else than settings.
    Parse(PathBuf, serde_yaml::Error),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "read the settings: {error}"),
            Self::Parse(path, _) => write!(f, "use the settings `{}`", path.display()),
        }
    }
}

impl std::error::Error for SettingsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(error) => Some(error),
            Self::Parse(_, error) => Some(error),
        }
    }
}

impl Settings {
    /// The settings in a file; a missing or empty one says nothing.
    ///
    /// # Errors
    /// When it can't be read, or holds a key that is unknown.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(ReadError::Missing { .. }) => return Ok(Self::default()),
            Err(error) => return Err(SettingsError::Read(error)),
        };
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        serde_yaml::from_slice(&bytes).map_err(|error| SettingsError::Parse(path.to_owned(), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings, SettingsError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.yaml");
        std::fs::write(&path, text).unwrap();
        Settings::load(&path)
    }

    #[test]
    fn a_missing_or_empty_file_says_nothing() {
        assert_eq!(Settings::load(Path::new("/nowhere/config.yaml")).unwrap(), Settings::default());
        assert_eq!(load(" \n").unwrap(), Settings::default());
    }

    #[test]
    fn a_preferred_session_is_read_and_an_unknown_key_is_named() {
        let settings = load("defaults:\n  session: subprocess\n").unwrap();
        assert_eq!(settings.defaults.session, Some(SessionKind::Subprocess));
        let error = load("defaults:\n  sesion: tmux\n").unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(source.contains("sesion") && source.contains("line 2"), "{source}");
    }
}
