//! The collections that are measured: how many of them, of how many elements, and by which commands.

pub struct Shape {
    pub name: &'static str,
    pub title: &'static str,
    pub collections: usize,
    /// Per collection.
    pub elements: usize,
    /// Commands per collection: as many, or more where an element takes several.
    pub steps: usize,
    /// What is there before, and does not count.
    pub prepare: fn(key: usize) -> Vec<Vec<String>>,
    /// The command of a step, mostly the one that adds an element.
    pub add: fn(key: usize, step: usize) -> Vec<String>,
}

/// A key of 16 bytes.
pub fn key(n: usize) -> String {
    format!("key:{n:012}")
}

/// The words of a command; the first stands before the key, the others behind it.
fn command(name: &str, at: usize, rest: &[&str]) -> Vec<String> {
    let mut words = vec![name.to_string(), key(at)];
    words.extend(rest.iter().map(|word| word.to_string()));
    words
}

/// Scattered, so that elements do not come in order.
fn scattered(n: usize) -> usize {
    n.wrapping_mul(2_654_435_761) % (1 << 32)
}

fn none(_: usize) -> Vec<Vec<String>> {
    Vec::new()
}

fn rpush(key: usize, n: usize) -> Vec<String> {
    command("RPUSH", key, &[&format!("element:{n:08}")])
}

fn hset(key: usize, n: usize) -> Vec<String> {
    command("HSET", key, &[&format!("field:{n:06}"), &format!("value:{:010}", scattered(n))])
}

fn sadd_int(key: usize, n: usize) -> Vec<String> {
    command("SADD", key, &[&scattered(n).to_string()])
}

fn sadd_text(key: usize, n: usize) -> Vec<String> {
    command("SADD", key, &[&format!("member:{n:08}")])
}

fn zadd(key: usize, n: usize) -> Vec<String> {
    command("ZADD", key, &[&format!("{}", scattered(n) % 100_000), &format!("member:{n:08}")])
}

fn zadd_fraction(key: usize, n: usize) -> Vec<String> {
    let score = 1_700_000_000.0 + scattered(n) as f64 / 1000.0;
    command("ZADD", key, &[&format!("{score:.3}"), &format!("member:{n:08}")])
}

/// An entry of two fields, a millisecond after the one before it.
fn xadd(key: usize, n: usize) -> Vec<String> {
    let id = format!("{}-0", 1_700_000_000_000 + n);
    command("XADD", key, &[&id, "sensor", &format!("{}", scattered(n) % 1000), "text", "a short message"])
}

fn with_group(key: usize) -> Vec<Vec<String>> {
    let create = |group: &str| {
        ["XGROUP", "CREATE", &self::key(key), group, "0", "MKSTREAM"].map(String::from).to_vec()
    };
    vec![xadd(key, 0), create("workers")]
}

/// A group with entries that nobody has got yet.
fn with_entries(key: usize) -> Vec<Vec<String>> {
    let mut commands: Vec<Vec<String>> = (0..10_000).map(|n| xadd(key, n)).collect();
    commands.push(["XGROUP", "CREATE", &self::key(key), "workers", "0"].map(String::from).to_vec());
    commands
}

fn create_group(key: usize, n: usize) -> Vec<String> {
    ["XGROUP", "CREATE", &self::key(key), &format!("group:{n:04}"), "$"].map(String::from).to_vec()
}

fn create_consumer(key: usize, n: usize) -> Vec<String> {
    ["XGROUP", "CREATECONSUMER", &self::key(key), "workers", &format!("consumer:{n:04}")]
        .map(String::from)
        .to_vec()
}

/// Delivers one entry to one of ten consumers.
fn deliver(key: usize, n: usize) -> Vec<String> {
    let consumer = format!("consumer:{}", n % 10);
    ["XREADGROUP", "GROUP", "workers", &consumer, "COUNT", "1", "STREAMS", &self::key(key), ">"]
        .map(String::from)
        .to_vec()
}

/// A deadline of its own for each field, far away.
fn hpexpireat(key: usize, n: usize) -> Vec<String> {
    let at = (4_000_000_000_000 + scattered(n)).to_string();
    command("HPEXPIREAT", key, &[&at, "FIELDS", "1", &format!("field:{n:06}")])
}

/// A field with a deadline.
fn hsetex(key: usize, n: usize) -> Vec<String> {
    let at = (4_000_000_000_000 + scattered(n)).to_string();
    let (field, value) = (format!("field:{n:06}"), format!("value:{:010}", scattered(n)));
    command("HSETEX", key, &["PXAT", &at, "FIELDS", "1", &field, &value])
}

