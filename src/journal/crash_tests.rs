//! A log of about 1,000 mixed records, cut at every byte and continued with nothing, zeroes or stale
//! bytes; and every bit of it flipped.
//!
//! Exhaustive in seconds because the loader is a pure function of the bytes it was fed: it is fed up
//! to the batch in question once and cloned. `a_clone_is_as_good_as_a_fresh_start` checks that.

use super::batch::{BatchWriter, FILE_HEADER_LEN, HEADER_LEN};
use super::chunk::ChunkWriter;
use super::merge::Merger;
use super::refusal::Refusal;
use super::replay::{Loaded, Replay, Sink, Truncated};
use crate::resp::Args;
use proptest::prelude::*;

/// What was handed out, as text: database, arguments, and the brackets of units.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
struct State(Vec<String>);

impl Sink for State {
    fn command(&mut self, db: u32, args: Args<'_>) -> Result<(), String> {
        let words: Vec<String> = args.iter().map(|a| a.escape_ascii().to_string()).collect();
        self.0.push(format!("{db} {}", words.join(" ")));
        Ok(())
    }
    fn unit_begin(&mut self) {
        self.0.push("(".into());
    }
    fn unit_end(&mut self) {
        self.0.push(")".into());
    }
}

/// A small generator of our own, so that the log is the same on every machine.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }
}

