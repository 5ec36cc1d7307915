//! What MEMORY and its subcommands answer: the size of one key, and the account of the whole process
//! made of the same facts as INFO.

use super::facts::{Facts, MemoryFacts};
use super::info::ratio;
use super::{Error, Exec};
use crate::base::num::parse_i64;
use crate::resp::{Args, Reply};

/// MEMORY USAGE key [SAMPLES count]. A string is counted whole, so the number of samples matters to
/// collections only.
pub fn usage(exec: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let mut at = 3;
    while at < args.len() {
        if !args.at(at).eq_ignore_ascii_case(b"samples") || at + 1 >= args.len() {
            return Err(Error::Syntax);
        }
        match parse_i64(args.at(at + 1)) {
            None => return Err(Error::NotInteger),
            Some(n) if n < 0 => return Err(Error::Syntax),
            Some(_) => at += 2,
        }
    }
    match exec.keys.peek(args.at(2)) {
        Some(entry) => {
            let bytes = entry.bytes_allocated() as i64;
            exec.reply.integer(bytes);
        }
        None => exec.reply.null(),
    }
    Ok(())
}

enum Value {
    Bytes(u64),
    Signed(i64),
    Ratio(f64),
}

/// MEMORY STATS: Redis's fields in its order, without that of cluster links.
pub fn stats(facts: &Facts, reply: &mut Reply<'_>) {
    use Value::*;
    let m = &facts.memory;
    let keys = facts.keyspace.keys();
    let beyond = |outer: u64, inner: u64| Signed(outer as i64 - inner as i64);
    let process = [
        ("peak.allocated", Bytes(m.peak())),
        ("total.allocated", Bytes(m.used)),
        ("startup.allocated", Bytes(m.startup)),
        ("replication.backlog", Bytes(m.replication_backlog)),
        ("clients.slaves", Bytes(m.clients_replicas)),
        ("clients.normal", Bytes(m.clients_normal)),
        ("aof.buffer", Bytes(m.aof_buffer)),
        ("lua.caches", Bytes(m.lua_caches)),
        ("functions.caches", Bytes(m.functions_caches)),
    ];
    let total = [
        ("overhead.total", Bytes(facts.overhead())),
        ("keys.count", Bytes(keys)),
        ("keys.bytes-per-key", Bytes(m.net_usage().checked_div(keys).unwrap_or(0))),
        ("dataset.bytes", Bytes(facts.dataset())),
        ("dataset.percentage", Ratio(facts.dataset_percent())),
        ("peak.percentage", Ratio(m.peak_percent())),
        ("allocator.allocated", Bytes(m.allocated)),
        ("allocator.active", Bytes(m.active)),
        ("allocator.resident", Bytes(m.resident)),
        ("allocator-fragmentation.ratio", Ratio(ratio(m.active, m.allocated))),
        ("allocator-fragmentation.bytes", beyond(m.active, m.allocated)),
        ("allocator-rss.ratio", Ratio(ratio(m.resident, m.active))),
        ("allocator-rss.bytes", beyond(m.resident, m.active)),
        ("rss-overhead.ratio", Ratio(ratio(m.rss, m.resident))),
        ("rss-overhead.bytes", beyond(m.rss, m.resident)),
        ("fragmentation", Ratio(ratio(m.rss, m.used))),
        ("fragmentation.bytes", beyond(m.rss, m.used)),
    ];
    reply.map(process.len() + facts.keyspace.dbs.len() + total.len());
    process.iter().for_each(|field| write_field(field, reply));
    for db in &facts.keyspace.dbs {
        reply.bulk(format!("db.{}", db.index).as_bytes());
        reply.map(3);
        // There is no map from slots to keys.
        let tables = [("main", db.table_bytes), ("expires", db.wheel_bytes), ("slot-to-keys", 0)];
        for (table, bytes) in tables {
            reply.bulk(format!("overhead.hashtable.{table}").as_bytes());
            reply.integer(bytes as i64);
        }
    }
    total.iter().for_each(|field| write_field(field, reply));
}

fn write_field((name, value): &(&str, Value), reply: &mut Reply<'_>) {
    reply.bulk(name.as_bytes());
    match value {
        Value::Bytes(n) => reply.integer(*n as i64),
        Value::Signed(n) => reply.integer(*n),
        Value::Ratio(n) => reply.double(*n),
    }
}

