//! `evidence --export DIR`: in-toto statements and JUnit XML, as whole files.
//!
//! Everything is looked at before anything is written: a file of somebody else's, a link or
//! a folder in the way of any name stops it all. It leaves out what stands in the files.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, openat, renameat, renameat_with, unlinkat};
use rustix::io::Errno;
use serde_json::json;

use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::read::Read;
use crate::engine::bundle::Bundles;
use crate::engine::view::TaskView;
use crate::render::cases::{self, Frame, Suite};
use crate::render::evidence::Dossier;
use crate::render::{junit, statement, words};

/// A file that is longer than this was never ours.
const OURS_MAX: u64 = 64 << 20;

/// One file to write.
pub(super) struct Document {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) is_ours: fn(&[u8]) -> bool,
    /// One of ours is there, and is replaced.
    pub(super) replaces: bool,
}

/// Writes the statement of each task and the one JUnit file, and says which.
///
/// # Errors
/// When the folder can't be used, something else is in a file's place, or a write fails.
pub fn run(
    read: &Read,
    mut bundles: Bundles,
    named: Option<&TaskView>,
    folder: &Path,
    output: Output,
) -> Result<Exit, CliError> {
    let view = &read.view;
    let frame = Frame {
        run: view.id.clone(),
        workflow: view.workflow.clone(),
        path: view.path.clone(),
        digest: bundles.workflow.clone(),
        started_at: view.started_at,
    };
    let all = view.tasks.iter().filter(|task| named.map_or(!task.removed, |named| named.id == task.id));
    let suites: Vec<Suite> = all
        .map(|task| {
            let bundle = bundles.remove(&task.id, task.attempt);
            let (declared, until) = (task.declared.clone(), task.until.clone());
            cases::suite(task, Dossier { declared, until, bundle, change: None })
        })
        .collect();
    let (mut documents, without) = documents(&frame, &suites);
    write(folder, &mut documents)?;
    let path = |document: &Document| folder.join(&document.name).display().to_string();
    let data = || {
        let files: Vec<String> = documents.iter().map(path).collect();
        json!({"run": frame.run, "files": files, "without_statement": without})
    };
    let text = || {
        let statements = words::count(documents.len() - 1, "statement");
        let rest = match without.len() {
            0 => String::new(),
            _ => format!(
                " None about {}: not judged to its end, or without a commit or a kept file to be about.",
                words::list(&without)
            ),
        };
        format!("{statements} and `junit.xml` are in `{}`.{rest}\n", folder.display())
    };
    output.result(data, || crate::render::clean(&text()));
    Ok(Exit::Done)
}

/// The files, and the tasks that no statement could be made about.
fn documents(frame: &Frame, suites: &[Suite]) -> (Vec<Document>, Vec<String>) {
    let (mut documents, mut without) = (Vec::new(), Vec::new());
    for suite in suites {
        match statement::statement(frame, suite) {
            Some(found) => documents.push(Document {
                name: format!("{}.intoto.json", suite.task),
                text: format!("{found:#}\n"),
                is_ours: statement::is_ours,
                replaces: false,
            }),
            None => without.push(suite.task.clone()),
        }
    }
    documents.push(Document {
        name: "junit.xml".to_owned(),
        text: junit::document(frame, suites),
        is_ours: junit::is_ours,
        replaces: false,
    });
    (documents, without)
}

fn write(folder: &Path, documents: &mut [Document]) -> Result<(), CliError> {
    let held = open_folder(folder)?;
    for document in documents.iter_mut() {
        document.replaces = look(&held, document).map_err(|why| refusal(folder, &document.name, &why))?;
    }
    for document in documents.iter() {
        put(&held, document).map_err(|error| {
            let path = folder.join(&document.name);
            CliError::new("export", format!("write `{}`: {error}", path.display()))
        })?;
    }
    held.sync_all().map_err(|error| CliError::new("export", format!("sync `{}`: {error}", folder.display())))
}

fn refusal(folder: &Path, name: &str, why: &str) -> CliError {
    let path = folder.join(name);
    CliError::new("export_in_the_way", format!("write `{}`: {why}", path.display()))
        .hint("Nothing was written. Move it away, or name another folder.")
}

/// Opens the folder, and makes it for its owner only where it isn't there.
fn open_folder(folder: &Path) -> Result<File, CliError> {
    let wrong = |error: &dyn std::fmt::Display| {
        CliError::new("export", format!("use the folder `{}`: {error}", folder.display()))
            .hint("Name a folder, not a link to one, that you may write to.")
    };
    if matches!(std::fs::symlink_metadata(folder), Err(error) if error.kind() == io::ErrorKind::NotFound) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| wrong(&error))?;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(CWD, folder, flags, Mode::empty()) {
        Ok(held) => Ok(File::from(held)),
        Err(Errno::LOOP | Errno::NOTDIR) => Err(wrong(&"it isn't a folder of its own")),
        Err(error) => Err(wrong(&error)),
    }
}

