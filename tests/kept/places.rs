//! Which part of a world a path lies in, and so whose it is.
//!
//! By the text of the path: links are nobody's way here. It leaves out who may do what there.

use std::path::{Component, Path, PathBuf};

use super::world::World;

/// What is guarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a worker's tree or scratch folder; its root.
    Tree(PathBuf),
    /// In the main checkout.
    Checkout,
    /// A branch, a reference of ours, or what says which of them a checkout is on.
    Reference,
    /// In git's entry of a worktree.
    Entry,
    /// Anything else that git keeps, commits first of all.
    Git,
    /// What was captured and is kept as evidence.
    Kept,
}

/// Where the guarded parts of a world are.
#[derive(Debug, Clone)]
pub struct Places {
    repo: PathBuf,
    home: PathBuf,
}

impl Places {
    /// Those of a world.
    pub fn of(world: &World) -> Self {
        Self { repo: world.repo(), home: world.home().root().to_owned() }
    }

    /// The part that `path` lies in; none where nothing is guarded.
    pub fn find(&self, path: &Path) -> Option<Place> {
        if let Ok(inside) = path.strip_prefix(self.repo.join(".git")) {
            let mut words = inside.components().map(|word| word.as_os_str().to_string_lossy());
            return Some(match words.next().as_deref() {
                Some("refs" | "HEAD" | "packed-refs") => Place::Reference,
                Some("worktrees") => Place::Entry,
                Some(_) | None => Place::Git,
            });
        }
        if path.starts_with(&self.repo) {
            return Some(Place::Checkout);
        }
        let inside = path.strip_prefix(&self.home).ok()?;
        let words: Vec<String> =
            inside.components().map(|word| word.as_os_str().to_string_lossy().into_owned()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["runs", run, part @ ("trees" | "scratch"), tree, ..] => {
                Some(Place::Tree(self.home.join("runs").join(run).join(part).join(tree)))
            }
            // The folders of them all.
            [] | ["runs"] | ["runs", _] | ["runs", _, "trees" | "scratch" | "logs"] => Some(Place::Kept),
            ["runs", _, "logs", ..] | ["blobs", "sha256", _, _, ..] => Some(Place::Kept),
            _ => None,
        }
    }

    /// Whether this is where half-made things of ours are moved, whole.
    pub fn is_aside(&self, path: &Path) -> bool {
        path.starts_with(self.home.join("quarantine"))
            || path.starts_with(self.repo.join(".git/ilchul-aside"))
    }

    /// A name below git's folder that never was a thing, only the making of one.
    pub fn is_temporary(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let inside = path.starts_with(self.repo.join(".git"));
        let begins = ["tmp_obj", "tmp_pack", "tmp_idx"].iter().any(|start| name.starts_with(start));
        inside && (name.ends_with(".lock") || begins || name.contains(".ilchul-"))
    }
}

/// `path` as seen from `from`, without `.` and `..`.
pub fn joined(from: &Path, path: &str) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in from.join(path).components() {
        match part {
            Component::ParentDir => {
                whole.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => whole.push(part),
        }
    }
    whole
}

#[test]
fn every_guarded_place_is_found() {
    let places = Places { repo: "/w/repo".into(), home: "/w/repo.ilchul".into() };
    let of = |path: &str| places.find(Path::new(path));
    let tree = PathBuf::from("/w/repo.ilchul/runs/r/trees/t");
    assert_eq!(of("/w/repo.ilchul/runs/r/trees/t"), Some(Place::Tree(tree.clone())));
    assert_eq!(of("/w/repo.ilchul/runs/r/trees/t/a/b"), Some(Place::Tree(tree)));
    assert_eq!(of("/w/repo/README"), Some(Place::Checkout));
    assert_eq!(of("/w/repo/.git/refs/heads/x"), Some(Place::Reference));
    assert_eq!(of("/w/repo/.git/packed-refs"), Some(Place::Reference));
    assert_eq!(of("/w/repo/.git/worktrees/t/locked"), Some(Place::Entry));
    assert_eq!(of("/w/repo/.git/objects/ab/cd"), Some(Place::Git));
    for kept in ["blobs/sha256/ab/cd", "runs/r/logs/a.1.log", "runs", "runs/r/trees"] {
        assert_eq!(of(&format!("/w/repo.ilchul/{kept}")), Some(Place::Kept), "{kept}");
    }
    for free in ["/w/repo.ilchul/blobs/sha256/.tmpx", "/w/repo.ilchul/runs/r/mail/a.1/x", "/w/other"] {
        assert_eq!(of(free), None, "{free}");
    }
    assert_eq!(joined(Path::new("/a/b"), "../c/./d"), Path::new("/a/c/d"));
    assert_eq!(joined(Path::new("/a/b"), "/c"), Path::new("/c"));
}
