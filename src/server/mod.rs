//! Floor 9: boot, recovery, signals, shutdown. Reads the configuration, opens the doors, brings back what
//! the journal kept, makes a shard actor and its executor per core, and waits for the end.

mod driver;
mod files;
mod host;
mod log;
mod recovery;
mod signals;
mod snapshot;

use crate::actor::{Actor, Lanes};
use crate::base::ShardId;
use crate::bridge::{Cell, Inbox, Owner, mail};
use crate::command::CommandTable;
use crate::config::{self, Invocation, Loaded, Settings, Sources, Text};
use crate::control::{self, Hooks};
use crate::keyspace::{Keyspace, Placement, Rule};
use crate::net::{self, Ring, RingError, RingOptions, Whose, clock};
use crate::session::{Control, Facts, Node, Process};
use crate::shard::Engine;
use crate::structure::heap;
use driver::{Door, Doors, Driver};
use files::DiskFiles;
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement as CpuPlacement};
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Messages to the control plane that may be under way.
const CONTROL_MAX: usize = 64 * 1024;

/// Descriptors a shard has open beside its clients: rings, eventfds, the executor's own.
const FILES_PER_SHARD: u64 = 16;

/// Why the server does not start: lines for the log, or for standard error while there is no log.
struct Failed(Vec<String>);

impl Failed {
    fn new(line: impl ToString) -> Self {
        Failed(vec![line.to_string()])
    }
}

/// Does what the command line asks for; the exit code of the process.
pub fn run(args: &[OsString]) -> i32 {
    let words: Vec<&[u8]> = args.iter().map(|a| a.as_bytes()).collect();
    let invocation = match config::parse_command_line(&words) {
        Ok(invocation) => invocation,
        Err(error) => return complain(error),
    };
    let outcome = match invocation {
        Invocation::Version => {
            println!("{}", config::version_line());
            return 0;
        }
        Invocation::Help => {
            print!("{}", config::USAGE);
            return 0;
        }
        Invocation::CheckConfig(sources) => return check_config(&sources),
        Invocation::Run(sources) => serve(&sources),
    };
    match outcome {
        Ok(code) => code,
        Err(Failed(lines)) => {
            lines.iter().for_each(|line| tracing::error!("{line}"));
            1
        }
    }
}

fn complain(error: impl std::fmt::Display) -> i32 {
    eprintln!("{error}");
    1
}

/// `--check-config`: says what a start with this configuration would say of it.
fn check_config(sources: &Sources) -> i32 {
    let loaded = match config::load(sources, &DiskFiles::default()) {
        Ok(loaded) => loaded,
        Err(error) => return complain(error),
    };
    if let Err(error) = command_table(&loaded).and_then(|_| Layout::of(&loaded)) {
        return complain(error);
    }
    loaded.warnings.iter().for_each(|w| println!("{w}"));
    config::advice(&loaded.settings, files::surroundings()).iter().for_each(|w| println!("{w}"));
    println!("The configuration is fine.");
    0
}

/// Where keys and threads go.
struct Layout {
    rules: Vec<Rule>,
    shard_cpus: Vec<usize>,
    other_cpus: Vec<usize>,
}

impl Layout {
    fn of(loaded: &Loaded) -> Result<Layout, config::ConfigError> {
        let settings = &loaded.settings;
        let rules = settings.locality_rule.iter().map(|rule| Rule::parse(rule.as_bytes()));
        let cpus = |name, list: &Text| {
            files::cpu_list(&list.to_str_lossy()).map_err(|reason| loaded.reject(name, reason))
        };
        let mut shard_cpus = cpus("server_cpulist", &settings.server_cpulist)?;
        let other_cpus = cpus("bio_cpulist", &settings.bio_cpulist)?;
        if shard_cpus.is_empty() && !other_cpus.is_empty() {
            // Threads inherit from the one that starts them: the shards' go back to where it was.
            shard_cpus = net::allowed_cpus();
        }
        let rules = rules.collect::<Result<_, _>>().map_err(|why| loaded.reject("locality-rule", why))?;
        Ok(Layout { rules, shard_cpus, other_cpus })
    }

    /// The CPUs of one of so many shards: one of its own if enough are named.
    fn cpus_of(&self, settings: &Settings, shard: ShardId, shards: ShardId) -> &[usize] {
        match self.shard_cpus.get(shard as usize) {
            Some(own) if !settings.server_cpulist.is_empty() && self.shard_cpus.len() >= shards as usize => {
                std::slice::from_ref(own)
            }
            _ => &self.shard_cpus,
        }
    }
}

