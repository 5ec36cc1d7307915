//! What blocking commands share: their timeouts, how they say that they want to wait, and what a pop
//! must be undone with when its reply reached nobody.
//!
//! A blocking command is an ordinary handler whose row has `flag::BLOCKING`. It looks at its keys in
//! order; with something there it pops, replies and writes its effect like the command that does not
//! block (`LPOP`, `LMOVE`, `ZPOPMIN` ...). With nothing there it answers nil inside a transaction
//! (`client.in_transaction`), and otherwise calls `exec.keys.wait` and writes no reply. When a key becomes
//! ready the same handler runs again, for that key alone (`keyspace::Wait::line`).

use super::{Error, Exec};
use crate::base::{Millis, num};
use crate::keyspace::{Keys, Ready, Wait, WaitKey};
use crate::resp::{Args, ArgsBuf};
use crate::structure::Collection;

/// A timeout in seconds, with a fraction: when to give up, or never for 0.
pub fn deadline_of_seconds(arg: &[u8], now: Millis) -> Result<Option<Millis>, Error> {
    let seconds = num::parse_f64(arg).filter(|n| !n.is_nan());
    let millis = seconds.ok_or(Error::text("ERR timeout is not a float or out of range"))? * 1000.0;
    // What does not fit becomes the least number there is, in Redis on its usual processors.
    deadline(if millis < i64::MAX as f64 { millis.ceil() as i64 } else { i64::MIN }, now)
}

/// A timeout in whole milliseconds.
pub fn deadline_of_millis(arg: &[u8], now: Millis) -> Result<Option<Millis>, Error> {
    let millis = num::parse_i64(arg).ok_or(Error::text("ERR timeout is not an integer or out of range"))?;
    deadline(millis, now)
}

fn deadline(millis: i64, now: Millis) -> Result<Option<Millis>, Error> {
    if millis < 0 {
        return Err(Error::text("ERR timeout is negative"));
    }
    if millis == 0 {
        return Ok(None);
    }
    Ok(Some(millis.saturating_add(now as i64) as Millis))
}

/// Lets the client wait for the first of some keys to hold a `C`, or answers nil if it must not wait. The
/// command for one key is `head`, the key, `tail`.
pub fn wait_for<'a, C: Collection>(
    x: &mut Exec<'_>,
    deadline: Option<Millis>,
    head: &[&[u8]],
    keys: impl Iterator<Item = &'a [u8]>,
    tail: &[&[u8]],
) {
    if x.client.in_transaction {
        return x.reply.null_array();
    }
    let since = x.keys.now;
    x.keys.wait(Wait {
        since,
        deadline,
        keys: keys.map(|key| WaitKey { key: key.into(), extra: None }).collect(),
        head: head.iter().collect(),
        tail: tail.iter().collect(),
        destination: None,
        minds_deletion: false,
        ready: holds::<C>,
    });
}

/// A collection of a type is never empty: where there is one, there is something to pop.
pub fn holds<C: Collection>(keys: &Keys<'_>, wait: &Wait, index: usize) -> Ready {
    match keys.view_as::<C>(&wait.keys[index].key) {
        Ok(Some(_)) => Ready::Yes,
        _ => Ready::No,
    }
}

/// Whether a command whose row says BLOCKING may wait, given its arguments: XREAD only does with BLOCK.
pub fn may_wait(name: &str, args: Args<'_>) -> bool {
    match name {
        // A key or group of that name does no harm.
        "xread" | "xreadgroup" => args.iter().skip(1).any(|a| a.eq_ignore_ascii_case(b"block")),
        _ => true,
    }
}

/// The command that puts back what a pop's reply holds, to the end it came from. None for what is not lost
/// when its reply is: an element that was moved, an entry of a stream, nil, an error.
pub fn undo(name: &str, args: Args<'_>, reply: &[u8]) -> Option<ArgsBuf> {
    let mut words = Words { rest: reply, found: Vec::new() };
    words.read();
    let (key, popped) = words.found.split_first()?;
    if popped.is_empty() {
        return None;
    }
    let from_left = || args.iter().skip(3).any(|a| a.eq_ignore_ascii_case(b"left"));
    let push = match name {
        "blpop" => "LPUSH",
        "brpop" => "RPUSH",
        "blmpop" if from_left() => "LPUSH",
        "blmpop" => "RPUSH",
        "bzpopmin" | "bzpopmax" | "bzmpop" => "ZADD",
        _ => return None,
    };
    let mut line: ArgsBuf = [push.as_bytes(), *key].into_iter().collect();
    if push == "ZADD" {
        // A member that somebody has added anew meanwhile keeps its new score.
        line.push(b"NX");
        for pair in popped.chunks_exact(2) {
            line.push(pair[1]);
            line.push(pair[0]);
        }
    } else {
        // The one that was popped last goes back first.
        popped.iter().rev().for_each(|element| line.push(element));
    }
    Some(line)
}

