//! The whole control plane on a real file, without shards: chunks in, marks and a file out, an orderly end.

use super::*;
use crate::base::ShardId;
use crate::command::CommandTable;
use crate::config::words::AppendFsync;
use crate::journal::{BatchWriter, ChunkWriter, Disk, Replay, Sink};
use crate::keyspace::Placement;
use crate::resp::Args;
use crate::session::{BaseOrder, BasePart, Facts};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

const SHARDS: ShardId = 2;

fn temp_dir() -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("ringdove-control-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir(&path).unwrap();
    path
}

/// A process without shards, its queue, and where its configuration file is.
fn node(dir: &std::path::Path, appendfsync: AppendFsync) -> (Arc<Node>, Receiver<Control>) {
    let placement = Placement::new(SHARDS, [1, 2, 3, 4]);
    let there = crate::config::Text::new(dir.to_str().unwrap());
    let settings = Settings {
        dir: there,
        appendonly: true,
        appendfsync,
        maxclients: 77,
        save: Vec::new(),
        ..Settings::default()
    };
    let config_file = dir.join("ringdove.conf").to_str().unwrap().to_owned();
    let facts = Facts { config_file, ..Facts::default() };
    let (sender, queue) = mail(1024);
    let table = CommandTable::new(&[]).unwrap();
    (Arc::new(Node::new(placement, table, settings, facts, sender, Box::new([]))), queue)
}

fn open(dir: &std::path::Path) -> OpenJournal {
    let (mut disk, batch) = (FileDisk::new(dir), BatchWriter::new(9));
    disk.create("incr").unwrap();
    disk.append("incr", &batch.file_header()).unwrap();
    OpenJournal { disk: Box::new(disk), path: "incr".into(), batch, bytes_before: 0 }
}

fn send(node: &Node, control: Control) {
    assert!(node.control.send(control).is_ok());
    node.control_wake.wake();
}

fn loaded(dir: &std::path::Path) -> usize {
    struct Count(usize);
    impl Sink for Count {
        fn command(&mut self, _: u32, _: Args<'_>) -> Result<(), String> {
            self.0 += 1;
            Ok(())
        }
    }
    let mut count = Count(0);
    let mut replay = Replay::new("incr", true, false);
    replay.feed(&std::fs::read(dir.join("incr")).unwrap(), &mut count).unwrap();
    assert!(replay.finish().unwrap().resume.is_some());
    count.0
}

