//! Received bytes become commands, and each command its first step: run here at once, sent to its
//! owners, queued by MULTI, or refused.

use super::{Actor, env};
use crate::base::planted;
use crate::command::{CommandId, Error, Looked, Run, flag, introspect};
use crate::config;
use crate::resp::{self, Args, ArgsBuf, Parsed, Proto, Reply, Span};
use crate::router::{self, Gather, Pieces, Plan};
use crate::session::commands::{Caller, SessionRun, Then, is_local};
use crate::session::{attention, state};
use crate::shard::{Head, Job, Kind, ReplyTo, run_job};

const DEBUG_NOT_ALLOWED: &str = "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.";

/// A command as logs and monitors may show it.
pub(super) fn redacted(full_name: &str, args: Args<'_>) -> ArgsBuf {
    let secret = |at: usize| introspect::is_secret(full_name, args, at, config::is_sensitive);
    (0..args.len()).map(|at| if secret(at) { introspect::REDACTED } else { args.at(at) }).collect()
}

/// What became of a command.
#[derive(PartialEq, Eq)]
enum Taken {
    Yes,
    /// Not now (paused): leave its bytes where they are.
    Later,
}

impl Actor {
    /// Bytes have arrived on a connection.
    pub fn input(&mut self, key: usize, bytes: &[u8]) {
        self.turn_worked = true;
        self.look_for_settings();
        self.tally().bytes_in.add(bytes.len() as u64);
        let session = &mut self.sessions[key];
        session.last_active = self.now;
        session.bytes_in += bytes.len() as u64;
        if !session.owed.is_empty() && !planted!(DoubtForever) {
            session.heard();
        }
        if session.is(state::CLOSING) {
            return;
        }
        if session.input.is_empty() && !session.is(state::HOLDS_INPUT) {
            let used = self.consume(key, bytes);
            if used < bytes.len()
                && let Some(session) = self.sessions.get_mut(key)
            {
                session.input.extend_from_slice(&bytes[used..]);
            }
        } else {
            session.input.extend_from_slice(bytes);
            self.consume_input(key);
        }
        self.check_query_buffer(key);
    }

