//! Programs that people use with Redis, against this server: redis-cli, redis-benchmark, redis-py,
//! Django's RedisCache, django-redis, and a whole Django site whose server is killed under load.
//!
//! The scripts lie in `tests/ecosystem/`. Two Python environments are wanted, named by
//! `RINGDOVE_PYTHON_PINNED` and `RINGDOVE_PYTHON_NEWEST` (`.ci/python DIR` makes both): versions that
//! long-lived sites run, and the newest. Without them these tests are left out; so are those of
//! redis-cli when it is not installed. Each script can be tried against Redis itself with
//! `RINGDOVE_BIN=redis-server`.

#[path = "ecosystem/needs.rs"]
mod needs;

use std::path::{Path, PathBuf};
use std::process::Command;

const PINNED: &str = "RINGDOVE_PYTHON_PINNED";
const NEWEST: &str = "RINGDOVE_PYTHON_NEWEST";

fn run(python: PathBuf, script: &str, args: &[&str]) {
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ecosystem").join(script)).args(args);
    command.env("RINGDOVE_BIN", needs::server()).env("PYTHONDONTWRITEBYTECODE", "1");
    // Deprecated calls are still made by the sites we stand in for.
    command.env("PYTHONWARNINGS", "ignore::DeprecationWarning");
    needs::run(command);
}

fn run_with(variable: &str, script: &str, args: &[&str]) {
    let _alone = needs::alone();
    if let Some(python) = needs::path(variable, "a Python with redis-py and Django") {
        run(python, script, args);
    }
}

#[test]
fn redis_cli_and_redis_benchmark() {
    let _alone = needs::alone();
    if needs::programs(&["python3", "redis-cli", "redis-benchmark"]) {
        run("python3".into(), "redis_cli.py", &[]);
    }
}

#[test]
fn redis_py_pinned() {
    run_with(PINNED, "redis_py.py", &[]);
}

#[test]
fn redis_py_newest() {
    run_with(NEWEST, "redis_py.py", &[]);
}

#[test]
fn django_caches_pinned() {
    run_with(PINNED, "django_caches.py", &[]);
}

#[test]
fn django_caches_newest() {
    run_with(NEWEST, "django_caches.py", &[]);
}

#[test]
fn site_with_django_redis_and_cache_sessions_survives_kills() {
    run_with(PINNED, "site/run.py", &["django_redis", "cache", "20"]);
}

#[test]
fn site_with_builtin_backend_and_cached_db_sessions_survives_kills() {
    run_with(NEWEST, "site/run.py", &["builtin", "cached_db", "20"]);
}

#[test]
fn site_with_django_redis_and_cached_db_sessions_survives_kills() {
    run_with(NEWEST, "site/run.py", &["django_redis", "cached_db", "10"]);
}

#[test]
fn site_with_builtin_backend_and_cache_sessions_survives_kills() {
    run_with(PINNED, "site/run.py", &["builtin", "cache", "10"]);
}

#[test]
fn intrinsics_pinned() {
    if needs::programs(&["redis-server"]) {
        run_with(PINNED, "intrinsics.py", &["pinned"]);
    }
}

#[test]
fn intrinsics_newest() {
    if needs::programs(&["redis-server"]) {
        run_with(NEWEST, "intrinsics.py", &["newest"]);
    }
}
