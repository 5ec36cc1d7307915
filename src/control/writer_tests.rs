//! A disk that fails at its n-th call, in every way a call can fail: nothing may be acknowledged that is
//! not in the file, and nothing ever after the failure.

use super::*;
use crate::journal::{ChunkWriter, Disk, FILE_HEADER_LEN, Replay, Sink};
use crate::resp::Args;
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    /// Nothing of the bytes arrives.
    Append,
    /// So many bytes arrive, then the disk is full.
    Short(usize),
    Sync,
    /// As `Short`, and the file cannot be cut back either.
    ShortAndStuck(usize),
}

#[derive(Default)]
struct State {
    content: Vec<u8>,
    synced: usize,
    appends: usize,
    syncs: usize,
    /// At which append or sync (from 1) which fault.
    fault: Option<(usize, Fault)>,
}

#[derive(Clone, Default)]
struct FaultyDisk(Arc<Mutex<State>>);

impl FaultyDisk {
    fn new(fault: Option<(usize, Fault)>) -> Self {
        FaultyDisk(Arc::new(Mutex::new(State { fault, ..State::default() })))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

fn full() -> io::Error {
    io::Error::from_raw_os_error(28)
}

impl Disk for FaultyDisk {
    fn append(&mut self, _: &str, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.appends += 1;
        let (appends, len) = (state.appends, bytes.len());
        let arrives = match state.fault {
            Some((at, Fault::Append)) if at == appends => 0,
            Some((at, Fault::Short(n) | Fault::ShortAndStuck(n))) if at == appends => n.min(len - 1),
            _ => len,
        };
        state.content.extend_from_slice(&bytes[..arrives]);
        if arrives < len { Err(full()) } else { Ok(()) }
    }

    fn truncate(&mut self, _: &str, length: u64) -> io::Result<()> {
        let mut state = self.state();
        if matches!(state.fault, Some((_, Fault::ShortAndStuck(_)))) {
            return Err(full());
        }
        state.content.truncate(length as usize);
        Ok(())
    }

    fn sync(&mut self, _: &str) -> io::Result<()> {
        let mut state = self.state();
        state.syncs += 1;
        if state.fault == Some((state.syncs, Fault::Sync)) {
            return Err(io::Error::from_raw_os_error(5));
        }
        state.synced = state.content.len();
        Ok(())
    }

    fn create_dir(&mut self, _: &str) -> io::Result<()> {
        unreachable!("the writer makes no directories")
    }
    fn create(&mut self, _: &str) -> io::Result<()> {
        unreachable!("the writer makes no files")
    }
    fn rename(&mut self, _: &str, _: &str) -> io::Result<()> {
        unreachable!("the writer renames nothing")
    }
    fn sync_dir(&mut self, _: &str) -> io::Result<()> {
        unreachable!("the writer touches no directory")
    }
    fn remove(&mut self, _: &str) -> io::Result<()> {
        unreachable!("the writer removes nothing")
    }
    fn exists(&mut self, _: &str) -> io::Result<bool> {
        unreachable!("the writer looks for nothing")
    }
    fn read(&mut self, _: &str) -> io::Result<Option<Vec<u8>>> {
        unreachable!("the writer reads nothing")
    }
}

impl JournalDisk for FaultyDisk {
    fn sync_job(&mut self, path: &str) -> io::Result<SyncJob> {
        let (mut disk, path) = (self.clone(), path.to_owned());
        Ok(Box::new(move || disk.sync(&path)))
    }
}

const SHARDS: u16 = 2;

fn writer(disk: &FaultyDisk, policy: AppendFsync) -> Writer {
    let batch = BatchWriter::new(7);
    disk.state().content = batch.file_header().to_vec();
    let open = OpenJournal { disk: Box::new(disk.clone()), path: "incr".into(), batch, bytes_before: 0 };
    Writer::new(open, SHARDS, policy)
}

/// What a start would load of the file: the values of `SET k <n>`.
fn loaded(content: &[u8]) -> Vec<u64> {
    #[derive(Default)]
    struct Values(Vec<u64>);
    impl Sink for Values {
        fn command(&mut self, _: u32, args: Args<'_>) -> Result<(), String> {
            self.0.push(std::str::from_utf8(args.at(2)).unwrap().parse().unwrap());
            Ok(())
        }
    }
    let mut values = Values::default();
    let mut replay = Replay::new("incr", true, true);
    replay.feed(content, &mut values).unwrap();
    replay.finish().unwrap();
    values.0
}

/// Turns of two shards in turn, each one chunk and a commit; returns what was acknowledged.
fn run(writer: &mut Writer, marks: &JournalMarks, turns: u64) -> (Vec<u64>, Option<JournalError>) {
    let mut shards = [ChunkWriter::new(0), ChunkWriter::new(1)];
    let (mut acknowledged, mut first) = (Vec::new(), None);
    for n in 0..turns {
        let shard = (n % 2) as usize;
        let seq = shards[shard].seq();
        shards[shard].effect(0, [&b"SET"[..], b"k", n.to_string().as_bytes()]);
        let result = writer.take(shards[shard].take().unwrap()).and_then(|()| writer.commit(0, marks));
        if marks.is_settled(shard as u16, seq) {
            acknowledged.push(n);
        }
        if let Err(error) = result {
            first.get_or_insert(error);
        }
    }
    (acknowledged, first)
}

#[test]
fn without_faults_everything_is_acknowledged_and_loaded() {
    for policy in [AppendFsync::Always, AppendFsync::EverySecond, AppendFsync::No] {
        let (disk, marks) = (FaultyDisk::new(None), JournalMarks::new(SHARDS));
        let mut w = writer(&disk, policy);
        let (acknowledged, error) = run(&mut w, &marks, 20);
        assert!(error.is_none());
        assert_eq!(acknowledged, (0..20).collect::<Vec<_>>());
        let state = disk.state();
        assert_eq!(loaded(&state.content), acknowledged);
        assert_eq!(state.syncs, if policy == AppendFsync::Always { 20 } else { 0 });
        assert_eq!(w.file_bytes(), state.content.len() as u64);
    }
}

#[test]
fn nothing_is_acknowledged_from_the_first_failure_on() {
    let faults = [Fault::Append, Fault::Short(1), Fault::Short(60), Fault::ShortAndStuck(60), Fault::Sync];
    for fault in faults {
        for at in 1..=6 {
            let (disk, marks) = (FaultyDisk::new(Some((at, fault))), JournalMarks::new(SHARDS));
            let mut w = writer(&disk, AppendFsync::Always);
            let (acknowledged, error) = run(&mut w, &marks, 12);
            let whole: Vec<u64> = (0..at as u64 - 1).collect();
            assert_eq!(acknowledged, whole, "{fault:?} at {at}");
            let is_sync = matches!(error, Some(JournalError::Sync(_)));
            assert_eq!(is_sync, fault == Fault::Sync, "{fault:?} at {at}");
            let state = disk.state();
            // Never retried: one append more than were acknowledged, and one sync.
            assert_eq!(state.appends, at);
            let kept = loaded(&state.content);
            match fault {
                // The last batch is in the kernel; nobody was told.
                Fault::Sync => assert!(kept.starts_with(&whole)),
                // Cut back, or a torn tail: the next start finds what was acknowledged.
                _ => assert_eq!(kept, whole, "{fault:?} at {at}"),
            }
            if matches!(fault, Fault::Append | Fault::Short(_)) {
                assert_eq!(state.content.len(), state.synced.max(FILE_HEADER_LEN), "cut back");
            }
            drop(state);
            assert!(matches!(w.finish(0, &marks), Err(JournalError::Latched)));
            assert!(matches!(w.sync(), Err(JournalError::Latched)));
        }
    }
}

#[test]
fn a_failed_fsync_elsewhere_latches_too() {
    let (disk, marks) = (FaultyDisk::new(Some((2, Fault::Sync))), JournalMarks::new(SHARDS));
    let mut w = writer(&disk, AppendFsync::EverySecond);
    for round in 1..=3 {
        run(&mut w, &JournalMarks::new(SHARDS), 0);
        let mut chunks = ChunkWriter::new(0);
        (1..round).for_each(|_| {
            chunks.effect(0, [&b"SET"[..], b"k", b"1"]);
            chunks.take();
        });
        chunks.effect(0, [&b"SET"[..], b"k", b"1"]);
        let seq = chunks.seq();
        let result = w.take(chunks.take().unwrap()).and_then(|()| w.commit(0, &marks).map(drop));
        assert_eq!(marks.is_settled(0, seq), round < 3, "round {round}");
        assert_eq!(result.is_ok(), round < 3);
        if round < 3 {
            let (job, up_to) = w.sync_job().unwrap();
            assert_eq!(w.synced(up_to, job()).is_ok(), round == 1);
            assert_eq!(w.has_unsynced(), round == 2);
        }
    }
}

#[test]
fn a_unit_over_two_shards_is_acknowledged_when_both_parts_are_written() {
    let (disk, marks) = (FaultyDisk::new(None), JournalMarks::new(SHARDS));
    let mut w = writer(&disk, AppendFsync::Always);
    let (mut a, mut b) = (ChunkWriter::new(0), ChunkWriter::new(1));
    for part in [&mut a, &mut b] {
        part.begin_fragment(9, 2);
        part.effect(0, [&b"SET"[..], b"k", b"1"]);
        part.end_unit();
    }
    w.take(a.take().unwrap()).unwrap();
    assert!(!w.commit(0, &marks).unwrap());
    assert!(w.waiting_bytes() > 0 && disk.state().appends == 0);
    w.take(b.take().unwrap()).unwrap();
    assert!(w.commit(0, &marks).unwrap());
    assert!(marks.is_settled(0, 1) && marks.is_settled(1, 1));
    assert_eq!(loaded(&disk.state().content), [1, 1]);
}

#[test]
fn a_broken_order_of_chunks_latches() {
    let (disk, marks) = (FaultyDisk::new(None), JournalMarks::new(SHARDS));
    let mut w = writer(&disk, AppendFsync::No);
    let mut chunks = ChunkWriter::new(0);
    chunks.effect(0, [&b"SET"[..], b"k", b"1"]);
    chunks.take();
    chunks.effect(0, [&b"SET"[..], b"k", b"2"]);
    assert!(matches!(w.take(chunks.take().unwrap()), Err(JournalError::Merge(_))));
    assert!(matches!(w.commit(0, &marks), Err(JournalError::Latched)));
    assert!(!marks.is_settled(0, 1));
}

#[test]
fn an_orderly_end_leaves_a_file_that_says_all_of_it_was_synced() {
    let (disk, marks) = (FaultyDisk::new(None), JournalMarks::new(SHARDS));
    let mut w = writer(&disk, AppendFsync::EverySecond);
    run(&mut w, &marks, 3);
    w.finish(0, &marks).unwrap();
    let state = disk.state();
    assert_eq!(state.synced, state.content.len());
    assert_eq!(loaded(&state.content), [0, 1, 2]);
    let mut damaged = state.content.clone();
    damaged[FILE_HEADER_LEN + 60] ^= 1;
    let mut replay = Replay::new("incr", true, true);
    struct Any;
    impl Sink for Any {
        fn command(&mut self, _: u32, _: Args<'_>) -> Result<(), String> {
            Ok(())
        }
    }
    let refused = replay.feed(&damaged, &mut Any).and_then(|()| replay.finish().map(drop));
    assert!(refused.is_err());
}
