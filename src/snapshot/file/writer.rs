//! Writes a file into a vector that its caller empties whenever it has enough in it.
//!
//! The order of calls is that of the file (see `file`): `aux`, `library`, then for each database `database` and
//! its entries, then `end`. How many keys `database` announces is a hint for who reads.

use crate::base::crc64::Sum;
use crate::snapshot::kind::opcode;
use crate::snapshot::{VERSION, output, write_body, write_kind};
use crate::structure::Entry;

/// What is told of when a key was used, which depends on the policy of eviction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Untold,
    /// Seconds since then.
    Idle(u64),
    /// The counter of uses.
    Uses(u8),
}

/// See the module.
pub struct FileWriter {
    out: Vec<u8>,
    sum: Option<Sum>,
    compress: bool,
}

impl FileWriter {
    /// `compress`: `rdbcompression`; `checksum`: `rdbchecksum`.
    pub fn new(compress: bool, checksum: bool) -> FileWriter {
        let out = format!("REDIS{VERSION:04}").into_bytes();
        FileWriter { out, sum: checksum.then(Sum::new), compress }
    }

    /// Bytes that wait to be taken.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Hands out what was written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        if let Some(sum) = &mut self.sum {
            sum.add(&self.out);
        }
        std::mem::take(&mut self.out)
    }

    pub fn aux(&mut self, name: &[u8], value: &[u8]) {
        self.out.push(opcode::AUX);
        output::string(&mut self.out, name, self.compress);
        output::string(&mut self.out, value, self.compress);
    }

    pub fn library(&mut self, code: &[u8]) {
        self.out.push(opcode::FUNCTION);
        output::string(&mut self.out, code, self.compress);
    }

    pub fn database(&mut self, number: usize, keys: u64, with_deadline: u64) {
        self.out.push(opcode::SELECT_DB);
        output::number(&mut self.out, number as u64);
        self.out.push(opcode::RESIZE_DB);
        output::number(&mut self.out, keys);
        output::number(&mut self.out, with_deadline);
    }

    /// A key with its deadline and its value.
    pub fn entry(&mut self, entry: &Entry, access: Access) {
        let out = &mut self.out;
        if let Some(at) = entry.expire_at() {
            out.push(opcode::EXPIRE_MS);
            out.extend_from_slice(&at.to_le_bytes());
        }
        match access {
            Access::Untold => {}
            Access::Idle(seconds) => {
                out.push(opcode::IDLE);
                output::number(out, seconds);
            }
            Access::Uses(uses) => out.extend_from_slice(&[opcode::FREQ, uses]),
        }
        write_kind(entry.value(), out);
        output::string(out, entry.key(), self.compress);
        write_body(entry.value(), self.compress, out);
    }

    /// Nothing may follow.
    pub fn end(&mut self) {
        self.out.push(opcode::EOF);
        let sum = self.sum.as_mut().map_or(0, |sum| {
            sum.add(&self.out);
            sum.value()
        });
        // What was summed up here is not to be again by `take`.
        self.sum = None;
        self.out.extend_from_slice(&sum.to_le_bytes());
    }
}
