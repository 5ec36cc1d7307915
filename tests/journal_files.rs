//! Our append-only files in Redis's hands and Redis's in ours, with the real programs:
//! `redis-server` and `redis-check-aof` 7.0. Skipped, with a message, where they are missing; with
//! `CI=true` that is a failure.

use ringdove::journal::{
    AofNames, BatchWriter, ChunkWriter, Disk, Loaded, Manifest, Merger, Refusal, Replay, Sink,
};
use ringdove::resp::Args;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A directory of its own for a test, removed when it is done.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        let path = std::env::temp_dir().join(format!("ringdove-journal-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Dir(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Disk for Dir {
    fn create_dir(&mut self, dir: &str) -> io::Result<()> {
        fs::create_dir_all(self.0.join(dir))
    }
    fn create(&mut self, path: &str) -> io::Result<()> {
        fs::File::create(self.0.join(path)).map(drop)
    }
    fn append(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        fs::OpenOptions::new().append(true).open(self.0.join(path))?.write_all(bytes)
    }
    fn truncate(&mut self, path: &str, length: u64) -> io::Result<()> {
        fs::OpenOptions::new().write(true).open(self.0.join(path))?.set_len(length)
    }
    fn sync(&mut self, path: &str) -> io::Result<()> {
        fs::File::open(self.0.join(path))?.sync_all()
    }
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }
    fn sync_dir(&mut self, dir: &str) -> io::Result<()> {
        fs::File::open(self.0.join(dir))?.sync_all()
    }
    fn remove(&mut self, path: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(path))
    }
    fn exists(&mut self, path: &str) -> io::Result<bool> {
        Ok(self.0.join(path).exists())
    }
    fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.0.join(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }
}

fn have_redis() -> bool {
    let found = ["redis-server", "redis-check-aof"].iter().all(|program| {
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    });
    assert!(
        found || std::env::var("CI").as_deref() != Ok("true"),
        "CI needs redis-server and redis-check-aof"
    );
    if !found {
        eprintln!("skipped: redis-server or redis-check-aof is missing");
    }
    found
}

/// A Redis on a socket in `dir`, killed when dropped.
struct Redis {
    process: Child,
    socket: BufReader<UnixStream>,
}

