//! MULTI, EXEC, WATCH, and every command whose keys live on several shards.
//!
//! An EXEC takes the cheapest form that fits: here at once; as a unit on one other shard; as units on
//! several shards, when no command needs a value of another shard; or holding the keyspaces concerned.

use super::publish::Answer;
use super::{Actor, env, planted};
use crate::base::ShardId;
use crate::command::{CommandId, Merge, Run, flag};
use crate::keyspace::Keyspace;
use crate::resp::{Args, ArgsBuf, Proto, Reply};
use crate::router::{self, Gather, Pieces, Plan, ShardSet};
use crate::session::commands::SessionRun;
use crate::session::{Multi, state};
use crate::shard::{Engine, Head, Hold, Job, Kind, ReplyTo, run_every, run_held};
use std::ops::DerefMut;
use std::sync::Arc;

/// A transaction of one of this shard's connections that waits for its keyspaces.
pub(super) struct OpenHold {
    hold: Arc<Hold>,
    key: usize,
    client: u64,
    slot: u32,
    program: Program,
}

impl OpenHold {
    pub(super) fn is_ready(&self) -> bool {
        self.hold.is_complete()
    }
}

/// What runs while keyspaces are held.
struct Program {
    commands: Vec<(CommandId, ArgsBuf)>,
    /// The reply is an array of the commands' replies.
    exec: bool,
    /// Fails if a key this client watches has changed.
    watcher: Option<u64>,
    db: usize,
    proto: Proto,
}

/// Per fragment of a gather: its shard and the commands that go there.
type Parts = Vec<(ShardId, Vec<(Head, ArgsBuf)>)>;

impl Actor {
    /// MULTI, EXEC, DISCARD, WATCH, UNWATCH outside MULTI.
    pub(super) fn transaction_command(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        match Arc::clone(&self.node).table.row(id).full_name.as_str() {
            "multi" => {
                let session = &mut self.sessions[key];
                session.multi = Some(Box::new(Multi::default()));
                session.set(state::MULTI, true);
                self.answer(key, |out, proto| Reply::new(out, proto).ok());
            }
            "watch" => self.watch(key, id, args),
            "unwatch" => {
                self.unwatch(key);
                self.answer(key, |out, proto| Reply::new(out, proto).ok());
            }
            "exec" => return self.fail(key, id, "ERR EXEC without MULTI"),
            _ => return self.fail(key, id, "ERR DISCARD without MULTI"),
        }
        self.count(key, id, args, true);
    }

    /// An error of a command that ran (as opposed to one that was refused).
    fn fail(&mut self, key: usize, id: CommandId, line: &str) {
        self.node.errors.count(line.as_bytes());
        self.tally().error_replies.add(1);
        self.answer(key, |out, proto| Reply::new(out, proto).error(line));
        self.count(key, id, Args::new(&[], &[]), false);
    }

    /// A command of a session in MULTI.
    pub(super) fn queue_or_end(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        let node = Arc::clone(&self.node);
        let spec = node.table.spec(id);
        // By its full name: SLOWLOG RESET is not RESET.
        match node.table.row(id).full_name.as_str() {
            "exec" => {
                self.feed_queued(key);
                self.feed_monitors(key, id, args);
                self.exec(key, id);
            }
            "discard" => {
                self.feed_monitors(key, id, args);
                self.leave_multi(key);
                self.unwatch(key);
                self.answer(key, |out, proto| Reply::new(out, proto).ok());
                self.count(key, id, args, true);
            }
            "multi" => self.fail(key, id, "ERR MULTI calls can not be nested"),
            "watch" => self.fail(key, id, "ERR WATCH inside MULTI is not allowed"),
            "quit" | "reset" => {
                self.feed_monitors(key, id, args);
                self.dispatch(key, id, args);
            }
            _ if spec.has(flag::NO_MULTI) => {
                self.refuse(key, id, "ERR Command not allowed inside a transaction")
            }
            _ => {
                if let Some(multi) = &mut self.sessions[key].multi {
                    multi.pubsub |= spec.has(flag::PUBSUB);
                    multi.push(id, args);
                }
                self.answer(key, |out, proto| Reply::new(out, proto).simple("QUEUED"));
                self.check_query_buffer(key);
            }
        }
    }

