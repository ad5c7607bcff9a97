//! The command line: thin.

pub mod bench;
pub mod trace;

pub fn run(_arguments: impl Iterator<Item = std::ffi::OsString>) -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