    /// Runs what a session has received and not yet run.
    pub(super) fn consume_input(&mut self, key: usize) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.is(state::HOLDS_INPUT) {
            return;
        }
        let mut input = std::mem::take(&mut session.input);
        let used = self.consume(key, &input);
        let Some(session) = self.sessions.get_mut(key) else { return };
        if used == input.len() {
            // A buffer that held a large value is not kept for small ones.
            input.clear();
            if input.capacity() > 64 * 1024 {
                input = Vec::new();
            }
        } else if used > 0 {
            input.drain(..used);
        }
        session.input = input;
    }

    /// Runs the whole commands at the front of `bytes`; returns how many bytes they took.
    fn consume(&mut self, key: usize, bytes: &[u8]) -> usize {
        let mut spans = std::mem::take(&mut self.spans);
        let mut inline = std::mem::take(&mut self.inline);
        let used = self.consume_with(key, bytes, &mut spans, &mut inline);
        self.spans = spans;
        self.inline = inline;
        used
    }

    fn consume_with(
        &mut self,
        key: usize,
        bytes: &[u8],
        spans: &mut Vec<Span>,
        inline: &mut Vec<u8>,
    ) -> usize {
        let mut used = 0;
        let mut limits = self.limits_of(key);
        self.last_tick = (self.ticks)();
        while used < bytes.len() {
            let session = &mut self.sessions[key];
            if session.is(state::HOLDS_INPUT) {
                break;
            }
            if limits.authenticated == session.is(state::NEEDS_AUTH) {
                limits = self.limits_of(key);
            }
            let session = &mut self.sessions[key];
            let rest = &bytes[used..];
            let (args, len) = match session.parser.next(rest, &limits, spans, inline) {
                Ok(Parsed::Command(len)) => (Args::new(rest, spans), len),
                Ok(Parsed::Inline(len)) => (Args::new(inline, spans), len),
                Ok(Parsed::Skip(len)) => {
                    used += len;
                    continue;
                }
                Ok(Parsed::Incomplete { .. }) => break,
                Err(error) => {
                    self.answer(key, |out, _| error.write_reply(out));
                    self.close_after_reply(key);
                    return bytes.len();
                }
            };
            if args.is_empty() {
                used += len;
                continue;
            }
            if self.command(key, args) == Taken::Later {
                break;
            }
            used += len;
        }
        used
    }

    fn limits_of(&self, key: usize) -> resp::Limits {
        let bulk_max = self.settings.proto_max_bulk_len.min(i64::MAX as u64) as i64;
        resp::Limits::new(bulk_max, !self.sessions[key].is(state::NEEDS_AUTH))
    }

    /// One whole command. The common case first: a known command with one key, nothing special about
    /// the session, the key's shard is this one, nothing is before it.
    #[inline]
    fn command(&mut self, key: usize, args: Args<'_>) -> Taken {
        let node = &self.node;
        let looked = node.table.look_up(args.at(0), args.get(1));
        if let Looked::Found(id) = looked {
            let spec = node.table.spec(id);
            let session = &mut self.sessions[key];
            session.last_command = Some(id);
            session.commands_run += 1;
            let plain = session.state & state::SLOW == 0 && node.attention() == 0 && !self.over_limit;
            if plain && spec.arity_fits(args.len()) {
                if let (Some(at), Run::Keys(_)) = (node.table.single_key(id), spec.run) {
                    let shard = node.placement.shard(args.at(at));
                    if shard == self.me && !session.unpushed && self.local_ready() {
                        self.run_here(key, id, args);
                    } else {
                        self.forward(key, shard, id, args);
                    }
                    return Taken::Yes;
                }
                if !spec.has(flag::PROTECTED | flag::PUBSUB) {
                    self.dispatch(key, id, args);
                    return Taken::Yes;
                }
            }
        }
        self.command_slow(key, looked, args)
    }

    /// Runs a command whose keys all live here, with nothing before it.
    #[inline]
    fn run_here(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        let job = self.job(key, id);
        let env = env!(self);
        let Some(engine) = self.owner.get() else { unreachable!("local_ready said the keyspace runs") };
        let session = &mut self.sessions[key];
        let ok = if session.pending.is_empty() {
            run_job(env, engine, job, args, &mut session.out)
        } else {
            self.scratch.clear();
            let ok = run_job(env, engine, job, args, &mut self.scratch);
            let slot = session.pending.reserve(false);
            session.pending.fill(slot, &self.scratch, &mut session.out);
            ok
        };
        let has_news = engine.keyspace.has_news();
        if engine.journaling {
            let depends = &mut self.depends[self.me as usize];
            *depends = (*depends).max(engine.depends_on());
        }
        let stirred = engine.keyspace.blocked.is_stirred();
        if !session.has_output {
            session.has_output = true;
            self.with_output.push(key);
        }
        if stirred {
            self.serve_here();
        }
        if has_news || stirred {
            self.take_own_news();
        }
        self.count(key, id, args, ok);
    }

    pub(super) fn job(&mut self, key: usize, command: CommandId) -> Job {
        let random = self.random();
        let session = &self.sessions[key];
        Job { command, db: session.db, now: self.now, proto: session.proto, view: session.view(), random }
    }

    /// Books a command that ran here: calls, time, errors, SLOWLOG.
    #[inline]
    pub(super) fn count(&mut self, key: usize, id: CommandId, args: Args<'_>, ok: bool) {
        let ticks = self.book(id, ok);
        if ticks >= self.slow_ticks {
            self.log_slow(key, id, args, ticks, None);
        }
    }

    /// The same without SLOWLOG; how long it took.
    #[inline]
    pub(super) fn book(&mut self, id: CommandId, ok: bool) -> u64 {
        let tick = (self.ticks)();
        let ticks = tick.wrapping_sub(self.last_tick);
        self.last_tick = tick;
        let tally = &self.node.tallies[self.me as usize];
        tally.processed.add(1);
        tally.commands[id as usize].book(ticks, ok, self.settings.latency_tracking);
        ticks
    }

    /// A command took long enough for SLOWLOG or for LATENCY, where it may have a name of its own.
    #[cold]
    pub(super) fn log_slow(
        &mut self,
        key: usize,
        id: CommandId,
        args: Args<'_>,
        ticks: u64,
        event: Option<&'static str>,
    ) {
        let (node, settings) = (&self.node, &self.settings);
        let spec = node.table.spec(id);
        let micros = (ticks as f64 / node.facts.ticks_per_micro) as u64;
        let (millis, threshold) = (micros / 1000, settings.latency_monitor_threshold);
        if threshold > 0 && millis >= threshold as u64 {
            let usual = if spec.has(flag::FAST) { "fast-command" } else { "command" };
            node.latency.add(event.unwrap_or(usual), self.now / 1000, millis);
        }
        let slower_than = settings.slowlog_log_slower_than;
        if slower_than < 0 || micros < slower_than as u64 || spec.has(flag::SKIP_SLOWLOG) {
            return;
        }
        let (addr, name) = match self.sessions.get(key) {
            Some(session) => (session.peer.addr.clone(), session.name.clone()),
            None => Default::default(),
        };
        let shown = redacted(&node.table.row(id).full_name, args);
        let max_len = settings.slowlog_max_len as usize;
        node.slowlog.add(max_len, self.now / 1000, micros, shown.as_args(), &addr, &name);
    }

    /// A command without its session's peculiarities: planned and sent on its way.
    pub(super) fn dispatch(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        if self.may_wait(id, args) {
            return self.dispatch_waiting(key, id, args);
        }
        let spec = self.node.table.spec(id);
        if matches!(spec.run, Run::Script) {
            return self.script_command(key, id, args);
        }
        let plan = match router::plan(spec, args, &self.node.placement) {
            Ok(plan) => plan,
            Err(_) => {
                return self.refuse(key, id, "ERR Invalid arguments specified for command");
            }
        };
        match plan {
            Plan::Session => self.run_session(key, id, args),
            Plan::One(shard) => {
                if shard == self.me && !self.sessions[key].unpushed && self.local_ready() {
                    self.run_here(key, id, args);
                } else {
                    self.forward(key, shard, id, args);
                }
            }
            Plan::Split(shards) if self.tells_in_order(id) || self.feeds_spread_waiters(id) => {
                self.hold_command(key, shards, id, args)
            }
            Plan::Every if spec.slice.is_some() => self.walk(key, id, args),
            Plan::Split(_) | Plan::Every => self.scatter(key, id, args),
            Plan::Hold(shards) => self.hold_command(key, shards, id, args),
        }
    }

    /// Puts one command into the outbox for its owner.
    pub(super) fn forward(&mut self, key: usize, shard: u16, id: CommandId, args: Args<'_>) -> u32 {
        self.mark_unpushed(key);
        let session = &mut self.sessions[key];
        let slot = session.pending.reserve(session.is(state::REPLY_OFF | state::REPLY_SKIP));
        let to = ReplyTo { conn: key as u32, client: session.id as u32, slot, fragment: 0 };
        let head = Head {
            command: id,
            db: session.db as u16,
            proto: session.proto,
            view: session.view(),
            part: false,
        };
        self.parcel(shard).push(to, Kind::Command, head, args);
        self.tally().forwarded.add(1);
        slot
    }

    pub(super) fn mark_unpushed(&mut self, key: usize) {
        if !self.sessions[key].unpushed {
            self.sessions[key].unpushed = true;
            self.unpushed.push(key);
        }
    }

    /// Sends the parts of a command to their shards, to be answered as one.
    fn scatter(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        if self.node.shards() == 1 && !self.sessions[key].unpushed && self.local_ready() {
            return self.run_alone(key, id, args);
        }
        let session = &self.sessions[key];
        let (db, mut gather) = (session.db, Gather::new(false, session.proto));
        let mut parts = Vec::new();
        self.add_parts(&mut gather, &mut parts, id, args, db, key);
        let write = self.node.table.spec(id).has(flag::WRITE);
        self.send_gather(key, gather, parts, write, None);
    }

    /// With one shard there is nothing to gather: the handler's answer is the answer, unless the
    /// session makes it.
    fn run_alone(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        let Run::Every(_, crate::command::Merge::Session) = self.node.table.spec(id).run else {
            return self.run_here(key, id, args);
        };
        let job = self.job(key, id);
        let env = env!(self);
        let mut payload = Vec::new();
        let engine = self.owner.get().expect("local_ready said the keyspace runs");
        run_job(env, engine, job, args, &mut payload);
        let ok = self.answer_merged(key, id, args, &[&payload]);
        self.count(key, id, args, ok);
    }

    /// A reply made on the spot: to the output, or to its turn among pending ones.
    pub(super) fn answer(&mut self, key: usize, write: impl FnOnce(&mut Vec<u8>, Proto)) {
        let session = &mut self.sessions[key];
        let silent = session.is(state::REPLY_OFF | state::REPLY_SKIP);
        let proto = session.proto;
        if session.pending.is_empty() && !silent {
            write(&mut session.out, proto);
        } else {
            self.scratch.clear();
            write(&mut self.scratch, proto);
            let slot = session.pending.reserve(silent);
            session.pending.fill(slot, &self.scratch, &mut session.out);
        }
        self.note_output(key);
    }

    pub(super) fn note_output(&mut self, key: usize) {
        let session = &mut self.sessions[key];
        if !session.has_output {
            session.has_output = true;
            self.with_output.push(key);
        }
    }

    /// An error instead of running: counted as rejected.
    pub(super) fn refuse(&mut self, key: usize, id: CommandId, line: &str) {
        self.tally().commands[id as usize].rejected.add(1);
        if self.node.table.row(id).full_name == "exec" {
            // A transaction that may not run is over.
            let line =
                format!("EXECABORT Transaction discarded because of: {}", line.trim_start_matches("ERR "));
            self.leave_multi(key);
            self.unwatch(key);
            return self.refuse_line(key, line.as_bytes());
        }
        self.refuse_line(key, line.as_bytes());
    }

    /// Answers an error line, whatever bytes of the client's it repeats, and breaks an open MULTI.
    fn refuse_line(&mut self, key: usize, line: &[u8]) {
        self.node.errors.count(line);
        self.tally().error_replies.add(1);
        self.answer(key, |out, proto| Reply::new(out, proto).error_bytes(line));
        if let Some(multi) = &mut self.sessions[key].multi {
            multi.broken = true;
        }
    }

    /// A web page made a browser send HTTP here, or somebody mistook the port: nothing of the rest of
    /// the request may be taken for commands.
    fn hang_up_on_http(&mut self, key: usize) {
        let session = &mut self.sessions[key];
        tracing::warn!(
            addr = %session.peer.addr,
            "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Ringdove. This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise your instance. Connection aborted."
        );
        session.set(state::CLOSING, true);
        self.closing.push(key);
    }

    /// Everything that is not the common case, in the order in which Redis checks.
    #[cold]
    fn command_slow(&mut self, key: usize, looked: Looked, args: Args<'_>) -> Taken {
        // CLIENT REPLY SKIP silences the one command that follows it.
        let session = &mut self.sessions[key];
        if session.is(state::REPLY_SKIP_NEXT) {
            session.set(state::REPLY_SKIP_NEXT, false);
            session.set(state::REPLY_SKIP, true);
        }
        if self.sessions[key].is(state::TRACKING | state::SUBSCRIBED) {
            // What was told before this command was sent comes before its answer, also if that needs no keys.
            self.local_ready();
        }
        let known = if let Looked::Found(id) = looked { Some(id) } else { None };
        let taken = self.command_checked(key, looked, args);
        if taken == Taken::Yes && self.sessions.get(key).is_some_and(|s| s.is(state::TRACKING)) {
            self.end_caching(key, known.unwrap_or_default());
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.set(state::REPLY_SKIP, false);
        }
        taken
    }

    fn command_checked(&mut self, key: usize, looked: Looked, args: Args<'_>) -> Taken {
        let id = match looked {
            Looked::Found(id) => id,
            Looked::Unknown => {
                if is_http(args.at(0)) {
                    self.hang_up_on_http(key);
                } else {
                    self.refuse_line(key, &introspect::unknown_command(args));
                }
                return Taken::Yes;
            }
            Looked::UnknownSubcommand(_) => {
                self.refuse_line(key, &introspect::unknown_subcommand(args));
                return Taken::Yes;
            }
        };
        let node = self.node.clone();
        let spec = node.table.spec(id);
        if !spec.arity_fits(args.len()) {
            self.refuse(key, id, &introspect::wrong_arity(&node.table.row(id).full_name));
            return Taken::Yes;
        }
        let session = &mut self.sessions[key];
        if spec.has(flag::PROTECTED) && !self.settings.enable_debug_command.allows(is_local(session)) {
            self.refuse(key, id, DEBUG_NOT_ALLOWED);
            return Taken::Yes;
        }
        if session.is(state::NEEDS_AUTH) && !spec.has(flag::NO_AUTH) {
            self.refuse(key, id, "NOAUTH Authentication required.");
            return Taken::Yes;
        }
        let attention = node.attention();
        if attention & attention::PAUSE != 0 && self.must_pause(key, id) {
            if !self.sessions[key].is(state::PAUSED) {
                self.tally().blocked.add(1);
            }
            self.sessions[key].set(state::PAUSED, true);
            self.has_paused = true;
            return Taken::Later;
        }
        if self.over_limit && self.refuses_over_limit(key, id) {
            self.refuse(key, id, &String::from_utf8_lossy(Error::OutOfMemory.line()));
            return Taken::Yes;
        }
        if attention & attention::REFUSES_WRITES != 0
            && (spec.has(flag::WRITE) || spec.name == "ping")
            && let Some(line) = node.write_refusal()
        {
            self.refuse(key, id, &line);
            return Taken::Yes;
        }
        if attention & attention::BUSY != 0
            && !spec.has(flag::ALLOW_BUSY)
            && let Some(line) = self.busy_line(key, id, args)
        {
            self.refuse(key, id, line);
            return Taken::Yes;
        }
        if let Some(line) = self.refusal_of_subscriber(key, id) {
            self.refuse(key, id, &line);
            return Taken::Yes;
        }
        let id = node.table.inner(id, args).unwrap_or(id);
        if (spec.has(flag::PUBSUB) || self.sessions[key].is(state::MULTI)) && self.must_drain(key, id) {
            self.sessions[key].set(state::DRAINS, true);
            return Taken::Later;
        }
        if self.sessions[key].is(state::MULTI) {
            self.queue_or_end(key, id, args);
        } else {
            self.run_unqueued(key, id, args);
            self.feed_monitors(key, id, args);
        }
        Taken::Yes
    }

    /// Runs a command outside MULTI by the general way.
    fn run_unqueued(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        let silent = self.sessions[key].is(state::REPLY_OFF | state::REPLY_SKIP);
        let plan = router::plan(self.node.table.spec(id), args, &self.node.placement);
        match plan {
            // The fast way writes straight into the output; a silent session must not see it.
            Ok(Plan::One(shard)) if silent && !self.may_wait(id, args) => {
                self.forward(key, shard, id, args);
            }
            _ => self.dispatch(key, id, args),
        }
    }

    /// Runs a session command at home.
    pub(super) fn run_session(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        match self.node.session_run(id) {
            Some(run) if run.whole(&self.node, args).is_some() => {
                let all = router::ShardSet::all(self.node.shards());
                self.hold_command(key, all, id, args)
            }
            Some(SessionRun::Home(_) | SessionRun::Whole(..)) => {
                let mut reply = std::mem::take(&mut self.scratch);
                reply.clear();
                let (then, ok) = self.run_home(key, id, args, false, &mut reply);
                self.stretch(then);
                self.answer(key, |out, _| out.extend_from_slice(&reply));
                self.scratch = reply;
                self.count(key, id, args, ok);
                self.after(key, then);
            }
            Some(SessionRun::Threads(..)) => self.ask_threads(key, id, args),
            Some(SessionRun::Transaction) => self.transaction_command(key, id, args),
            Some(SessionRun::LoadScript) => self.load_script(key, id, args),
            Some(SessionRun::Libraries(_)) => self.libraries_command(key, id, args),
            Some(SessionRun::Publish(subject)) => self.publish(key, id, subject, args),
            Some(run @ (SessionRun::Subscribe(_) | SessionRun::Unsubscribe(_))) => {
                self.subscription_command(key, id, run, args)
            }
            Some(SessionRun::Merge(_)) | None => {
                let name = self.node.table.row(id).full_name.clone();
                let line = format!("ERR The command '{name}' is not available in this build");
                self.refuse(key, id, &line);
            }
        }
    }

    /// Calls a home handler; its reply goes to `out`.
    pub(super) fn run_home(
        &mut self,
        key: usize,
        id: CommandId,
        args: Args<'_>,
        in_exec: bool,
        out: &mut Vec<u8>,
    ) -> (Then, bool) {
        let node = self.node.clone();
        let Some(handler) = node.session_run(id).and_then(SessionRun::home) else {
            return (Then::Nothing, false);
        };
        self.call(key, id, out, |caller| {
            caller.in_exec = in_exec;
            handler(caller, args)
        })
    }

    /// Calls a handler of a session command.
    pub(super) fn call(
        &mut self,
        key: usize,
        id: CommandId,
        out: &mut Vec<u8>,
        handler: impl FnOnce(&mut Caller<'_>) -> Result<(), crate::command::Error>,
    ) -> (Then, bool) {
        let node = self.node.clone();
        let from = out.len();
        let mut caller = self.caller(&node, key, id, out);
        let result = handler(&mut caller);
        let then = caller.then;
        if let Err(error) = &result {
            out.truncate(from);
            self.write_error(key, error.line(), out);
        }
        (then, result.is_ok())
    }

    /// The error of a session command that ran.
    pub(super) fn write_error(&self, key: usize, line: &[u8], out: &mut Vec<u8>) {
        self.node.errors.count(line);
        self.tally().error_replies.add(1);
        Reply::new(out, self.sessions[key].proto).error_bytes(line);
    }

    pub(super) fn caller<'a>(
        &'a mut self,
        node: &'a crate::session::Node,
        key: usize,
        command: CommandId,
        out: &'a mut Vec<u8>,
    ) -> Caller<'a> {
        let session = &mut self.sessions[key];
        let reply = Reply::new(out, session.proto);
        Caller {
            session,
            node,
            settings: &self.settings,
            reply,
            now: self.now,
            now_micros: self.now_micros,
            me: self.me,
            command,
            in_exec: false,
            then: Then::Nothing,
        }
    }

    /// What a session command left to be done.
    pub(super) fn after(&mut self, key: usize, then: Then) {
        self.look_for_settings();
        match then {
            Then::Nothing => {}
            Then::Close => self.close_after_reply(key),
            Then::Reset => {
                self.unwatch(key);
                self.leave_modes(key);
            }
            Then::Unwatch => self.unwatch(key),
            Then::Hold => self.sessions[key].set(state::GATED, true),
            Then::Sleep(micros) => self.sleep_micros += micros,
        }
    }

    /// RESET ends what makes the server send by itself, and so does the end of a connection, as soon as it
    /// is certain.
    pub(super) fn leave_modes(&mut self, key: usize) {
        let session = &mut self.sessions[key];
        Actor::end_subscriptions(&self.node, self.me, key, session);
        crate::session::commands::end_tracking(&self.node, session);
        if session.is(state::CLOSING) {
            self.node.clients.leave(session.id);
        }
    }

    /// The driver sleeps for DEBUG SLEEP, after the command; it counts as the command's time.
    pub(super) fn stretch(&mut self, then: Then) {
        if let Then::Sleep(micros) = then {
            let ticks = (micros as f64 * self.node.facts.ticks_per_micro) as u64;
            self.last_tick = self.last_tick.wrapping_sub(ticks);
        }
    }

    pub(super) fn close_after_reply(&mut self, key: usize) {
        self.sessions[key].set(state::CLOSING, true);
        self.leave_modes(key);
        self.note_output(key);
    }

    /// Asks every shard's thread for its part (CLIENT LIST, CLIENT KILL).
    fn ask_threads(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        if self.node.shards() == 1 {
            let mut payload = Vec::new();
            let asker = self.sessions[key].id;
            self.run_thread_part(asker, id, args, &mut payload);
            let ok = self.answer_merged(key, id, args, &[&payload]);
            return self.count(key, id, args, ok);
        }
        let mut gather = Gather::new(false, self.sessions[key].proto);
        let mut at = Vec::new();
        for shard in 0..self.node.shards() {
            at.push((gather.fragment(shard), 0));
        }
        let session = &mut self.sessions[key];
        gather.add(Pieces {
            command: id,
            args: args.into(),
            merge: Some(crate::command::Merge::Session),
            at,
            order: Vec::new(),
            proto: session.proto,
            literal: None,
        });
        let slot = session.pending.reserve_gather(gather, session.is(state::REPLY_OFF | state::REPLY_SKIP));
        let head = Head {
            command: id,
            db: session.db as u16,
            proto: session.proto,
            view: session.view(),
            part: true,
        };
        let client = session.id as u32;
        for shard in 0..self.node.shards() {
            let to = ReplyTo { conn: key as u32, client, slot, fragment: shard };
            self.parcel(shard).push(to, Kind::Thread, head, args);
        }
        self.mark_unpushed(key);
    }

    /// A command that comes from everywhere at once, merged by the session.
    pub(super) fn answer_merged(
        &mut self,
        key: usize,
        id: CommandId,
        args: Args<'_>,
        payloads: &[&[u8]],
    ) -> bool {
        let mut out = Vec::new();
        let (then, ok) = self.merge_session(key, id, args, payloads, &mut out);
        self.answer(key, |to, _| to.extend_from_slice(&out));
        self.after(key, then);
        ok
    }

    pub(super) fn merge_session(
        &mut self,
        key: usize,
        id: CommandId,
        args: Args<'_>,
        payloads: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> (Then, bool) {
        let node = self.node.clone();
        let Some(SessionRun::Merge(merge) | SessionRun::Threads(_, merge)) = node.session_run(id) else {
            unreachable!("a test finds a merge for every such row");
        };
        let from = out.len();
        let mut caller = self.caller(&node, key, id, out);
        let result = merge(&mut caller, args, payloads);
        let then = caller.then;
        if let Err(error) = &result {
            out.truncate(from);
            self.write_error(key, error.line(), out);
        }
        (then, result.is_ok())
    }

    /// Memory is over `maxmemory`: nothing that may add to it runs, and nothing more is queued.
    fn refuses_over_limit(&self, key: usize, id: CommandId) -> bool {
        let session = &self.sessions[key];
        let denied = |id: CommandId| self.node.table.spec(id).has(flag::DENYOOM);
        match self.node.table.row(id).full_name.as_str() {
            _ if !session.is(state::MULTI) => denied(id),
            "exec" => {
                session.multi.as_ref().is_some_and(|m| m.queued.iter().any(|(queued, _)| denied(*queued)))
            }
            // Redis before 7.4 refuses whatever is queued, so that a consumer out of memory cannot even
            // acknowledge what it has; only what may add to memory is refused here.
            _ => denied(id),
        }
    }

    /// CLIENT PAUSE: everything, or what may write.
    fn must_pause(&self, key: usize, id: CommandId) -> bool {
        let pause = self.node.pause();
        if pause.until <= self.now {
            return false;
        }
        let spec = self.node.table.spec(id);
        let name = self.node.table.row(id).full_name.as_str();
        if pause.all {
            return true;
        }
        let multi = self.sessions[key].multi.as_ref();
        let exec_writes = name == "exec"
            && multi.is_some_and(|m| m.queued.iter().any(|(q, _)| self.node.table.spec(*q).has(flag::WRITE)));
        exec_writes || !self.sessions[key].is(state::MULTI) && spec.has(flag::WRITE | flag::MAY_REPLICATE)
    }

    /// Ends CLIENT PAUSE when its time has come: waiting sessions go on.
    pub(super) fn end_pause(&mut self) {
        let pause = self.node.pause();
        if pause.until > self.now {
            return;
        }
        if pause.until > 0 {
            self.node.set_pause(Default::default());
        }
        self.has_paused = false;
        let waiting: Vec<usize> =
            self.sessions.iter().filter(|(_, s)| s.is(state::PAUSED)).map(|(key, _)| key).collect();
        for key in waiting {
            self.sessions[key].set(state::PAUSED, false);
            self.tally().blocked.sub(1);
            self.resumed.push(key);
        }
    }
}

/// The first words of HTTP requests, which Redis also refuses to talk to.
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}