    pub(super) fn leave_multi(&mut self, key: usize) -> Multi {
        let session = &mut self.sessions[key];
        session.set(state::MULTI, false);
        session.multi.take().map(|m| *m).unwrap_or_default()
    }

    fn exec(&mut self, key: usize, id: CommandId) {
        let multi = self.leave_multi(key);
        if multi.broken {
            self.unwatch(key);
            return self.fail(key, id, "EXECABORT Transaction discarded because of previous errors.");
        }
        let watched = self.watched_shards(key);
        let (form, shards) = self.form_of(key, &multi.queued, &watched);
        let session = &mut self.sessions[key];
        let watcher = (!session.watching.is_empty()).then_some(session.id);
        session.watching.clear();
        if watcher.is_some() {
            self.tally().watching.sub(1);
        }
        let session = &self.sessions[key];
        let program =
            Program { commands: multi.queued, exec: true, watcher, db: session.db, proto: session.proto };
        match form {
            Form::Here => self.exec_here(key, program),
            Form::Units => self.exec_units(key, &shards, program),
            Form::Hold => self.hold(key, shards, program),
        }
        self.count(key, id, Args::new(&[], &[]), true);
    }

    fn watched_shards(&self, key: usize) -> ShardSet {
        let mut shards = ShardSet::default();
        for (_, watched) in &self.sessions[key].watching {
            shards.insert(self.node.placement.shard(watched));
        }
        shards
    }

    /// The cheapest form in which these commands can run as one.
    fn form_of(
        &mut self,
        key: usize,
        queued: &[(CommandId, ArgsBuf)],
        watched: &ShardSet,
    ) -> (Form, ShardSet) {
        let node = Arc::clone(&self.node);
        let mut shards = watched.clone();
        let mut independent = true;
        let (mut session_state, mut publishes) = (false, false);
        for (id, args) in queued {
            let spec = node.table.spec(*id);
            match router::plan(spec, args.as_args(), &node.placement) {
                Ok(Plan::One(shard)) => shards.insert(shard),
                Ok(Plan::Split(some)) => shards.extend(&some),
                Ok(Plan::Hold(some)) => {
                    independent = false;
                    shards.extend(&some);
                }
                Ok(Plan::Every) => {
                    shards.extend(&ShardSet::all(node.shards()));
                    independent &= !matches!(spec.run, Run::Every(_, Merge::Session));
                    // A flush is journaled once, for all shards: its place among the other commands'
                    // effects must be theirs, so it cannot lie in another shard's fragment.
                    independent &= queued.len() == 1 || !spec.has(flag::WRITE);
                }
                Ok(Plan::Session) => match node.session_run(*id) {
                    Some(SessionRun::Publish(_)) => publishes = true,
                    _ => session_state = true,
                },
                Err(_) => independent = false,
            }
        }
        // The only shard concerned is this one, or none: the whole EXEC can run on the spot.
        let here = shards.single().is_none_or(|s| s == self.me) && shards.as_slice().len() <= 1;
        if here && !self.sessions[key].unpushed && self.local_ready() {
            return (Form::Here, shards);
        }
        if shards.as_slice().is_empty() {
            shards.insert(self.me);
        }
        // Units take their messages along with them. Where it is not certain yet that the unit will run, or
        // a message may not come before the unit is in the journal, it is published when that is known.
        let uncertain = !watched.as_slice().is_empty() || node.journal.is_on();
        independent &= !(publishes && uncertain && !node.registry.is_quiet());
        // Who listens to events of several shards hears them in the order of the commands.
        let unordered = !queued.iter().any(|(id, _)| self.tells_in_order(*id));
        independent &= unordered || shards.single().is_some();
        let one_place = shards.single().is_some() || watched.as_slice().is_empty();
        if independent && !session_state && one_place { (Form::Units, shards) } else { (Form::Hold, shards) }
    }

