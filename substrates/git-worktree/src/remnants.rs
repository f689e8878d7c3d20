//! What was left half made: listed, and moved aside where it would block git for everybody.
//!
//! It leaves out repairing and removing: a half-made worktree is never retried in
//! place, and its branch, folder and index stay for a person to look at.

use crate::GitWorktree;
use crate::admin::{Entry, READY, entry_names, missing_links, small_file};
use crate::fill::Filled;
use ilchul_substrate::{Error, ErrorKind, Mark};
use std::fs;
use std::io::ErrorKind as IoKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where entries go that can't be renamed into the home, because it is on another file system.
const ASIDE: &str = "ilchul-aside";

/// Something of ours that was begun and not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remnant {
    /// The entry's name; begins with the mark.
    pub name: String,
    /// Where the entry lies now.
    pub path: PathBuf,
    /// When it last changed, by the file system's clock: to show, not to decide by.
    pub modified_at: Option<SystemTime>,
    /// What keeps it from being whole, in words.
    pub lacks: Vec<String>,
    /// It was moved out of git's administration, where it blocked every later add.
    pub moved_aside: bool,
}

impl GitWorktree {
    /// All half-made worktrees of ours, those moved aside included, by name.
    ///
    /// # Errors
    /// When a folder couldn't be read: an empty list would mean that there are none.
    pub fn remnants(&self) -> Result<Vec<Remnant>, Error> {
        let mut found = Vec::new();
        for name in entry_names(&self.common)? {
            if name.parse::<Mark>().is_err() {
                continue;
            }
            // Gone between the list and the look: git's own business.
            let Some(entry) = Entry::read(&self.common, &name)? else { continue };
            let Some(record) = entry.whole() else {
                found.push(remnant(name, entry.dir, entry.lacks, false));
                continue;
            };
            // A tree that somebody removed is no half: whoever asks for it is told that it is gone.
            if std::fs::symlink_metadata(&record.path)
                .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
            {
                continue;
            }
            // One that waits for its files holds nothing and blocks nobody.
            let filled = self.how_filled(&entry, record)?;
            if let (Filled::Partly, Some(words)) = (filled, filled.lack()) {
                found.push(remnant(name, entry.dir, vec![words.to_owned()], false));
            }
        }
        for place in self.places_aside() {
            for name in names_in(&place)? {
                let path = place.join(&name);
                let lacks = if path.is_dir() {
                    missing_links(&path)?
                } else {
                    vec!["it is a lock that nobody held any more".to_owned()]
                };
                found.push(remnant(name, path, lacks, true));
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Moves aside what is ours and would make every add and list of git fail.
    ///
    /// Called under the lock, so no add of ours is in the middle of writing one.
    pub(crate) fn sweep(&self) -> Result<(), Error> {
        for name in entry_names(&self.common)? {
            let dir = self.common.join("worktrees").join(&name);
            // The whole mark and not just its first word: a person's tree may be called `ilchul.x`.
            // One that was finished once may be retained work, whatever befell it since.
            let half_made = name.parse::<Mark>().is_ok() && dir.is_dir() && !dir.join(READY).exists();
            if half_made && !missing_links(&dir)?.is_empty() {
                self.move_aside(&name, &dir)?;
            }
        }
        Ok(())
    }

    /// Whether an entry of this name was moved aside before, and where it is.
    pub(crate) fn set_aside(&self, name: &str) -> Option<PathBuf> {
        self.places_aside().into_iter().map(|place| place.join(name)).find(|path| path.exists())
    }

    /// Waits for entries that somebody else is just writing; names one that stays in the way.
    ///
    /// An empty `commondir` is the one thing in another's entry at which git dies.
    pub(crate) fn unfinished_of_others(&self) -> Result<(), Error> {
        let blocked = || -> Result<Option<String>, Error> {
            for name in entry_names(&self.common)? {
                let path = self.common.join("worktrees").join(&name).join("commondir");
                if small_file(&path)?.is_some_and(|text| text.trim().is_empty()) {
                    return Ok(Some(name));
                }
            }
            Ok(None)
        };
        let mut last = None;
        let answer = crate::deadline::wait_for(self.limits.foreign, || match blocked() {
            Ok(None) => Some(Ok(())),
            Ok(Some(name)) => {
                last = Some(name);
                None
            }
            Err(error) => Some(Err(error)),
        });
        answer.unwrap_or_else(|| {
            let name = last.unwrap_or_default();
            let whose = match name.parse::<Mark>() {
                Ok(_) => "it was whole once, so it is left to you",
                Err(_) => "it isn't ilchul's; `git worktree prune` clears it",
            };
            let detail = format!(
                "the worktree entry `{name}` has an empty `commondir` and so keeps git from adding any: {whose}"
            );
            Err(Error::new(ErrorKind::Conflict, "make worktree", detail))
        })
    }

    /// In the order tried: renaming is the only move, so each file system needs its own.
    fn places_aside(&self) -> [PathBuf; 2] {
        [self.quarantine.clone(), self.common.join(ASIDE)]
    }

    /// A rename keeps every byte and every time; copying and removing wouldn't.
    pub(crate) fn move_aside(&self, name: &str, dir: &Path) -> Result<(), Error> {
        for place in self.places_aside() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&place)
                .map_err(|error| Error::io("make folder", format!("`{}`", place.display()), error))?;
            match fs::rename(dir, free_name(&place, name)?) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == IoKind::CrossesDevices => {}
                Err(error) => {
                    return Err(Error::io(
                        "move what was left half made aside",
                        format!("`{}`", dir.display()),
                        error,
                    ));
                }
            }
        }
        Ok(())
    }
}

/// A name in `place` that nothing has: a rename would replace an empty folder without a word.
fn free_name(place: &Path, name: &str) -> Result<PathBuf, Error> {
    let names = (1..1000).map(|count| match count {
        1 => place.join(name),
        more => place.join(format!("{name}~{more}")),
    });
    names.into_iter().find(|path| fs::symlink_metadata(path).is_err()).ok_or_else(|| {
        Error::new(
            ErrorKind::Conflict,
            "move half-made entry aside",
            format!("`{}` is full", place.display()),
        )
    })
}

fn names_in(place: &Path) -> Result<Vec<String>, Error> {
    let wrong = |error| Error::io("list", format!("`{}`", place.display()), error);
    let listing = match fs::read_dir(place) {
        Ok(listing) => listing,
        Err(error) if error.kind() == IoKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(wrong(error)),
    };
    let mut names = Vec::new();
    for entry in listing {
        if let Ok(name) = entry.map_err(wrong)?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

fn remnant(name: String, path: PathBuf, lacks: Vec<String>, moved_aside: bool) -> Remnant {
    let modified_at = fs::symlink_metadata(&path).and_then(|metadata| metadata.modified()).ok();
    Remnant { name, path, modified_at, lacks, moved_aside }
}
