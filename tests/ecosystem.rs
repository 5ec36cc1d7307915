//! Programs that people use with Redis, against this server: redis-cli, redis-benchmark, redis-py;
//! Django's caches and sessions, and a whole site whose server is killed under load; kombu and Celery;
//! channel layers and a chat through them; RQ, Huey, Dramatiq, arq; BullMQ.
//!
//! The scripts lie in `tests/ecosystem/`. What they need is named by environment variables: Pythons with
//! versions that long-lived sites run (`RINGDOVE_PYTHON_PINNED`), with the newest
//! (`RINGDOVE_PYTHON_NEWEST`), and with arq and what it wants (`RINGDOVE_PYTHON_ARQ`), all made by
//! `.ci/python DIR`; folders of Node packages (`RINGDOVE_NODE_PINNED`, `RINGDOVE_NODE_NEWEST`), made by
//! `.ci/node DIR`. Without them these tests are left out; so are those of redis-cli when it is not
//! installed. Each script can be tried against Redis itself with `RINGDOVE_BIN=redis-server`, and shows
//! the commands and scripts that its clients send with `ECOSYSTEM_TRAFFIC=1`.

#[path = "ecosystem/needs.rs"]
mod needs;

use std::path::{Path, PathBuf};
use std::process::Command;

const PINNED: &str = "RINGDOVE_PYTHON_PINNED";
const NEWEST: &str = "RINGDOVE_PYTHON_NEWEST";
const ARQ: &str = "RINGDOVE_PYTHON_ARQ";
const NODE_PINNED: &str = "RINGDOVE_NODE_PINNED";
const NODE_NEWEST: &str = "RINGDOVE_NODE_NEWEST";

fn run(python: PathBuf, script: &str, args: &[&str]) {
    needs::run(command(python, script, args));
}

fn command(python: PathBuf, script: &str, args: &[&str]) -> Command {
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ecosystem").join(script)).args(args);
    command.env("RINGDOVE_BIN", needs::server()).env("PYTHONDONTWRITEBYTECODE", "1");
    // Deprecated calls are still made by the sites we stand in for.
    command.env("PYTHONWARNINGS", "ignore::DeprecationWarning");
    command
}

fn run_with(variable: &str, script: &str, args: &[&str]) {
    let _alone = needs::alone();
    if let Some(python) = needs::path(variable, "a Python with the clients") {
        run(python, script, args);
    }
}

fn run_with_node(variable: &str, script: &str) {
    let _alone = needs::alone();
    if needs::programs(&["python3", "node"])
        && let Some(packages) = needs::path(variable, "a folder with BullMQ")
    {
        let mut command = command("python3".into(), script, &[]);
        command.env("NODE_PATH", packages);
        needs::run(command);
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
fn kombu_pinned() {
    run_with(PINNED, "kombu_broker.py", &[]);
}

#[test]
fn kombu_newest() {
    run_with(NEWEST, "kombu_broker.py", &[]);
}

#[test]
fn celery_pinned() {
    run_with(PINNED, "celery_work.py", &[]);
}

#[test]
fn celery_newest() {
    run_with(NEWEST, "celery_work.py", &[]);
}

#[test]
fn channel_layers_pinned() {
    run_with(PINNED, "channel_layers.py", &[]);
}

#[test]
fn channel_layers_newest() {
    run_with(NEWEST, "channel_layers.py", &[]);
}

#[test]
fn chat_over_websockets_pinned() {
    run_with(PINNED, "chat.py", &[]);
}

#[test]
fn chat_over_websockets_newest() {
    run_with(NEWEST, "chat.py", &[]);
}

#[test]
fn rq_pinned() {
    run_with(PINNED, "rq_jobs.py", &[]);
}

#[test]
fn rq_newest() {
    run_with(NEWEST, "rq_jobs.py", &[]);
}

#[test]
fn huey_pinned() {
    run_with(PINNED, "huey_jobs.py", &[]);
}

#[test]
fn huey_newest() {
    run_with(NEWEST, "huey_jobs.py", &[]);
}

#[test]
fn dramatiq_pinned() {
    run_with(PINNED, "dramatiq_jobs.py", &[]);
}

#[test]
fn dramatiq_newest() {
    run_with(NEWEST, "dramatiq_jobs.py", &[]);
}

#[test]
fn arq_pinned() {
    run_with(PINNED, "arq_jobs.py", &[]);
}

#[test]
fn arq_newest() {
    run_with(ARQ, "arq_jobs.py", &[]);
}

#[test]
fn bullmq_pinned() {
    run_with_node(NODE_PINNED, "bullmq_jobs.py");
}

#[test]
fn bullmq_newest() {
    run_with_node(NODE_NEWEST, "bullmq_jobs.py");
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
