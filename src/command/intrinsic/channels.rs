//! channels_redis: what a consumer does before it waits, and a message to a whole group. The same text from
//! 4.0 to 4.3.
//!
//! These two are most of what a channel layer costs, so they work on the sorted sets themselves.

use super::calls::{Callee, Calls, Returned, in_script};
use super::{FIRST, Intrinsic, ROW, has_shape, integer, keys};
use crate::base::num::{DoubleText, parse_f64, parse_i64};
use crate::command::sorted_set::{add_below, look};
use crate::command::spec::{Begin, Find, access, acl};
use crate::command::{CommandSpec, Error, Exec, KeySpec, Merge, Run};
use crate::resp::{Args, ArgsBuf};

/// Puts messages that were taken and never worked on back into the channel. Nearly always there are none.
fn cleanup(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let (channel, backup) = (args.at(3), args.at(4));
    let taken = look(&mut x.keys, backup, |set| {
        let element = |(member, score): (crate::structure::Item<'_>, f64)| {
            (member.text(&mut itoa::Buffer::new()).to_vec(), DoubleText::new(score))
        };
        set.elements(0, true).map(element).collect::<Vec<_>>()
    });
    let taken = match taken {
        Ok(taken) => taken,
        Err(error) => {
            x.books.failed(Callee::Zrange);
            return Err(in_script(error, CLEANUP.sha, 2));
        }
    };
    x.books.called(Callee::Zrange, 1);
    let Some(taken) = taken else {
        x.books.called(Callee::Del, 1);
        x.reply.null();
        return Ok(());
    };
    Calls::run(x, CLEANUP.sha, |lua| {
        for (member, score) in &taken {
            lua.tell(4, Callee::Zadd, [channel, score.as_bytes(), &**member])?;
        }
        lua.tell(6, Callee::Del, [backup])?;
        Ok(Returned::Nil)
    })
}

/// The arguments of a group's message: KEYS, as many messages, as many capacities, the time, and how long
/// channels live.
#[derive(Clone, Copy)]
struct Group<'a> {
    args: Args<'a>,
    len: usize,
}

impl<'a> Group<'a> {
    fn of(args: Args<'a>) -> Option<Group<'a>> {
        let len = usize::try_from(parse_i64(args.at(2))?).ok()?;
        let whole = len.checked_mul(3)?.checked_add(FIRST + 2)?;
        (len > 0 && args.len() == whole).then_some(Group { args, len })
    }

    fn key(self, n: usize) -> &'a [u8] {
        self.args.at(FIRST + n)
    }

    fn message(self, n: usize) -> &'a [u8] {
        self.args.at(FIRST + self.len + n)
    }

    fn capacity(self, n: usize) -> &'a [u8] {
        self.args.at(FIRST + 2 * self.len + n)
    }

    fn time(self) -> &'a [u8] {
        self.args.at(self.args.len() - 2)
    }

    /// Seconds.
    fn expiry(self) -> &'a [u8] {
        self.args.at(self.args.len() - 1)
    }
}

/// Lua and its commands would take all of these without an error.
fn fits_group(args: Args<'_>) -> bool {
    let Some(group) = Group::of(args) else { return false };
    parse_f64(group.time()).is_some()
        && integer(group.expiry()).is_some_and(|seconds| (1..1 << 40).contains(&seconds))
        && (0..group.len).all(|n| integer(group.capacity(n)).is_some())
}

/// Sends to each channel that has room, and tells how many have none.
fn group_send(x: &mut Exec<'_>, args: Args<'_>) -> Result<(), Error> {
    let Some(group) = Group::of(args) else { return Err(Error::Syntax) };
    let score = (parse_f64(group.time()).unwrap_or(0.0), group.time());
    let expire_at = x.keys.now + integer(group.expiry()).unwrap_or(0) as u64 * 1000;
    let (mut asked, mut sent) = (0, 0);
    x.keys.begin_unit();
    let mut failed = None;
    for n in 0..group.len {
        let capacity = integer(group.capacity(n)).unwrap_or(0);
        // A script that has written is let through to its end.
        let refuses = sent == 0 && x.books.is_over_limit();
        match add_below(x, group.key(n), score, group.message(n), (capacity, expire_at), refuses) {
            Ok(fits) => {
                asked += 1;
                sent += fits as u64;
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    x.keys.end_unit();
    x.books.called(Callee::Zadd, sent);
    x.books.called(Callee::Expire, sent);
    match failed {
        None => {
            x.books.called(Callee::Zcount, asked);
            x.reply.integer((asked - sent) as i64);
            Ok(())
        }
        Some(Error::OutOfMemory) => {
            x.books.called(Callee::Zcount, asked + 1);
            x.books.failed(Callee::Zadd);
            Err(in_script(Error::OutOfMemory, GROUP_SEND.sha, 7))
        }
        Some(error) => {
            x.books.called(Callee::Zcount, asked);
            x.books.failed(Callee::Zcount);
            Err(in_script(error, GROUP_SEND.sha, 6))
        }
    }
}

/// The part of a group's message for the channels that `is_here` knows: the same script with fewer keys.
fn split_group(args: Args<'_>, is_here: &mut dyn FnMut(&[u8]) -> bool) -> ArgsBuf {
    let mut part = ArgsBuf::new();
    let Some(group) = Group::of(args) else { return part };
    let here: Vec<usize> = (0..group.len).filter(|n| is_here(group.key(*n))).collect();
    part.push(args.at(0));
    part.push(args.at(1));
    part.push(here.len().to_string().as_bytes());
    here.iter().for_each(|n| part.push(group.key(*n)));
    here.iter().for_each(|n| part.push(group.message(*n)));
    here.iter().for_each(|n| part.push(group.capacity(*n)));
    part.push(group.time());
    part.push(group.expiry());
    part
}

pub(super) const CLEANUP: Intrinsic = Intrinsic {
    sha: "8d28fb4c84249684940e751f9f15170eb9a96e1a",
    spec: CommandSpec {
        name: "channels-cleanup",
        acl: ROW.acl | acl::SORTEDSET,
        // Not declared, and yet keys.
        keys: &[keys(access::RW | access::UPDATE | access::DELETE, 2)],
        run: Run::Keys(cleanup),
        ..ROW
    },
    fits: |args| has_shape(args, 0, 2),
};

pub(super) const GROUP_SEND: Intrinsic = Intrinsic {
    sha: "5bcf6ea1d6c02c00f44e7030f4f9772a199deaf1",
    spec: CommandSpec {
        name: "channels-group-send",
        acl: ROW.acl | acl::SORTEDSET,
        keys: &[KeySpec {
            access: access::RW | access::UPDATE,
            begin: Begin::Index(2),
            find: Find::Num { num: 0, first: 1, step: 1 },
        }],
        split: Some(split_group),
        run: Run::Split(group_send, Merge::Sum),
        ..ROW
    },
    fits: fits_group,
};