macro_rules! shape {
    ($name:literal, $title:literal, $collections:literal x $elements:literal, $add:expr) => {
        shape!($name, $title, $collections x $elements, $add, none)
    };
    ($name:literal, $title:literal, $collections:literal x $elements:literal, $add:expr, $prepare:expr) => {
        shape!($name, $title, $collections x $elements in $elements, $add, $prepare)
    };
    ($name:literal, $title:literal, $collections:literal x $elements:literal in $steps:literal, $add:expr, $prepare:expr) => {
        Shape {
            name: $name,
            title: $title,
            collections: $collections,
            elements: $elements,
            steps: $steps,
            prepare: $prepare,
            add: $add,
        }
    };
}

pub const SHAPES: &[Shape] = &[
    shape!("list-1", "list of 1", 300_000 x 1, rpush),
    shape!("list-5", "list of 5", 200_000 x 5, rpush),
    shape!("list-20", "list of 20", 60_000 x 20, rpush),
    shape!("list-200", "list of 200", 6_000 x 200, rpush),
    shape!("list-100000", "list of 100,000", 10 x 100_000, rpush),
    shape!("hash-1", "hash of 1 field", 300_000 x 1, hset),
    shape!("hash-5", "hash of 5", 150_000 x 5, hset),
    shape!("hash-10", "hash of 10", 100_000 x 10, hset),
    shape!("hash-100", "hash of 100", 10_000 x 100, hset),
    shape!("hash-long-10", "hash of 10, one value of 100 bytes", 50_000 x 10, |key, n| {
        let value = if n == 4 { "v".repeat(100) } else { format!("value:{n:010}") };
        command("HSET", key, &[&format!("field:{n:06}"), &value])
    }),
    shape!("hash-1000", "hash of 1,000", 1_000 x 1_000, hset),
    shape!("hash-100000", "hash of 100,000", 10 x 100_000, hset),
    shape!("hash-ttl-10", "hash of 10, each field with a deadline", 50_000 x 10, hsetex),
    shape!("hash-ttl-100000", "hash of 100,000, each field with a deadline", 5 x 100_000, hsetex),
    shape!("hash-late-ttl-1000", "hash of 1,000, deadlines given later", 300 x 1_000 in 2_000, |key, step| {
        if step < 1_000 { hset(key, step) } else { hpexpireat(key, step - 1_000) }
    }, none),
    shape!("set-int-10", "set of 10 integers", 150_000 x 10, sadd_int),
    shape!("set-int-400", "set of 400 integers", 5_000 x 400, sadd_int),
    shape!("set-int-100000", "set of 100,000 integers", 10 x 100_000, sadd_int),
    shape!("set-5", "set of 5 strings", 200_000 x 5, sadd_text),
    shape!("set-20", "set of 20 strings", 60_000 x 20, sadd_text),
    shape!("set-1000", "set of 1,000 strings", 1_000 x 1_000, sadd_text),
    shape!("set-100000", "set of 100,000 strings", 10 x 100_000, sadd_text),
    shape!("zset-5", "sorted set of 5", 150_000 x 5, zadd),
    shape!("zset-20", "sorted set of 20", 50_000 x 20, zadd),
    shape!("zset-fraction-20", "sorted set of 20, scores with fractions", 50_000 x 20, zadd_fraction),
    shape!("zset-200", "sorted set of 200", 5_000 x 200, zadd),
    shape!("zset-100000", "sorted set of 100,000", 10 x 100_000, zadd),
    shape!("stream-1", "stream of 1 entry", 100_000 x 1, xadd),
    shape!("stream-10", "stream of 10 entries", 50_000 x 10, xadd),
    shape!("stream-100000", "stream of 100,000 entries", 10 x 100_000, xadd),
    shape!("group", "consumer group (1 in a stream)", 50_000 x 1, create_group, |key| vec![xadd(key, 0)]),
    shape!("groups-20", "consumer group (20 in a stream)", 5_000 x 20, create_group, |key| vec![xadd(key, 0)]),
    shape!("consumer", "consumer (1 in a group)", 50_000 x 1, create_consumer, with_group),
    shape!("consumers-20", "consumer (20 in a group)", 5_000 x 20, create_consumer, with_group),
    shape!("pending", "pending entry (10,000 in a group, 10 consumers)", 20 x 10_000, deliver, with_entries),
    shape!("pending-1", "first pending entry of a group, with its consumer", 50_000 x 1, deliver, with_group),
];
