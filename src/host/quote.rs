//! Words for a shell that isn't known: quoted once for `sh`, and hidden from the login shell.
//!
//! The login shell may be csh or fish, whose quotes differ: it sees letters, digits, dots,
//! dashes, slashes and octal escapes between single quotes, which mean the same to all of them.
//! It leaves out what is said.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::HostError;

/// The longest line: Linux bounds one argument to 128 KiB.
const LINE_MAX: usize = 120 << 10;

/// One word for a script of `sh`, whatever it holds.
#[must_use]
pub fn word(text: &OsStr) -> OsString {
    let mut quoted = vec![b'\''];
    for &byte in text.as_bytes() {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            other => quoted.push(other),
        }
    }
    quoted.push(b'\'');
    OsStr::from_bytes(&quoted).to_owned()
}

/// The line for any login shell that runs `script` in `sh`, its standard input untouched.
///
/// # Errors
/// [`HostError::Words`].
pub fn line(script: &OsStr) -> Result<String, HostError> {
    let mut line = "exec sh -c 'eval \"$(printf %b \"$0\")\"' '".to_owned();
    for &byte in script.as_bytes() {
        match byte {
            0 => return Err(HostError::Words),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'/' | b'-' => {
                line.push(char::from(byte));
            }
            other => line.push_str(&format!("\\0{other:03o}")),
        }
    }
    line.push('\'');
    if line.len() > LINE_MAX { Err(HostError::Words) } else { Ok(line) }
}

/// The words of a call as a script of `sh` that they replace.
pub(super) fn exec(argv: &[OsString]) -> OsString {
    let mut script = OsString::from("exec");
    for argument in argv {
        script.push(" ");
        script.push(word(argument));
    }
    script
}
