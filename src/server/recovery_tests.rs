//! Round trips on a real directory: what engines of one number of shards wrote, engines of another load.

use super::*;
use crate::control::Writer;
use crate::keyspace::Keyspace;
use crate::resp::ArgsBuf;
use crate::session::JournalMarks;
use crate::shard::run_every;
use crate::structure::Value;
use proptest::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

struct TempDir(PathBuf);

impl TempDir {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name =
            format!("ringdove-recovery-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        TempDir(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join("appendonlydir").join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join("appendonlydir")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const NOW: Millis = 1_700_000_000_000;

/// Shards without threads and sockets, and their journal.
struct Server {
    engines: Vec<Engine>,
    placement: Placement,
    table: CommandTable,
    settings: Settings,
    tally: Tally,
    errors: ErrorCounts,
    now: Millis,
    journal: Option<Writer>,
    marks: JournalMarks,
    next_unit: u64,
}

type Keys = Vec<(usize, Vec<u8>, Vec<u8>, Option<Millis>)>;

impl Server {
    fn start(dir: &Path, shards: ShardId, now: Millis) -> Result<Server, RecoveryError> {
        Server::start_with(dir, shards, now, CommandTable::new(&[]).unwrap())
    }

    fn start_with(
        dir: &Path,
        shards: ShardId,
        now: Millis,
        table: CommandTable,
    ) -> Result<Server, RecoveryError> {
        let placement = Placement::new(shards, [shards as u64, 2, 3, 4]);
        let dir = crate::config::Text::new(dir.to_str().unwrap());
        let settings = Settings { dir, appendonly: true, ..Settings::default() };
        let mut engines: Vec<Engine> =
            (0..shards).map(|shard| Engine::new(Keyspace::new(shard, 16, &placement))).collect();
        let scripts = Scripts::default();
        let mut loader =
            Loader::new(engines.iter_mut().collect(), &placement, &table, &scripts, &settings, now);
        let journal = open(&mut loader, &settings, 7 + shards as u64)?;
        let journal = Some(Writer::new(journal, shards, settings.appendfsync));
        let (tally, errors, marks) =
            (Tally::new(table.len()), ErrorCounts::default(), JournalMarks::new(shards));
        Ok(Server { engines, placement, table, settings, tally, errors, now, journal, marks, next_unit: 1 })
    }

    /// Runs a command in the form in which the shards would.
    fn run(&mut self, db: usize, line: &str) -> String {
        let args: ArgsBuf = line.split(' ').collect();
        let args = args.as_args();
        let Looked::Found(id) = self.table.look_up(args.at(0), args.get(1)) else { panic!("{line}") };
        let spec = self.table.spec(id);
        let view = ClientView::default();
        let job = Job { command: id, db, now: self.now, proto: Proto::Resp2, view, random: 5 };
        let Server { engines, placement, table, settings, tally, errors, .. } = self;
        let env = Env { placement, settings, table, tally, errors, over_limit: false, news: 0 };
        let unit = self.next_unit;
        self.next_unit += 1;
        let mut out = Vec::new();
        match router::plan(spec, args, placement).unwrap() {
            Plan::One(shard) => {
                run_job(env, &mut engines[shard as usize], job, args, &mut out);
            }
            Plan::Split(shards) => {
                for &shard in shards.as_slice() {
                    let part = router::split(spec, args, placement, shard, |_| {});
                    let engine = &mut engines[shard as usize];
                    engine.begin_unit(unit, shards.as_slice().len() as u16);
                    run_job(env, engine, job, part.as_args(), &mut out);
                    engine.end_unit();
                }
            }
            Plan::Every => {
                // One fragment carries the effect: SWAPDB twice would be no SWAPDB.
                let parts = engines.len() as u16;
                for (shard, engine) in engines.iter_mut().enumerate() {
                    engine.begin_unit(unit, parts);
                    let (keyspace, effects) = engine.split();
                    run_every(env, keyspace, effects.filter(|_| shard == 0), job, args, &mut out);
                    engine.end_unit();
                }
            }
            Plan::Hold(shards) => {
                let parts = shards.as_slice().len() as u16;
                let (mut held, mut effects) = (Vec::new(), None);
                for (shard, engine) in engines.iter_mut().enumerate() {
                    if shards.as_slice().contains(&(shard as ShardId)) {
                        engine.begin_unit(unit, parts);
                        let Engine { keyspace, effects: own, .. } = engine;
                        match &effects {
                            None => effects = Some(own),
                            Some(_) => own.end_unit(),
                        }
                        held.push(keyspace);
                    }
                }
                let effects = effects.unwrap();
                run_held(env, held, Some(effects), job, args, &mut out);
                engines[shards.as_slice()[0] as usize].end_unit();
            }
            Plan::Session => panic!("{line}"),
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    /// The end of a turn of all shards.
    fn turn(&mut self) {
        let journal = self.journal.as_mut().unwrap();
        for engine in &mut self.engines {
            if let Some(chunk) = engine.effects_to_send() {
                journal.take(chunk).unwrap();
            }
        }
        journal.commit(0, &self.marks).unwrap();
    }

    fn stop(mut self) {
        self.turn();
        self.journal.as_mut().unwrap().finish(0, &self.marks).unwrap();
    }

    fn keys(&self) -> Keys {
        let mut keys = Vec::new();
        for engine in &self.engines {
            for db in 0..engine.keyspace.databases() {
                for entry in engine.keyspace.db(db).table().iter() {
                    let value = match entry.value() {
                        Value::Int(n) => n.to_string().into_bytes(),
                        Value::Bytes(bytes) => bytes.to_vec(),
                        Value::Object(object) => format!("{object:?}").into_bytes(),
                    };
                    keys.push((db, entry.key().to_vec(), value, entry.expire_at()));
                }
            }
        }
        keys.sort();
        keys
    }
}

fn line() -> impl Strategy<Value = String> {
    let key = || "[a-h]";
    prop_oneof![
        (key(), 0..100u32).prop_map(|(k, n)| format!("SET {k} {n}")),
        (key(), 0..100u32).prop_map(|(k, n)| format!("SET {k} {n} EX 1000")),
        (key(), 0..3u32).prop_map(|(k, n)| format!("SET {k} {n} PX {}", n + 1)),
        key().prop_map(|k| format!("INCR {k}")),
        (key(), key()).prop_map(|(k, l)| format!("MSET {k} 1 {l} 2 x{k} 3")),
        (key(), key()).prop_map(|(k, l)| format!("MSETNX {k} 1 z{l} 2")),
        (key(), key()).prop_map(|(k, l)| format!("DEL {k} {l}")),
        (key(), key()).prop_map(|(k, l)| format!("RENAME {k} {l}")),
        (key(), key()).prop_map(|(k, l)| format!("COPY {k} {l} REPLACE")),
        (key(), 0..3u8).prop_map(|(k, db)| format!("MOVE {k} {db}")),
        (0..3u8, 0..3u8).prop_map(|(a, b)| format!("SWAPDB {a} {b}")),
        Just("FLUSHDB".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Three lives of a server with other numbers of shards; each begins with what the last one had.
    #[test]
    fn any_number_of_shards_loads_what_any_other_wrote(
        lives in prop::collection::vec((1u16..6, prop::collection::vec((0usize..3, line()), 0..60)), 3),
        orderly in any::<bool>(),
    ) {
        let dir = TempDir::new();
        let (mut before, mut now) = (Keys::new(), NOW);
        for (shards, lines) in lives {
            let mut server = Server::start(&dir.0, shards, now).unwrap();
            before.retain(|(.., expire)| expire.is_none_or(|at| at > now));
            prop_assert_eq!(server.keys(), before);
            for (i, (db, line)) in lines.iter().enumerate() {
                server.run(*db, line);
                if i % 7 == 0 {
                    server.turn();
                    server.now += 1;
                }
            }
            server.turn();
            before = server.keys();
            now = server.now + 2;
            if orderly {
                server.stop();
            }
        }
        prop_assert_eq!(dir.names(), ["appendonly.aof.1.incr.aof", "appendonly.aof.manifest"]);
    }
}

#[test]
fn a_key_that_expired_while_the_server_was_down_stays_gone_for_later_effects() {
    let dir = TempDir::new();
    let mut server = Server::start(&dir.0, 2, NOW).unwrap();
    server.run(0, "SET counter 41 PX 50");
    server.stop();
    let mut server = Server::start(&dir.0, 1, NOW + 100).unwrap();
    assert_eq!(server.keys(), []);
    assert_eq!(server.run(0, "INCR counter"), ":1\r\n");
    server.stop();
    let server = Server::start(&dir.0, 3, NOW + 200).unwrap();
    assert_eq!(server.keys(), [(0, b"counter".to_vec(), b"1".to_vec(), None)]);
}

#[test]
fn a_torn_end_is_cut_and_the_next_increment_begun() {
    let dir = TempDir::new();
    let mut server = Server::start(&dir.0, 2, NOW).unwrap();
    for key in ["a", "b", "c"] {
        server.run(0, &format!("SET {key} 1"));
        server.turn();
    }
    drop(server);
    let path = dir.file("appendonly.aof.1.incr.aof");
    let length = std::fs::metadata(&path).unwrap().len();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(length - 3).unwrap();

    let mut server = Server::start(&dir.0, 1, NOW).unwrap();
    let keys: Vec<_> = server.keys().into_iter().map(|(_, key, ..)| key).collect();
    assert_eq!(keys, [b"a", b"b"]);
    assert!(std::fs::metadata(&path).unwrap().len() < length - 3);
    server.run(0, "SET d 1");
    server.stop();
    let names = ["appendonly.aof.1.incr.aof", "appendonly.aof.2.incr.aof", "appendonly.aof.manifest"];
    assert_eq!(dir.names(), names);
    assert_eq!(Server::start(&dir.0, 4, NOW).unwrap().keys().len(), 3);
}

#[test]
fn two_servers_do_not_write_to_one_directory() {
    let dir = TempDir::new();
    let first = Server::start(&dir.0, 1, NOW).unwrap();
    let Err(error) = Server::start(&dir.0, 1, NOW) else { panic!("both started") };
    let text = "Another server writes to the append only files in appendonlydir. Exiting.";
    assert_eq!(error.to_string(), text);
    drop(first);
    Server::start(&dir.0, 1, NOW).unwrap();
}

fn refusal(dir: &TempDir) -> String {
    match Server::start(&dir.0, 2, NOW) {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_cannot_be_loaded_is_refused_by_file_and_offset() {
    let dir = TempDir::new();
    let mut server = Server::start(&dir.0, 1, NOW).unwrap();
    server.run(0, "SET a 1");
    server.stop();
    let path = dir.file("appendonly.aof.1.incr.aof");
    let good = std::fs::read(&path).unwrap();

    let mut bad = good.clone();
    bad[39 + 43 + 10] ^= 1;
    std::fs::write(&path, &bad).unwrap();
    let why = refusal(&dir);
    assert!(why.contains("appendonlydir/appendonly.aof.1.incr.aof: the batch at offset 39"), "{why}");

    // Files of Redis: no checksums.
    let plain = |commands: &str| {
        let mut file = Vec::new();
        for command in commands.lines() {
            let args: Vec<&str> = command.split(' ').collect();
            file.extend(format!("*{}\r\n", args.len()).bytes());
            args.iter().for_each(|arg| file.extend(format!("${}\r\n{arg}\r\n", arg.len()).bytes()));
        }
        file
    };
    for (commands, why) in [
        (
            "SET a 1\nNOSUCH x",
            "Unknown command 'NOSUCH' reading the append only file appendonlydir/appendonly.aof.1.incr.aof at offset 27",
        ),
        ("SET a", "Wrong number of arguments for 'SET' command reading"),
        ("PING", "Command 'PING' cannot be loaded reading"),
        ("SELECT 99\nSET a 1", "DB index 99 is out of range: 'databases' is 16 reading"),
        ("SET a x\nINCR a", "ERR value is not an integer or out of range reading"),
    ] {
        std::fs::write(&path, plain(commands)).unwrap();
        assert!(refusal(&dir).starts_with(why), "{}", refusal(&dir));
    }
    std::fs::write(&path, plain("SELECT 3\nSET a 1\nEXPIRE a 100\nSETEX b 7 x")).unwrap();
    let server = Server::start(&dir.0, 2, NOW).unwrap();
    let deadlines: Vec<_> = server.keys().into_iter().map(|(db, .., at)| (db, at)).collect();
    assert_eq!(deadlines, [(3, Some(NOW + 100_000)), (3, Some(NOW + 7000))]);
    drop(server);

    std::fs::remove_file(&path).unwrap();
    assert!(
        refusal(&dir)
            .starts_with("The append log file appendonlydir/appendonly.aof.1.incr.aof doesn't exist")
    );
    std::fs::write(dir.file("appendonly.aof.manifest"), "nonsense\n").unwrap();
    assert!(refusal(&dir).contains("Invalid AOF manifest file format"));
}

#[test]
fn a_renamed_command_is_still_loaded() {
    let dir = TempDir::new();
    let mut server = Server::start(&dir.0, 1, NOW).unwrap();
    server.run(0, "MSET a 1 b 2");
    server.run(0, "DEL a");
    server.stop();
    let renames = [("del".into(), "".into()), ("mset".into(), "store".into())];
    let server = Server::start_with(&dir.0, 2, NOW, CommandTable::new(&renames).unwrap()).unwrap();
    assert_eq!(server.keys().len(), 1);
}

#[test]
fn one_file_of_an_old_server_becomes_the_base() {
    let dir = TempDir::new();
    let old = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";
    std::fs::write(dir.0.join("appendonly.aof"), old).unwrap();
    let server = Server::start(&dir.0, 2, NOW).unwrap();
    assert_eq!(server.keys().len(), 1);
    assert_eq!(dir.names(), ["appendonly.aof", "appendonly.aof.1.incr.aof", "appendonly.aof.manifest"]);
    drop(server);
    assert_eq!(Server::start(&dir.0, 1, NOW).unwrap().keys().len(), 1);
}