struct Log {
    bytes: Vec<u8>,
    /// Where batches begin, and the end.
    boundaries: Vec<usize>,
    records: usize,
    units: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Fsync {
    Always,
    /// Every so many batches.
    Every(usize),
}

fn value(rng: &mut Rng) -> Vec<u8> {
    match rng.below(7) {
        0 => vec![],
        1 => vec![0; rng.below(40) as usize],
        2 => b"\r\n#RD:000000001e 00000000 00000000 00000000\r\n*1\r\n".to_vec(),
        3 => b"*1\r\n$4\r\nEXEC\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n".to_vec(),
        4 => (0..rng.below(30)).map(|_| rng.below(256) as u8).collect(),
        _ => format!("value {}", rng.below(1000)).into_bytes(),
    }
}

fn effect(w: &mut ChunkWriter, rng: &mut Rng, n: &mut usize) {
    let (key, value) = (format!("key:{n}"), value(rng));
    *n += 1;
    let db = if rng.below(10) == 0 { 3 } else { 0 };
    match rng.below(4) {
        0 => w.effect(db, [&b"DEL"[..], key.as_bytes()]),
        1 => w.effect(db, [&b"RPUSH"[..], key.as_bytes(), &value, b"x", &value]),
        2 => w.effect(db, [&b"SET"[..], key.as_bytes(), &value, b"PXAT", b"1893456000000"]),
        _ => w.effect(db, [&b"SET"[..], key.as_bytes(), &value]),
    }
}

/// A log written the way the server writes it: three shards, units inside one and over several.
fn log(records: usize, salt: u64, fsync: Fsync) -> Log {
    let mut rng = Rng(salt);
    let mut writers: Vec<ChunkWriter> = (0..3).map(ChunkWriter::new).collect();
    let mut merger = Merger::new(3);
    let mut batch = BatchWriter::new(salt);
    let mut bytes = batch.file_header().to_vec();
    let mut boundaries = vec![bytes.len()];
    let (mut n, mut unit, mut units, mut synced) = (0, 0, 0, bytes.len());
    while n < records {
        batch.begin(Some(1_700_000_000 + n as u64 / 50));
        for _ in 0..1 + rng.below(5) {
            match rng.below(8) {
                0 => {
                    unit += 1;
                    units += 1;
                    for w in &mut writers {
                        w.begin_fragment(unit, 3);
                        (0..1 + rng.below(2)).for_each(|_| effect(w, &mut rng, &mut n));
                        w.end_unit();
                    }
                }
                1 => {
                    let w = &mut writers[rng.below(3) as usize];
                    units += 1;
                    w.begin_unit();
                    (0..2 + rng.below(3)).for_each(|_| effect(w, &mut rng, &mut n));
                    w.end_unit();
                }
                _ => effect(&mut writers[rng.below(3) as usize], &mut rng, &mut n),
            }
        }
        for chunk in writers.iter_mut().filter_map(ChunkWriter::take) {
            merger.push(chunk, batch.body()).unwrap();
        }
        assert!(merger.is_drained());
        bytes.extend_from_slice(batch.seal(synced as u64));
        match fsync {
            Fsync::Always => synced = bytes.len(),
            Fsync::Every(k) if boundaries.len().is_multiple_of(k) => synced = bytes.len(),
            Fsync::Every(_) => {}
        }
        boundaries.push(bytes.len());
    }
    Log { bytes, boundaries, records: n, units }
}

fn load(bytes: &[u8]) -> (Result<Loaded, Refusal>, State) {
    load_in_pieces(bytes, bytes.len().max(1))
}

fn load_in_pieces(bytes: &[u8], piece: usize) -> (Result<Loaded, Refusal>, State) {
    let mut state = State::default();
    let mut replay = Replay::new("a.aof", true, true);
    for piece in bytes.chunks(piece) {
        if let Err(refusal) = replay.feed(piece, &mut state) {
            return (Err(refusal), state);
        }
    }
    (replay.finish(), state)
}

/// Goes on from a clone at a batch boundary: what a start makes of `tail`, and how many things it
/// handed out of it.
fn go_on(at: &Replay, tail: &[&[u8]]) -> (Result<Loaded, Refusal>, State) {
    let (mut replay, mut state) = (at.clone(), State::default());
    for part in tail {
        if let Err(refusal) = replay.feed(part, &mut state) {
            return (Err(refusal), state);
        }
    }
    (replay.finish(), state)
}

/// A loader at every batch boundary.
fn loaders(log: &Log) -> Vec<Replay> {
    let mut replay = Replay::new("a.aof", true, true);
    let mut from = 0;
    let mut at = Vec::new();
    for &boundary in &log.boundaries {
        replay.feed(&log.bytes[from..boundary], &mut State::default()).unwrap();
        at.push(replay.clone());
        from = boundary;
    }
    at
}

fn cut_to(loaded: &Result<Loaded, Refusal>) -> Option<u64> {
    loaded.as_ref().unwrap().truncated.map(|t| t.offset)
}

#[test]
fn a1_cut_anywhere_it_starts_with_a_prefix_of_whole_batches() {
    for fsync in [Fsync::Always, Fsync::Every(5)] {
        let log = log(1000, 1, fsync);
        assert!(log.records >= 1000 && log.units > 100 && log.boundaries.len() > 150);
        let loaders = loaders(&log);
        let other = super::crash_tests::log(1200, 2, fsync).bytes;
        let zeroes = [0; 4096];
        let junk: Vec<u8> = (0..997u32).map(|i| ((i * i * 7) >> 3) as u8).collect();
        let mut starts = 0;
        for (pair, at) in log.boundaries.windows(2).zip(&loaders) {
            for cut in pair[0]..pair[1] {
                let tail = &log.bytes[pair[0]..cut];
                // Stale: this log elsewhere, and the same place of a file that was here before.
                let shift = cut.saturating_sub(1201);
                let stale = &log.bytes[shift..log.bytes.len().min(shift + 1100)];
                let before = &other[cut..other.len().min(cut + 1100)];
                for (fill, name) in [
                    (&[][..], "cut"),
                    (&zeroes, "zeroes"),
                    (stale, "stale"),
                    (before, "before"),
                    (&junk, "junk"),
                ] {
                    let (loaded, state) = go_on(at, &[tail, fill]);
                    let wanted = (cut > pair[0] || !fill.is_empty()).then_some(pair[0] as u64);
                    let what = format!("{name} at {cut} of the batch at {}", pair[0]);
                    starts += 1;
                    // Stale bytes that happen to be the very bytes that are missing.
                    if !fill.is_empty() && fill.starts_with(&log.bytes[cut..pair[1]]) {
                        assert_eq!(cut_to(&loaded), Some(pair[1] as u64), "{what}");
                        continue;
                    }
                    assert!(loaded.is_ok(), "{what}: {loaded:?}");
                    assert_eq!(cut_to(&loaded), wanted, "{what}");
                    assert_eq!(state, State::default(), "{what}");
                }
            }
        }
        assert_eq!(starts, (log.bytes.len() - FILE_HEADER_LEN) * 5);
        let (records, units, bytes) = (log.records, log.units, log.bytes.len());
        println!("A1: {records} records, {units} units, {bytes} bytes: {starts} starts, 0 refused");
    }
}

#[test]
fn a1_cut_in_the_first_line_is_an_empty_file() {
    let log = log(5, 1, Fsync::Always);
    for cut in 0..FILE_HEADER_LEN {
        for zeroes in [0, 1, 100] {
            let (loaded, state) = load(&[&log.bytes[..cut], &vec![0; zeroes]].concat());
            let wanted =
                (cut + zeroes > 0).then_some(Truncated { offset: 0, dropped: (cut + zeroes) as u64 });
            let loaded = loaded.unwrap();
            assert_eq!((loaded.truncated, loaded.resume), (wanted, None), "{cut} {zeroes}");
            assert_eq!(state, State::default());
        }
    }
}

#[test]
fn a2_every_flipped_bit_is_found() {
    let log = log(1000, 1, Fsync::Always);
    let loaders = loaders(&log);
    let (mut refused, mut dropped) = (0, 0);
    for at in 0..FILE_HEADER_LEN {
        for bit in 0..8 {
            let mut bytes = log.bytes.clone();
            bytes[at] ^= 1 << bit;
            let (loaded, state) = load(&bytes);
            assert!(loaded.is_err() && state == State::default(), "bit {bit} of {at}: {loaded:?}");
        }
    }
    let last = log.boundaries[log.boundaries.len() - 2];
    for (pair, loader) in log.boundaries.windows(2).zip(&loaders) {
        let mut batch = log.bytes[pair[0]..pair[1]].to_vec();
        for i in 0..batch.len() {
            for bit in 0..8 {
                batch[i] ^= 1 << bit;
                let (loaded, state) = go_on(loader, &[&batch, &log.bytes[pair[1]..]]);
                let what = format!("bit {bit} of {} of the batch at {}", i, pair[0]);
                assert_eq!(state, State::default(), "{what}: no value may pass");
                match loaded {
                    Err(Refusal::Damaged { offset, evidence, .. }) => {
                        assert_eq!((offset, evidence), (pair[0] as u64, pair[1] as u64), "{what}");
                        refused += 1;
                    }
                    // The flip made a value's text look like commands Redis appended.
                    Err(Refusal::ForeignAfterTorn { offset, .. }) => {
                        assert_eq!(offset, pair[0] as u64, "{what}");
                        refused += 1;
                    }
                    loaded => {
                        assert_eq!(pair[0], last, "{what}: {loaded:?}");
                        assert_eq!(cut_to(&loaded), Some(last as u64), "{what}");
                        dropped += 1;
                    }
                }
                batch[i] ^= 1 << bit;
            }
        }
    }
    assert_eq!(refused + dropped, (log.bytes.len() - FILE_HEADER_LEN) * 8);
    println!("A2: {refused} flips refused, {dropped} in the last batch dropped with it, 0 passed");
}

#[test]
fn a2_an_empty_batch_at_shutdown_protects_the_last_one_too() {
    let log = log(40, 1, Fsync::Every(1000));
    let mut writer = BatchWriter::resume(1, log.bytes.len() as u64);
    let mut bytes = log.bytes.clone();
    bytes.extend_from_slice(writer.seal(log.bytes.len() as u64));
    assert_eq!(load(&bytes).0.unwrap().truncated, None);
    for at in FILE_HEADER_LEN..log.bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 4;
        assert!(matches!(load(&bytes).0, Err(Refusal::Damaged { .. })), "{at}");
    }
}

