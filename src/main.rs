//! The program: everything is in the library.

use std::process::ExitCode;

use conduit::stdio::guard;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A guard is this program in its smallest form: nothing else may be set up before it.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|mode| mode == guard::MODE) {
        return guard::main(arguments);
    }
    conduit::cli::main(std::env::args_os())
}
