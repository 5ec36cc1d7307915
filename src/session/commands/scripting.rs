//! SCRIPT and FUNCTION, but for what needs Lua to run (`actor::script`).

use super::client::help;
use super::{Caller, SessionRun};
use crate::base::glob;
use crate::command::Error;
use crate::resp::{Args, Proto, Reply};
use crate::script::{Called, Host, LogLevel, RestorePolicy, Tick, Vm, parse_sha};
use crate::session::{Kill, Scripts};

pub const HANDLERS: &[(&str, SessionRun)] = &[
    ("function|delete", SessionRun::Libraries(LibraryChange::Delete)),
    ("function|dump", SessionRun::Home(function_dump)),
    ("function|flush", SessionRun::Libraries(LibraryChange::Flush)),
    ("function|help", SessionRun::Home(help)),
    ("function|kill", SessionRun::Home(function_kill)),
    ("function|list", SessionRun::Home(function_list)),
    ("function|load", SessionRun::Libraries(LibraryChange::Load)),
    ("function|restore", SessionRun::Libraries(LibraryChange::Restore)),
    ("function|stats", SessionRun::Home(function_stats)),
    ("script|debug", SessionRun::Home(script_debug)),
    ("script|exists", SessionRun::Home(script_exists)),
    ("script|flush", SessionRun::Home(script_flush)),
    ("script|help", SessionRun::Home(help)),
    ("script|kill", SessionRun::Home(script_kill)),
    ("script|load", SessionRun::LoadScript),
    ("script|stats", SessionRun::Home(script_stats)),
];

/// What a FUNCTION subcommand does to the libraries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LibraryChange {
    Delete,
    Flush,
    Load,
    Restore,
}

/// What a library finds around it while it loads: no commands, and not all the time of the world.
pub struct Loading<F> {
    /// Whether it has taken too long.
    pub expired: F,
}

impl<F: FnMut() -> bool> Host for Loading<F> {
    fn call(&mut self, _: Args<'_>, proto: Proto, out: &mut Vec<u8>) -> Called {
        Reply::new(out, proto).error("ERR A library runs no commands while it loads");
        Called::Replied
    }

    fn log(&mut self, level: LogLevel, text: &[u8]) {
        log(level, text);
    }

    fn set_repl(&mut self, _: u32) {}

    fn acl_check(&mut self, _: Args<'_>) -> Option<bool> {
        None
    }

    fn tick(&mut self) -> Tick {
        if (self.expired)() { Tick::Kill("FUNCTION LOAD timeout") } else { Tick::Go }
    }
}

/// `redis.log`.
pub fn log(level: LogLevel, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    match level {
        LogLevel::Debug => tracing::trace!("{text}"),
        LogLevel::Verbose => tracing::debug!("{text}"),
        LogLevel::Notice => tracing::info!("{text}"),
        LogLevel::Warning => tracing::warn!("{text}"),
    }
}