    /// Runs an EXEC whose shard is this one.
    fn exec_here(&mut self, key: usize, program: Program) {
        // Lend the keyspace to itself: the program then runs as it does on several.
        self.owner.lend();
        let node = Arc::clone(&self.node);
        let mut out = Vec::new();
        {
            let mut mine = node.cells[self.me as usize].claim().expect("just lent");
            self.run_program(key, program, 0, &mut [&mut *mine], &mut out);
        }
        self.owner.run();
        self.answer(key, |to, _| to.extend_from_slice(&out));
    }

    /// Sends an EXEC's commands to their shards, each shard's as one unit.
    fn exec_units(&mut self, key: usize, shards: &ShardSet, program: Program) {
        let node = Arc::clone(&self.node);
        let mut gather = Gather::new(true, program.proto);
        let mut parts = Parts::new();
        let (mut write, mut messages) = (false, Vec::new());
        for (at, (id, args)) in program.commands.iter().enumerate() {
            write |= node.table.spec(*id).has(flag::WRITE);
            if let Some(SessionRun::Publish(subject)) = node.session_run(*id) {
                gather.add(Pieces::to_be_settled(*id, program.proto));
                messages.push((at, subject));
                self.count(key, *id, args.as_args(), true);
                continue;
            }
            self.add_parts(&mut gather, &mut parts, *id, args.as_args(), program.db, key);
        }
        if parts.is_empty() {
            // Nothing but a question: has a watched key changed?
            for shard in shards.as_slice() {
                gather.fragment(*shard);
                parts.push((*shard, Vec::new()));
            }
        }
        let slot = self.send_gather(key, gather, parts, write, program.watcher);
        let client = self.sessions[key].id;
        for (command, subject) in messages {
            let args = program.commands[command].1.as_args();
            self.publish_later(subject, args, Answer::Gather { key, client, slot, command });
        }
    }

    /// Adds one command to a gather and to the parts of its shards.
    pub(super) fn add_parts(
        &mut self,
        gather: &mut Gather,
        parts: &mut Parts,
        id: CommandId,
        args: Args<'_>,
        db: usize,
        key: usize,
    ) {
        let node = Arc::clone(&self.node);
        let spec = node.table.spec(id);
        let session = &self.sessions[key];
        let mut view = session.view();
        view.in_transaction = gather.exec;
        let head = Head { command: id, db: db as u16, proto: session.proto, view, part: false };
        let mut pieces = Pieces {
            command: id,
            args: ArgsBuf::new(),
            merge: None,
            at: Vec::new(),
            order: Vec::new(),
            proto: session.proto,
            literal: None,
        };
        // What the session merges is counted when it is.
        let merged = matches!(spec.run, Run::Every(_, Merge::Session));
        let mut place = |shard: ShardId, args: ArgsBuf, part: bool| {
            let fragment = gather.fragment(shard);
            if fragment as usize == parts.len() {
                parts.push((shard, Vec::new()));
            }
            let commands = &mut parts[fragment as usize].1;
            commands.push((Head { part: part || merged, ..head }, args));
            (fragment, commands.len() as u32 - 1)
        };
        match router::plan(spec, args, &node.placement) {
            Ok(Plan::One(shard)) => pieces.at.push(place(shard, args.into(), false)),
            Ok(Plan::Split(shards)) => {
                let Run::Split(_, merge) = spec.run else { unreachable!("planned as split") };
                pieces.merge = Some(merge);
                for shard in shards.as_slice() {
                    let piece = pieces.at.len() as u16;
                    let order = &mut pieces.order;
                    let part = router::split(spec, args, &node.placement, *shard, |position| {
                        if order.len() <= position {
                            order.resize(position + 1, 0);
                        }
                        order[position] = piece;
                    });
                    pieces.at.push(place(*shard, part, piece > 0));
                }
            }
            Ok(Plan::Every) => {
                let Run::Every(_, merge) = spec.run else { unreachable!("planned as every") };
                pieces.merge = Some(merge);
                if merge == Merge::Session {
                    pieces.args = args.into();
                }
                pieces.at = (0..node.shards()).map(|shard| place(shard, args.into(), shard > 0)).collect();
                if merge == Merge::AnyKey {
                    let start = self.random() as usize % pieces.at.len();
                    pieces.at.rotate_left(start);
                }
            }
            Ok(Plan::Session | Plan::Hold(_)) | Err(_) => unreachable!("form_of keeps these out"),
        }
        gather.add(pieces);
    }

