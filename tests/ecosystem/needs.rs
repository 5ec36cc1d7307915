//! What a test needs from the machine it runs on. A test that lacks something says so on standard
//! error and passes; with `CI=true` it fails.

use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Says that the calling test is left out, and why.
pub fn left_out(why: &str) {
    assert!(env::var("CI").as_deref() != Ok("true"), "{why}, and CI=true");
    // Not println: the test harness would swallow it.
    let _ = writeln!(std::io::stderr(), "left out: {why}");
}

/// Whether all of these are on the PATH.
pub fn programs(names: &[&str]) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let missing = names.iter().find(|name| !env::split_paths(&path).any(|dir| dir.join(name).is_file()));
    if let Some(name) = missing {
        left_out(&format!("there is no {name} here"));
    }
    missing.is_none()
}

/// A path that an environment variable must name.
pub fn path(variable: &str, what: &str) -> Option<PathBuf> {
    let path = env::var_os(variable).map(PathBuf::from);
    match path {
        Some(path) if path.exists() => Some(path),
        Some(path) => panic!("{variable}={}: there is no such thing", path.display()),
        None => {
            left_out(&format!("{variable} does not name {what} (.ci/run gets it)"));
            None
        }
    }
}

/// The server under test: the one of this build, or what `RINGDOVE_BIN` names.
pub fn server() -> PathBuf {
    env::var_os("RINGDOVE_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_ringdove").into()).into()
}

/// These tests measure time and keep both cores busy: one after the other.
pub fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a script; its output becomes the test's, its failure the test's failure.
pub fn run(mut command: Command) {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    println!("{}", String::from_utf8_lossy(&output.stdout));
    println!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}", output.status);
}