/// Changes the libraries as a FUNCTION command says; what it answers, if not OK.
pub fn change_libraries(
    scripts: &Scripts,
    change: LibraryChange,
    args: Args<'_>,
    vm: &mut Vm,
    host: &mut dyn Host,
) -> Result<Option<Box<[u8]>>, Error> {
    let error = |text: Vec<u8>| Error::Bytes([b"ERR ", &text[..]].concat().into());
    match change {
        LibraryChange::Delete => scripts.change_libraries(|libraries| match libraries.delete(args.at(2)) {
            true => Ok(None),
            false => Err(Error::text("ERR Library not found")),
        }),
        LibraryChange::Flush => {
            if args.len() > 3 {
                return Err(super::subcommand_syntax(args));
            }
            if args.get(2).is_some_and(|word| !is_mode(word)) {
                return Err(Error::text("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
            }
            scripts.change_libraries(|libraries| {
                libraries.flush();
                Ok(None)
            })
        }
        LibraryChange::Load => {
            let replace = args.len() > 3 && args.at(2).eq_ignore_ascii_case(b"replace");
            let code = if replace { 3 } else { 2 };
            if args.len() > code + 1 {
                let option = String::from_utf8_lossy(args.at(code)).into_owned();
                return Err(Error::owned(format!("ERR Unknown option given: {option}")));
            }
            let load = |libraries: &mut crate::script::Libraries| {
                libraries.load(vm, args.at(code), replace, host).map(Some).map_err(error)
            };
            scripts.change_libraries(load)
        }
        LibraryChange::Restore => {
            let policy = match args.get(3) {
                None => RestorePolicy::default(),
                Some(_) if args.len() > 4 => return Err(super::subcommand_syntax(args)),
                Some(word) if word.eq_ignore_ascii_case(b"append") => RestorePolicy::Append,
                Some(word) if word.eq_ignore_ascii_case(b"replace") => RestorePolicy::Replace,
                Some(word) if word.eq_ignore_ascii_case(b"flush") => RestorePolicy::Flush,
                Some(_) => {
                    return Err(Error::text(
                        "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
                    ));
                }
            };
            scripts.change_libraries(|libraries| {
                libraries.restore(vm, args.at(2), policy, host).map(|()| None).map_err(error)
            })
        }
    }
}

fn is_mode(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"async") || word.eq_ignore_ascii_case(b"sync")
}

fn function_dump(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    c.reply.bulk(&c.node.scripts.libraries().dump());
    Ok(())
}

fn function_kill(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    c.node.scripts.kill(Kill::Function).map_err(Error::text)?;
    c.reply.ok();
    Ok(())
}

fn function_list(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let (mut at, mut with_code, mut pattern) = (2, false, None);
    while let Some(option) = args.get(at) {
        if !with_code && option.eq_ignore_ascii_case(b"withcode") {
            with_code = true;
            at += 1;
        } else if pattern.is_none() && option.eq_ignore_ascii_case(b"libraryname") {
            pattern = Some(args.get(at + 1).ok_or(Error::text("ERR library name argument was not given"))?);
            at += 2;
        } else {
            // As C prints it: up to a NUL.
            let word = option.split(|byte| *byte == 0).next().unwrap_or_default();
            return Err(Error::Bytes([b"ERR Unknown argument ", word].concat().into()));
        }
    }
    let libraries = c.node.scripts.libraries();
    let shown: Vec<_> =
        libraries.iter().filter(|l| pattern.is_none_or(|p| glob::matches(p, &l.name, true))).collect();
    let reply = &mut c.reply;
    reply.array(shown.len());
    for library in shown {
        reply.map(3 + with_code as usize);
        reply.bulk(b"library_name");
        reply.bulk(&library.name);
        reply.bulk(b"engine");
        reply.bulk(b"LUA");
        reply.bulk(b"functions");
        reply.array(library.functions.len());
        for function in &library.functions {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(&function.name);
            reply.bulk(b"description");
            match &function.description {
                Some(text) => reply.bulk(text),
                None => reply.null(),
            }
            reply.bulk(b"flags");
            reply.set(function.flags.names().count());
            function.flags.names().for_each(|name| reply.simple(name));
        }
        if with_code {
            reply.bulk(b"library_code");
            reply.bulk(&library.code);
        }
    }
    Ok(())
}

fn function_stats(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    let slow = c.node.scripts.slow();
    if slow.as_ref().is_some_and(|r| r.function.is_none()) {
        return Err(Error::text(crate::session::BUSY_SCRIPT));
    }
    let (libraries, functions) = c.node.scripts.libraries().counts();
    let reply = &mut c.reply;
    reply.map(2);
    reply.bulk(b"running_script");
    match slow {
        None => reply.null(),
        Some(running) => {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(running.function.as_deref().unwrap_or_default());
            reply.bulk(b"command");
            reply.array(running.command.len());
            running.command.iter().for_each(|arg| reply.bulk(arg));
            reply.bulk(b"duration_ms");
            reply.integer((c.now_micros / 1000).saturating_sub(running.started) as i64);
        }
    }
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(b"LUA");
    reply.map(2);
    reply.bulk(b"libraries_count");
    reply.integer(libraries as i64);
    reply.bulk(b"functions_count");
    reply.integer(functions as i64);
    Ok(())
}

fn script_debug(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    let word = args.at(2);
    if word.eq_ignore_ascii_case(b"no") {
        c.reply.ok();
        return Ok(());
    }
    if word.eq_ignore_ascii_case(b"yes") || word.eq_ignore_ascii_case(b"sync") {
        return Err(Error::text("ERR The Lua debugger is not available"));
    }
    Err(Error::text("ERR Use SCRIPT DEBUG YES/SYNC/NO"))
}

fn script_exists(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    c.reply.array(args.len() - 2);
    for hex in args.from(2).iter() {
        let found = parse_sha(hex).is_some_and(|sha| c.node.scripts.find(&sha).is_some());
        c.reply.integer(found as i64);
    }
    Ok(())
}

fn script_flush(c: &mut Caller<'_>, args: Args<'_>) -> Result<(), Error> {
    if args.len() > 3 || args.get(2).is_some_and(|word| !is_mode(word)) {
        return Err(Error::text("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
    }
    c.node.scripts.flush();
    c.reply.ok();
    Ok(())
}

fn script_kill(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    c.node.scripts.kill(Kill::Script).map_err(Error::text)?;
    c.reply.ok();
    Ok(())
}

/// How each script and function was run, and what that cost.
fn script_stats(c: &mut Caller<'_>, _: Args<'_>) -> Result<(), Error> {
    let scripts = c.node.script_figures();
    c.reply.map(scripts.len());
    for (name, figures) in scripts {
        c.reply.bulk(name.as_bytes());
        c.reply.map(figures.len());
        for (what, value) in figures {
            c.reply.bulk(what.as_bytes());
            match value.parse() {
                Ok(number) => c.reply.integer(number),
                Err(_) => c.reply.bulk(value.as_bytes()),
            }
        }
    }
    Ok(())
}
