//! The `ringdove` binary: everything is in the library.

use ringdove::structure::heap::CountingHeap;

#[global_allocator]
static HEAP: CountingHeap = CountingHeap;

fn main() {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    std::process::exit(ringdove::server::run(&args));
}