    /// Puts the parts of a gather into the outbox.
    pub(super) fn send_gather(
        &mut self,
        key: usize,
        gather: Gather,
        parts: Parts,
        write: bool,
        watcher: Option<u64>,
    ) -> u32 {
        let exec = gather.exec;
        let session = &mut self.sessions[key];
        let client = session.id as u32;
        let slot = session.pending.reserve_gather(gather, session.is(state::REPLY_OFF | state::REPLY_SKIP));
        self.mark_unpushed(key);
        let unit = self.node.next_unit();
        // Only what writes must be whole in the journal.
        let units = if write { parts.len() as u16 } else { 1 };
        for (fragment, (shard, commands)) in parts.into_iter().enumerate() {
            let to = ReplyTo { conn: key as u32, client, slot, fragment: fragment as u16 };
            self.tally().forwarded.add(commands.len() as u64);
            let parcel = self.parcel(shard);
            if exec || write {
                let kind = Kind::Unit { commands: commands.len() as u32, id: unit, parts: units, watcher };
                parcel.push_bare(to, kind);
            }
            for (head, args) in commands {
                parcel.push(to, Kind::Command, head, args.as_args());
            }
        }
        slot
    }

    /// A single command over keys of several shards that depend on each other (RENAME, MSETNX).
    pub(super) fn hold_command(&mut self, key: usize, shards: ShardSet, id: CommandId, args: Args<'_>) {
        let session = &self.sessions[key];
        let program = Program {
            commands: vec![(id, args.into())],
            exec: false,
            watcher: None,
            db: session.db,
            proto: session.proto,
        };
        self.hold(key, shards, program);
    }

    /// Runs a program while holding whole keyspaces: at once, if they can be had; else from places in
    /// their inboxes, when all have been lent.
    fn hold(&mut self, key: usize, shards: ShardSet, program: Program) {
        let program = match self.hold_at_once(key, &shards, program) {
            None => return,
            Some(program) => program,
        };
        let hold = Arc::new(Hold::new(self.node.next_unit(), self.me, shards.as_slice().to_vec()));
        let session = &mut self.sessions[key];
        let slot = session.pending.reserve(session.is(state::REPLY_OFF | state::REPLY_SKIP));
        session.set(state::GATED, true);
        let client = session.id;
        self.mark_unpushed(key);
        for shard in hold.shards.clone() {
            self.parcel(shard).push_bare(ReplyTo::default(), Kind::Hold(Arc::clone(&hold)));
        }
        self.holds.push(OpenHold { hold, key, client, slot, program });
    }

