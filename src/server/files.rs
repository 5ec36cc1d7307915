//! What the process wants of the operating system at start: files, limits, CPUs, the background.
//!
//! Called by boot, on one thread, in the order in which Redis does it: read the configuration, go to the
//! background, enter `dir`, write the pid file, raise limits. Decides nothing about the data.

use crate::base::glob;
use crate::config::words::Supervised;
use crate::config::{Files, Settings, Surroundings};
use crate::control::reason;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What a kernel's set of CPUs holds.
const CPUS_MAX: usize = 1024;

/// The files of the configuration. What standard input held is kept: it can be read only once.
#[derive(Default)]
pub struct DiskFiles {
    stdin: OnceLock<Vec<u8>>,
}

impl Files for DiskFiles {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        fs::read(path).map_err(|error| reason(&error))
    }

    fn read_stdin(&self) -> Result<Vec<u8>, String> {
        if let Some(content) = self.stdin.get() {
            return Ok(content.clone());
        }
        let mut content = Vec::new();
        io::stdin().read_to_end(&mut content).map_err(|error| reason(&error))?;
        Ok(self.stdin.get_or_init(|| content).clone())
    }

    fn expand(&self, pattern: &Path) -> Vec<PathBuf> {
        let mut found = vec![PathBuf::new()];
        for component in pattern.components() {
            found = found.into_iter().flat_map(|path| step(path, component)).collect();
        }
        found
    }
}

/// The paths that a component of a pattern leads to from `path`, sorted.
fn step(path: PathBuf, component: Component<'_>) -> Vec<PathBuf> {
    let name = component.as_os_str().as_bytes();
    if !name.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[')) {
        let next = path.join(component);
        return if next.exists() { vec![next] } else { Vec::new() };
    }
    let here = if path.as_os_str().is_empty() { Path::new(".") } else { &path };
    let Ok(entries) = fs::read_dir(here) else { return Vec::new() };
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
    // As in a shell, a leading dot is matched by a dot only.
    let wanted = |found: &OsString| {
        let found = found.as_bytes();
        (name[0] == b'.' || !found.starts_with(b".")) && glob::matches(name, found, false)
    };
    let mut paths: Vec<PathBuf> = names.filter(wanted).map(|name| path.join(name)).collect();
    paths.sort();
    paths
}

/// Makes `dir` the working directory; its absolute path, for the settings.
pub fn enter_dir(dir: &Path) -> Result<PathBuf, String> {
    change_dir(dir).map_err(|reason| format!("Can't chdir to '{}': {reason}", dir.display()))
}

/// CONFIG SET dir: the same, with the system's reason alone.
pub fn change_dir(dir: &Path) -> Result<PathBuf, String> {
    std::env::set_current_dir(dir).and_then(|()| std::env::current_dir()).map_err(|error| reason(&error))
}

const DEFAULT_PID_FILE: &str = "/var/run/redis.pid";

/// The pid file, when there is to be one.
pub fn pid_file(settings: &Settings) -> Option<PathBuf> {
    match settings.pidfile.is_empty() {
        false => Some(settings.pidfile.as_path().to_owned()),
        true => settings.daemonize.then(|| DEFAULT_PID_FILE.into()),
    }
}

/// Writes the process id. A path that cannot be written is only reported.
pub fn write_pid_file(path: &Path) {
    if let Err(error) = fs::write(path, format!("{}\n", std::process::id())) {
        tracing::warn!("Can't write the pid file {}: {}", path.display(), reason(&error));
    }
}

/// The last thing before the end: what a later start or a watcher would take for a running server.
pub fn remove_traces(pid_file: Option<&Path>, unix_socket: Option<&Path>) {
    if let Some(path) = pid_file {
        tracing::info!("Removing the pid file.");
        let _ = fs::remove_file(path);
    }
    if let Some(path) = unix_socket {
        tracing::info!("Removing the unix socket file.");
        let _ = fs::remove_file(path);
    }
}

/// Marks the process that runs in the background.
const BACKGROUND: &str = "RINGDOVE_IN_BACKGROUND";

/// What `daemonize` came to.
pub enum Daemonized {
    /// Go on: this is the server.
    Here,
    /// The server runs in the background; this process exits with 0.
    There,
}

