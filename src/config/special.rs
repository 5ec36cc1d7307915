//! Parameters whose value is a list or a set of flags: how each is read, printed and rewritten.
//!
//! Called only through the rows of the table. Each reader checks everything before it changes anything.

use super::parameter::{Args, Lines, Source, word_index};
use super::settings::{BufferLimit, Replicaof, SavePoint, Settings};
use super::text::{self, Text};

pub(super) type Parsed = Result<(), String>;

const WRONG_COUNT: &str = "wrong number of arguments";

fn joined<T: AsRef<[u8]>>(items: impl IntoIterator<Item = T>) -> Vec<u8> {
    let items: Vec<T> = items.into_iter().collect();
    items.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(&b' ')
}

/// The values of a line, quoted where they must be: nothing may begin a comment or fall apart.
fn listed(items: &[Text]) -> Vec<u8> {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'#');
    let word = |item: &Text| match item.as_bytes() {
        bytes if !bytes.is_empty() && bytes.iter().all(plain) => bytes.to_vec(),
        bytes => text::quote(bytes),
    };
    match items {
        // A value that stands alone is split once more when it is read.
        [only] if word(only) != only.as_bytes() => text::quote(&word(only)),
        [] => b"\"\"".to_vec(),
        _ => joined(items.iter().map(word)),
    }
}

/// `[""]` stands for "none".
fn unless_empty(args: Args) -> Args {
    if matches!(args, [only] if only.is_empty()) { &[] } else { args }
}

pub(super) fn parse_save(settings: &mut Settings, args: Args, source: Source) -> Parsed {
    const INVALID: &str = "Invalid save parameters";
    let cleared = args.len() == 1 && args[0].is_empty();
    let args = unless_empty(args);
    if !args.len().is_multiple_of(2) {
        return Err(INVALID.to_owned());
    }
    let mut points = Vec::new();
    for pair in args.chunks(2) {
        let number = |text: &[u8]| text::lenient_integer(text, 10).ok_or(INVALID);
        let (seconds, changes) = (number(&pair[0])?, number(&pair[1])?);
        let seconds = u64::try_from(seconds).ok().filter(|&seconds| seconds > 0).ok_or(INVALID)?;
        points.push(SavePoint { seconds, changes: u64::try_from(changes).map_err(|_| INVALID)? });
    }
    // Lines add up; the first of a file replaces the default points, an empty one removes all before it.
    if cleared || matches!(source, Source::ConfigSet | Source::File { first: true }) {
        settings.save.clear();
    }
    settings.save.extend(points);
    settings.save_is_asked = true;
    Ok(())
}

pub(super) fn format_save(settings: &Settings) -> Vec<u8> {
    joined(settings.save.iter().map(|point| format!("{} {}", point.seconds, point.changes)))
}

pub(super) fn save_lines(settings: &Settings) -> Lines {
    if settings.save.is_empty() {
        return vec![(b"\"\"".to_vec(), true)];
    }
    if !settings.save_is_asked {
        // A line would make them points that were asked for.
        return vec![(format_save(settings), false)];
    }
    let line = |point: &SavePoint| (format!("{} {}", point.seconds, point.changes).into_bytes(), true);
    settings.save.iter().map(line).collect()
}

/// The classes in the order of `client_output_buffer_limit`, with the word CONFIG GET prints and the one
/// CONFIG REWRITE writes.
const CLASSES: [(&str, &str); 3] = [("normal", "normal"), ("slave", "replica"), ("pubsub", "pubsub")];

pub(super) const BUFFER_LIMIT_DEFAULTS: [BufferLimit; 3] = [
    BufferLimit { hard_bytes: 0, soft_bytes: 0, soft_seconds: 0 },
    BufferLimit { hard_bytes: 256 << 20, soft_bytes: 64 << 20, soft_seconds: 60 },
    BufferLimit { hard_bytes: 32 << 20, soft_bytes: 8 << 20, soft_seconds: 60 },
];

pub(super) fn parse_buffer_limits(settings: &mut Settings, args: Args, _: Source) -> Parsed {
    if !args.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
    }
    let mut limits = settings.client_output_buffer_limit;
    for group in args.chunks(4) {
        let same = |name: &str| group[0].eq_ignore_ascii_case(name.as_bytes());
        let class = CLASSES.iter().position(|&(get, written)| same(get) || same(written));
        let class = class.ok_or("Invalid client class specified in buffer limit configuration.")?;
        limits[class] = read_buffer_limit(&group[1..])
            .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
    }
    settings.client_output_buffer_limit = limits;
    Ok(())
}

