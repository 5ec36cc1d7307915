//! Reads an append-only file back: bytes in, in any pieces; commands out, units whole.
//!
//! ```text
//!            our header              SELECT, as Redis writes after it opened a file
//!  Start ----------------> Batches ---------------------------------> Foreign
//!    |                        | a batch torn, or damaged                 ^  | not RESP
//!    |                        v                                          |  v
//!    |                     Suspect: is there evidence behind it that     |  Broken: nothing but
//!    |                     it had been whole?  yes: refuse, no: cut      |  zeroes behind it? cut
//!    +-------------------------------------------------------------------+  else refuse
//!                 any other start: a file of Redis, without checksums
//! ```
//!
//! Invariants: a command is handed out only after its batch's checksum was found right, and a unit
//! only when its EXEC was seen; what is handed out is always a prefix of what was written; damage
//! before the end refuses. What `docs/durability.md` says about torn tails is decided here.
//!
//! Called by boot for every file of the manifest, in order. It never changes a file: it reports the
//! offset, and the caller truncates.

use super::batch::{self, BatchLine, FILE_HEADER_LEN, HEADER_LEN};
use super::command_reader::{CommandReader, Read};
use super::refusal::Refusal;
use crate::resp::Args;

/// Who executes what is read.
pub trait Sink {
    /// An error (an unknown command, say) refuses the file.
    fn command(&mut self, db: u32, args: Args<'_>) -> Result<(), String>;
    /// The commands until `unit_end` were one transaction.
    fn unit_begin(&mut self) {}
    fn unit_end(&mut self) {}
}

/// Where a writer may go on in a file of ours that was read without a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    pub salt: u64,
    pub offset: u64,
}

/// The end of the file is no whole command or batch: the file must be cut to `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncated {
    pub offset: u64,
    pub dropped: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    pub commands: u64,
    pub truncated: Option<Truncated>,
    /// `None`: the next write must go to a new file (written by Redis, cut, or empty).
    pub resume: Option<Resume>,
    /// The last `#TS:` seen, in seconds.
    pub timestamp_s: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    /// At the start of a batch of ours.
    Batches {
        salt: u64,
    },
    /// Behind a batch line that was right.
    Body {
        salt: u64,
        at: u64,
        line: BatchLine,
    },
    /// Commands without checksums. `unit`: where the open MULTI began.
    Foreign {
        unit: Option<u64>,
    },
    /// Not a command at `wrong`; whole up to `at`.
    Broken {
        at: u64,
        wrong: u64,
    },
    /// The batch at `at` is not whole.
    Suspect {
        salt: u64,
        at: u64,
    },
}

/// The appended SELECT of Redis; ours is in lower case.
const FOREIGN_SELECT: &[u8] = b"*2\r\n$6\r\nSELECT\r\n";
const TIMESTAMP: &[u8] = b"#TS:";
/// Longest annotation Redis reads.
const ANNOTATION_MAX: usize = 1024;

/// The loader of one file.
#[derive(Clone, Debug)]
pub struct Replay {
    file: String,
    last: bool,
    load_truncated: bool,
    state: State,
    /// What has not been handed out: bytes from offset `base` of the file; read up to `pos`.
    buf: Vec<u8>,
    base: u64,
    pos: usize,
    /// The file is zeroes from here to what was seen of it.
    zeroes_from: u64,
    db: u32,
    reader: CommandReader,
    commands: u64,
    timestamp_s: Option<u64>,
}

impl Replay {
    /// `last`: no file follows in the manifest, so a torn end may be cut if `load_truncated`
    /// (`aof-load-truncated`).
    pub fn new(file: &str, last: bool, load_truncated: bool) -> Self {
        Replay {
            file: file.to_owned(),
            last,
            load_truncated,
            state: State::Start,
            buf: Vec::new(),
            base: 0,
            pos: 0,
            zeroes_from: 0,
            db: 0,
            reader: CommandReader::default(),
            commands: 0,
            timestamp_s: None,
        }
    }

    /// The loader of what follows a snapshot that a file begins with, which ends at `offset`: commands of Redis.
    pub fn behind(file: &str, last: bool, load_truncated: bool, offset: u64) -> Self {
        let state = State::Foreign { unit: None };
        Replay { state, base: offset, ..Replay::new(file, last, load_truncated) }
    }