#[test]
fn a4_what_a_power_cut_did_to_unsynced_batches_is_a_torn_tail() {
    // Blocks reach the disk in any order: a batch is gone, later ones of the same second are there.
    let log = log(300, 1, Fsync::Every(7));
    let synced_before = |i: usize| i.div_ceil(7) * 7;
    let (mut torn, mut damaged) = (0, 0);
    for i in 0..log.boundaries.len() - 1 {
        for upto in i + 1..log.boundaries.len().min(i + 20) {
            let mut bytes = log.bytes[..log.boundaries[upto]].to_vec();
            bytes[log.boundaries[i]..log.boundaries[i + 1]].fill(0);
            let (loaded, _) = load(&bytes);
            // Batches up to the next fsync are unsynced; one that follows an fsync says so.
            if upto - 1 < synced_before(i + 1) {
                assert_eq!(cut_to(&loaded), Some(log.boundaries[i] as u64), "{i} {upto}");
                torn += 1;
            } else {
                assert!(matches!(loaded, Err(Refusal::Damaged { .. })), "{i} {upto}: {loaded:?}");
                damaged += 1;
            }
        }
    }
    assert!(torn > 100 && damaged > 100);
}

#[test]
fn a_clone_is_as_good_as_a_fresh_start() {
    let log = log(30, 1, Fsync::Always);
    let whole = load(&log.bytes);
    let resume = whole.0.as_ref().unwrap().resume.unwrap();
    assert_eq!((resume.salt, resume.offset), (1, log.bytes.len() as u64));
    assert_eq!(whole.0.as_ref().unwrap().timestamp_s, Some(1_700_000_000));
    for cut in 0..log.bytes.len() {
        let (loaded, state) = load(&log.bytes[..cut]);
        assert_eq!(state.0, whole.1.0[..state.0.len()], "{cut}");
        let boundary = log.boundaries.iter().rfind(|&&b| b <= cut).copied().unwrap_or(0);
        assert_eq!(cut_to(&loaded), (cut > boundary).then_some(boundary as u64), "{cut}");
        let depth = state.0.iter().fold(0, |d, s| d + (s == "(") as i32 - (s == ")") as i32);
        assert_eq!(depth, 0);
    }
    for piece in [1, 2, 3, 7, 64, 1000] {
        assert_eq!(load_in_pieces(&log.bytes, piece), whole);
    }
}

