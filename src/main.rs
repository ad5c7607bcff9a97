//! Arguments to `cli`, exit code; nothing else.

fn main() -> std::process::ExitCode {
    lychgate::cli::run(std::env::args_os())
}
