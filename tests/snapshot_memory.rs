//! What reading a payload takes is bounded by its size, whatever it claims to hold: damaged ones are read under
//! an allocator that remembers the highest level.

#[path = "it/support/payload.rs"]
#[allow(dead_code)]
mod payload;
#[path = "it/support/rng.rs"]
#[allow(dead_code)]
mod rng;

use ringdove::config::Settings;
use ringdove::snapshot::{FileReader, Limits, Record, read_payload};
use rng::Rng;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

type Bytes = Vec<u8>;

struct Levels;

static NOW: AtomicUsize = AtomicUsize::new(0);
static HIGHEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does all of it; here is only counted.
unsafe impl GlobalAlloc for Levels {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HIGHEST.fetch_max(NOW.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static HEAP: Levels = Levels;

/// How much was taken at most while this ran, and what came of it.
fn taken<R>(f: impl FnOnce() -> R) -> (usize, R) {
    let before = NOW.load(Relaxed);
    HIGHEST.store(before, Relaxed);
    let result = f();
    (HIGHEST.load(Relaxed) - before, result)
}

fn damage(rng: &mut Rng, bytes: &mut Bytes) {
    const TELLING: &[&[u8]] = &[
        &[0x81, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff],
        &[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x80, 0x7f, 0xff, 0xff, 0xff],
        &[0xc3, 0x80, 0, 0, 0x10, 0, 0x80, 0xff, 0, 0, 0],
        &[0xc3, 0x10, 0x45, 0x80],
        &[0xf0, 0xff, 0xff, 0xff, 0xff],
        &[0xff],
        &[0],
    ];
    for _ in 0..rng.below(3) {
        let at = rng.below(bytes.len());
        match rng.below(3) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => drop(bytes.splice(at..at, rng.pick(TELLING).iter().copied())),
            _ => {
                let new = *rng.pick(TELLING);
                let end = (at + new.len()).min(bytes.len());
                bytes.splice(at..end, new.iter().copied());
            }
        }
    }
}

/// Elements of a few bytes have ten times as many around them in a table, as they have when commands put them
/// there; what the test is for is a claim, which is of other orders.
const TIMES: usize = 10;
const SLACK: usize = 64 << 10;

#[test]
fn reading_takes_no_more_than_some_times_what_is_read() {
    let mut rng = Rng::new(1);
    let limits = Limits::new(&Settings::default(), ahash::RandomState::with_seeds(1, 2, 3, 4));
    let mut most = 0.0f64;
    for round in 0..6000 {
        let count = 1 + rng.below(if round % 10 == 0 { 3000 } else { 40 });
        let long = 6 + rng.below(60);
        let word = |rng: &mut Rng| (0..long).map(|_| b'a' + rng.below(26) as u8).collect();
        let mut bytes = payload::random_of(&mut rng, count, false, word);
        bytes.truncate(bytes.len() - 10);
        damage(&mut rng, &mut bytes);
        bytes.extend_from_slice(&[10, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let (highest, _) = taken(|| read_payload(&bytes, &limits, false).is_ok());
        assert!(highest <= TIMES * bytes.len() + SLACK, "round {round}: {highest} for {} bytes", bytes.len());
        most = most.max(highest.saturating_sub(SLACK) as f64 / bytes.len() as f64);

        // The same as a file.
        let mut file = b"REDIS0010\xfe\x00".to_vec();
        file.push(bytes[0]);
        file.extend_from_slice(b"\x03key");
        file.extend_from_slice(&bytes[1..bytes.len() - 10]);
        let (highest, _) = taken(|| {
            let mut source = &file[..];
            let mut reader = FileReader::new(&mut source, true).expect("a signature");
            while let Ok(record) = reader.next(&limits) {
                if matches!(record, Record::End) {
                    break;
                }
            }
        });
        // The buffer beside the value.
        assert!(highest <= TIMES * file.len() + 3 * SLACK, "round {round}: {highest} for a file");
    }
    println!("at most {most:.1} times");
}
