//! DUMP and RESTORE: a value as bytes, and back. The bytes are those of `snapshot`, so they can be
//! exchanged with Redis: what Redis 7.0 and later dump is restored here, and the other way round.
//!
//! A payload is always looked through to its last element before anything is kept of it, which is what
//! `sanitize-dump-payload yes` asks of Redis.

use super::object::counts_uses;
use crate::base::Millis;
use crate::base::num::parse_i64;
use crate::command::list;
use crate::command::spec::*;
use crate::command::{Error, Exec};
use crate::config::EventClasses;
use crate::keyspace::Ttl;
use crate::resp::Args;
use crate::snapshot::{self, Limits, PayloadError};
use crate::structure::Entry;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// DEBUG SET-SKIP-CHECKSUM-VALIDATION: whether payloads are read whatever their checksums. One for the whole
/// process; only tests of damaged payloads change it.
static SKIP_CHECKSUM: AtomicBool = AtomicBool::new(false);

pub fn set_skip_checksum(on: bool) {
    SKIP_CHECKSUM.store(on, Relaxed);
}

fn dump(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let compress = x.settings.rdbcompression;
    match x.keys.read(args.at(1)).map(|entry| snapshot::payload(entry.value(), compress)) {
        Some(payload) => x.reply.bulk(&payload),
        None => x.reply.null(),
    }
    Ok(())
}

/// What RESTORE was told beside the value.
#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle_sec: Option<i64>,
    uses: Option<u8>,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Options, Error> {
        let mut options = Options::default();
        let mut i = 0;
        while let Some(word) = args.get(i) {
            let value = args.get(i + 1);
            if word.eq_ignore_ascii_case(b"REPLACE") {
                options.replace = true;
            } else if word.eq_ignore_ascii_case(b"ABSTTL") {
                options.absolute = true;
            } else if word.eq_ignore_ascii_case(b"IDLETIME")
                && options.uses.is_none()
                && let Some(value) = value
            {
                let idle = parse_i64(value).ok_or(Error::NotInteger)?;
                if idle < 0 {
                    return Err(Error::text("ERR Invalid IDLETIME value, must be >= 0"));
                }
                options.idle_sec = Some(idle);
                i += 1;
            } else if word.eq_ignore_ascii_case(b"FREQ")
                && options.idle_sec.is_none()
                && let Some(value) = value
            {
                let uses = u8::try_from(parse_i64(value).ok_or(Error::NotInteger)?);
                let refused = Error::text("ERR Invalid FREQ value, must be >= 0 and <= 255");
                options.uses = Some(uses.map_err(|_| refused)?);
                i += 1;
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        Ok(options)
    }
}

fn restore(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let key = args.at(1);
    let options = Options::parse(args.from(4))?;
    if !options.replace && x.keys.exists(key) {
        return Err(Error::text("BUSYKEY Target key name already exists."));
    }
    let ttl = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    if ttl < 0 {
        return Err(Error::text("ERR Invalid TTL value, must be >= 0"));
    }
    let mut limits = Limits::new(x.settings, x.keys.placement.hasher());
    limits.list = list::limits(x.settings);
    let value = snapshot::read_payload(args.at(3), &limits, !SKIP_CHECKSUM.load(Relaxed));
    let value = value.map_err(|error| match error {
        PayloadError::VersionOrChecksum => Error::text("ERR DUMP payload version or checksum are wrong"),
        PayloadError::Value(_) => Error::text("ERR Bad data format"),
    })?;
    let now = x.keys.now;
    let base = if options.absolute { 0 } else { now as i64 };
    // A sum that no time can be has passed, as in Redis.
    let expire_at = (ttl > 0).then(|| ttl.checked_add(base).unwrap_or(0) as Millis);
    let deleted = options.replace && x.keys.delete(key);
    x.reply.ok();
    if expire_at.is_some_and(|at| at <= now) && !x.client.replayed {
        if deleted {
            x.keys.changed(key);
            x.keys.effect([b"DEL", key]);
            x.keys.event(EventClasses::GENERIC, "del", key);
        }
        return Ok(());
    }
    x.keys.set(key, value, expire_at.map_or(Ttl::Clear, Ttl::At));
    let counts_uses = counts_uses(x.settings);
    if let Some(clock) = access_clock(&options, now, counts_uses) {
        x.keys.write_with(key, |entry| entry.map(|entry: &mut Entry| entry.touch(clock)));
    }
    x.keys.changed(key);
    if let Some(at) = expire_at.filter(|_| !options.absolute) {
        let mut digits = itoa::Buffer::new();
        let (head, at) = ([&b"RESTORE"[..], key], digits.format(at).as_bytes());
        let words: Vec<&[u8]> = head.into_iter().chain([at]).chain(args.from(3).iter()).collect();
        x.keys.effect(words.into_iter().chain([&b"ABSTTL"[..]]).collect::<Vec<_>>());
    }
    x.keys.event(EventClasses::GENERIC, "restore", key);
    Ok(())
}

/// What to set an entry's access clock to, if it was told what the policy goes by.
fn access_clock(options: &Options, now: Millis, counts_uses: bool) -> Option<u32> {
    if counts_uses {
        // Minutes above the counter.
        options.uses.map(|uses| ((now / 60_000) as u32) << 8 | u32::from(uses))
    } else {
        options.idle_sec.map(|idle| ((now / 1000) as u32).wrapping_sub(idle as u32))
    }
}

pub(super) const DUMP: CommandSpec = CommandSpec {
    name: "dump",
    arity: 2,
    flags: flag::READONLY,
    acl: acl::KEYSPACE,
    keys: &[KeySpec::one(access::RO | access::ACCESS, 1)],
    args: &[key("key", 0)],
    since: "2.6.0",
    complexity: "O(1) to find the key and O(N*M) to serialize it, where N is the number of elements and M their average size",
    summary: "Returns a serialized version of a value",
    tips: &["nondeterministic_output"],
    run: Run::Keys(dump),
    ..CommandSpec::DEFAULT
};

pub(super) const RESTORE: CommandSpec = CommandSpec {
    name: "restore",
    arity: -4,
    flags: flag::WRITE | flag::DENYOOM,
    acl: acl::KEYSPACE | acl::DANGEROUS,
    keys: &[KeySpec::one(access::OW | access::UPDATE, 1)],
    args: &[
        key("key", 0),
        int("ttl"),
        string("serialized-value"),
        word("replace", "REPLACE").opt().since("3.0.0"),
        word("absttl", "ABSTTL").opt().since("5.0.0"),
        int("seconds").token("IDLETIME").opt().since("5.0.0"),
        int("frequency").token("FREQ").opt().since("5.0.0"),
    ],
    since: "2.6.0",
    complexity: "O(N*M) to build the value, where N is the number of elements and M their average size; O(N*M*log(N)) for sorted sets",
    summary: "Creates a key from a serialized value, as DUMP returned it",
    run: Run::Keys(restore),
    ..CommandSpec::DEFAULT
};

#[cfg(test)]
#[path = "dump_tests.rs"]
mod tests;