/// Ties this thread to the CPUs that the configuration names, if it names any.
fn pin(cpus: &[usize], what: &str) {
    if !cpus.is_empty()
        && let Err(error) = net::pin_thread(cpus)
    {
        tracing::warn!("Can't tie {what} to CPUs {cpus:?}: {error}");
    }
}

/// The commands under the names that `rename-command` gives them.
fn command_table(loaded: &Loaded) -> Result<CommandTable, config::ConfigError> {
    let mut table = CommandTable::new(&[]).unwrap_or_else(|why| unreachable!("nothing is renamed: {why}"));
    for renamed in &loaded.settings.renamed_commands {
        let (from, to) = (renamed.from.to_str_lossy(), renamed.to.to_str_lossy());
        let outcome = table.rename(&from.to_ascii_lowercase(), &to.to_ascii_lowercase());
        outcome.map_err(|reason| config::ConfigError::new(Some(renamed.place.clone()), reason))?;
    }
    Ok(table)
}

fn serve(sources: &Sources) -> Result<i32, Failed> {
    let disk = DiskFiles::default();
    let mut loaded = match config::load(sources, &disk) {
        Ok(loaded) => loaded,
        Err(error) => return Ok(complain(error)),
    };
    let table = match command_table(&loaded) {
        Ok(table) => table,
        Err(error) => return Ok(complain(error)),
    };
    let layout = match Layout::of(&loaded) {
        Ok(layout) => layout,
        Err(error) => return Ok(complain(error)),
    };
    if let Err(reason) = log::check_file(loaded.settings.logfile.as_path()) {
        return Ok(complain(loaded.reject("logfile", reason)));
    }
    match files::daemonize(&loaded.settings, &disk) {
        Ok(files::Daemonized::Here) => {}
        Ok(files::Daemonized::There) => return Ok(0),
        Err(error) => return Ok(complain(format!("Can't go to the background: {error}"))),
    }
    let config_file = absolute(sources.file.as_ref());
    log::start(loaded.settings.loglevel, loaded.settings.logfile.as_path());
    log::end_on_panic();
    match files::enter_dir(loaded.settings.dir.as_path()) {
        Ok(dir) => loaded.settings.dir = Text::new(dir.as_os_str().as_bytes()),
        Err(reason) => return Ok(complain(loaded.reject("dir", reason))),
    }
    greet(&loaded);
    start(loaded.settings, table, layout, config_file)
}