    /// Borrows every other shard concerned, if all of them sleep with nothing before us, and runs. Gives
    /// the program back if not.
    ///
    /// The own inbox is held with the others: somebody may have taken places here and there since
    /// `local_ready` looked, had his part there run on a keyspace he borrowed himself, and still wait
    /// here. Running now would come after his one part and before his other.
    fn hold_at_once(&mut self, key: usize, shards: &ShardSet, program: Program) -> Option<Program> {
        if self.sessions[key].unpushed {
            return Some(program);
        }
        let mine = shards.as_slice().contains(&self.me);
        if mine && !self.local_ready() {
            return Some(program);
        }
        let node = Arc::clone(&self.node);
        let others = shards.as_slice().iter().map(|s| *s as usize).filter(|j| *j != self.me as usize);
        let mut borrowed = Vec::new();
        {
            let all = shards.as_slice().iter().map(|s| *s as usize);
            let places = crate::bridge::Places::hold(&node.inboxes, all);
            if mine && !places.is_empty(self.me as usize) {
                return Some(program);
            }
            for j in others {
                let engine = if places.is_empty(j) { node.cells[j].try_borrow() } else { None };
                match engine {
                    Some(engine) => borrowed.push(engine),
                    // Those borrowed so far go back untouched.
                    None => return Some(program),
                }
            }
        }
        let own = mine.then(|| {
            self.owner.lend();
            node.cells[self.me as usize].claim().expect("just lent")
        });
        let mut out = Vec::new();
        {
            let mut own = own;
            let mut engines: Vec<&mut Engine> = borrowed.iter_mut().map(|e| e.deref_mut()).collect();
            engines.extend(own.as_deref_mut());
            engines.sort_by_key(|e| e.keyspace.shard);
            self.run_program(key, program, self.node.next_unit(), &mut engines, &mut out);
        }
        if mine {
            self.owner.run();
        }
        for mut engine in borrowed {
            // Before the keyspace goes back: its owner's next chunk must come after this one.
            self.send_chunk(engine.effects_to_send());
        }
        self.answer(key, |to, _| to.extend_from_slice(&out));
        None
    }

    /// All keyspaces of a transaction have been lent: run it and give them back.
    pub(super) fn run_hold(&mut self, open: OpenHold) {
        let OpenHold { hold, key, client, slot, program } = open;
        let node = Arc::clone(&self.node);
        let mut lent: Vec<_> = hold
            .shards
            .iter()
            .map(|j| node.cells[*j as usize].claim().expect("lent to this transaction"))
            .collect();
        let alive = self.sessions.get(key).is_some_and(|s| s.id == client);
        let mut out = Vec::new();
        let mut engines: Vec<&mut Engine> = lent.iter_mut().map(|e| e.deref_mut()).collect();
        if alive {
            self.run_program(key, program, hold.id, &mut engines, &mut out);
        } else {
            // Sequenced is sequenced: a client that has gone only loses the reply.
            let mut gone = crate::session::Session::new(client, Default::default(), self.now);
            gone.db = program.db;
            let stand_in = self.sessions.insert(gone);
            self.run_program(stand_in, program, hold.id, &mut engines, &mut out);
            let mut gone = self.sessions.remove(stand_in);
            Actor::end_subscriptions(&node, self.me, stand_in, &mut gone);
            self.with_output.retain(|k| *k != stand_in);
        }
        drop(lent);
        for j in &hold.shards {
            if *j == self.me {
                self.take_back_loan();
            } else {
                node.wakes[*j as usize].wake();
            }
        }
        if alive && let Some(session) = self.sessions.get_mut(key) {
            session.pending.fill(slot, &out, &mut session.out);
            self.note_output(key);
            self.open_gate(key);
            self.drained(key);
        }
    }

    /// Runs a program on the keyspaces it holds (ascending by shard) and writes its whole reply.
    fn run_program(
        &mut self,
        key: usize,
        program: Program,
        unit: u64,
        engines: &mut [&mut Engine],
        out: &mut Vec<u8>,
    ) {
        let node = Arc::clone(&self.node);
        if let Some(client) = program.watcher {
            let mut dirty = false;
            for engine in engines.iter_mut() {
                dirty |= engine.keyspace.is_dirty(client, self.now, &node.placement);
                engine.keyspace.watch.unwatch(client);
            }
            if dirty {
                self.note_depends(engines);
                return Reply::new(out, program.proto).null_array();
            }
        }
        let write = program.commands.iter().any(|(id, _)| node.table.spec(*id).has(flag::WRITE));
        let parts = if write { engines.len() as u16 } else { 1 };
        let parts = if planted!(ReturnedUnjournaled) { 1 } else { parts };
        engines.iter_mut().for_each(|e| e.begin_unit(unit, parts));
        if program.exec {
            Reply::new(out, program.proto).array(program.commands.len());
        }
        for (id, args) in &program.commands {
            self.run_in_program(key, program.exec, *id, args.as_args(), engines, out);
        }
        engines.iter_mut().for_each(|e| e.end_unit());
        self.note_depends(engines);
        for engine in engines.iter_mut().filter(|e| e.keyspace.has_news()) {
            self.take_news(engine);
        }
        // Before the keyspaces go back.
        if self.has_publications() {
            self.push_out();
        }
    }

