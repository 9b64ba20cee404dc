//! The `shoal` program: everything is in the library, so that tests can run it in-process.

fn main() -> std::process::ExitCode {
    let mut io = shoal::Io::process();
    shoal::run(std::env::args_os(), &mut io).into()
}
