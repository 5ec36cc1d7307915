//! Starts servers as users do, on a free port in a directory of their own, and ends them.
//!
//! The server under test is the `ringdove` of this build, or what `RINGDOVE_BIN` names. If that is a
//! redis-server, the options only Ringdove knows are left out, so every test can be tried against
//! Redis itself: what fails there is the test's fault.

use super::Client;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The server under test.
    Ringdove,
    /// `redis-server`, which is right by definition.
    Oracle,
}

/// Whether a `redis-server` can be started. Says so once if not; in CI it must be there.
pub fn oracle_is_here() -> bool {
    let here = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !here {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "redis-server is missing, and CI=true");
        println!("skipped: there is no redis-server to compare with");
    }
    here
}

/// The program under test.
pub fn binary() -> PathBuf {
    match std::env::var_os("RINGDOVE_BIN") {
        Some(path) => path.into(),
        None => env!("CARGO_BIN_EXE_ringdove").into(),
    }
}

/// Whether the program under test is a Redis: then Ringdove's own options are unknown to it.
pub fn tests_redis() -> bool {
    let path = binary();
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.contains("redis") || name.contains("valkey")
}

/// What to start and how.
#[derive(Clone)]
pub struct Start {
    kind: Kind,
    shards: usize,
    args: Vec<String>,
    dir: Option<PathBuf>,
}

impl Start {
    pub fn oracle() -> Start {
        Start { kind: Kind::Oracle, shards: 1, args: Vec::new(), dir: None }
    }

    pub fn ringdove(shards: usize) -> Start {
        Start { kind: Kind::Ringdove, shards, args: Vec::new(), dir: None }
    }

    pub fn arg(mut self, arg: impl Into<String>) -> Start {
        self.args.push(arg.into());
        self
    }

    pub fn args(mut self, args: &str) -> Start {
        self.args.extend(args.split(' ').filter(|a| !a.is_empty()).map(String::from));
        self
    }

    /// A data directory that outlives the server.
    pub fn dir(mut self, dir: &Path) -> Start {
        self.dir = Some(dir.into());
        self
    }

    pub fn program(&self) -> PathBuf {
        match self.kind {
            Kind::Oracle => "redis-server".into(),
            Kind::Ringdove => binary(),
        }
    }

    /// Starts it and waits until it answers PING. Another port is tried when somebody was quicker.
    pub fn start(self) -> Server {
        for _ in 0..5 {
            match self.try_start(free_port()) {
                Ok(server) => return server,
                Err(log) if log.contains("already in use") => continue,
                Err(log) => panic!("{:?} did not start\n{log}", self.program()),
            }
        }
        panic!("no port is free");
    }

    /// One attempt; the log when it ends instead of answering.
    pub fn try_start(&self, port: u16) -> Result<Server, String> {
        let scratch = Scratch::new();
        let dir = self.dir.clone().unwrap_or_else(|| scratch.path.clone());
        let log = scratch.path.join("log");
        let out = fs::File::create(&log).unwrap();
        let mut command = Command::new(self.program());
        command.args(["--port", &port.to_string(), "--dir", &dir.to_string_lossy()]);
        command.args(["--save", "", "--enable-debug-command", "yes"]);
        if self.kind == Kind::Ringdove && !tests_redis() {
            command.args(["--shards", &self.shards.to_string()]);
        }
        command.args(&self.args).current_dir(&dir).stdin(Stdio::null());
        command.stdout(out.try_clone().unwrap()).stderr(out);
        let child = command.spawn().unwrap_or_else(|e| panic!("{:?}: {e}", self.program()));
        let mut server =
            Server { child, port, log, _scratch: scratch, how: format!("{command:?}"), kind: self.kind };
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = server.child.try_wait().unwrap() {
                return Err(format!("{}\nended with {status}\n{}", server.how, server.log()));
            }
            if server.answers() {
                return Ok(server);
            }
            if Instant::now() > end {
                return Err(format!("{}\ndoes not answer PING\n{}", server.how, server.log()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A server process; killed when dropped.
pub struct Server {
    pub child: Child,
    pub port: u16,
    log: PathBuf,
    _scratch: Scratch,
    how: String,
    kind: Kind,
}

impl Server {
    /// Whether this process, and no stranger on its port, answers and has loaded its data.
    fn answers(&mut self) -> bool {
        let Ok(mut client) = Client::connect(self.port) else { return false };
        client.set_patience(Duration::from_secs(5));
        match client.try_call(&["PING"]) {
            Ok(reply) if reply.is_error() => reply.bytes().starts_with(b"NOAUTH"),
            Ok(_) => {
                let Ok(info) = client.try_call(&["INFO", "server"]) else { return false };
                info.is_error() || info.text().contains(&format!("process_id:{}\r", self.child.id()))
            }
            Err(_) => false,
        }
    }

    pub fn client(&self) -> Client {
        Client::connect(self.port).unwrap_or_else(|e| panic!("connect to {}: {e}\n{}", self.port, self.log()))
    }

    /// A connection that may do everything, whether or not the tests' password is set.
    pub fn admin(&self) -> Client {
        let mut client = self.client();
        if client.ask("PING").is_error() {
            assert!(client.ask("AUTH secret").is_ok());
        }
        client
    }

    /// The last lines it has written, without backtraces.
    pub fn log(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().filter(|l| !l.starts_with("  ")).collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    /// Whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn signal(&self, signal: i32) {
        let status = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status();
        assert!(status.unwrap().success());
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for the process to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the server does not end\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGTERM, and waits until it is gone.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(15);
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() && self.kind == Kind::Ringdove && !tests_redis() {
            println!("--- {}\n{}\n---", self.how, self.log());
        }
    }
}

/// A fresh directory below the system's temporary one; removed at the end.
pub struct Scratch {
    pub path: PathBuf,
}

impl Scratch {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Scratch {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ringdove-it-{}-{n}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Scratch { path }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A port nobody listens on now.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let Some(base) = super::env_number("RINGDOVE_TEST_PORT") else {
        return TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    };
    loop {
        let port = base as u16 + NEXT.fetch_add(1, Ordering::Relaxed) % 100;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