    fn note_depends(&mut self, engines: &[&mut Engine]) {
        for engine in engines {
            let depends = &mut self.depends[engine.keyspace.shard as usize];
            *depends = (*depends).max(engine.depends_on());
        }
    }

    fn run_in_program(
        &mut self,
        key: usize,
        in_exec: bool,
        id: CommandId,
        args: Args<'_>,
        engines: &mut [&mut Engine],
        out: &mut Vec<u8>,
    ) {
        let node = Arc::clone(&self.node);
        let spec = node.table.spec(id);
        let session = &self.sessions[key];
        let mut view = session.view();
        view.in_transaction = in_exec;
        let (db, proto) = (session.db, session.proto);
        let job = Job { command: id, db, now: self.now, proto, view, random: self.random() };
        let mut ok = true;
        match spec.run {
            Run::Session | Run::Container => match node.session_run(id) {
                Some(SessionRun::Home(_)) => {
                    let (then, done) = self.run_home(key, id, args, out);
                    ok = done;
                    self.stretch(then);
                    self.after(key, then);
                }
                Some(SessionRun::Publish(subject)) => {
                    for engine in engines.iter_mut().filter(|e| e.keyspace.has_news()) {
                        self.take_news(engine);
                    }
                    self.note_depends(engines);
                    let receivers = self.publish_now(subject, args);
                    Reply::new(out, proto).integer(receivers as i64);
                }
                Some(SessionRun::Subscribe(subject)) => self.subscribe(key, subject, args, out),
                Some(SessionRun::Unsubscribe(subject)) => {
                    self.unsubscribe(key, subject, args, out);
                    self.note_subscribed(key);
                }
                Some(SessionRun::Transaction) if node.table.row(id).full_name == "unwatch" => {
                    Reply::new(out, proto).ok()
                }
                _ => {
                    let line = format!(
                        "ERR Command '{}' cannot run inside a transaction",
                        node.table.row(id).full_name
                    );
                    Reply::new(out, proto).error(&line);
                    ok = false;
                }
            },
            Run::Keys(_) | Run::Split(..) => {
                let env = env!(self);
                if let [engine] = engines {
                    ok = crate::shard::run_job(env, engine, job, args, out);
                } else {
                    let (lead, rest) = engines.split_first_mut().expect("at least one keyspace is held");
                    let Engine { keyspace, effects, journaling } = &mut **lead;
                    let mut held: Vec<&mut Keyspace> = vec![keyspace];
                    held.extend(rest.iter_mut().map(|e| &mut e.keyspace));
                    ok = run_held(env, held, journaling.then_some(effects), job, args, out);
                }
            }
            Run::Cursor(_) => {
                let shard = match router::plan(spec, args, &node.placement) {
                    Ok(Plan::One(shard)) => shard,
                    _ => 0,
                };
                let env = env!(self);
                match engines.iter_mut().find(|e| e.keyspace.shard == shard) {
                    Some(engine) => ok = crate::shard::run_job(env, engine, job, args, out),
                    None => Reply::new(out, proto).error("ERR invalid cursor"),
                }
            }
            Run::Every(_, merge) => {
                let env = env!(self);
                let mut payloads = Vec::new();
                for engine in engines.iter_mut() {
                    let mut payload = Vec::new();
                    let (keyspace, effects) = engine.split();
                    ok &= run_every(env, keyspace, effects, job, args, &mut payload);
                    payloads.push(payload);
                }
                let payloads: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
                match merge {
                    Merge::Session => {
                        let (then, merged) = self.merge_session(key, id, args, &payloads, out);
                        ok &= merged;
                        self.after(key, then);
                    }
                    _ => router::merge_into(merge, &payloads, &[], proto, out),
                }
            }
        }
        self.count(key, id, args, ok);
    }

