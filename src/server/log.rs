//! The log, in the lines that Redis's operators and tools know.
//!
//! ```text
//! 4711:M 05 Aug 2025 14:03:07.123 * Ready to accept connections
//! pid  | local time               | level: . debug  - verbose  * notice  # warning
//!      role: M here, C in a child
//! ```
//!
//! `tracing` has one level more than Redis: error and warn are `#`, info is `*`, debug is `-`, trace is
//! `.`. Fields of an event follow its text as ` key=value`. Each line is one `write`; a log file is opened
//! for each line, as Redis does, so that it may be moved away at any time. A line that cannot be
//! written is lost: the log never stops the server. Spans are not shown.

use crate::config::words::LogLevel;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span, subscriber};
use tz::TimeZone;

/// What is shown: levels from here on, as `rank` counts them.
static SHOWN: AtomicU8 = AtomicU8::new(2);
static TO: OnceLock<Option<PathBuf>> = OnceLock::new();
static ZONE: OnceLock<TimeZone> = OnceLock::new();

const MARKS: [char; 4] = ['.', '-', '*', '#'];

/// Begins to log, at start once the configuration is read. `logfile` is empty for standard output, and
/// may be relative: then it lies in the directory the process is in at the time of a line.
pub fn start(loglevel: LogLevel, logfile: &Path) {
    set_level(loglevel);
    let _ = TO.set(Some(logfile.to_owned()).filter(|path| !path.as_os_str().is_empty()));
    // Read now, because files may be out of reach later.
    let _ = ZONE.set(TimeZone::local().unwrap_or_else(|_| TimeZone::utc()));
    let _ = subscriber::set_global_default(Log);
}

/// Whether lines can be written there; the text is Redis's.
pub fn check_file(logfile: &Path) -> Result<(), String> {
    if logfile.as_os_str().is_empty() {
        return Ok(());
    }
    let opened = OpenOptions::new().append(true).create(true).open(logfile);
    opened.map(drop).map_err(|error| format!("Can't open the log file: {}", crate::control::reason(&error)))
}

/// CONFIG SET loglevel.
pub fn set_level(loglevel: LogLevel) {
    let rank = match loglevel {
        LogLevel::Debug => 0,
        LogLevel::Verbose => 1,
        LogLevel::Notice => 2,
        LogLevel::Warning => 3,
    };
    SHOWN.store(rank, Relaxed);
}

/// Writes text as it is, without the head of a line (the banner at start).
pub fn raw(text: &str) {
    write_out(text.as_bytes());
}

/// A panic on any thread ends the whole process, in any build, after a line that names the thread.
pub fn end_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("without a name");
        let text = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(|at| at.to_string()).unwrap_or_default();
        tracing::error!("=== PANIC on thread '{name}' at {place}: {text}");
        let backtrace = std::backtrace::Backtrace::force_capture();
        raw(&format!("{backtrace}"));
        std::process::abort();
    }));
}

struct Log;

fn rank(level: Level) -> u8 {
    match level {
        Level::TRACE => 0,
        Level::DEBUG => 1,
        Level::INFO => 2,
        _ => 3,
    }
}

impl Subscriber for Log {
    // Asked anew for each event (`sometimes`), because the level changes at run time.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> subscriber::Interest {
        subscriber::Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && rank(*metadata.level()) >= SHOWN.load(Relaxed)
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, millis) = (now.as_secs() as i64, now.subsec_millis());
        let mark = MARKS[rank(*event.metadata().level()) as usize];
        let line = format!(
            "{}:M {} {mark} {}{}\n",
            std::process::id(),
            time(seconds, millis),
            text.message,
            text.fields
        );
        write_out(line.as_bytes());
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// The message of an event, and its fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // A String takes what is written to it.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

fn write_out(bytes: &[u8]) {
    let _ = match TO.get() {
        Some(Some(path)) => {
            let file = OpenOptions::new().append(true).create(true).open(path);
            file.and_then(|mut file| file.write_all(bytes))
        }
        _ => {
            let mut out = io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        }
    };
}

/// `05 Aug 2025 14:03:07.123`, in local time.
fn time(seconds: i64, millis: u32) -> String {
    let zone = ZONE.get().and_then(|zone| zone.find_local_time_type(seconds).ok());
    format_time(seconds + zone.map_or(0, |zone| zone.ut_offset() as i64), millis)
}

fn format_time(seconds: i64, millis: u32) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let month = MONTHS[month as usize - 1];
    format!("{day:02} {month} {year} {hour:02}:{minute:02}:{second:02}.{millis:03}")
}

/// Days since 1970 to year, month and day. Years begin in March here, so that the leap day is a year's
/// last, and go in eras of 400 that are all alike.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_redis_writes_them() {
        for (seconds, text) in [
            (0, "01 Jan 1970 00:00:00.000"),
            (951_827_696, "29 Feb 2000 12:34:56.000"),
            (1_754_402_587, "05 Aug 2025 14:03:07.000"),
            (4_102_444_799, "31 Dec 2099 23:59:59.000"),
            (-1, "31 Dec 1969 23:59:59.000"),
        ] {
            assert_eq!(format_time(seconds, 0), text);
        }
    }

    /// The naive oracle: count days one by one.
    #[test]
    fn every_day_of_a_century_and_a_half_follows_the_one_before() {
        let leap = |y: i64| y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
        let (mut y, mut m, mut d) = (1970, 1, 1);
        for days in 0..55_000 {
            assert_eq!(civil(days), (y, m, d));
            let length = match m {
                2 => 28 + i64::from(leap(y)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            d += 1;
            if d > length {
                (m, d) = (m + 1, 1);
            }
            if m > 12 {
                (y, m) = (y + 1, 1);
            }
        }
    }

    #[test]
    fn fields_follow_the_text() {
        use std::sync::Mutex;
        static SEEN: Mutex<String> = Mutex::new(String::new());
        struct Probe;
        impl Subscriber for Probe {
            fn enabled(&self, _: &Metadata<'_>) -> bool {
                true
            }
            fn event(&self, event: &Event<'_>) {
                let mut text = Text::default();
                event.record(&mut text);
                *SEEN.lock().unwrap() = text.message + &text.fields;
            }
            fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
                span::Id::from_u64(1)
            }
            fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
            fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
            fn enter(&self, _: &span::Id) {}
            fn exit(&self, _: &span::Id) {}
        }
        subscriber::with_default(
            Probe,
            || tracing::warn!(client = 7, addr = %"1.2.3.4:5", "Closing {}", "it"),
        );
        assert_eq!(*SEEN.lock().unwrap(), "Closing it client=7 addr=1.2.3.4:5");
    }
}
