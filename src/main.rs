//! Conduit.

use std::process::ExitCode;

use conduit::stdio::guard;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|mode| mode == guard::MODE) {
        return guard::main(args);
    }
    ExitCode::SUCCESS
}
