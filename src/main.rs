//! The program: everything is in the library.

use std::process::ExitCode;

use conduit::stdio::guard;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    // Before anything else: a guard is to be small, and knows no other arguments.
    if args.nth(1).is_some_and(|mode| mode == guard::MODE) {
        return guard::main(args);
    }
    conduit::cli::main(std::env::args_os())
}