#[test]
fn the_harness_sees_a_changed_value_when_the_checksum_is_forged() {
    let log = log(30, 1, Fsync::Always);
    let whole = load(&log.bytes).1;
    let (at, end) = (log.boundaries[0], log.boundaries[1]);
    let mut writer = BatchWriter::new(1);
    writer.begin(None);
    let mut body = log.bytes[at + HEADER_LEN..end].to_vec();
    let key = memchr::memmem::find(&body, b"key:").unwrap();
    body[key] ^= 1;
    writer.body().extend_from_slice(&body);
    let mut bytes = log.bytes.clone();
    bytes[at..end].copy_from_slice(writer.seal(u64::MAX));
    let (loaded, state) = load(&bytes);
    assert!(loaded.unwrap().truncated.is_none());
    assert_ne!(state, whole);
}

/// A log the way Redis writes it, and the offsets at which it may be cut without loss.
fn redis_log(records: usize) -> (Vec<u8>, Vec<usize>) {
    let mut rng = Rng(7);
    let mut bytes = Vec::new();
    let mut boundaries = vec![0];
    for i in 0..records {
        let mut put = |args: &[&[u8]]| {
            bytes.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
            for arg in args {
                bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
                bytes.extend_from_slice(arg);
                bytes.extend_from_slice(b"\r\n");
            }
        };
        let key = format!("k{i}");
        if i == 0 || rng.below(12) == 0 {
            put(&[b"SELECT", if rng.below(2) == 0 { b"0" } else { b"5" }]);
        } else if rng.below(5) == 0 {
            put(&[b"MULTI"]);
            (0..rng.below(4)).for_each(|_| put(&[b"SET", key.as_bytes(), &value(&mut rng)]));
            put(&[b"SELECT", b"1"]);
            put(&[b"EXEC"]);
        } else if rng.below(10) == 0 {
            bytes.extend_from_slice(b"#TS:1700000000\r\n");
        } else {
            put(&[b"set", key.as_bytes(), &value(&mut rng)]);
        }
        boundaries.push(bytes.len());
    }
    (bytes, boundaries)
}

#[test]
fn a_log_of_redis_cut_anywhere_is_a_prefix_of_commands_and_units() {
    let (bytes, boundaries) = redis_log(150);
    let (loaded, whole) = load(&bytes);
    assert_eq!((loaded.as_ref().unwrap().truncated, loaded.unwrap().resume), (None, None));
    assert!(whole.0.iter().any(|s| s == "(") && whole.0.iter().any(|s| s.starts_with("5 ")));
    for cut in 0..bytes.len() {
        let boundary = *boundaries.iter().rfind(|&&b| b <= cut).unwrap();
        for zeroes in [0, 1, 3, 600] {
            let (loaded, state) = load(&[&bytes[..cut], &vec![0; zeroes]].concat());
            let wanted = (cut + zeroes > boundary).then_some(boundary as u64);
            assert!(loaded.is_ok(), "{cut} {zeroes} {loaded:?}");
            assert_eq!(cut_to(&loaded), wanted, "{cut} {zeroes}");
            assert_eq!(state.0, whole.0[..state.0.len()]);
        }
    }
    for piece in [1, 5, 100] {
        assert_eq!(load_in_pieces(&bytes, piece).1, whole);
    }
}