fn read_buffer_limit(values: Args) -> Option<BufferLimit> {
    Some(BufferLimit {
        hard_bytes: text::memory(&values[0])?,
        soft_bytes: text::memory(&values[1])?,
        soft_seconds: u64::try_from(text::lenient_integer(&values[2], 10)?).ok()?,
    })
}

pub(super) fn format_buffer_limits(settings: &Settings) -> Vec<u8> {
    joined(CLASSES.iter().zip(settings.client_output_buffer_limit).map(|((class, _), limit)| {
        format!("{class} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds)
    }))
}

/// All classes or none: a line stands for one class, and which old line is whose is not known.
pub(super) fn buffer_limit_lines(settings: &Settings) -> Lines {
    let limits = settings.client_output_buffer_limit;
    let line = |((_, class), limit): (&(&str, &str), BufferLimit)| {
        let (hard, soft) = (text::write_memory(limit.hard_bytes), text::write_memory(limit.soft_bytes));
        let line = format!("{class} {hard} {soft} {}", limit.soft_seconds);
        (line.into_bytes(), limits != BUFFER_LIMIT_DEFAULTS)
    };
    CLASSES.iter().zip(limits).map(line).collect()
}

pub(super) fn parse_bind(settings: &mut Settings, args: Args, _: Source) -> Parsed {
    const ADDRESSES_MAX: usize = 16;
    if args.len() > ADDRESSES_MAX {
        return Err("Too many bind addresses specified.".to_owned());
    }
    settings.bind = unless_empty(args).iter().map(|address| Text::new(address.as_slice())).collect();
    Ok(())
}

pub(super) fn format_bind(settings: &Settings) -> Vec<u8> {
    joined(settings.bind.iter().map(Text::as_bytes))
}

pub(super) fn bind_lines(settings: &Settings) -> Lines {
    if settings.bind == ["*", "-::*"] {
        return Vec::new();
    }
    vec![(listed(&settings.bind), true)]
}

pub(super) fn parse_oom_values(settings: &mut Settings, args: Args, _: Source) -> Parsed {
    const RANGE: &str = "Invalid oom-score-adj-values, elements must be between -2000 and 2000.";
    let [first, second, third] = args else { return Err(WRONG_COUNT.to_owned()) };
    let read = |text: &[u8]| {
        text::lenient_integer(text, 10).filter(|value| (-2000..=2000).contains(value)).ok_or(RANGE)
    };
    settings.oom_score_adj_values = [read(first)? as i32, read(second)? as i32, read(third)? as i32];
    Ok(())
}

pub(super) fn format_oom_values(settings: &Settings) -> Vec<u8> {
    joined(settings.oom_score_adj_values.map(|value| value.to_string()))
}

pub(super) fn oom_values_lines(settings: &Settings) -> Lines {
    vec![(format_oom_values(settings), settings.oom_score_adj_values != [0, 200, 800])]
}

/// Classes of keyspace events, one bit each, as Redis numbers them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventClasses(pub u32);

impl EventClasses {
    pub const KEYSPACE: u32 = 1 << 0;
    pub const KEYEVENT: u32 = 1 << 1;
    pub const GENERIC: u32 = 1 << 2;
    pub const STRING: u32 = 1 << 3;
    pub const LIST: u32 = 1 << 4;
    pub const SET: u32 = 1 << 5;
    pub const HASH: u32 = 1 << 6;
    pub const ZSET: u32 = 1 << 7;
    pub const EXPIRED: u32 = 1 << 8;
    pub const EVICTED: u32 = 1 << 9;
    pub const STREAM: u32 = 1 << 10;
    pub const KEY_MISS: u32 = 1 << 11;
    pub const MODULE: u32 = 1 << 13;
    pub const NEW: u32 = 1 << 14;
    /// What `A` stands for: everything but key misses and new keys.
    pub const ALL: u32 = Self::GENERIC
        | Self::STRING
        | Self::LIST
        | Self::SET
        | Self::HASH
        | Self::ZSET
        | Self::EXPIRED
        | Self::EVICTED
        | Self::STREAM
        | Self::MODULE;
    /// The letters in the order CONFIG GET prints them; those before `n` are what `A` replaces.
    const LETTERS: [(u8, u32); 14] = [
        (b'g', Self::GENERIC),
        (b'$', Self::STRING),
        (b'l', Self::LIST),
        (b's', Self::SET),
        (b'h', Self::HASH),
        (b'z', Self::ZSET),
        (b'x', Self::EXPIRED),
        (b'e', Self::EVICTED),
        (b't', Self::STREAM),
        (b'd', Self::MODULE),
        (b'n', Self::NEW),
        (b'K', Self::KEYSPACE),
        (b'E', Self::KEYEVENT),
        (b'm', Self::KEY_MISS),
    ];

    pub fn contains(self, class: u32) -> bool {
        self.0 & class != 0
    }

    fn read(letters: &[u8]) -> Option<Self> {
        letters.iter().try_fold(EventClasses(0), |classes, &letter| {
            let bits = match letter {
                b'A' => Self::ALL,
                _ => Self::LETTERS.iter().find(|pair| pair.0 == letter)?.1,
            };
            Some(EventClasses(classes.0 | bits))
        })
    }

    fn write(self) -> Vec<u8> {
        let all = self.0 & Self::ALL == Self::ALL;
        let shown = |&&(_, bit): &&(u8, u32)| self.contains(bit) && !(all && Self::ALL & bit != 0);
        let letters = Self::LETTERS.iter().filter(shown).map(|pair| pair.0);
        all.then_some(b'A').into_iter().chain(letters).collect()
    }
}

pub(super) fn parse_events(settings: &mut Settings, args: Args, _: Source) -> Parsed {
    let [letters] = args else { return Err(WRONG_COUNT.to_owned()) };
    settings.notify_keyspace_events =
        EventClasses::read(letters).ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
    Ok(())
}

pub(super) fn format_events(settings: &Settings) -> Vec<u8> {
    settings.notify_keyspace_events.write()
}

pub(super) fn events_lines(settings: &Settings) -> Lines {
    vec![(text::quote(&format_events(settings)), settings.notify_keyspace_events.0 != 0)]
}

pub(super) fn parse_replicaof(settings: &mut Settings, args: Args, _: Source) -> Parsed {
    let [host, port] = args else { return Err(WRONG_COUNT.to_owned()) };
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        settings.replicaof = None;
        return Ok(());
    }
    let port = text::lenient_integer(port, 10).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or("Invalid master port")?;
    settings.replicaof = Some(Replicaof { host: Text::new(host.as_slice()), port });
    Ok(())
}

