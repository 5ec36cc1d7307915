//! Floor 9: boot, recovery, signals, shutdown. Reads the configuration, opens the doors, makes a shard
//! actor and its executor per core, and waits for the end.

mod driver;
pub mod files;
pub mod log;
pub mod recovery;
pub mod signals;

use crate::actor::{Actor, Lanes};
use crate::base::ShardId;
use crate::bridge::{Cell, Inbox, mail};
use crate::command::CommandTable;
use crate::config::Settings;
use crate::keyspace::{Keyspace, Placement};
use crate::net::{self, Ring, RingOptions, clock};
use crate::session::{Control, Facts, Node};
use crate::shard::Engine;
use driver::{Door, Doors, Driver};
use glommio::{LocalExecutorBuilder, Placement as CpuPlacement};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Messages to the control plane that may be under way.
const CONTROL_MAX: usize = 64 * 1024;

/// Runs the server until it is told to stop; the exit code.
pub fn run(args: &[std::ffi::OsString]) -> i32 {
    use std::os::unix::ffi::OsStrExt;
    let args: Vec<&[u8]> = args.iter().map(|a| a.as_bytes()).collect();
    let mut port = 6379u16;
    let mut shards = 1;
    let mut at = 0;
    while at < args.len() {
        match args[at] {
            b"--port" => port = std::str::from_utf8(args[at + 1]).unwrap().parse().unwrap(),
            b"--shards" => shards = std::str::from_utf8(args[at + 1]).unwrap().parse().unwrap(),
            _ => {}
        }
        at += 1;
    }
    let settings = Settings { port, ..Settings::default() };
    serve(settings, shards)
}

fn serve(settings: Settings, shards: ShardId) -> i32 {
    let seeds = random_seeds();
    let placement = Placement::new(shards, seeds);
    let table = CommandTable::new(&[]).unwrap();
    let (sender, _mail) = mail::mail::<Control>(CONTROL_MAX);
    let mut owners = Vec::new();
    let mut cells = Vec::new();
    for shard in 0..shards {
        let keyspace = Keyspace::new(shard, settings.databases as usize, &placement);
        let (owner, cell) = Cell::new(Engine::new(keyspace));
        owners.push(owner);
        cells.push(cell);
    }
    let facts = Facts { ticks_per_micro: clock::ticks_per_micro(), ..Facts::default() };
    let binds: Vec<String> = settings.bind.iter().map(|b| b.to_string()).collect();
    let bound = match net::bind_tcp(&binds, settings.port, settings.tcp_backlog) {
        Ok(bound) => bound,
        Err(error) => {
            eprintln!("{error}\n{}", error.fatal());
            return 1;
        }
    };
    let node = Arc::new(Node::new(placement, table, settings, facts, sender, cells.into()));
    let doors = Arc::new(Doors {
        arrivals: (0..shards).map(|_| Inbox::default()).collect(),
        stop: AtomicBool::new(false),
        unix_path: String::new(),
        loopback_only: |_| false,
    });
    let mut listen: Vec<Door> = bound.sockets.into_iter().map(|s| Door { fd: s.fd, unix: false }).collect();
    let mut handles = Vec::new();
    for ((owner, lanes), shard) in owners.into_iter().zip(Lanes::all(shards)).zip(0..shards) {
        let (node, doors, listen) = (node.clone(), doors.clone(), std::mem::take(&mut listen));
        let wake = net::wake_eventfd().unwrap();
        let ringer = wake.try_clone().unwrap();
        node.wakes[shard as usize].connect(move || net::ring_eventfd(ringer.as_fd()));
        let builder = LocalExecutorBuilder::new(CpuPlacement::Unbound)
            .name(&format!("shard-{shard}"))
            .preempt_timer(Duration::from_millis(10));
        let handle = builder.spawn(move || async move {
            let ring = Ring::new(RingOptions { wake: Some(wake), ..Default::default() }).unwrap();
            let actor = Actor::new(node.clone(), shard, owner, lanes, seeds[0] ^ shard as u64, clock::ticks);
            Driver::new(node, doors, actor, ring, listen).run().await
        });
        handles.push(handle.unwrap());
    }
    for handle in handles {
        handle.join().unwrap().unwrap();
    }
    0
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