impl Redis {
    fn start(dir: &Path, options: &[&str]) -> Redis {
        let path = dir.join("redis.sock");
        let mut process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "yes", "--aof-use-rdb-preamble", "no"])
            .args(["--dir", dir.to_str().unwrap(), "--unixsocket", path.to_str().unwrap()])
            .args(options)
            .stdout(fs::File::create(dir.join("redis.log")).unwrap())
            .spawn()
            .unwrap();
        for _ in 0..500 {
            if let Ok(socket) = UnixStream::connect(&path) {
                let mut redis = Redis { process, socket: BufReader::new(socket) };
                while redis.ask(&[b"PING"]) != b"+PONG" {
                    std::thread::sleep(Duration::from_millis(20));
                }
                return redis;
            }
            if process.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = process.kill();
        panic!("redis did not start: {}", fs::read_to_string(dir.join("redis.log")).unwrap());
    }

    /// The first line of the reply, or the bulk string.
    fn ask(&mut self, args: &[&[u8]]) -> Vec<u8> {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        self.socket.get_mut().write_all(&request).unwrap();
        let mut line = Vec::new();
        self.socket.read_until(b'\n', &mut line).unwrap();
        line.truncate(line.len() - 2);
        match line.strip_prefix(b"$") {
            None | Some(b"-1") => line,
            Some(len) => {
                let mut bulk = vec![0; std::str::from_utf8(len).unwrap().parse::<usize>().unwrap() + 2];
                self.socket.read_exact(&mut bulk).unwrap();
                bulk.truncate(bulk.len() - 2);
                bulk
            }
        }
    }

    /// Ends it in an orderly way, so that its file is whole.
    fn shutdown(mut self) {
        self.socket.get_mut().write_all(b"*1\r\n$8\r\nSHUTDOWN\r\n").unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Strings of all databases: enough of a keyspace to compare two servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Strings {
    keys: BTreeMap<(u32, Vec<u8>), Vec<u8>>,
    units: usize,
}

impl Sink for Strings {
    fn command(&mut self, db: u32, args: Args<'_>) -> Result<(), String> {
        match args.at(0).to_ascii_uppercase().as_slice() {
            b"SET" => drop(self.keys.insert((db, args.at(1).to_vec()), args.at(2).to_vec())),
            b"DEL" => drop(self.keys.remove(&(db, args.at(1).to_vec()))),
            name => return Err(format!("Unknown command '{}'", name.escape_ascii())),
        }
        Ok(())
    }
    fn unit_begin(&mut self) {
        self.units += 1;
    }
}

impl Strings {
    fn check_against(&self, redis: &mut Redis) {
        let mut sizes = BTreeMap::new();
        for ((db, key), value) in &self.keys {
            *sizes.entry(*db).or_insert(0) += 1;
            assert_eq!(redis.ask(&[b"SELECT", db.to_string().as_bytes()]), b"+OK");
            assert_eq!(&redis.ask(&[b"GET", key]), value, "db {db} {}", key.escape_ascii());
        }
        for db in 0..16 {
            redis.ask(&[b"SELECT", db.to_string().as_bytes()]);
            let size = sizes.get(&db).copied().unwrap_or(0);
            assert_eq!(redis.ask(&[b"DBSIZE"]), format!(":{size}").into_bytes(), "db {db}");
        }
    }
}

/// Loads a directory the way boot does.
fn load(dir: &mut Dir) -> Result<(Manifest, Loaded, Strings), Refusal> {
    let names = AofNames::default();
    let manifest = Manifest::parse(&dir.read(&names.manifest()).unwrap().unwrap()).unwrap();
    let mut strings = Strings::default();
    let (mut loaded, mut stamp) = (None, None);
    for (info, last) in manifest.to_load() {
        let mut replay = Replay::new(&info.name, last, true);
        for piece in dir.read(&names.path(&info.name)).unwrap().unwrap().chunks(1000) {
            replay.feed(piece, &mut strings)?;
        }
        loaded = Some(replay.finish()?);
        stamp = loaded.and_then(|file| file.timestamp_s).or(stamp);
    }
    let loaded = Loaded { timestamp_s: stamp, ..loaded.unwrap() };
    Ok((manifest.clone(), loaded, strings))
}

/// Writes a journal of three shards with units, databases and awkward values.
fn write_ours(dir: &mut Dir) -> Strings {
    let names = AofNames::default();
    let mut batch = BatchWriter::new(77);
    let manifest = names.open_incr(&Manifest::default(), &batch.file_header()).run(dir).unwrap();
    let path = names.path(&manifest.incr[0].name);
    let mut writers: Vec<ChunkWriter> = (0..3).map(ChunkWriter::new).collect();
    let mut merger = Merger::new(3);
    let mut strings = Strings::default();
    let awkward: [&[u8]; 5] = [b"", b"\0\0\0", b"\r\n#RD:\r\n", b"*1\r\n$4\r\nEXEC\r\n", &[255; 300]];
    for i in 0..200u32 {
        batch.begin(Some(1_700_000_000 + i as u64 / 10));
        for (s, w) in writers.iter_mut().enumerate() {
            let (db, key) = ((i / 7 + s as u32) % 4, format!("k{i}.{s}"));
            let value = awkward[(i as usize + s) % awkward.len()];
            match i % 5 {
                0 => w.begin_fragment(i as u64, 3),
                1 => w.begin_unit(),
                _ => {}
            }
            w.effect(db, [&b"SET"[..], key.as_bytes(), value]);
            w.effect(db + 1, [&b"SET"[..], key.as_bytes(), value]);
            if i % 3 == 0 {
                w.effect(db, [&b"DEL"[..], key.as_bytes()]);
            } else {
                strings.keys.insert((db, key.clone().into()), value.to_vec());
            }
            strings.keys.insert((db + 1, key.into()), value.to_vec());
            if i % 5 < 2 {
                w.end_unit();
            }
            merger.push(w.take().unwrap(), batch.body()).unwrap();
        }
        strings.units += [1, 3, 0, 0, 0][i as usize % 5];
        let synced = batch.offset();
        dir.append(&path, batch.seal(synced)).unwrap();
    }
    assert!(merger.is_drained());
    strings
}

fn check_aof(dir: &Dir, options: &[&str]) -> String {
    let manifest = dir.0.join(AofNames::default().manifest());
    let output = Command::new("redis-check-aof").args(options).arg(manifest).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn redis_loads_and_checks_our_directory_and_we_load_what_it_appends() {
    if !have_redis() {
        return;
    }
    let mut dir = Dir::new("ours");
    let mut strings = write_ours(&mut dir);
    let (_, loaded, ours) = load(&mut dir).unwrap();
    assert_eq!(ours, strings);
    assert!(loaded.resume.is_some() && loaded.timestamp_s == Some(1_700_000_019));
    assert!(check_aof(&dir, &[]).contains("All AOF files and manifest are valid"));

    for stamps in ["no", "yes"] {
        let mut redis = Redis::start(&dir.0, &["--aof-timestamp-enabled", stamps]);
        strings.check_against(&mut redis);
        redis.ask(&[b"SELECT", b"9"]);
        redis.ask(&[b"SET", b"by redis", stamps.as_bytes()]);
        strings.keys.insert((9, b"by redis".to_vec()), stamps.as_bytes().to_vec());
        redis.shutdown();
        let (_, loaded, theirs) = load(&mut dir).unwrap();
        assert_eq!(theirs.keys, strings.keys);
        assert_eq!((loaded.truncated, loaded.resume), (None, None));
    }
}

#[test]
fn truncating_to_a_timestamp_with_redis_check_aof_drops_whole_batches() {
    if !have_redis() {
        return;
    }
    let mut dir = Dir::new("stamps");
    write_ours(&mut dir);
    check_aof(&dir, &["--truncate-to-timestamp", "1700000009"]);
    let (manifest, loaded, strings) = load(&mut dir).unwrap();
    assert!(strings.keys.keys().any(|(_, key)| key.starts_with(b"k99.")));
    assert!(!strings.keys.keys().any(|(_, key)| key.starts_with(b"k100.")));
    // What is left of the next batch is its line.
    let cut = loaded.truncated.unwrap();
    assert_eq!(cut.dropped, 43);
    let names = AofNames::default();
    let manifest = names.truncate(&manifest, &manifest.incr[0].name, cut.offset).run(&mut dir).unwrap();
    let header = BatchWriter::new(78).file_header();
    names.open_incr(&manifest, &header).run(&mut dir).unwrap();
    let (manifest, loaded, again) = load(&mut dir).unwrap();
    assert_eq!((again, loaded.truncated, manifest.incr.len()), (strings.clone(), None, 2));
    strings.check_against(&mut Redis::start(&dir.0, &[]));
}

#[test]
fn we_load_what_redis_wrote() {
    if !have_redis() {
        return;
    }
    let mut dir = Dir::new("theirs");
    let mut redis = Redis::start(&dir.0, &["--aof-timestamp-enabled", "yes"]);
    for i in 0..100u32 {
        let (db, key) = ((i % 3).to_string(), format!("k{i}"));
        redis.ask(&[b"SELECT", db.as_bytes()]);
        if i % 10 == 0 {
            redis.ask(&[b"MULTI"]);
            redis.ask(&[b"SET", key.as_bytes(), b"a\r\nb\0"]);
            redis.ask(&[b"SET", b"last", key.as_bytes()]);
            assert_eq!(redis.ask(&[b"EXEC"]), b"*2");
            let mut oks = [0; 10];
            redis.socket.read_exact(&mut oks).unwrap();
        } else {
            redis.ask(&[b"SET", key.as_bytes(), &[i as u8; 50]]);
        }
        if i % 7 == 0 {
            redis.ask(&[b"DEL", key.as_bytes()]);
        }
    }
    redis.shutdown();
    let (manifest, loaded, strings) = load(&mut dir).unwrap();
    assert_eq!(manifest.base.as_ref().unwrap().name, "appendonly.aof.1.base.aof");
    assert_eq!((loaded.truncated, loaded.resume, strings.units), (None, None, 10));
    assert!(loaded.timestamp_s.is_some());

    // After a rewrite, base and increment.
    let mut redis = Redis::start(&dir.0, &[]);
    strings.check_against(&mut redis);
    redis.ask(&[b"BGREWRITEAOF"]);
    let names = AofNames::default();
    for _ in 0..500 {
        let manifest = Manifest::parse(&dir.read(&names.manifest()).unwrap().unwrap()).unwrap();
        if manifest.base_seq() == 2 && manifest.history.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    redis.shutdown();
    let (manifest, _, rewritten) = load(&mut dir).unwrap();
    assert_eq!((manifest.base_seq(), manifest.incr_seq()), (2, 2));
    assert_eq!(rewritten.keys, strings.keys);
    assert_eq!(manifest.to_bytes(), dir.read(&names.manifest()).unwrap().unwrap(), "the same bytes");
}

#[test]
fn what_redis_makes_of_a_torn_batch_of_ours_is_refused_and_not_dropped() {
    if !have_redis() {
        return;
    }
    let mut dir = Dir::new("torn");
    write_ours(&mut dir);
    let names = AofNames::default();
    let path = names.path("appendonly.aof.1.incr.aof");
    let length = dir.read(&path).unwrap().unwrap().len() as u64;
    dir.truncate(&path, length - 5).unwrap();
    let (_, loaded, _) = load(&mut dir).unwrap();
    let torn = loaded.truncated.unwrap();
    let mut redis = Redis::start(&dir.0, &[]);
    redis.ask(&[b"SET", b"acknowledged", b"by redis"]);
    redis.shutdown();
    match load(&mut dir) {
        Err(Refusal::ForeignAfterTorn { offset, .. }) => assert_eq!(offset, torn.offset),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_single_file_of_an_older_server_is_taken_over() {
    let mut dir = Dir::new("single");
    let names = AofNames::default();
    let old = b"*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";
    fs::write(dir.0.join("appendonly.aof"), old).unwrap();
    let plan = names.upgrade(None, &mut dir).unwrap().unwrap();
    plan.run(&mut dir).unwrap();
    let (manifest, _, strings) = load(&mut dir).unwrap();
    assert_eq!(strings.keys, BTreeMap::from([((1, b"a".to_vec()), b"1".to_vec())]));
    let batch = BatchWriter::new(1);
    names.open_incr(&manifest, &batch.file_header()).run(&mut dir).unwrap();
    assert_eq!(load(&mut dir).unwrap().2, strings);
    if have_redis() {
        strings.check_against(&mut Redis::start(&dir.0, &[]));
        check_aof(&dir, &[]);
    }
}