    /// WATCH: each owner notes its keys, at their places.
    fn watch(&mut self, key: usize, id: CommandId, args: Args<'_>) {
        let node = Arc::clone(&self.node);
        let mut shards = ShardSet::default();
        let (client, db) = (self.sessions[key].id, self.sessions[key].db);
        if self.sessions[key].watching.is_empty() {
            self.tally().watching.add(1);
        }
        for watched in args.from(1).iter() {
            shards.insert(node.placement.shard(watched));
            let watching = &mut self.sessions[key].watching;
            if !watching.iter().any(|(d, k)| *d == db && **k == *watched) {
                watching.push((db, watched.into()));
            }
        }
        if shards.single() == Some(self.me) && !self.sessions[key].unpushed && self.local_ready() {
            let now = self.now;
            let engine = self.owner.get().expect("local_ready said the keyspace runs");
            args.from(1).iter().for_each(|k| engine.keyspace.watch_key(client, db, k, now, &node.placement));
            return self.answer(key, |out, proto| Reply::new(out, proto).ok());
        }
        let session = &self.sessions[key];
        let proto = session.proto;
        let mut gather = Gather::new(false, proto);
        let fragments: Vec<u16> = shards.as_slice().iter().map(|s| gather.fragment(*s)).collect();
        gather.add(Pieces {
            command: id,
            args: ArgsBuf::new(),
            merge: Some(Merge::Ok),
            at: fragments.iter().map(|f| (*f, 0)).collect(),
            order: Vec::new(),
            proto,
            literal: None,
        });
        let session = &mut self.sessions[key];
        let slot = session.pending.reserve_gather(gather, session.is(state::REPLY_OFF | state::REPLY_SKIP));
        self.mark_unpushed(key);
        let head = Head { command: id, db: db as u16, proto, ..Head::default() };
        for (shard, fragment) in shards.as_slice().iter().zip(fragments) {
            let to = ReplyTo { conn: key as u32, client: client as u32, slot, fragment };
            let own: ArgsBuf = args.from(1).iter().filter(|k| node.placement.shard(k) == *shard).collect();
            self.parcel(*shard).push(to, Kind::Watch { client }, head, own.as_args());
        }
    }

    /// Gives up all watches of a session.
    pub(super) fn unwatch(&mut self, key: usize) {
        if self.sessions[key].watching.is_empty() {
            return;
        }
        let shards = self.watched_shards(key);
        self.sessions[key].watching.clear();
        self.tally().watching.sub(1);
        let client = self.sessions[key].id;
        let here = !self.sessions[key].unpushed && shards.single() == Some(self.me) && self.local_ready();
        if let (true, Some(engine)) = (here, self.owner.get()) {
            engine.keyspace.watch.unwatch(client);
            return;
        }
        self.mark_unpushed(key);
        for shard in shards.as_slice() {
            self.parcel(*shard).push_bare(ReplyTo::default(), Kind::Unwatch { client });
        }
    }

    /// A connection has gone: its watches end with it.
    pub(super) fn forget_client(&mut self, session: &crate::session::Session) {
        if !session.watching.is_empty() {
            self.tally().watching.sub(1);
        }
        let mut shards = ShardSet::default();
        session.watching.iter().for_each(|(_, k)| shards.insert(self.node.placement.shard(k)));
        for shard in shards.as_slice() {
            self.parcel(*shard).push_bare(ReplyTo::default(), Kind::Unwatch { client: session.id });
        }
    }
}

enum Form {
    Here,
    Units,
    Hold,
}