/// `daemonize yes`, before any thread and before `enter_dir`: starts this program anew, with the same
/// arguments, in a session of its own and without a terminal. Starting anew rather than forking keeps
/// the program free of the rules for what may follow a fork. A service manager's child stays in front.
pub fn daemonize(settings: &Settings, files: &DiskFiles) -> io::Result<Daemonized> {
    if std::env::var_os(BACKGROUND).is_some() {
        // Fails only for a leader of a process group, which a fresh child is not.
        let _ = nix::unistd::setsid();
        return Ok(Daemonized::Here);
    }
    if !settings.daemonize || is_supervised(settings.supervised) {
        return Ok(Daemonized::Here);
    }
    let mut command = Command::new(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1)).env(BACKGROUND, "1");
    command.stdin(if files.stdin.get().is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    if let (Some(mut stdin), Some(content)) = (child.stdin.take(), files.stdin.get()) {
        stdin.write_all(content)?;
    }
    Ok(Daemonized::There)
}

/// Files a server has open beside its clients (Redis's figure).
pub const RESERVED_FILES: u64 = 32;

/// Raises the limit of open files to what `maxclients` needs; how many clients there may be then. An
/// error ends the start: its text goes to the log.
pub fn raise_file_limit(maxclients: u32, reserved: u64) -> Result<u32, String> {
    let wanted = u64::from(maxclients) + reserved;
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => {
            let clients = maxclients.min(1024u32.saturating_sub(reserved as u32)).max(1);
            tracing::warn!(
                "Unable to obtain the current NOFILE limit ({}), assuming 1024 and setting the max clients configuration accordingly.",
                error.desc()
            );
            return Ok(clients);
        }
    };
    if soft >= wanted {
        return Ok(maxclients);
    }
    if setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted)).is_ok() {
        tracing::info!(
            "Increased maximum number of open files to {wanted} (it was originally set to {soft})."
        );
        return Ok(maxclients);
    }
    // Beyond the hard limit only root may go.
    let best = match setrlimit(Resource::RLIMIT_NOFILE, hard.min(wanted), hard) {
        Ok(()) => hard.min(wanted),
        Err(_) => soft,
    };
    if best >= wanted {
        tracing::info!(
            "Increased maximum number of open files to {wanted} (it was originally set to {soft})."
        );
        return Ok(maxclients);
    }
    if best <= reserved {
        return Err(format!(
            "Your current 'ulimit -n' of {soft} is not enough for the server to start. Please increase your open file limit to at least {wanted}. Exiting."
        ));
    }
    let clients = (best - reserved) as u32;
    tracing::warn!(
        "You requested maxclients of {maxclients} requiring at least {wanted} max file descriptors."
    );
    tracing::warn!(
        "Server can't set maximum open files to {wanted} because of OS error: Operation not permitted."
    );
    tracing::warn!(
        "Current maximum open files is {best}. maxclients has been reduced to {clients} to compensate for low ulimit. If you need higher maxclients increase 'ulimit -n'."
    );
    Ok(clients)
}

/// Says what is wrong if less memory may be locked than the rings of so many shards take.
pub fn check_locked_memory(shards: u16) -> Option<String> {
    const PER_SHARD: u64 = 512 * 1024;
    let wanted = PER_SHARD * u64::from(shards);
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK).ok()?;
    if soft >= wanted || hard >= wanted && setrlimit(Resource::RLIMIT_MEMLOCK, wanted, hard).is_ok() {
        return None;
    }
    Some(format!(
        "The limit of locked memory is {soft} bytes, and the rings of {shards} shards may need {wanted}. Raise it with 'ulimit -l {}', LimitMEMLOCK= in a systemd unit, or --ulimit memlock={wanted} for a container",
        wanted / 1024
    ))
}

/// `shards auto`: the CPUs this process may really use: its affinity mask, and the quota of its control
/// group rounded down; at least one.
pub fn shards_auto() -> u16 {
    // The standard library asks both: sched_getaffinity, and cpu.max (v2) or cpu.cfs_quota_us (v1) of
    // the group and the groups above it.
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get());
    cpus.clamp(1, crate::base::limits::SHARDS_MAX) as u16
}

