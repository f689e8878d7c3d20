//! What a site has decided: read from `scontrol show config`, and what `sacct` remembers.
//!
//! Accounting is optional, may be down for hours and lags: it is asked only about what left
//! the queue, and believed only where it knows an end. It leaves out advice; `ilchul doctor`
//! has that.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::{argv, gist, run};
use crate::words::{self, Word};

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

/// What accounting knows of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Account {
    /// It ended so.
    Over(String),
    /// It hasn't ended, as far as is known there.
    Open,
    /// There is no record of it.
    Nothing,
}

/// How far back accounting is asked: its own default is midnight.
const SINCE: &str = "now-14days";

/// What accounting knows of the job `id` of the name `name`.
pub(crate) fn account(id: u64, name: &str, limit: Duration) -> Result<Account, String> {
    let id = id.to_string();
    let command = argv(&[
        "sacct",
        "-n",
        "-P",
        "-X",
        "-S",
        SINCE,
        "-j",
        &id,
        "-o",
        "JobIDRaw,JobName,State,ExitCode,End",
    ]);
    match run(&command, "", limit) {
        Ok(answer) if answer.good => Ok(read(&answer.out, name)),
        Ok(answer) => Err(format!("sacct: {}", gist(&answer.err))),
        Err(silence) => Err(format!("sacct: {silence}")),
    }
}

fn read(text: &str, name: &str) -> Account {
    let mut found = Account::Nothing;
    for line in text.lines() {
        let fields: Vec<&str> = line.split('|').collect();
        // An id is given again: only the name makes it ours.
        let [_, named, state, code, end, ..] = fields.as_slice() else { continue };
        if *named != name {
            continue;
        }
        // After a restart of the database it says FAILED of what runs, but never when it ended.
        let ended = !matches!(*end, "" | "Unknown" | "None");
        found = if ended && words::read(state) == Word::Over {
            Account::Over(format!("sacct says {state}, exit {code}"))
        } else {
            Account::Open
        };
    }
    found
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

    #[test]
    fn accounting_is_believed_only_where_it_knows_an_end_under_our_name() {
        let ended = "7|ilchul.r.a.1|COMPLETED|0:0|2026-11-21T18:44:37\n";
        assert_eq!(read(ended, "ilchul.r.a.1"), Account::Over("sacct says COMPLETED, exit 0:0".to_owned()));
        assert_eq!(read(ended, "ilchul.r.a.2"), Account::Nothing);
        for lie in
            ["7|x|FAILED|0:0|Unknown", "7|x|RUNNING|0:0|Unknown", "7|x|NEWWORD|0:0|2026-11-21T18:44:37"]
        {
            assert_eq!(read(lie, "x"), Account::Open, "{lie}");
        }
        assert_eq!(read("", "x"), Account::Nothing);
    }
}
