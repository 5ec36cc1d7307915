//! One server under measurement: started on a port of its own in an empty directory, stopped and
//! forgotten when dropped. What it costs is read from `/proc`, never asked of the server.

use crate::Options;
use crate::client::{Client, Reply};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// How to start one. The command runs under `sh -c 'exec ...'`; whatever it is must end up as the server
/// itself under the same process id (`chroot`, `taskset` and `env` do).
pub struct Launch {
    pub name: String,
    pub command: String,
}

pub struct Server {
    pub port: u16,
    process: Child,
    dir: PathBuf,
}

static PORTS: AtomicU16 = AtomicU16::new(0);

impl Launch {
    pub fn start(&self, options: &Options) -> Server {
        let port = free_port(options.port);
        let dir = std::env::temp_dir().join(format!("ringdove-bench-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory for the server");
        let mut command = self.command.replace("{port}", &port.to_string());
        if let Some(cpus) = &options.server_cpus {
            command = format!("taskset -c {cpus} {command}");
        }
        let log = std::fs::File::create(dir.join("log")).expect("a log");
        let process = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("sh starts");
        let server = Server { port, process, dir };
        let patience = Instant::now();
        while !server.answers() {
            if patience.elapsed() > Duration::from_secs(20) {
                let log = std::fs::read_to_string(server.dir.join("log")).unwrap_or_default();
                panic!("{} does not answer on port {port}:\n{log}", self.name);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }
}

/// The next port that nobody has, not even as the near end of a connection.
fn free_port(from: u16) -> u16 {
    loop {
        let port = from + PORTS.fetch_add(1, Ordering::Relaxed);
        if std::net::TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

impl Server {
    fn answers(&self) -> bool {
        Client::try_open(self.port)
            .is_some_and(|mut client| client.call(&["PING"]) == Reply::Status("PONG".into()))
    }

    pub fn client(&self) -> Client {
        Client::try_open(self.port).expect("the server answers")
    }

    /// CPU time of all threads so far, in microseconds.
    pub fn cpu_micros(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).expect("the server runs");
        let nanos: u64 = tasks
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
            .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
            .sum();
        nanos as f64 / 1000.0
    }

    pub fn rss_bytes(&self) -> f64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("0 0");
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) * 1024.0
    }

    /// `valkey 9.1.2`, as INFO says.
    pub fn version(&self) -> String {
        let Reply::Bulk(info) = self.client().call(&["INFO", "server"]) else { return String::new() };
        let info = String::from_utf8_lossy(&info).into_owned();
        let field = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(|value| value.trim().to_string())
        };
        for (name, shown) in
            [("ringdove_version", "Ringdove"), ("valkey_version", "Valkey"), ("redis_version", "Redis")]
        {
            if let Some(version) = field(name) {
                return format!("{shown} {version}");
            }
        }
        String::new()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What it holds is of no use to anybody.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

pub fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}