/// CPUs as `taskset` writes them: `0,2,4-7`, and `0-6:2` for every second. Empty: none named.
pub fn cpu_list(text: &str) -> Result<Vec<usize>, String> {
    let mut cpus = Vec::new();
    for part in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
        let (range, step) = part.split_once(':').unwrap_or((part, "1"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<usize>().map_err(|_| format!("'{part}' names no CPU"));
        let (first, last, step) = (number(first)?, number(last)?, number(step)?);
        if step == 0 || last < first || last >= CPUS_MAX {
            return Err(format!("'{part}' names no CPU"));
        }
        cpus.extend((first..=last).step_by(step));
    }
    Ok(cpus)
}

/// What `config::advice` wants to know of the machine.
pub fn surroundings() -> Surroundings {
    let in_container = ["/.dockerenv", "/run/.containerenv"].iter().any(|path| Path::new(path).exists())
        || std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    Surroundings { in_container, memory_limit_bytes: memory_limit() }
}

/// `memory.max` of the control group (v2), or `memory.limit_in_bytes` (v1) of the one a container sees.
fn memory_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"));
    let v2 = group.map(|group| Path::new("/sys/fs/cgroup").join(group).join("memory.max"));
    let v1 = PathBuf::from("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    let limit = v2.into_iter().chain([v1]).find_map(|path| fs::read_to_string(path).ok())?;
    // No limit is the word `max`, or a number no machine has.
    limit.trim().parse().ok().filter(|bytes| *bytes < 1 << 60)
}

/// `Linux 6.1.0-18-amd64 x86_64`, as INFO shows it.
pub fn os_name() -> String {
    let read = |name: &str| fs::read_to_string(Path::new("/proc/sys/kernel").join(name)).unwrap_or_default();
    format!("{} {} {}", read("ostype").trim(), read("osrelease").trim(), std::env::consts::ARCH)
}

/// Bytes of memory the machine has; 0 if it does not say.
pub fn total_system_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn is_supervised(supervised: Supervised) -> bool {
    let asks = || std::env::var_os("NOTIFY_SOCKET").is_some();
    supervised == Supervised::Systemd || supervised == Supervised::Auto && asks()
}

/// Tells systemd that the server is ready.
pub fn notify_ready(settings: &Settings) {
    if !is_supervised(settings.supervised) {
        return;
    }
    match std::env::var_os("NOTIFY_SOCKET") {
        None => tracing::warn!("systemd supervision error: NOTIFY_SOCKET not found!"),
        Some(socket) => {
            if let Err(error) = notify(&socket, b"STATUS=Ready to accept connections\nREADY=1\n") {
                tracing::warn!("systemd supervision error: sd_notify: {}", reason(&error));
            }
        }
    }
}

/// systemd's protocol: one datagram to a socket; a leading `@` means an abstract name.
fn notify(socket: &OsStr, message: &[u8]) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let sent = UnixDatagram::unbound()?.send_to_addr(message, &address)?;
    if sent == message.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_are_those_of_taskset() {
        for (text, cpus) in [("", &[][..]), ("3", &[3]), ("0-3", &[0, 1, 2, 3]), ("0-6:3,9", &[0, 3, 6, 9])] {
            assert_eq!(cpu_list(text), Ok(cpus.to_vec()), "{text}");
        }
        for wrong in ["x", "3-1", "0-3:0", "1,,2", "0-999999999"] {
            assert!(cpu_list(wrong).is_err(), "{wrong}");
        }
    }

    fn temp_dir(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("ringdove-files-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        path
    }

    #[test]
    fn patterns_expand_as_in_a_shell() {
        let dir = temp_dir("glob");
        for name in ["b.conf", "a.conf", ".hidden.conf", "c.txt"] {
            fs::write(dir.join(name), "port 1\n").unwrap();
        }
        fs::create_dir(dir.join("sub1")).unwrap();
        fs::write(dir.join("sub1/d.conf"), "").unwrap();
        let files = DiskFiles::default();
        let names = |pattern: &str| -> Vec<String> {
            let paths = files.expand(&dir.join(pattern));
            paths.iter().map(|p| p.strip_prefix(&dir).unwrap().display().to_string()).collect()
        };
        assert_eq!(names("*.conf"), ["a.conf", "b.conf"]);
        assert_eq!(names(".*.conf"), [".hidden.conf"]);
        assert_eq!(names("sub?/*"), ["sub1/d.conf"]);
        assert_eq!(names("[ab].conf"), ["a.conf", "b.conf"]);
        assert!(names("*.nothing").is_empty() && names("none/*.conf").is_empty());
        assert_eq!(files.read(&dir.join("no.conf")), Err("No such file or directory".to_owned()));
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn readiness_goes_to_the_socket_that_systemd_names() {
        let dir = temp_dir("notify");
        let path = dir.join("socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        notify(path.as_os_str(), b"READY=1\n").unwrap();
        let name = format!("ringdove-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let other = UnixDatagram::bind_addr(&address).unwrap();
        notify(OsStr::new(&format!("@{name}")), b"READY=1\n").unwrap();
        for socket in [socket, other] {
            let mut bytes = [0; 64];
            let n = socket.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..n], b"READY=1\n");
        }
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_file_is_replaced_whole_and_keeps_its_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let dir = temp_dir("replace");
        let (path, link) = (dir.join("conf"), dir.join("link"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        crate::control::replace_file(&link, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn the_machine_is_described() {
        assert!(shards_auto() >= 1);
        assert!(total_system_memory() > 1 << 20);
        assert!(os_name().starts_with("Linux "));
    }
}
