//! What a worker inherits: a list, and nothing else (contract 4).
//!
//! What may hold a secret (proxy variables, what a task's `env` names) never stands
//! in a session's own environment or argv; it travels in 0600 files. It leaves out
//! reading our own environment: the command line hands it in.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Our own environment, as the command line read it.
#[derive(Debug, Clone, Default)]
pub struct Inherited(BTreeMap<OsString, OsString>);

/// Passed on as they are; none of them holds a secret.
const PLAIN: &[&str] =
    &["HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TERM", "TMPDIR", "CARGO_HOME", "RUSTUP_HOME"];
/// Passed on by prefix.
const PREFIXES: &[&str] = &["LC_", "XDG_"];
/// Passed on in files: their values may hold credentials.
const PROXIES: &[&str] = &[
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

impl Inherited {
    /// From pairs, as `std::env::vars_os` gives them.
    #[must_use]
    pub fn new(vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self(vars.into_iter().collect())
    }

    /// The plain part for a session: the list, and `PATH` with ilchul's own folder first.
    #[must_use]
    pub fn plain(&self, program: &Path) -> Vec<(OsString, OsString)> {
        let listed = |name: &OsStr| {
            let Some(name) = name.to_str() else { return false };
            PLAIN.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        };
        let mut plain: Vec<(OsString, OsString)> = self
            .0
            .iter()
            .filter(|(name, _)| listed(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        plain.push(("PATH".into(), self.path(program)));
        plain
    }

    fn path(&self, program: &Path) -> OsString {
        let fallback = OsStr::new("/usr/local/bin:/usr/bin:/bin").to_owned();
        let inherited = self.0.get(OsStr::new("PATH")).cloned().unwrap_or(fallback);
        let Some(own) = program.parent() else { return inherited };
        let others = std::env::split_paths(&inherited).filter(|entry| entry != own);
        std::env::join_paths(std::iter::once(own.to_owned()).chain(others)).unwrap_or(inherited)
    }

    /// One variable of ours, where we have it.
    #[must_use]
    pub fn own(&self, name: &str) -> Option<(OsString, OsString)> {
        self.0.get_key_value(OsStr::new(name)).map(|(name, value)| (name.clone(), value.clone()))
    }

    /// The part that travels in files: proxies, and what the task names.
    /// A task's `null` passes our own value on, where there is one.
    #[must_use]
    pub fn extras(&self, task: &BTreeMap<String, Option<String>>) -> BTreeMap<String, String> {
        let own =
            |name: &str| self.0.get(OsStr::new(name)).and_then(|value| value.to_str()).map(str::to_owned);
        let mut extras: BTreeMap<String, String> =
            PROXIES.iter().filter_map(|name| Some(((*name).to_owned(), own(name)?))).collect();
        for (name, value) in task {
            match value.clone().or_else(|| own(name)) {
                Some(value) => extras.insert(name.clone(), value),
                None => extras.remove(name),
            };
        }
        extras
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inherited(pairs: &[(&str, &str)]) -> Inherited {
        Inherited::new(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())))
    }

    #[test]
    fn s14_only_listed_variables_are_inherited() {
        let ours = inherited(&[
            ("HOME", "/h"),
            ("LC_ALL", "C"),
            ("GIT_DIR", "/evil"),
            ("TMUX", "x"),
            ("SECRET", "s"),
            ("https_proxy", "http://user:pass@proxy"),
            ("PATH", "/usr/bin:/opt/ilchul"),
        ]);
        let plain = ours.plain(Path::new("/opt/ilchul/ilchul"));
        let names: Vec<_> = plain.iter().map(|(name, _)| name.to_str().unwrap()).collect();
        assert_eq!(names, ["HOME", "LC_ALL", "PATH"]);
        assert_eq!(plain[2].1, "/opt/ilchul:/usr/bin");
    }

    #[test]
    fn s15_what_may_be_secret_travels_apart_and_null_passes_our_value_on() {
        let ours = inherited(&[("https_proxy", "p"), ("API_KEY", "k"), ("OTHER", "o")]);
        let task = BTreeMap::from([
            ("API_KEY".to_owned(), None),
            ("MISSING".to_owned(), None),
            ("MODE".to_owned(), Some("fast".to_owned())),
        ]);
        let extras = ours.extras(&task);
        let expected = [("API_KEY", "k"), ("MODE", "fast"), ("https_proxy", "p")];
        assert_eq!(extras, expected.map(|(n, v)| (n.to_owned(), v.to_owned())).into());
    }
}
