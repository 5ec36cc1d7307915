//! Commands that take any key: whether it exists, what it is called, how long it lives, where it is;
//! and those that look at a whole database.

mod database;
mod dump;
mod exists;
mod expire;
mod object;
mod rename;
pub(super) mod scan;
mod sort;

pub use dump::set_skip_checksum;
pub(super) use object::shown_encoding;

use super::{CommandSpec, Error};
use crate::base::num::parse_i64;
use crate::structure::{Entry, Value};

/// The type of a value as TYPE and SCAN ... TYPE name it.
fn type_name(entry: &Entry) -> &'static str {
    match entry.value() {
        Value::Int(_) | Value::Bytes(_) => "string",
        Value::Object(object) => object.type_name(),
    }
}

/// A 32-bit argument (Redis: `getIntFromObjectOrReply`).
fn parse_i32(text: &[u8]) -> Result<i32, Error> {
    let n = parse_i64(text).ok_or(Error::NotInteger)?;
    let text = "ERR value is out of range, value must between -2147483648 and 2147483647";
    i32::try_from(n).map_err(|_| Error::text(text))
}

/// A database's number.
fn parse_db(text: &[u8], databases: usize) -> Result<usize, Error> {
    let index = parse_i32(text)?;
    db_index(index, databases)
}

fn db_index(index: i32, databases: usize) -> Result<usize, Error> {
    let index = usize::try_from(index).ok().filter(|index| *index < databases);
    index.ok_or(Error::text("ERR DB index is out of range"))
}

pub const COMMANDS: &[CommandSpec] = &[
    rename::COPY,
    database::DBSIZE,
    exists::DEL,
    dump::DUMP,
    exists::EXISTS,
    expire::EXPIRE,
    expire::EXPIREAT,
    expire::EXPIRETIME,
    database::FLUSHALL,
    database::FLUSHDB,
    scan::KEYS,
    rename::MOVE,
    object::OBJECT,
    expire::PERSIST,
    expire::PEXPIRE,
    expire::PEXPIREAT,
    expire::PEXPIRETIME,
    expire::PTTL,
    scan::RANDOMKEY,
    rename::RENAME,
    rename::RENAMENX,
    dump::RESTORE,
    scan::SCAN,
    sort::SORT,
    sort::SORT_RO,
    database::SWAPDB,
    exists::TOUCH,
    expire::TTL,
    object::TYPE,
    exists::UNLINK,
];