#[test]
fn chunks_become_settled_marks_and_a_file_and_a_stop_ends_it_all() {
    for policy in [AppendFsync::Always, AppendFsync::EverySecond, AppendFsync::No] {
        let dir = temp_dir();
        let (node, queue) = node(&dir, policy);
        let said = Arc::new(Mutex::new(Vec::new()));
        let (heard, ended) = (Arc::clone(&said), Arc::clone(&said));
        let hooks = Hooks {
            settings_changed: Box::new(move |_, names| heard.lock().unwrap().extend(names)),
            before_exit: Some(Box::new(move || ended.lock().unwrap().push("end"))),
        };
        let plane = start(Arc::clone(&node), queue, Some(open(&dir)), hooks).unwrap();
        assert!(node.journal.is_on());
        let mut shards = [ChunkWriter::new(0), ChunkWriter::new(1)];
        for n in 0..200 {
            let writer = &mut shards[n % 2];
            writer.effect(0, [&b"SET"[..], b"k", b"v"]);
            let chunk = writer.take().unwrap();
            let (shard, seq) = (chunk.shard, chunk.seq);
            send(&node, Control::Chunk(chunk));
            // Every tenth turn somebody waits for its answer: a lost wake would hang here.
            while n % 10 == 0 && !node.journal.is_settled(shard, seq) {
                std::thread::yield_now();
            }
        }
        let (answer, answered) = mail(1);
        send(&node, Control::Flush(answer));
        assert_eq!(answered.recv(), Ok(Ok(())));
        assert!(node.journal.is_settled(0, 100) && node.journal.is_settled(1, 100));
        send(&node, Control::SettingsChanged(vec!["loglevel"]));
        plane.stopper().stop(Stop::default());
        assert_eq!(plane.wait(), 0);
        assert_eq!(*said.lock().unwrap(), ["loglevel", "end"]);
        assert_eq!(loaded(&dir), 200);
        let length = std::fs::metadata(dir.join("incr")).unwrap().len();
        assert!(node.journal_bytes.load(Relaxed) <= length);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn a_client_may_ask_for_a_rewrite_and_for_the_end() {
    let dir = temp_dir();
    let (node, queue) = node(&dir, AppendFsync::No);
    let plane = start(Arc::clone(&node), queue, None, Hooks::default()).unwrap();
    assert!(!node.journal.is_on());
    let ask = || {
        let (answer, answered) = mail(1);
        send(&node, Control::RewriteConfig { everything: false, answer });
        answered.recv().unwrap()
    };
    assert_eq!(ask(), Err("No such file or directory".to_owned()));
    std::fs::write(dir.join("ringdove.conf"), "# mine\nmaxclients 5\n").unwrap();
    assert_eq!(ask(), Ok(()));
    let text = std::fs::read_to_string(dir.join("ringdove.conf")).unwrap();
    assert!(text.starts_with("# mine\nmaxclients 77\n"), "{text}");
    send(&node, Control::Shutdown { force: false, now: false, saved: false });
    assert_eq!(plane.wait(), 0);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn switched_off_the_file_ends_and_what_still_comes_is_let_go() {
    let dir = temp_dir();
    let (node, queue) = node(&dir, AppendFsync::No);
    let plane = start(Arc::clone(&node), queue, Some(open(&dir)), Hooks::default()).unwrap();
    let mut shard = ChunkWriter::new(0);
    for n in 1..=2 {
        shard.effect(0, [&b"SET"[..], b"k", b"v"]);
        send(&node, Control::Chunk(shard.take().unwrap()));
        if n == 1 {
            let (answer, answered) = mail(1);
            send(&node, Control::EndJournal(answer));
            assert_eq!(answered.recv(), Ok(Ok(())));
        }
    }
    let (answer, answered) = mail(1);
    send(&node, Control::Flush(answer));
    assert_eq!(answered.recv(), Ok(Ok(())));
    assert!(!node.journal.is_on() && node.journal.is_settled(0, 2));
    plane.stopper().stop(Stop::default());
    assert_eq!(plane.wait(), 0);
    assert_eq!(loaded(&dir), 1);
    std::fs::remove_dir_all(&dir).unwrap();
}

/// What a base is made of, and that it is whole if it is to be.
fn base(node: &Node, begin: Option<Vec<u64>>, whole: bool) -> Result<(), String> {
    let ((sender, parts), (answer, answered)) = (mail(1), mail(1));
    send(node, Control::Rewrite(BaseOrder { parts, begin, answer }));
    let mut pen = ChunkWriter::new(0);
    pen.effect(3, [&b"SET"[..], b"k", b"v"]);
    // Nobody may be there to take it.
    let _ = sender.send(BasePart::Chunk(pen.take().unwrap()));
    if whole {
        let _ = sender.send(BasePart::End);
    }
    drop(sender);
    answered.recv().unwrap()
}

#[test]
fn a_journal_begins_behind_a_base_with_the_chunks_that_are_next() {
    let dir = temp_dir();
    let (node, queue) = node(&dir, AppendFsync::Always);
    let plane = start(Arc::clone(&node), queue, None, Hooks::default()).unwrap();
    assert!(base(&node, Some(vec![3, 1]), false).is_err(), "half a base is none");
    assert!(!node.journal.is_on());
    assert!(std::fs::read_dir(dir.join("appendonlydir")).unwrap().next().is_none(), "nothing is left of it");
    assert_eq!(base(&node, Some(vec![3, 1]), true), Ok(()));
    assert!(node.journal.is_on() && node.journal.is_settled(0, 2) && !node.journal.is_settled(0, 3));
    let mut shard = ChunkWriter::new(0);
    for _ in 1..=3 {
        shard.effect(0, [&b"INCR"[..], b"n"]);
        let chunk = shard.take().unwrap();
        if chunk.seq == 3 {
            send(&node, Control::Chunk(chunk));
        }
    }
    assert_eq!(base(&node, None, true), Ok(()), "and goes on behind another");
    assert!(node.journal.is_settled(0, 3));
    plane.stopper().stop(Stop::default());
    assert_eq!(plane.wait(), 0);
    let names = std::fs::read(dir.join("appendonlydir/appendonly.aof.manifest")).unwrap();
    let names = String::from_utf8(names).unwrap();
    assert!(
        names.contains("2.base.aof seq 2 type b") && names.contains("2.incr.aof seq 2 type i"),
        "{names}"
    );
    std::fs::remove_dir_all(&dir).unwrap();
}
