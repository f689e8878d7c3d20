//! What a site has decided, as `scontrol show config` tells it.
//!
//! It leaves out advice; `ilchul doctor` has that.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::{argv, gist, run};

/// What `scontrol show config` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Site {
    /// Every setting, as it is written there.
    pub settings: BTreeMap<String, String>,
}

impl Site {
    /// Asks the controller.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn ask(limit: Duration) -> Result<Self, String> {
        match run(&argv(&["scontrol", "show", "config"]), "", limit) {
            Ok(answer) if answer.good => Ok(Self::parse(&answer.out)),
            Ok(answer) => Err(format!("scontrol: {}", gist(&answer.err))),
            Err(silence) => Err(format!("scontrol: {silence}")),
        }
    }

    fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let trimmed = pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
        Self { settings: trimmed.collect() }
    }

    /// One setting, if the site's version has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// A setting in seconds (`300 sec`).
    #[must_use]
    pub fn seconds(&self, name: &str) -> Option<u64> {
        self.get(name)?.split_whitespace().next()?.parse().ok()
    }

    /// Whether jobs are remembered after they left the queue.
    #[must_use]
    pub fn has_accounting(&self) -> bool {
        self.get("AccountingStorageType").is_some_and(|kind| kind.ends_with("/slurmdbd"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_by_name_and_seconds_by_their_number() {
        let text = "Configuration data as of 2026-11-21T18:44:37\n\
            MinJobAge               = 300 sec\nAccountingStorageType   = accounting_storage/none\nJobRequeue = 1\n";
        let site = Site::parse(text);
        assert_eq!(site.seconds("MinJobAge"), Some(300));
        assert_eq!(site.get("JobRequeue"), Some("1"));
        assert_eq!(site.seconds("KillWait"), None);
        assert!(!site.has_accounting());
        assert!(Site::parse("AccountingStorageType = accounting_storage/slurmdbd").has_accounting());
    }
}