/// Below this there is nothing to say about a server's memory.
const EMPTY_BYTES: u64 = 5 << 20;
/// Waste below this is not worth a word.
const WASTE_BYTES: u64 = 10 << 20;

/// MEMORY DOCTOR: what stands out, in sentences.
pub fn doctor(facts: &Facts) -> String {
    let m = &facts.memory;
    if m.used < EMPTY_BYTES {
        return "This server is empty or nearly so: there is not enough in memory to judge.\n".into();
    }
    let advice = advice(facts, m);
    if advice.is_empty() {
        return "Nothing about the use of memory stands out.\n".into();
    }
    let list: Vec<String> = advice.iter().map(|a| format!(" * {a}\n")).collect();
    format!("What stands out about the use of memory:\n\n{}", list.join("\n"))
}

fn advice(facts: &Facts, m: &MemoryFacts) -> Vec<String> {
    let wasted = |outer: u64, inner: u64, limit: f64| {
        ratio(outer, inner) > limit && outer.saturating_sub(inner) > WASTE_BYTES
    };
    let mut advice = Vec::new();
    let mut say = |is: bool, text: String| {
        if is {
            advice.push(text);
        }
    };
    say(
        ratio(m.peak(), m.used) > 1.5,
        "Peak: the server once used half as much again as it does now. The allocator may keep what \
         was freed; new data will fill it, and MEMORY PURGE asks for it back."
            .into(),
    );
    say(
        wasted(m.rss, m.used, 1.4),
        format!(
            "Resident set: the process holds {:.2} times what it uses. After a peak this is harmless; \
             otherwise memory is fragmented. The allocator is {}.",
            ratio(m.rss, m.used),
            m.allocator
        ),
    );
    say(
        wasted(m.active, m.allocated, 1.1),
        "Fragmentation: the allocator holds pages of which much is free. Values that change their \
         size often do this, and so do peaks."
            .into(),
    );
    say(
        wasted(m.resident, m.active, 1.1),
        "Allocator: it keeps pages that it does not need at present. MEMORY PURGE gives them back.".into(),
    );
    say(
        wasted(m.rss, m.resident, 1.1),
        "Process: much of the resident set does not belong to the allocator (buffers shared with the \
         kernel, scripts)."
            .into(),
    );
    let replicas = facts.replication.replicas.len() as u64;
    say(
        replicas > 0 && m.clients_replicas / replicas > WASTE_BYTES,
        "Replicas: a lot waits to be sent to them. Look for one that is slow in INFO replication.".into(),
    );
    say(
        m.clients_normal.checked_div(facts.clients.connected).unwrap_or(0) > 200 << 10,
        "Clients: their buffers take more than 200 KB each on average. CLIENT LIST shows who (omem, \
         qbuf): slow subscribers, very large replies, very long pipelines."
            .into(),
    );
    say(
        m.cached_scripts > 1000,
        "Scripts: more than a thousand are cached. Programs that build a new script text for every \
         call should pass KEYS and ARGV instead; SCRIPT FLUSH empties the cache."
            .into(),
    );
    advice
}

#[cfg(test)]
mod tests {
    use super::super::facts::ClientFacts;
    use super::*;

    #[test]
    fn the_doctor_speaks_of_what_is_wrong_and_of_nothing_else() {
        let mut facts = Facts::default();
        assert!(doctor(&facts).contains("empty"));
        let used = 100 << 20;
        facts.memory = MemoryFacts {
            used,
            peak: used,
            allocated: used,
            active: used,
            resident: used,
            rss: used,
            ..MemoryFacts::default()
        };
        assert!(doctor(&facts).starts_with("Nothing"));
        facts.memory.peak = used * 2;
        assert_eq!(doctor(&facts).matches(" * ").count(), 1);
        facts.memory.rss = used * 2;
        assert_eq!(doctor(&facts).matches(" * ").count(), 3);
        facts.clients = ClientFacts { connected: 2, ..ClientFacts::default() };
        facts.memory.clients_normal = 1 << 20;
        assert!(doctor(&facts).contains("CLIENT LIST"));
    }
}