pub(super) fn format_replicaof(settings: &Settings) -> Vec<u8> {
    let Some(Replicaof { host, port }) = &settings.replicaof else { return Vec::new() };
    joined([host.as_bytes(), port.to_string().as_bytes()])
}

pub(super) fn replicaof_lines(settings: &Settings) -> Lines {
    if settings.replicaof.is_none() || settings.cluster_enabled {
        return Vec::new();
    }
    vec![(format_replicaof(settings), true)]
}

pub(super) fn parse_percentiles(settings: &mut Settings, args: Args, _: Source) -> Parsed {
    let mut percentiles = Vec::new();
    for arg in unless_empty(args) {
        let value = std::str::from_utf8(arg).ok().and_then(|text| text.parse::<f64>().ok());
        let value = value
            .filter(|value| !value.is_nan())
            .ok_or("Invalid latency-tracking-info-percentiles parameters")?;
        if !(0.0..=100.0).contains(&value) {
            let range = "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
            return Err(range.to_owned());
        }
        percentiles.push(value);
    }
    settings.latency_tracking_info_percentiles = percentiles;
    Ok(())
}

/// Six digits after the point at most, as INFO prints them.
pub(super) fn format_percentiles(settings: &Settings) -> Vec<u8> {
    joined(settings.latency_tracking_info_percentiles.iter().map(|percentile| {
        let text = format!("{percentile:.6}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }))
}

pub(super) fn percentiles_lines(settings: &Settings) -> Lines {
    let list = format_percentiles(settings);
    vec![(if list.is_empty() { b"\"\"".to_vec() } else { list }, true)]
}

/// What a signal asks of SHUTDOWN; nothing set is `default`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownFlags {
    pub save: bool,
    pub nosave: bool,
    pub now: bool,
    pub force: bool,
}

const SHUTDOWN_WORDS: &[&str] = &["default", "save", "nosave", "now", "force"];

impl ShutdownFlags {
    pub(super) fn read(args: Args) -> Result<Self, String> {
        let mut flags = ShutdownFlags::default();
        if args.is_empty() {
            word_index(SHUTDOWN_WORDS, b"")?;
        }
        for arg in args {
            match word_index(SHUTDOWN_WORDS, arg)? {
                1 => flags.save = true,
                2 => flags.nosave = true,
                3 => flags.now = true,
                4 => flags.force = true,
                _ => {}
            }
        }
        if flags.save && flags.nosave {
            return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".to_owned());
        }
        Ok(flags)
    }

    pub(super) fn write(self) -> Vec<u8> {
        if self == ShutdownFlags::default() {
            return b"default".to_vec();
        }
        let set = [self.save, self.nosave, self.now, self.force];
        joined(SHUTDOWN_WORDS[1..].iter().zip(set).filter(|(_, set)| *set).map(|(word, _)| word))
    }

    pub(super) fn lines(self) -> Lines {
        vec![(self.write(), self != ShutdownFlags::default())]
    }
}

/// Relative paths are relative to the directory set before, as with the `chdir` of Redis.
pub(super) fn parse_dir(settings: &mut Settings, args: Args, _: Source) -> Parsed {
    let [dir] = args else { return Err(WRONG_COUNT.to_owned()) };
    if dir.is_empty() {
        return Err("No such file or directory".to_owned());
    }
    let here = matches!(settings.dir.as_bytes(), b"" | b"." | b"./");
    let stays = matches!(dir.as_slice(), b"." | b"./");
    settings.dir = match (dir.first(), stays && !here) {
        (_, true) => settings.dir.clone(),
        (Some(b'/'), _) => Text::new(dir.as_slice()),
        _ if here => Text::new(dir.as_slice()),
        _ => Text::new([settings.dir.as_bytes(), dir].join(&b'/')),
    };
    Ok(())
}

pub(super) fn format_dir(settings: &Settings) -> Vec<u8> {
    settings.dir.as_bytes().to_vec()
}

pub(super) fn dir_lines(settings: &Settings) -> Lines {
    vec![(text::quote(settings.dir.as_bytes()), true)]
}

pub(super) fn parse_locality_rule(settings: &mut Settings, args: Args, source: Source) -> Parsed {
    let cleared = args.len() == 1 && args[0].is_empty();
    if cleared || matches!(source, Source::ConfigSet | Source::File { first: true }) {
        settings.locality_rule.clear();
    }
    settings.locality_rule.extend(unless_empty(args).iter().map(|pattern| Text::new(pattern.as_slice())));
    Ok(())
}

pub(super) fn format_locality_rule(settings: &Settings) -> Vec<u8> {
    joined(settings.locality_rule.iter().map(Text::as_bytes))
}

pub(super) fn locality_rule_lines(settings: &Settings) -> Lines {
    if settings.locality_rule.is_empty() {
        return Vec::new();
    }
    vec![(listed(&settings.locality_rule), true)]
}

pub(super) fn parse_shards(settings: &mut Settings, args: Args, _: Source) -> Parsed {
    use crate::base::limits::SHARDS_MAX;
    let [value] = args else { return Err(WRONG_COUNT.to_owned()) };
    settings.shards = if value.eq_ignore_ascii_case(b"auto") {
        None
    } else {
        let count = text::strict_integer(value).and_then(|count| u16::try_from(count).ok());
        let count = count.filter(|&count| count >= 1 && usize::from(count) <= SHARDS_MAX);
        Some(
            count
                .ok_or_else(|| format!("argument must be 'auto' or between 1 and {SHARDS_MAX} inclusive"))?,
        )
    };
    Ok(())
}

pub(super) fn format_shards(settings: &Settings) -> Vec<u8> {
    settings.shards.map_or_else(|| "auto".to_owned(), |count| count.to_string()).into_bytes()
}

pub(super) fn shards_lines(settings: &Settings) -> Lines {
    vec![(format_shards(settings), settings.shards.is_some())]
}