#[test]
fn what_redis_appended_to_our_file_is_read_and_never_dropped_silently() {
    let log = log(30, 1, Fsync::Always);
    let ours = load(&log.bytes).1;
    let redis = b"*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n";
    for stamp in [&b""[..], b"#TS:1700000001\r\n"] {
        let tail = [stamp, redis].concat();
        for piece in [1, 9, 10_000] {
            let (loaded, state) = load_in_pieces(&[&log.bytes[..], &tail].concat(), piece);
            let loaded = loaded.unwrap();
            assert_eq!((loaded.truncated, loaded.resume), (None, None));
            assert_eq!(state.0[..ours.0.len()], ours.0);
            assert_eq!(state.0[ours.0.len()..], ["2 DEL a"]);
        }
        // Redis cut its torn end off first, at a command; or it took half a line for an annotation.
        let mut found = 0;
        let last = log.boundaries[log.boundaries.len() - 2];
        for cut in last..log.bytes.len() {
            let bytes = [&log.bytes[..cut], &tail].concat();
            match load(&bytes).0 {
                Err(Refusal::ForeignAfterTorn { offset, .. }) => {
                    assert_eq!(offset, last as u64);
                    found += 1;
                }
                Ok(_) => {}
                Err(other) => panic!("{cut}: {other}"),
            }
        }
        assert!(found >= HEADER_LEN, "{found}");
    }
}

#[test]
fn refusals_name_file_offset_and_what_to_do() {
    let log = log(30, 1, Fsync::Always);
    let torn = &log.bytes[..log.bytes.len() - 1];
    let load = |last, truncated, bytes: &[u8]| {
        let mut replay = Replay::new("appendonly.aof.1.incr.aof", last, truncated);
        replay.feed(bytes, &mut State::default())?;
        replay.finish()
    };
    let last = log.boundaries[log.boundaries.len() - 2];
    let text = |result: Result<Loaded, Refusal>| result.unwrap_err().to_string();
    assert!(text(load(true, false, torn)).starts_with(&format!(
        "Unexpected end of file reading the append only file appendonly.aof.1.incr.aof: whole up to offset {last}."
    )));
    assert!(
        text(load(false, true, torn)).starts_with("Fatal error: the truncated file is not the last file")
    );
    assert!(text(load(true, true, b"*1\r\n$4\r\nPING\r\n+OK\r\n*1\r\n")).starts_with(
        "Bad file format reading the append only file appendonly.aof.1.incr.aof at offset 14: make a backup"
    ));
    assert!(text(load(true, true, b"#hello\r\n")).starts_with("Unknown annotation"));
    assert!(text(load(true, true, b"*1\r\n$4\r\nEXEC\r\n")).starts_with("Bad file format"));
    let multi = b"*1\r\n$5\r\nMULTI\r\n";
    assert!(text(load(true, true, &[&multi[..], multi].concat())).starts_with("Bad file format"));
    let mut bytes = log.bytes.clone();
    bytes[last - 3] ^= 1;
    let message = text(load(true, true, &bytes));
    assert!(message.starts_with("Bad checksum reading the append only file appendonly.aof.1.incr.aof"));
    assert!(message.contains("truncate -s"), "{message}");
    struct Picky;
    impl Sink for Picky {
        fn command(&mut self, _: u32, args: Args<'_>) -> Result<(), String> {
            Err(format!("Unknown command '{}'", args.at(0).escape_ascii()))
        }
    }
    let mut replay = Replay::new("f", true, true);
    let refusal = replay.feed(b"*1\r\n$4\r\nNOPE\r\n", &mut Picky).unwrap_err();
    assert_eq!(refusal.to_string(), "Unknown command 'NOPE' reading the append only file f at offset 0");
}

proptest! {
    #[test]
    fn any_split_gives_the_same(cuts in prop::collection::vec(1usize..200, 1..40)) {
        let log = log(60, 1, Fsync::Always);
        let mut bytes = log.bytes.clone();
        bytes.truncate(log.bytes.len() - cuts[0]);
        let whole = load(&bytes);
        let (mut replay, mut state, mut at, mut i) = (Replay::new("a.aof", true, true), State::default(), 0, 0);
        while at < bytes.len() {
            let end = bytes.len().min(at + cuts[i % cuts.len()]);
            replay.feed(&bytes[at..end], &mut state).unwrap();
            (at, i) = (end, i + 1);
        }
        prop_assert_eq!((replay.finish(), state), whole);
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(prop_oneof![
        Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b'2'), Just(b'#'), Just(0u8), any::<u8>()
    ], 0..100)) {
        let _ = load_in_pieces(&bytes, 3);
    }
}