/// Whether a file of ours is in the place of this one; an error says what else is.
pub(super) fn look(folder: &File, document: &Document) -> Result<bool, String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match openat(folder, &document.name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(false),
        Err(Errno::LOOP | Errno::NXIO) => return Err("it is there, and isn't a regular file".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    if !file.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("it is there, and isn't a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(OURS_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > OURS_MAX || !(document.is_ours)(&bytes) {
        return Err("it is there, and ilchul didn't write it".to_owned());
    }
    Ok(true)
}

/// Writes one file whole: under a name of its own first, then by rename.
pub(super) fn put(folder: &File, document: &Document) -> io::Result<()> {
    let half = format!(".{}.{}.tmp", document.name, uuid::Uuid::new_v4().simple());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(openat(folder, &half, flags, Mode::RUSR | Mode::WUSR)?);
    let written = file.write_all(document.text.as_bytes()).and_then(|()| file.sync_all());
    let renamed = written.and_then(|()| {
        let name = &document.name;
        if document.replaces {
            return Ok(renameat(folder, &half, folder, name)?);
        }
        // Whatever came into its place since the look isn't ours.
        Ok(renameat_with(folder, &half, folder, name, RenameFlags::NOREPLACE)?)
    });
    if renamed.is_err() {
        // Only the name that this call made; a failure here changes nothing for the reader.
        let _ = unlinkat(folder, &half, AtFlags::empty());
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn documents() -> Vec<Document> {
        let one = |name: &str| Document {
            name: name.to_owned(),
            text: format!("ours {name}\n"),
            is_ours: |bytes| bytes.starts_with(b"ours"),
            replaces: false,
        };
        vec![one("a.intoto.json"), one("junit.xml")]
    }

    /// What is in the folder, and that nothing half-made is.
    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn s13_a_folder_is_made_for_its_owner_and_files_of_ours_are_replaced_whole() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("a/out");
        for _ in 0..2 {
            write(&folder, &mut documents()).unwrap();
            assert_eq!(names(&folder), ["a.intoto.json", "junit.xml"]);
        }
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join("junit.xml"))), (0o700, 0o600));
        // Somebody's own folder keeps the rights that they gave it.
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        write(&folder, &mut documents()).unwrap();
        assert_eq!(mode(&folder), 0o755);
    }

    #[test]
    fn what_is_not_ours_stops_everything_before_anything_is_written() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path();
        let outside = tempfile::tempdir().unwrap();
        let target = outside.path().join("target");
        std::fs::write(&target, "ours, but behind a link").unwrap();
        let file = folder.join("junit.xml");
        type Plant<'a> = (&'a str, Box<dyn Fn() + 'a>);
        let plants: [Plant<'_>; 4] = [
            ("ilchul didn't write it", Box::new(|| std::fs::write(&file, "mine").unwrap())),
            ("isn't a regular file", Box::new(|| symlink(&target, &file).unwrap())),
            (
                "isn't a regular file",
                Box::new(|| nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap()),
            ),
            ("isn't a regular file", Box::new(|| std::fs::create_dir(&file).unwrap())),
        ];
        for (why, plant) in plants {
            plant();
            let error = write(folder, &mut documents()).unwrap_err();
            assert_eq!(error.code, "export_in_the_way");
            assert!(error.message.contains(why), "{}", error.message);
            assert_eq!(names(folder), ["junit.xml"]);
            let _ = std::fs::remove_file(&file);
        }
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "ours, but behind a link");
    }

    #[test]
    fn a_link_in_the_folders_own_place_is_not_followed() {
        let top = tempfile::tempdir().unwrap();
        std::fs::create_dir(top.path().join("real")).unwrap();
        symlink(top.path().join("real"), top.path().join("out")).unwrap();
        let error = write(&top.path().join("out"), &mut documents()).unwrap_err();
        assert!(error.message.contains("isn't a folder of its own"), "{}", error.message);
        assert!(names(&top.path().join("real")).is_empty());
    }

    #[test]
    fn a_file_that_comes_into_the_place_after_the_look_is_not_replaced() {
        let top = tempfile::tempdir().unwrap();
        let held = open_folder(top.path()).unwrap();
        let document = documents().remove(0);
        assert!(!look(&held, &document).unwrap());
        std::fs::write(top.path().join(&document.name), "mine").unwrap();
        assert_eq!(put(&held, &document).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(names(top.path()), [document.name.as_str()]);
        assert_eq!(std::fs::read_to_string(top.path().join(&document.name)).unwrap(), "mine");
    }
}
