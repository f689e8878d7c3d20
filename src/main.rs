//! The program: arguments in, exit code out.

fn main() {
    let args: Vec<std::ffi::OsString> = std::env::args_os().collect();
    std::process::exit(ilchul::cli::main(args));
}
