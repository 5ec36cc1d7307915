//! Error replies by code, for INFO errorstats. Errors are rare, so a lock is cheap enough.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// As many different codes are told apart; a client that makes codes up cannot fill memory.
const CODES_MAX: usize = 128;

#[derive(Default)]
pub struct ErrorCounts(Mutex<BTreeMap<String, u64>>);

impl ErrorCounts {
    /// Counts an error line (`ERR unknown command ...`, without the dash).
    pub fn count(&self, line: &[u8]) {
        let code = line.split(|b| *b == b' ').next().unwrap_or(b"ERR");
        let code = String::from_utf8_lossy(code.strip_suffix(b"\r\n").unwrap_or(code)).into_owned();
        let mut counts = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if counts.len() < CODES_MAX || counts.contains_key(&code) {
            *counts.entry(code).or_default() += 1;
        }
    }

    pub fn snapshot(&self) -> Vec<(String, u64)> {
        let counts = self.0.lock().unwrap_or_else(|e| e.into_inner());
        counts.iter().map(|(k, v)| (k.clone(), *v)).collect()
    }

    pub fn reset(&self) {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).clear();
    }
}
