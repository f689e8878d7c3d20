//! Our own program on another machine: sent once for each content, below the home there.
//!
//! It leaves out taking older ones away: who still runs them isn't known here.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::super::error::CliError;
use super::super::{output, placed};
use super::enter::{self, Program, below_home};
use super::link::Link;
use super::pass;
use crate::host::Input;

/// How long sending it may take.
const LIMIT: Duration = Duration::from_secs(600);
/// Where its digest is kept between two commands.
const KEPT: &str = "program";

/// The digest of this program; kept in `folder`, because a large file takes a while.
///
/// # Errors
/// When it can't be read.
pub(super) fn digest(folder: &Path) -> Result<String, CliError> {
    let failed =
        |error: std::io::Error| CliError::new("program", format!("read ilchul's own program: {error}"));
    let exe = std::env::current_exe().map_err(failed)?;
    let found = std::fs::metadata(&exe).map_err(failed)?;
    let stamp = format!(
        "{} {} {} {}.{} {}.{}",
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec()
    );
    let kept = std::fs::read_to_string(folder.join(KEPT)).unwrap_or_default();
    if let Some((known, digest)) = kept.trim_end().rsplit_once(' ')
        && known == stamp
        && digest.len() == 64
    {
        return Ok(digest.to_owned());
    }
    let digest = placed::digest(&exe).map_err(failed)?;
    // Only to be quicker the next time.
    let _ = crate::host::Host::write(
        &crate::host::Local,
        &folder.join(KEPT).to_string_lossy(),
        Input::Bytes(format!("{stamp} {digest}\n").into_bytes()),
        "600",
    );
    Ok(digest)
}

/// Sends the program there, where it isn't.
///
/// # Errors
/// Where it can't run, or nothing can be written.
pub(super) fn send(link: &Link) -> Result<(), CliError> {
    let name = &link.target.name;
    let wrong = |why: String| CliError::new("host_program", format!("run ilchul on `{name}`: {why}"));
    let Program::Placed(digest) = &link.program else {
        let path = link.target.program.as_deref().unwrap_or_default();
        return Err(wrong(format!("`{}` isn't a program there", path.escape_debug()))
            .hint("Mend `program` of `hosts` in your settings, or leave it out."));
    };
    let look = link.look()?;
    let ours = format!("{} {}", system(), std::env::consts::ARCH);
    let theirs = look.get("system");
    if theirs != ours {
        return Err(wrong(format!("it is {}, and this program is for {ours}", theirs.escape_debug())).hint(
            format!(
                "Install ilchul {} there and name it by `program` of `hosts` in your settings.",
                env!("CARGO_PKG_VERSION")
            ),
        ));
    }
    if look.get("program") == "noexec" {
        return Err(pass::refused(link, enter::ABSENT));
    }
    output::talk(&format!("Sending ilchul to {name}, once for this version."));
    let exe = std::env::current_exe().and_then(File::open);
    let exe = exe.map_err(|error| wrong(format!("its own program can't be read: {error}")))?;
    let mut script = OsString::from("p=");
    script.push(link.program.path());
    script.push(format!("\nwant={digest}\n{PLACE}"));
    let ran = link.sh_within(&script, Input::File(exe), LIMIT)?;
    match ran.code {
        0 => Ok(()),
        NOT_RUNNING => Err(wrong(format!("what was put there doesn't start: {}", ran.words())).hint(
            "Programs may not be allowed in that home (`noexec`): install ilchul elsewhere there and name it by `program` of `hosts` in your settings.",
        )),
        _ => Err(wrong(format!("it can't be put into ~/.cache/ilchul: {}", ran.words()))
            .hint("Look at the space and the rights in the home there.")),
    }
}

/// The exit code for a program that was placed and doesn't run.
const NOT_RUNNING: i32 = 71;
const PLACE: &str = r#"
umask 077
d=$(dirname -- "$p"); t="$p.part.$$"
mkdir -p -- "$d" && cat > "$t" && chmod 700 "$t" || { e=$?; unlink "$t" 2> /dev/null; exit "$e"; }
found=$(sha256sum < "$t" | cut -d ' ' -f 1)
[ "$found" = "$want" ] || { unlink "$t"; echo "what arrived isn't what was sent" >&2; exit 72; }
sync "$t" 2> /dev/null || sync
mv -f -- "$t" "$p" || exit 73
"$p" --version > /dev/null || exit 71
"#;

fn system() -> String {
    let os = std::env::consts::OS;
    let mut letters = os.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}

/// What a path means there, for people.
pub(super) fn shown(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("~/{path}") }
}

/// The path of a folder there as a script has it.
pub(super) fn folder(link: &Link) -> Result<OsString, CliError> {
    Ok(below_home(link.folder()?))
}