/// The strings and numbers of a reply in order, however deep.
struct Words<'a> {
    rest: &'a [u8],
    found: Vec<&'a [u8]>,
}

impl<'a> Words<'a> {
    fn read(&mut self) -> Option<()> {
        let end = memchr::memchr(b'\r', self.rest)?;
        let (kind, head) = (self.rest[0], &self.rest[1..end]);
        self.rest = self.rest.get(end + 2..)?;
        match kind {
            b'*' | b'%' => {
                let each = if kind == b'%' { 2 } else { 1 };
                for _ in 0..num::parse_i64(head)?.max(0) * each {
                    self.read()?;
                }
            }
            b'$' => {
                let len = usize::try_from(num::parse_i64(head)?).ok()?;
                self.found.push(self.rest.get(..len)?);
                self.rest = self.rest.get(len + 2..)?;
            }
            b',' | b':' => self.found.push(head),
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undone(line: &str, reply: &str) -> Option<String> {
        let args: ArgsBuf = line.split(' ').collect();
        let undo = undo(&line.split(' ').next().unwrap().to_lowercase(), args.as_args(), reply.as_bytes())?;
        let words: Vec<_> = undo.as_args().iter().map(String::from_utf8_lossy).collect();
        Some(words.join(" "))
    }

    #[test]
    fn what_was_popped_goes_back_where_it_came_from() {
        let pair = "*2\r\n$1\r\nk\r\n$2\r\nxy\r\n";
        assert_eq!(undone("blpop a k 0", pair).as_deref(), Some("LPUSH k xy"));
        assert_eq!(undone("brpop a k 0", pair).as_deref(), Some("RPUSH k xy"));
        let several = "*2\r\n$1\r\nk\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n";
        assert_eq!(undone("blmpop 0 1 k left count 2", several).as_deref(), Some("LPUSH k b a"));
        assert_eq!(undone("blmpop 0 1 k RIGHT count 2", several).as_deref(), Some("RPUSH k b a"));
        let member = "*3\r\n$1\r\nk\r\n$1\r\nm\r\n$3\r\n1.5\r\n";
        assert_eq!(undone("bzpopmin k 0", member).as_deref(), Some("ZADD k NX 1.5 m"));
        let three = "*3\r\n$1\r\nk\r\n$1\r\nm\r\n,inf\r\n";
        assert_eq!(undone("bzpopmax k 0", three).as_deref(), Some("ZADD k NX inf m"));
        let members = "*2\r\n$1\r\nk\r\n*2\r\n*2\r\n$1\r\na\r\n,1\r\n*2\r\n$1\r\nb\r\n,2\r\n";
        assert_eq!(undone("bzmpop 0 1 k min count 2", members).as_deref(), Some("ZADD k NX 1 a 2 b"));
    }

    #[test]
    fn what_is_not_lost_is_not_put_back() {
        for (line, reply) in [
            ("blpop k 0", "*-1\r\n"),
            ("blpop k 0", "_\r\n"),
            ("blpop k 0", "-WRONGTYPE x\r\n"),
            ("blmove a b left right 0", "$1\r\nx\r\n"),
            ("xread block 0 streams k $", "*1\r\n*2\r\n$1\r\nk\r\n*0\r\n"),
        ] {
            assert_eq!(undone(line, reply), None, "{line}");
        }
    }

    #[test]
    fn timeouts_are_read_as_redis_reads_them() {
        let seconds = |text: &str| deadline_of_seconds(text.as_bytes(), 1000).map_err(|e| e.line().to_vec());
        assert_eq!(seconds("0"), Ok(None));
        assert_eq!(seconds("0.0001"), Ok(Some(1001)));
        assert_eq!(seconds("1.5"), Ok(Some(2500)));
        assert_eq!(seconds("-1"), Err(b"ERR timeout is negative".to_vec()));
        assert_eq!(seconds("x"), Err(b"ERR timeout is not a float or out of range".to_vec()));
        assert_eq!(seconds("1e20"), Err(b"ERR timeout is negative".to_vec()));
        // Rounded up to 0, which is for ever.
        assert_eq!(seconds("-0.0001"), Ok(None));
        let millis = |text: &str| deadline_of_millis(text.as_bytes(), 1000).map_err(|e| e.line().to_vec());
        assert_eq!((millis("0"), millis("7")), (Ok(None), Ok(Some(1007))));
        assert_eq!(millis("1.5"), Err(b"ERR timeout is not an integer or out of range".to_vec()));
    }
}