fn absolute(path: Option<&PathBuf>) -> String {
    path.map(|p| std::path::absolute(p).unwrap_or_else(|_| p.clone()).to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn greet(loaded: &Loaded) {
    tracing::info!("oO0OoO0OoO0Oo Ringdove is starting oO0OoO0OoO0Oo");
    tracing::info!(
        "Ringdove version={}, bits=64, pid={}, just started",
        env!("CARGO_PKG_VERSION"),
        std::process::id()
    );
    for warning in loaded.warnings.iter().chain(&config::advice(&loaded.settings, files::surroundings())) {
        if warning.is_notice {
            tracing::info!("{warning}");
        } else {
            tracing::warn!("WARNING: {warning}");
        }
    }
}

/// Everything after the configuration: from sockets to the last line of the log.
fn start(
    mut settings: Settings,
    table: CommandTable,
    layout: Layout,
    config_file: String,
) -> Result<i32, Failed> {
    pin(&layout.other_cpus, "the threads beside the shards");
    let unix_path = settings.unixsocket.to_str_lossy().into_owned();
    let pid_file = files::pid_file(&settings);
    let traces = (pid_file.clone(), (!unix_path.is_empty()).then(|| PathBuf::from(&unix_path)));
    let remove_traces = move || files::remove_traces(traces.0.as_deref(), traces.1.as_deref());
    let signals = signals::Signals::start(remove_traces.clone()).map_err(Failed::new)?;
    let shards = settings.shards.unwrap_or_else(files::shards_auto);
    settings.maxclients =
        files::raise_file_limit(settings.maxclients, files::RESERVED_FILES + FILES_PER_SHARD * shards as u64)
            .map_err(Failed::new)?;
    if let Some(line) = files::check_locked_memory(shards) {
        tracing::warn!("{line}");
    }
    if settings.disable_thp && !net::disable_huge_pages() {
        tracing::warn!("Transparent huge pages could not be turned off: expect pauses while memory grows.");
    }
    // The executor panics where io_uring is missing or forbidden; a ring of our own says what to do.
    drop(Ring::new(RingOptions::default()).map_err(Failed::new)?);
    tracing::info!(
        "Running mode=standalone, port={}, shards={shards}. PID: {}",
        settings.port,
        std::process::id()
    );
    let doors = open_doors(&settings)?;
    if let Some(path) = &pid_file {
        files::write_pid_file(path);
    }
    let seeds = random_seeds();
    let placement = Placement::new(shards, seeds).with_rules(layout.rules.iter().cloned());
    let (sender, mail) = mail::mail::<Control>(CONTROL_MAX);
    let (mut owners, cells) = keyspaces(&settings, &placement);
    let facts = Facts {
        run_id: seeds.iter().map(|s| format!("{s:016x}")).collect::<String>()[..40].into(),
        executable: std::env::current_exe().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default(),
        config_file,
        pid: std::process::id(),
        tcp_port: settings.port,
        started: clock::now_micros() / 1000,
        os: files::os_name(),
        total_system_memory: files::total_system_memory(),
        ticks_per_micro: clock::ticks_per_micro(),
        startup_memory: heap::used(),
    };
    let node = Arc::new(Node::new(placement, table, settings, facts, sender, cells));
    node.set_process_probe(process);
    let journal =
        recovery::recover(&node, &mut owners, clock::now_micros() / 1000, seeds[1]).map_err(Failed::new)?;
    let hooks = Hooks {
        settings_changed: Box::new(|settings, names| {
            if names.contains(&"loglevel") {
                log::set_level(settings.loglevel);
            }
        }),
        before_exit: Some(Box::new(remove_traces)),
    };
    let control = control::start(Arc::clone(&node), mail, journal, hooks).map_err(Failed::new)?;
    let settings_now = Arc::clone(&node);
    signals.connect(control.stopper(), move || settings_now.settings());
    let doors_shared = Arc::new(Doors {
        arrivals: (0..shards).map(|_| Inbox::default()).collect(),
        moved: Box::new([Inbox::default()]),
        stop: AtomicBool::new(false),
        unix_path,
        loopback_only: |node| {
            let settings = node.settings();
            settings.protected_mode && settings.requirepass.is_empty()
        },
    });
    let host = host::TheProcess::new(Arc::clone(&doors_shared), node.settings().port, &doors)
        .map_err(|error| Failed::new(format!("Can't duplicate a socket: {error}")))?;
    node.set_host(Box::new(host));
    let (go, wait_for_go) = mail::mail::<()>(1);
    let executors = start_shards(&node, &doors_shared, &layout, owners, doors, seeds[2], wait_for_go)?;
    tracing::info!("Ready to accept connections");
    drop(go);
    files::notify_ready(&node.settings());
    let code = control.wait();
    doors_shared.stop.store(true, Ordering::Relaxed);
    node.wake_all();
    drop(executors);
    // Everything that must be on the disk is there. A shard that sleeps (DEBUG SLEEP) is not waited for.
    control::exit_now(code)
}

/// What INFO asks the system.
fn process() -> Process {
    let (all, children) = (net::cpu_time(Whose::Process), net::cpu_time(Whose::Children));
    let thread = net::cpu_time(Whose::ThisThread);
    Process {
        rss: net::resident_bytes(),
        cpu_sys: all.sys,
        cpu_user: all.user,
        cpu_sys_children: children.sys,
        cpu_user_children: children.user,
        cpu_thread: Some((thread.sys, thread.user)),
    }
}

/// How long a port may still be taken at start, and how often it is tried.
const BIND_PATIENCE: Duration = Duration::from_millis(1000);
const BIND_AGAIN: Duration = Duration::from_millis(20);

/// Binds the port, waiting a moment if it is taken: the kernel takes an io_uring down after its process
/// has gone, and a listening socket that the ring was accepting on outlives a killed server by that.
fn bind_patiently(binds: &[String], port: u16, backlog: i32) -> Result<net::Bound, net::BindError> {
    let started = std::time::Instant::now();
    loop {
        match net::bind_tcp(binds, port, backlog) {
            Err(error) if error.is_taken() && started.elapsed() < BIND_PATIENCE => {
                std::thread::sleep(BIND_AGAIN)
            }
            outcome => return outcome,
        }
    }
}

/// The listening sockets. Bound once: a port that is taken is an error.
fn open_doors(settings: &Settings) -> Result<Vec<Door>, Failed> {
    let mut doors = Vec::new();
    if settings.port > 0 {
        let binds: Vec<String> = settings.bind.iter().map(|b| b.to_string()).collect();
        let bound = bind_patiently(&binds, settings.port, settings.tcp_backlog)
            .map_err(|error| Failed(vec![error.to_string(), error.fatal()]))?;
        bound.warnings.iter().for_each(|line| tracing::warn!("{line}"));
        doors.extend(bound.sockets.into_iter().map(|socket| Door { fd: socket.fd, unix: false }));
    }
    if !settings.unixsocket.is_empty() {
        let path = settings.unixsocket.to_str_lossy();
        let socket = net::bind_unix(&path, settings.unixsocketperm, settings.tcp_backlog)
            .map_err(|error| Failed(vec![error.to_string(), error.fatal()]))?;
        doors.push(Door { fd: socket.fd, unix: true });
    }
    if doors.is_empty() {
        return Err(Failed::new("Configured to not listen anywhere, exiting."));
    }
    Ok(doors)
}

/// An empty keyspace per shard: the owners' ends, and everybody else's.
fn keyspaces(settings: &Settings, placement: &Placement) -> (Vec<Owner<Engine>>, Box<[Cell<Engine>]>) {
    let engines = (0..placement.shards())
        .map(|shard| Engine::new(Keyspace::new(shard, settings.databases as usize, placement)));
    let (owners, cells): (Vec<_>, Vec<_>) = engines.map(Cell::new).unzip();
    (owners, cells.into())
}

/// Starts one executor per shard and waits until each has its ring.
fn start_shards(
    node: &Arc<Node>,
    doors: &Arc<Doors>,
    layout: &Layout,
    owners: Vec<Owner<Engine>>,
    listen: Vec<Door>,
    seed: u64,
    go: mail::Receiver<()>,
) -> Result<Vec<ExecutorJoinHandle<Result<(), RingError>>>, Failed> {
    let shards = owners.len() as ShardId;
    let mut listen = Some(listen);
    let mut executors = Vec::new();
    let (ready, is_ready) = mail::mail::<Result<(), String>>(shards as usize);
    for ((owner, lanes), shard) in owners.into_iter().zip(Lanes::all(shards)).zip(0..shards) {
        let wake =
            net::wake_eventfd().map_err(|error| Failed::new(format!("Can't make an eventfd: {error}")))?;
        let ringer =
            wake.try_clone().map_err(|error| Failed::new(format!("Can't duplicate an eventfd: {error}")))?;
        node.wakes[shard as usize].connect(move || net::ring_eventfd(ringer.as_fd()));
        let start = ShardStart {
            node: Arc::clone(node),
            doors: Arc::clone(doors),
            owner,
            lanes,
            wake,
            // One shard accepts and hands connections to the shard with the fewest.
            listen: listen.take().unwrap_or_default(),
            seed: seed ^ (shard as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15),
            ready: ready.clone(),
            go: go.clone(),
            cpus: layout.cpus_of(&node.settings(), shard, shards).to_vec(),
        };
        let executor = LocalExecutorBuilder::new(CpuPlacement::Unbound)
            .name(&format!("shard-{shard}"))
            // The executor parks for ever if this runs out before it has begun with the shard, which never yields.
            .preempt_timer(Duration::from_secs(24 * 3600))
            .spawn(move || start.run(shard))
            .map_err(|error| Failed::new(format!("Can't start the executor of shard {shard}: {error}")))?;
        executors.push(executor);
    }
    for _ in 0..shards {
        match is_ready.recv() {
            Ok(Ok(())) => {}
            Ok(Err(line)) => return Err(Failed::new(line)),
            Err(_) => return Err(Failed::new("A shard did not start")),
        }
    }
    Ok(executors)
}

/// What a shard's thread begins with.
struct ShardStart {
    node: Arc<Node>,
    doors: Arc<Doors>,
    owner: Owner<Engine>,
    lanes: Lanes,
    wake: OwnedFd,
    listen: Vec<Door>,
    seed: u64,
    ready: mail::Sender<Result<(), String>>,
    /// Closed when all shards are there and the log says so: nobody is served before.
    go: mail::Receiver<()>,
    cpus: Vec<usize>,
}

impl ShardStart {
    async fn run(self, shard: ShardId) -> Result<(), RingError> {
        pin(&self.cpus, &format!("shard {shard}"));
        let ring = match Ring::new(RingOptions { wake: Some(self.wake), ..RingOptions::default() }) {
            Ok(ring) => ring,
            Err(error) => {
                let _ = self.ready.send(Err(error.to_string()));
                return Err(error);
            }
        };
        let _ = self.ready.send(Ok(()));
        let _ = self.go.recv();
        let actor =
            Actor::new(Arc::clone(&self.node), shard, self.owner, self.lanes, self.seed, clock::ticks);
        let driver = Driver::new(Arc::clone(&self.node), self.doors, actor, ring, self.listen);
        let outcome = driver.run().await;
        if let Err(error) = &outcome {
            // Half a server is worse than none.
            tracing::error!("Shard {shard} cannot go on: {error}");
            control::exit_now(1);
        }
        outcome
    }
}

fn random_seeds() -> [u64; 4] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    let mut seeds = [0; 4];
    for (seed, part) in seeds.iter_mut().zip(bytes.chunks(8)) {
        *seed = u64::from_le_bytes(part.try_into().expect("eight bytes"));
    }
    seeds
}
