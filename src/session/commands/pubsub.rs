//! PUBSUB, and the words and replies of the commands that subscribe. What those do lies in
//! `actor::publish`, because it has to do with the shard's inbox.

use super::client::help;
use super::{Caller, SessionRun};
use crate::base::glob;
use crate::command::Error;
use crate::resp::{Args, Reply};
use crate::session::Subject;

pub const HANDLERS: &[(&str, SessionRun)] = &[
    ("psubscribe", SessionRun::Subscribe(Subject::Pattern)),
    ("publish", SessionRun::Publish(Subject::Channel)),
    ("pubsub|channels", SessionRun::Home(channels)),
    ("pubsub|help", SessionRun::Home(help)),
    ("pubsub|numpat", SessionRun::Home(numpat)),
    ("pubsub|numsub", SessionRun::Home(numsub)),
    ("pubsub|shardchannels", SessionRun::Home(shard_channels)),
    ("pubsub|shardnumsub", SessionRun::Home(shard_numsub)),
    ("punsubscribe", SessionRun::Unsubscribe(Subject::Pattern)),
    ("spublish", SessionRun::Publish(Subject::ShardChannel)),
    ("ssubscribe", SessionRun::Subscribe(Subject::ShardChannel)),
    ("subscribe", SessionRun::Subscribe(Subject::Channel)),
    ("sunsubscribe", SessionRun::Unsubscribe(Subject::ShardChannel)),
    ("unsubscribe", SessionRun::Unsubscribe(Subject::Channel)),
];

impl Subject {
    /// The first element of what a subscriber reads.
    pub fn message_word(self) -> &'static [u8] {
        match self {
            Subject::Channel => b"message",
            Subject::ShardChannel => b"smessage",
            Subject::Pattern => b"pmessage",
        }
    }

    pub fn subscribe_word(self) -> &'static [u8] {
        match self {
            Subject::Channel => b"subscribe",
            Subject::ShardChannel => b"ssubscribe",
            Subject::Pattern => b"psubscribe",
        }
    }

    pub fn unsubscribe_word(self) -> &'static [u8] {
        match self {
            Subject::Channel => b"unsubscribe",
            Subject::ShardChannel => b"sunsubscribe",
            Subject::Pattern => b"punsubscribe",
        }
    }
}

/// One (un)subscription's answer; `None` where there was nothing to unsubscribe from.
pub fn write_subscription(reply: &mut Reply<'_>, word: &[u8], name: Option<&[u8]>, count: usize) {
    reply.push(3);
    reply.bulk(word);
    match name {
        Some(name) => reply.bulk(name),
        None => reply.null(),
    }
    reply.integer(count as i64);
}

fn list(c: &mut Caller<'_>, args: Args<'_>, subject: Subject) -> Result<(), Error> {
    if args.len() > 3 {
        return Err(super::subcommand_syntax(args));
    }
    let (mark, mut count) = (c.reply.mark(), 0);
    c.node.registry.each_name(subject, |name| {
        if args.get(2).is_none_or(|pattern| glob::matches(pattern, name, false)) {
            c.reply.bulk(name);
            count += 1;
        }
    });
    c.reply.array_at(mark, count);
    Ok(())
}

fn count(c: &mut Caller<'_>, args: Args<'_>, subject: Subject) -> Result<(), Error> {
    c.reply.array((args.len() - 2) * 2);
    for name in args.from(2).iter() {
        c.reply.bulk(name);
        c.reply.integer(c.node.registry.subscribers(subject, name) as i64);
    }
    Ok(())
}

fn channels(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    list(c, args, Subject::Channel)
}

fn shard_channels(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    list(c, args, Subject::ShardChannel)
}

fn numsub(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    count(c, args, Subject::Channel)
}

fn shard_numsub(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    count(c, args, Subject::ShardChannel)
}

fn numpat(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    c.reply.integer(c.node.registry.count(Subject::Pattern) as i64);
    Ok(())
}
