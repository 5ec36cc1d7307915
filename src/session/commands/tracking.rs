//! CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO.

use super::Caller;
use crate::base::num;
use crate::command::Error;
use crate::resp::Args;
use crate::session::{Tracking, state};

const NOT_TRACKING: Error = Error::text(
    "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
);

/// What CLIENT TRACKING was told. The prefixes are in the order given.
#[derive(Default)]
struct Options<'a> {
    tracking: Tracking,
    prefixes: Vec<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(c: &Caller<'_>, args: Args<'a>) -> Result<Options<'a>, Error> {
        let mut options = Options::default();
        let mut at = 3;
        while let Some(option) = args.get(at) {
            let value = args.get(at + 1);
            let tracking = &mut options.tracking;
            match (&option.to_ascii_lowercase()[..], value) {
                (b"redirect", Some(id)) => {
                    if tracking.redirect != 0 {
                        return Err(Error::text("ERR A client can only redirect to a single other client"));
                    }
                    let id = num::parse_i64(id).ok_or(Error::NotInteger)? as u64;
                    if c.node.clients.find(id).is_none() {
                        return Err(Error::text("ERR The client ID you want redirect to does not exist"));
                    }
                    tracking.redirect = id;
                    at += 1;
                }
                (b"prefix", Some(prefix)) => {
                    options.prefixes.push(prefix);
                    at += 1;
                }
                (b"bcast", _) => tracking.broadcast = true,
                (b"optin", _) => tracking.optin = true,
                (b"optout", _) => tracking.optout = true,
                (b"noloop", _) => tracking.noloop = true,
                _ => return Err(Error::Syntax),
            }
            at += 1;
        }
        Ok(options)
    }

    /// Whether the options go together, and with how the client tracks now.
    fn check(&self, before: Option<&Tracking>) -> Result<(), Error> {
        let new = &self.tracking;
        if !new.broadcast && !self.prefixes.is_empty() {
            return Err(Error::text("ERR PREFIX option requires BCAST mode to be enabled"));
        }
        if before.is_some_and(|old| old.broadcast != new.broadcast) {
            return Err(Error::text(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.",
            ));
        }
        if new.broadcast && (new.optin || new.optout) {
            return Err(Error::text("ERR OPTIN and OPTOUT are not compatible with BCAST"));
        }
        if new.optin && new.optout {
            return Err(Error::text("ERR You can't specify both OPTIN mode and OPTOUT mode"));
        }
        if before.is_some_and(|old| new.optin && old.optout || new.optout && old.optin) {
            return Err(Error::text(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.",
            ));
        }
        for (at, prefix) in self.prefixes.iter().enumerate() {
            let overlaps = |other: &[u8]| other.starts_with(prefix) || prefix.starts_with(other);
            let refusal = |which: &str, other: &[u8]| {
                let parts: [&[u8]; 7] = [
                    b"ERR Prefix '",
                    prefix,
                    b"' overlaps with ",
                    which.as_bytes(),
                    b" prefix '",
                    other,
                    b"'. Prefixes for a single client must not overlap.",
                ];
                Error::Bytes(parts.concat().into())
            };
            let old = before.and_then(|old| old.prefixes.iter().find(|p| overlaps(p)));
            if let Some(old) = old {
                return Err(refusal("an existing", old));
            }
            if let Some(other) = self.prefixes[at + 1..].iter().find(|p| overlaps(p)) {
                return Err(refusal("another provided", other));
            }
        }
        Ok(())
    }
}

pub fn tracking(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let options = Options::parse(c, args)?;
    let on = match args.at(2) {
        word if word.eq_ignore_ascii_case(b"on") => true,
        word if word.eq_ignore_ascii_case(b"off") => false,
        _ => return Err(Error::Syntax),
    };
    if on {
        options.check(c.session.tracking.as_deref())?;
        let Options { mut tracking, prefixes } = options;
        if let Some(old) = c.session.tracking.take() {
            tracking.prefixes = old.prefixes;
            tracking.caching = old.caching;
        }
        tracking.prefixes.extend(prefixes.iter().map(|p| Box::from(*p)));
        if tracking.broadcast && prefixes.is_empty() {
            tracking.prefixes.insert(Box::default());
        }
        if let Some(home) = c.node.clients.find(c.session.id) {
            c.node.trackers.enter(c.session.id, home, &tracking);
        }
        c.session.tracking = Some(Box::new(tracking));
        c.session.set(state::TRACKING, true);
    } else {
        end(c.node, c.session);
    }
    c.reply.ok();
    Ok(())
}

/// The session tracks no more.
pub fn end(node: &crate::session::Node, session: &mut crate::session::Session) {
    session.set(state::TRACKING, false);
    if let Some(tracking) = session.tracking.take() {
        node.trackers.leave(session.id, &tracking);
    }
}

pub fn caching(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let tracking = c.session.tracking.as_mut().ok_or(NOT_TRACKING)?;
    match args.at(2) {
        word if word.eq_ignore_ascii_case(b"yes") => {
            if !tracking.optin {
                return Err(Error::text(
                    "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
                ));
            }
        }
        word if word.eq_ignore_ascii_case(b"no") => {
            if !tracking.optout {
                return Err(Error::text(
                    "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
                ));
            }
        }
        _ => return Err(Error::Syntax),
    }
    tracking.caching = true;
    c.reply.ok();
    Ok(())
}

pub fn getredir(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    c.reply.integer(c.session.tracking.as_ref().map_or(-1, |t| t.redirect as i64));
    Ok(())
}

pub fn trackinginfo(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    let off = Tracking::default();
    let on = c.session.tracking.as_deref();
    let t = on.unwrap_or(&off);
    let flags: Vec<&str> = [
        (true, if on.is_some() { "on" } else { "off" }),
        (t.broadcast, "bcast"),
        (t.optin, "optin"),
        (t.optin && t.caching, "caching-yes"),
        (t.optout, "optout"),
        (t.optout && t.caching, "caching-no"),
        (t.noloop, "noloop"),
        (t.broken, "broken_redirect"),
    ]
    .into_iter()
    .filter_map(|(shown, name)| shown.then_some(name))
    .collect();
    c.reply.map(3);
    c.reply.bulk(b"flags");
    c.reply.set(flags.len());
    flags.iter().for_each(|name| c.reply.bulk(name.as_bytes()));
    c.reply.bulk(b"redirect");
    c.reply.integer(on.map_or(-1, |t| t.redirect as i64));
    c.reply.bulk(b"prefixes");
    c.reply.array(t.prefixes.len());
    t.prefixes.iter().for_each(|prefix| c.reply.bulk(prefix));
    Ok(())
}
