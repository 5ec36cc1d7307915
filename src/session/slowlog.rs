//! SLOWLOG: the last commands that took longer than `slowlog-log-slower-than`.

use std::collections::VecDeque;
use std::sync::Mutex;

#[derive(Clone, Debug)]
pub struct SlowlogEntry {
    pub id: u64,
    pub unix_seconds: u64,
    pub micros: u64,
    pub args: Vec<Vec<u8>>,
    pub addr: String,
    pub name: Vec<u8>,
}

/// Redis keeps 32 arguments of 128 bytes of each command.
const ARGS_MAX: usize = 32;
const ARG_BYTES_MAX: usize = 128;

#[derive(Default)]
pub struct Slowlog(Mutex<Log>);

#[derive(Default)]
struct Log {
    next_id: u64,
    entries: VecDeque<SlowlogEntry>,
}

impl Slowlog {
    pub fn add(
        &self,
        max_len: usize,
        unix_seconds: u64,
        micros: u64,
        args: crate::resp::Args<'_>,
        addr: &str,
        name: &[u8],
    ) {
        let mut log = self.lock();
        let id = log.next_id;
        log.next_id += 1;
        let entry = SlowlogEntry {
            id,
            unix_seconds,
            micros,
            args: trimmed(args),
            addr: addr.into(),
            name: name.to_vec(),
        };
        log.entries.push_front(entry);
        log.entries.truncate(max_len);
    }

    /// The newest first.
    pub fn newest(&self, count: usize) -> Vec<SlowlogEntry> {
        self.lock().entries.iter().take(count).cloned().collect()
    }

    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn reset(&self) {
        self.lock().entries.clear();
    }

    pub fn truncate(&self, max_len: usize) {
        self.lock().entries.truncate(max_len);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

fn trimmed(args: crate::resp::Args<'_>) -> Vec<Vec<u8>> {
    let keep = if args.len() > ARGS_MAX { ARGS_MAX - 1 } else { args.len() };
    let mut kept: Vec<Vec<u8>> = args
        .iter()
        .take(keep)
        .map(|a| {
            if a.len() <= ARG_BYTES_MAX {
                return a.to_vec();
            }
            let mut cut = a[..ARG_BYTES_MAX].to_vec();
            cut.extend_from_slice(format!("... ({} more bytes)", a.len() - ARG_BYTES_MAX).as_bytes());
            cut
        })
        .collect();
    if keep < args.len() {
        kept.push(format!("... ({} more arguments)", args.len() - keep).into_bytes());
    }
    kept
}