    /// The next bytes of the file.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut impl Sink) -> Result<(), Refusal> {
        if let Some(last) = bytes.iter().rposition(|&b| b != 0) {
            self.zeroes_from = self.end() + last as u64 + 1;
        }
        let done = (self.keep_from() - self.base) as usize;
        if done > self.buf.len() / 2 {
            self.buf.drain(..done);
            self.base += done as u64;
            self.pos -= done;
        }
        self.buf.extend_from_slice(bytes);
        while self.step(sink)? {}
        Ok(())
    }

    /// The file has ended.
    pub fn finish(mut self) -> Result<Loaded, Refusal> {
        let end = self.end();
        let cut_at = match self.state {
            State::Start => Some(0).filter(|_| end > 0),
            State::Batches { salt } => self.suspect_to_the_end(salt, self.offset())?,
            State::Body { salt, at, .. } => {
                self.written_on_by_redis(at, self.rest().len())?;
                self.suspect_to_the_end(salt, at)?
            }
            State::Suspect { salt, at } => self.suspect_to_the_end(salt, at)?,
            State::Foreign { unit } => unit.or(Some(self.offset()).filter(|&at| at < end)),
            State::Broken { at, .. } => Some(at),
        };
        let truncated = cut_at.map(|offset| Truncated { offset, dropped: end - offset });
        if let Some(Truncated { offset, .. }) = truncated {
            if !self.load_truncated {
                return Err(Refusal::UnexpectedEnd { file: self.file, offset });
            }
            if !self.last {
                return Err(Refusal::TruncatedNotLast { file: self.file, offset });
            }
        }
        let resume = match (self.state, truncated) {
            (State::Batches { salt }, None) => Some(Resume { salt, offset: end }),
            _ => None,
        };
        Ok(Loaded { commands: self.commands, truncated, resume, timestamp_s: self.timestamp_s })
    }

    /// Bytes of the file seen so far, for the progress of loading.
    pub fn end(&self) -> u64 {
        self.base + self.buf.len() as u64
    }

    /// The first byte that may be looked at again.
    fn keep_from(&self) -> u64 {
        match self.state {
            State::Body { at, .. } | State::Foreign { unit: Some(at) } => at,
            _ => self.offset(),
        }
    }

    fn offset(&self) -> u64 {
        self.base + self.pos as u64
    }

    fn rest(&self) -> &[u8] {
        &self.buf[self.pos..]
    }

    /// One step; false when it takes more bytes to go on.
    fn step(&mut self, sink: &mut impl Sink) -> Result<bool, Refusal> {
        match self.state {
            State::Start => self.start(),
            State::Batches { salt } => self.batch_line(salt),
            State::Body { salt, at, line } => self.body(salt, at, line, sink),
            State::Foreign { unit } => self.foreign(unit, sink),
            State::Broken { wrong, .. } => {
                if self.zeroes_from > wrong {
                    return Err(self.bad_format(wrong));
                }
                self.pos = self.buf.len();
                Ok(false)
            }
            State::Suspect { salt, at } => {
                self.look_for_evidence(salt, at)?;
                Ok(false)
            }
        }
    }

    fn bad_format(&self, offset: u64) -> Refusal {
        Refusal::BadFormat { file: self.file.clone(), offset }
    }

    /// Whose file is it?
    fn start(&mut self) -> Result<bool, Refusal> {
        let rest = self.rest();
        let common = batch::common_with_file_header(rest);
        if common > 0 && rest.get(common) == Some(&0) {
            self.state = State::Broken { at: 0, wrong: common as u64 };
            return Ok(true);
        }
        if common > 0 && (common == rest.len() || common >= b"#RINGDOVE:".len()) {
            let Some(line) = rest.first_chunk::<FILE_HEADER_LEN>() else { return Ok(false) };
            if let Some(salt) = batch::read_file_header(line) {
                self.pos += FILE_HEADER_LEN;
                self.state = State::Batches { salt };
                return Ok(true);
            }
            // The line was synced before the manifest named the file, so it is no torn tail, unless
            // the disk lost it and gave zeroes.
            if let Some(zero) = line.iter().position(|&b| b == 0) {
                self.state = State::Broken { at: 0, wrong: zero as u64 };
                return Ok(true);
            }
            return Err(match line.starts_with(b"#RINGDOVE:1 ") {
                true => Refusal::Header { file: self.file.clone() },
                false => Refusal::Version { file: self.file.clone() },
            });
        }
        if rest.len() < 5 && (rest.is_empty() || b"REDIS".starts_with(rest)) {
            return Ok(false);
        }
        if rest.starts_with(b"REDIS") {
            // Whoever reads it reads the snapshot first, and has `behind` read what follows.
            return Err(self.bad_format(0));
        }
        self.state = State::Foreign { unit: None };
        Ok(true)
    }

    /// At the end of a batch: another one, what Redis appended, or a torn tail.
    fn batch_line(&mut self, salt: u64) -> Result<bool, Refusal> {
        let (rest, at) = (self.rest(), self.offset());
        if rest.is_empty() {
            return Ok(false);
        }
        match appended_by_redis(rest) {
            Some(true) => {
                self.state = State::Foreign { unit: None };
                self.db = 0;
                return Ok(true);
            }
            None => return Ok(false),
            Some(false) => {}
        }
        // Redis takes half a line at the end of the file for an annotation, and writes on behind it.
        let shaped = batch::common_with_batch_line(rest);
        if shaped < rest.len().min(HEADER_LEN) {
            match appended_by_redis(&rest[shaped..]) {
                Some(true) if select_and_more(&rest[shaped..]) => {
                    let (file, foreign) = (self.file.clone(), at + shaped as u64);
                    return Err(Refusal::ForeignAfterTorn { file, offset: at, foreign });
                }
                None => return Ok(false),
                Some(_) => {
                    self.state = State::Suspect { salt, at };
                    return Ok(true);
                }
            }
        }
        let Some(line) = rest.first_chunk::<HEADER_LEN>() else { return Ok(false) };
        self.state = match batch::read_batch_line(line, salt, at) {
            Some(line) => {
                self.pos += HEADER_LEN;
                State::Body { salt, at, line }
            }
            None => State::Suspect { salt, at },
        };
        Ok(true)
    }

    fn body(&mut self, salt: u64, at: u64, line: BatchLine, sink: &mut impl Sink) -> Result<bool, Refusal> {
        let length = line.length as usize;
        if self.rest().len() < length {
            return Ok(false);
        }
        let body = &self.rest()[..length];
        if batch::body_crc(line.head_crc, body) != line.body_crc {
            self.written_on_by_redis(at, length)?;
            self.pos -= HEADER_LEN;
            self.state = State::Suspect { salt, at };
            return Ok(true);
        }
        // From here on a fault is not the disk's: what we wrote is not what we read.
        let mut unit = None;
        let end = self.pos + length;
        while self.pos < end {
            if !self.record(end, &mut unit, sink)? {
                return Err(self.bad_format(self.offset()));
            }
        }
        if let Some(unit) = unit {
            return Err(self.bad_format(unit));
        }
        self.state = State::Batches { salt };
        Ok(true)
    }

    fn foreign(&mut self, unit: Option<u64>, sink: &mut impl Sink) -> Result<bool, Refusal> {
        if self.rest().is_empty() {
            return Ok(false);
        }
        let valid_up_to = unit.unwrap_or(self.offset());
        let mut open = unit;
        match self.record(self.buf.len(), &mut open, sink) {
            Ok(whole) => {
                if whole {
                    self.state = State::Foreign { unit: open };
                }
                Ok(whole)
            }
            Err(Refusal::BadFormat { offset, .. }) => {
                self.state = State::Broken { at: valid_up_to, wrong: offset };
                Ok(true)
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Reads one annotation or command that ends before `end` of the buffer. A command of an open
    /// unit is only stepped over; EXEC hands the unit out. False: not all there.
    fn record(&mut self, end: usize, unit: &mut Option<u64>, sink: &mut impl Sink) -> Result<bool, Refusal> {
        if self.buf[self.pos] == b'#' {
            return self.annotation(end);
        }
        let at = self.offset();
        match self.reader.read(&self.buf[self.pos..end]) {
            Read::More => return Ok(false),
            Read::Malformed(wrong) => {
                self.reader.reset();
                return Err(self.bad_format(at + wrong as u64));
            }
            Read::Whole(len) => {
                let args = Args::new(&self.buf[self.pos..self.pos + len], &self.reader.spans);
                match (marker(args), *unit) {
                    (Some(Marker::Multi), None) => *unit = Some(at),
                    (Some(Marker::Exec), Some(from)) => {
                        *unit = None;
                        self.pos += len;
                        self.reader.reset();
                        self.hand_out_unit(from, sink)?;
                        return Ok(true);
                    }
                    (Some(_), _) => return Err(self.bad_format(at)),
                    (None, Some(_)) => {}
                    (None, None) => run(args, &mut self.db, &mut self.commands, sink)
                        .map_err(|why| Refusal::Rejected { file: self.file.clone(), offset: at, why })?,
                }
                self.pos += len;
            }
        }
        self.reader.reset();
        Ok(true)
    }

    /// The unit from MULTI at `from` to EXEC, which was just read.
    fn hand_out_unit(&mut self, from: u64, sink: &mut impl Sink) -> Result<(), Refusal> {
        let mut at = (from - self.base) as usize;
        sink.unit_begin();
        while at < self.pos {
            if self.buf[at] == b'#' {
                at += memchr::memchr(b'\n', &self.buf[at..self.pos]).map_or(self.pos - at, |i| i + 1);
                continue;
            }
            self.reader.reset();
            let Read::Whole(len) = self.reader.read(&self.buf[at..self.pos]) else {
                return Err(self.bad_format(self.base + at as u64));
            };
            let args = Args::new(&self.buf[at..at + len], &self.reader.spans);
            if marker(args).is_none() {
                run(args, &mut self.db, &mut self.commands, sink).map_err(|why| Refusal::Rejected {
                    file: self.file.clone(),
                    offset: self.base + at as u64,
                    why,
                })?;
            }
            at += len;
        }
        sink.unit_end();
        self.reader.reset();
        Ok(())
    }

    fn annotation(&mut self, end: usize) -> Result<bool, Refusal> {
        let at = self.offset();
        let rest = &self.buf[self.pos..end];
        let known = rest.len().min(TIMESTAMP.len());
        if rest[..known] != TIMESTAMP[..known] {
            // A file cut inside its first line and then filled with zeroes ends here too.
            let wrong = (0..known).find(|&i| rest[i] != TIMESTAMP[i]).unwrap_or(0);
            if rest[wrong] == 0 {
                return Err(self.bad_format(at + wrong as u64));
            }
            return Err(Refusal::UnknownAnnotation { file: self.file.clone(), offset: at });
        }
        for (i, &byte) in rest.iter().enumerate().skip(TIMESTAMP.len()) {
            match byte {
                b'0'..=b'9' if i < ANNOTATION_MAX => {}
                b'\r' if i > TIMESTAMP.len() => match rest.get(i + 1) {
                    None => return Ok(false),
                    Some(b'\n') => {
                        let seconds = rest[TIMESTAMP.len()..i]
                            .iter()
                            .try_fold(0u64, |n, &d| n.checked_mul(10)?.checked_add((d - b'0') as u64));
                        self.timestamp_s = seconds.or(self.timestamp_s);
                        self.pos += i + 2;
                        return Ok(true);
                    }
                    Some(_) => return Err(self.bad_format(at + i as u64 + 1)),
                },
                _ => return Err(self.bad_format(at + i as u64)),
            }
        }
        Ok(false)
    }

    fn suspect_to_the_end(&mut self, salt: u64, at: u64) -> Result<Option<u64>, Refusal> {
        if at == self.end() {
            return Ok(None);
        }
        if !matches!(self.state, State::Suspect { .. }) {
            self.pos = (at - self.base) as usize;
            self.state = State::Suspect { salt, at };
            self.look_for_evidence(salt, at)?;
        }
        Ok(Some(at))
    }

    /// Redis knows no batches: of a torn one it keeps the commands that are whole, cuts the rest,
    /// and writes on. That is no torn tail, because clients have been answered for it.
    fn written_on_by_redis(&self, torn: u64, length: usize) -> Result<(), Refusal> {
        let mut reader = CommandReader::default();
        let body = &self.rest()[..length];
        let mut i = 0;
        while i < body.len() {
            if appended_by_redis(&body[i..]) == Some(true) && select_and_more(&body[i..]) {
                let (file, foreign) = (self.file.clone(), self.offset() + i as u64);
                return Err(Refusal::ForeignAfterTorn { file, offset: torn, foreign });
            }
            if body[i] == b'#' {
                i += memchr::memchr(b'\n', &body[i..]).map_or(body.len() - i, |n| n + 1);
                continue;
            }
            reader.reset();
            let Read::Whole(len) = reader.read(&body[i..]) else { return Ok(()) };
            i += len;
        }
        Ok(())
    }

    /// The batch at `at` is not whole. A torn tail, unless a later batch was written when it
    /// had been synced.
    fn look_for_evidence(&mut self, salt: u64, at: u64) -> Result<(), Refusal> {
        let mut i = self.pos;
        while let Some(found) = memchr::memchr2(b'#', b'*', &self.buf[i..]) {
            i += found;
            let (here, rest) = (self.base + i as u64, &self.buf[i..]);
            if rest.len() < HEADER_LEN {
                break;
            }
            let line = rest.first_chunk::<HEADER_LEN>();
            let line = line.and_then(|line| batch::read_batch_line(line, salt, here));
            if line.is_some_and(|line| here - line.unsynced.min(here) > at) {
                return Err(Refusal::Damaged { file: self.file.clone(), offset: at, evidence: here });
            }
            i += 1;
        }
        // Only a line that is not all there is looked at again.
        self.pos = i.max(self.buf.len().saturating_sub(HEADER_LEN)).max(self.pos).min(self.buf.len());
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    Multi,
    Exec,
}

fn marker(args: Args<'_>) -> Option<Marker> {
    match args.get(0)? {
        name if name.eq_ignore_ascii_case(b"MULTI") => Some(Marker::Multi),
        name if name.eq_ignore_ascii_case(b"EXEC") => Some(Marker::Exec),
        _ => None,
    }
}

/// SELECT is ours, everything else is the sink's.
fn run(args: Args<'_>, db: &mut u32, commands: &mut u64, sink: &mut impl Sink) -> Result<(), String> {
    if args.at(0).eq_ignore_ascii_case(b"SELECT") {
        let index = args.get(1).filter(|_| args.len() == 2);
        let index = index.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        *db = index.ok_or_else(|| "Invalid SELECT".to_owned())?;
        return Ok(());
    }
    *commands += 1;
    sink.command(*db, args)
}

/// Does what follows a batch of ours begin as Redis begins? `None`: too short to tell.
fn appended_by_redis(mut rest: &[u8]) -> Option<bool> {
    if rest.len() < TIMESTAMP.len() && TIMESTAMP.starts_with(rest) {
        return None;
    }
    if rest.starts_with(TIMESTAMP) {
        match memchr::memchr(b'\n', &rest[..rest.len().min(ANNOTATION_MAX)]) {
            Some(newline) => rest = &rest[newline + 1..],
            None if rest.len() < 32 => return None,
            None => return Some(false),
        }
    }
    let n = rest.len().min(FOREIGN_SELECT.len());
    if rest[..n] != FOREIGN_SELECT[..n] {
        return Some(false);
    }
    if n == FOREIGN_SELECT.len() { Some(true) } else { None }
}

/// Behind what is torn, where a value may hold such text too, the SELECT must be a command and what
/// follows it must begin like one; in a value the value's end follows.
fn select_and_more(bytes: &[u8]) -> bool {
    let stamp =
        if bytes.starts_with(TIMESTAMP) { memchr::memchr(b'\n', bytes).map_or(0, |n| n + 1) } else { 0 };
    match CommandReader::default().read(&bytes[stamp..]) {
        Read::Whole(len) => matches!(bytes.get(stamp + len), None | Some(b'*' | b'#')),
        Read::More => true,
        Read::Malformed(_) => false,
    }
}
