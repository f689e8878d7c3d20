//! This machine.

use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::{Call, Host, HostError, Input, Ran, run};

/// This machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Local;

impl Host for Local {
    fn run(&self, call: Call<'_>) -> Result<Ran, HostError> {
        let Some((program, arguments)) = call.argv.split_first() else { return Err(HostError::Words) };
        let mut command = Command::new(program);
        command.args(arguments);
        run::run(command, call.input, call.limit)
    }

    fn read(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>, HostError> {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(max).read_to_end(&mut bytes));
        Ok(read.ok().map(|_| bytes))
    }

    fn write(&self, path: &str, input: Input, mode: &str) -> Result<bool, HostError> {
        let mode = u32::from_str_radix(mode, 8).map_err(|_| HostError::Words)?;
        Ok(write(Path::new(path), input, mode).is_ok())
    }

    fn there(&self, argv: &[OsString]) -> Result<Vec<OsString>, HostError> {
        Ok(argv.to_vec())
    }
}

fn write(path: &Path, input: Input, mode: u32) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    match input {
        Input::Nothing => {}
        Input::Bytes(bytes) => file.write_all(&bytes)?,
        Input::File(mut source) => {
            io::copy(&mut source, &mut file)?;
        }
    }
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
