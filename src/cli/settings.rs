//! Where the user's settings are, and the error of settings that can't be used.
//!
//! It leaves out what they say (`workflow`) and what follows from it.

use std::path::PathBuf;

use etcetera::BaseStrategy;

use super::error::{CliError, words};
use crate::workflow::{Settings, SettingsError};

/// The settings' file, there or not; none where there is no home.
#[must_use]
pub fn path() -> Option<PathBuf> {
    let folders = etcetera::choose_base_strategy().ok()?;
    Some(folders.config_dir().join("ilchul").join("config.yaml"))
}

/// What the user prefers.
///
/// # Errors
/// `settings`, with the file and the line: a preference that can't be understood is never
/// passed over in silence.
pub fn load() -> Result<Settings, CliError> {
    let Some(path) = path() else { return Ok(Settings::default()) };
    Settings::load(&path).map_err(|error| {
        let details = match &error {
            SettingsError::Wrong(errors) => super::workflow_file::details(&errors.name, &errors.problems),
            SettingsError::Read(_) => serde_json::Value::Null,
        };
        CliError::new("settings", words(&error)).hint("Mend the file, or move it away.").details(details)
    })
}
