//! MULTI, EXEC, WATCH, and every command whose keys live on several shards.
//!
//! An EXEC takes the cheapest form that fits: here at once; as a unit on one other shard; as units on
//! several shards, when no command needs a value of another shard; or holding the keyspaces concerned.

use super::program::{Grip, Program, Progress, Ran, Unfinished, Within};
use super::publish::Answer;
use super::script::{Scripted, Suspended};
use super::{Actor, env};
use crate::base::{ShardId, planted};
use crate::bridge::Borrowed;
use crate::command::{ClientView, CommandId, Merge, Run, acl, flag};
use crate::keyspace::{Keys, Keyspace, Reach, Ready, Waiter};
use crate::resp::{Args, ArgsBuf, Reply};
use crate::router::{self, Gather, Pieces, Plan, ShardSet};
use crate::session::commands::SessionRun;
use crate::session::{BUSY_SCRIPT, Errand, Multi, Node, Session, state};
use crate::shard::{
    Engine, Env, Head, Hold, Job, Kind, ReplyTo, Server, begin_units, end_units, run_every, run_held, run_job,
};
use std::sync::Arc;

/// A transaction of one of this shard's connections that waits for its keyspaces.
pub(super) struct OpenHold {
    hold: Arc<Hold>,
    key: usize,
    client: u64,
    what: Held,
}

/// What a transaction does with the keyspaces it holds.
pub(super) enum Held {
    Program(Program),
    /// On nobody's behalf.
    Errand(Errand),
    /// The command of a client that waits, with the key it moves something to in reach.
    Again(Arc<Waiter>),
}

impl OpenHold {
    pub(super) fn is_ready(&self) -> bool {
        self.hold.is_complete()
    }

    /// Whether it needs this thread's Lua.
    pub(super) fn needs_lua(&self, node: &Node) -> bool {
        let needs = |id: CommandId| {
            let compiles =
                matches!(node.session_run(id), Some(SessionRun::Libraries(_) | SessionRun::LoadScript));
            matches!(node.table.spec(id).run, Run::Script) || compiles
        };
        matches!(&self.what, Held::Program(program) if program.commands.iter().any(|(id, _)| needs(*id)))
    }
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
                let id = self.native(key, id, args, false).unwrap_or(id);
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
        let proto = session.proto;
        let program = Program {
            slot: None,
            commands: multi.queued,
            exec: true,
            may_wait: false,
            callee: None,
            watcher,
            is_orphan: false,
            is_shipped: false,
            db: session.db,
            proto,
        };
        match form {
            Form::Here => self.exec_here(key, program),
            Form::Units => self.exec_units(key, &shards, program),
            Form::Hold => self.hold_program(key, shards, program),
        }
        self.count(key, id, Args::new(&[], &[]), true);
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
        let mut fed = ShardSet::default();
        let (mut session_state, mut publishes) = (false, false);
        for (id, args) in queued {
            let spec = node.table.spec(*id);
            match router::plan(spec, args.as_args(), &node.placement) {
                Ok(Plan::One(shard)) => {
                    shards.insert(shard);
                    if spec.has(flag::WRITE) && spec.acl & FEEDING != 0 {
                        fed.insert(shard);
                    }
                }
                Ok(Plan::Split(some)) => {
                    shards.extend(&some);
                    if spec.has(flag::WRITE) && spec.acl & acl::SORTEDSET != 0 {
                        fed.extend(&some);
                    }
                }
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
                    Some(run) if run.whole(&node, args.as_args()).is_some() => {
                        session_state = true;
                        shards.extend(&ShardSet::all(node.shards()));
                    }
                    Some(SessionRun::Threads(..)) => {
                        session_state = true;
                        shards.extend(&ShardSet::all(node.shards()));
                    }
                    // One place in the journal orders them.
                    Some(SessionRun::Libraries(_)) => {
                        session_state = true;
                        shards.insert(0);
                    }
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
        // Who waits for keys of several shards gets what came first: one place must know what that was.
        if fed.as_slice().len() > 1 && node.has_spread_waiters() {
            independent = false;
        }
        // Who listens to events of several shards hears them in the order of the commands.
        let unordered = !queued.iter().any(|(id, _)| self.tells_in_order(*id));
        independent &= unordered || shards.single().is_some();
        let one_place = shards.single().is_some() || watched.as_slice().is_empty();
        if independent && !session_state && one_place { (Form::Units, shards) } else { (Form::Hold, shards) }
    }

    /// Runs a program whose shard is this one.
    pub(super) fn exec_here(&mut self, key: usize, mut program: Program) {
        // Lend the keyspace to itself: the program then runs as it does on several.
        self.owner.lend();
        let node = Arc::clone(&self.node);
        let mut out = Vec::new();
        let mut mine = node.cells[self.me as usize].claim().expect("just lent");
        // With threads to ask, this is the only shard there is.
        let asks = self.asks(&program);
        let asked = (!asks.is_empty()).then(|| {
            let asker = self.sessions[key].id;
            let hold = Hold::new(0, self.me, vec![self.me]).asking(asker, Vec::new());
            hold.tell(self.me, self.thread_parts(asker, &asks));
            hold
        });
        let ran = self.run_program(key, &program, 0, asked.as_ref(), &mut [&mut *mine], &mut out, None);
        if let Ran::Paused(progress) = ran {
            let session = &mut self.sessions[key];
            let silent = session.is(state::REPLY_OFF | state::REPLY_SKIP);
            program.slot = Some(session.pending.reserve(silent));
            session.set(state::GATED, true);
            let client = session.id;
            let grip = Grip::of_one(mine).keep(&node);
            self.lent = true;
            let (hold, unit) = (asked.map(Arc::new), 0);
            return self.suspend(Suspended { grip, hold, unit, key, client, program, progress, out });
        }
        drop(mine);
        self.owner.run();
        match ran {
            Ran::Missed => self.begin_with_all(key, program),
            _ => self.answer(key, |to, _| to.extend_from_slice(&out)),
        }
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
        let may_wait = self.may_wait(id, args);
        let program = Program { may_wait, ..Program::of_one(&self.sessions[key], id, args, None) };
        self.hold_program(key, shards, program);
    }

    pub(super) fn hold_program(&mut self, key: usize, shards: ShardSet, program: Program) {
        self.hold(key, shards, Held::Program(program));
    }

    /// Runs a waiting client's command once more, over everything it needs.
    pub(super) fn hold_again(&mut self, key: usize, shards: ShardSet, waiter: Arc<Waiter>) {
        self.hold(key, shards, Held::Again(waiter));
    }

    /// Runs a program while holding whole keyspaces: at once, if they can be had; else from places in
    /// their inboxes, when all have been lent.
    pub(super) fn hold(&mut self, key: usize, shards: ShardSet, mut what: Held) {
        let session = &mut self.sessions[key];
        let (client, silent) = (session.id, session.is(state::REPLY_OFF | state::REPLY_SKIP));
        let mut asks = Vec::new();
        if let Held::Program(program) = &mut what {
            let slot = *program.slot.get_or_insert_with(|| session.pending.reserve(silent));
            if program.may_wait {
                self.gate(key, slot, program.commands[0].1.as_args());
            }
            asks = self.asks(program);
        }
        let what = match asks.is_empty() {
            // A thread that sleeps cannot be asked.
            false => what,
            true => match self.hold_at_once(key, &shards, what) {
                None => return,
                Some(what) => what,
            },
        };
        self.sessions[key].set(state::GATED, true);
        let what = match what {
            Held::Program(program) => match self.ship(key, &shards, program) {
                None => return,
                Some(program) => Held::Program(program),
            },
            again => again,
        };
        let hold = Hold::new(self.node.next_unit(), self.me, shards.as_slice().to_vec());
        let hold = Arc::new(hold.asking(client, asks));
        self.mark_unpushed(key);
        for shard in hold.shards.clone() {
            self.parcel(shard).push_bare(ReplyTo::default(), Kind::Hold(Arc::clone(&hold)));
        }
        self.holds.push(OpenHold { hold, key, client, what });
    }

    /// The commands of a program that every shard's own thread has a part in.
    fn asks(&self, program: &Program) -> Vec<(CommandId, ArgsBuf)> {
        let asks = |id: &CommandId| matches!(self.node.session_run(*id), Some(SessionRun::Threads(..)));
        program.commands.iter().filter(|(id, _)| asks(id)).cloned().collect()
    }

    /// Borrows every other shard concerned, if all of them sleep with nothing before us, and runs. Gives
    /// back what was to be run if not.
    ///
    /// The own inbox is held with the others: somebody may have taken places here and there since
    /// `local_ready` looked, had his part there run on a keyspace he borrowed himself, and still wait
    /// here. Running now would come after his one part and before his other.
    fn hold_at_once(&mut self, key: usize, shards: &ShardSet, what: Held) -> Option<Held> {
        if self.sessions[key].unpushed {
            return Some(what);
        }
        let mine = shards.as_slice().contains(&self.me);
        if mine && !self.local_ready() {
            return Some(what);
        }
        let node = Arc::clone(&self.node);
        let others = shards.as_slice().iter().map(|s| *s as usize).filter(|j| *j != self.me as usize);
        let mut borrowed = Vec::new();
        {
            let all = shards.as_slice().iter().map(|s| *s as usize);
            let places = crate::bridge::Places::hold(&node.inboxes, all);
            if mine && !places.is_empty(self.me as usize) {
                return Some(what);
            }
            for j in others {
                let engine = if places.is_empty(j) { node.cells[j].try_borrow() } else { None };
                match engine {
                    Some(engine) => borrowed.push(engine),
                    // Those borrowed so far go back untouched.
                    None => return Some(what),
                }
            }
        }
        let mut grip = Grip { borrowed, ..Grip::default() };
        if mine {
            self.owner.lend();
            grip.lent.push(node.cells[self.me as usize].claim().expect("just lent"));
        }
        let unit = self.node.next_unit();
        let unfinished = self.run_held(key, what, unit, None, &mut grip.engines()).err().map(|it| *it);
        if let Some(Unfinished::Paused(program, progress, out)) = unfinished {
            let session = &mut self.sessions[key];
            session.set(state::GATED, true);
            let client = session.id;
            self.lent |= mine;
            let grip = grip.keep(&node);
            self.suspend(Suspended { grip, hold: None, unit, key, client, program, progress, out });
            return None;
        }
        drop(grip.lent);
        if mine {
            self.owner.run();
        }
        for mut engine in grip.borrowed {
            // Before the keyspace goes back: its owner's next chunk must come after this one.
            self.hand_over(&mut engine);
            let (shard, prolonged) = (engine.keyspace.shard, Borrowed::is_prolonged(&engine));
            drop(engine);
            if prolonged {
                self.returned(&[shard]);
            }
        }
        if let Some(Unfinished::Missed(program)) = unfinished {
            self.begin_with_all(key, program);
        }
        None
    }

    /// Runs a transaction of a session that is still there, and answers it.
    fn run_held(
        &mut self,
        key: usize,
        what: Held,
        unit: u64,
        hold: Option<&Hold>,
        engines: &mut [&mut Engine],
    ) -> Result<(), Box<Unfinished>> {
        let mut out = Vec::new();
        let program = match what {
            Held::Program(program) => program,
            Held::Errand(errand) => {
                self.run_errand(key, errand, engines);
                return Ok(());
            }
            Held::Again(waiter) => {
                // Otherwise it has gone, or waits on.
                if self.run_waiter(&waiter, unit, engines, &mut out) {
                    let ticks = self.book_again(&waiter, &out);
                    self.log_unblocked(key, waiter.asker.command, ticks);
                    self.finish_wait(key, waiter.asker.seat.slot, &out, None);
                }
                return Ok(());
            }
        };
        match self.run_program(key, &program, unit, hold, engines, &mut out, None) {
            Ran::Paused(progress) => return Err(Box::new(Unfinished::Paused(program, progress, out))),
            Ran::Missed => return Err(Box::new(Unfinished::Missed(program))),
            Ran::Waits(waiter) => self.blocks(key, waiter),
            Ran::Done if program.may_wait => {
                let (id, args) = &program.commands[0];
                let undo = self.undo(*id, args.as_args(), program.db as u16, &out);
                self.finish_wait(key, program.placed(), &out, undo);
            }
            Ran::Done if program.is_orphan => self.dismiss(key),
            Ran::Done => self.answer_program(key, &program, &out),
        }
        Ok(())
    }

    /// The reply of a program that had to wait for its turn.
    pub(super) fn answer_program(&mut self, key: usize, program: &Program, out: &[u8]) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.pending.fill(program.placed(), out, &mut session.out);
        self.note_output(key);
        self.open_gate(key);
        self.drained(key);
    }

    /// All keyspaces of a transaction have been lent: run it and give them back.
    pub(super) fn run_hold(&mut self, open: OpenHold) {
        let OpenHold { hold, mut key, mut client, what } = open;
        let node = Arc::clone(&self.node);
        let claim = |j: &ShardId| node.cells[*j as usize].claim().expect("lent to this transaction");
        let mut grip = Grip { lent: hold.shards.iter().map(claim).collect(), ..Grip::default() };
        let alive = self.sessions.get(key).is_some_and(|s| s.id == client);
        let mut ran = Ok(());
        match what {
            what if alive => ran = self.run_held(key, what, hold.id, Some(&hold), &mut grip.engines()),
            // Sequenced is sequenced: a client that has gone only loses the reply. But nothing is popped for
            // it by a command that would have waited.
            Held::Program(mut program) if !program.may_wait => {
                program.is_orphan = true;
                let (stand_in, mut lost) = (self.stand_in(program.db), Vec::new());
                let engines = &mut grip.engines();
                let ended =
                    self.run_program(stand_in, &program, hold.id, Some(&hold), engines, &mut lost, None);
                (key, client, program.slot) = (stand_in, self.sessions[stand_in].id, None);
                ran = match ended {
                    Ran::Paused(progress) => Err(Box::new(Unfinished::Paused(program, progress, lost))),
                    Ran::Missed => Err(Box::new(Unfinished::Missed(program))),
                    _ => {
                        self.dismiss(stand_in);
                        Ok(())
                    }
                };
            }
            _ => {}
        }
        let unfinished = ran.err().map(|it: Box<Unfinished>| *it);
        if let Some(Unfinished::Paused(program, progress, out)) = unfinished {
            let (unit, grip) = (hold.id, grip.keep(&node));
            let it = Suspended { grip, hold: Some(hold), unit, key, client, program, progress, out };
            return self.suspend(it);
        }
        drop(grip);
        self.returned(&hold.shards);
        if let Some(Unfinished::Missed(program)) = unfinished {
            self.begin_with_all(key, program);
        }
    }

    /// All keyspaces of a transaction have been lent, but it needs this thread's Lua, which is in the middle of a
    /// script that takes long: its client hears so, and the keyspaces go back.
    pub(super) fn refuse_hold(&mut self, open: OpenHold) {
        let OpenHold { hold, key, client, what } = open;
        let Held::Program(program) = what else { unreachable!("who waits for keys runs no script") };
        let node = Arc::clone(&self.node);
        for j in &hold.shards {
            let mut lent = node.cells[*j as usize].claim().expect("lent to this transaction");
            if let Some(watcher) = program.watcher {
                lent.keyspace.watch.unwatch(watcher);
            }
        }
        self.returned(&hold.shards);
        if self.sessions.get(key).is_some_and(|s| s.id == client) {
            self.refuse_program(key, &program, node.scripts.busy(None).unwrap_or(BUSY_SCRIPT));
        }
    }

    /// Keyspaces have gone back to these shards: their owners go on.
    fn returned(&mut self, shards: &[ShardId]) {
        for j in shards {
            if *j == self.me {
                self.take_back_loan();
            } else {
                self.node.wakes[*j as usize].wake();
            }
        }
    }

    /// Gives back what was kept over several turns.
    pub(super) fn give_back(&mut self, mut grip: Grip<'static>) {
        let shards: Vec<ShardId> = grip.engines().iter().map(|e| e.keyspace.shard).collect();
        drop(grip);
        self.returned(&shards);
    }

    /// A session for the transaction of a client that has gone, or lives elsewhere. Its id is nobody's: what is
    /// still under way for the client finds no session.
    pub(super) fn stand_in(&mut self, db: usize) -> usize {
        self.stand_ins += 1;
        let mut gone = Session::new(u64::MAX - self.stand_ins, Default::default(), self.now);
        gone.db = db;
        self.sessions.insert(gone)
    }

    /// The end of such a session.
    pub(super) fn dismiss(&mut self, stand_in: usize) {
        let mut gone = self.sessions.remove(stand_in);
        Actor::end_subscriptions(&self.node, self.me, stand_in, &mut gone);
        self.with_output.retain(|k| *k != stand_in);
    }

    /// Runs a waiting client's command again, if there is something for it still; whether there was.
    fn run_waiter(
        &mut self,
        waiter: &Arc<Waiter>,
        unit: u64,
        engines: &mut [&mut Engine],
        out: &mut Vec<u8>,
    ) -> bool {
        if !waiter.is_moving() {
            return false;
        }
        let node = Arc::clone(&self.node);
        let asker = waiter.asker;
        let held = engines.iter_mut().map(|e| &mut e.keyspace).collect();
        let keys = Keys::new(Reach::Held(held), asker.db as usize, self.now, &node.placement, None);
        if (waiter.wait.ready)(&keys, &waiter.wait, 0) != Ready::Yes {
            waiter.stay();
            return false;
        }
        waiter.moved();
        self.tally().waits_ended.add(1);
        begin_units(engines, unit);
        let view = ClientView { no_touch: asker.no_touch, tracker: asker.tracker, ..ClientView::default() };
        self.last_tick = (self.ticks)();
        let (db, now, proto, random) = (asker.db as usize, self.now, asker.proto, self.random());
        let job = Job { command: asker.command, db, now, proto, view, random };
        let env = Env { over_limit: false, ..env!(self) };
        run_over(env, engines, job, waiter.wait.line(0).as_args(), out);
        end_units(engines);
        // This also lets those come who stand behind it.
        engines.iter_mut().for_each(|e| e.keyspace.blocked.forget(waiter));
        self.serve_held(engines);
        self.note_depends(engines);
        true
    }

    /// Serves those who wait for keys that a transaction has made ready.
    fn serve_held(&mut self, engines: &mut [&mut Engine]) {
        if engines.iter().all(|e| !e.keyspace.blocked.is_stirred()) {
            return;
        }
        if planted!(HoldServesNobody) {
            engines.iter_mut().for_each(|e| while e.keyspace.blocked.take_ready().is_some() {});
            return;
        }
        engines.iter_mut().for_each(|e| e.keyspace.blocked.set_stamp(u32::MAX));
        let (env, now, random, ticks) = (env!(self), self.now, self.random, self.ticks);
        Server { env, now, random, ticks, served: &mut self.served }.serve_held(engines);
        engines.iter_mut().for_each(|e| e.keyspace.blocked.set_stamp(0));
    }

    /// Runs a program on the keyspaces it holds (ascending by shard), or goes on with it, and writes its
    /// whole reply.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn run_program(
        &mut self,
        key: usize,
        program: &Program,
        unit: u64,
        hold: Option<&Hold>,
        engines: &mut [&mut Engine],
        out: &mut Vec<u8>,
        progress: Option<Progress>,
    ) -> Ran {
        let node = Arc::clone(&self.node);
        let (mut number, mut asked, mut script) = match progress {
            Some(Progress { number, asked, run, .. }) => (number, asked, Some(run)),
            None => {
                if !self.begin_program(program, unit, engines, out) {
                    return Ran::Done;
                }
                (0, 0, None)
            }
        };
        while let Some((id, args)) = program.commands.get(number) {
            if matches!(node.session_run(*id), Some(SessionRun::Threads(..))) {
                let answers = hold.map_or(Vec::new(), |hold| hold.answers(asked));
                let (then, ok) = self.merge_session(key, *id, args.as_args(), &answers, out);
                self.after(key, then);
                self.count(key, *id, args.as_args(), ok);
                asked += 1;
            } else if matches!(node.table.spec(*id).run, Run::Script) {
                match self.run_script(key, program, number, engines, out, script.take()) {
                    Scripted::Done => {}
                    Scripted::Paused(run) => {
                        return Ran::Paused(Progress { number, asked, run, now: self.now });
                    }
                    Scripted::Missed => {
                        end_units(engines);
                        self.serve_held(engines);
                        return Ran::Missed;
                    }
                }
            } else {
                let within = if program.exec { Within::Exec } else { Within::Alone };
                self.run_in_program(&node, key, within, *id, args.as_args(), engines, out);
            }
            number += 1;
        }
        end_units(engines);
        let wanted = engines.first_mut().and_then(|lead| lead.keyspace.blocked.take_wanted());
        let waiter = wanted.map(|wait| {
            let id = program.commands[0].0;
            self.register_held(key, program.placed(), id, *wait, engines)
        });
        self.serve_held(engines);
        self.note_depends(engines);
        for engine in engines.iter_mut().filter(|e| e.keyspace.has_news()) {
            self.take_news(engine);
        }
        // Before the keyspaces go back.
        if self.has_publications() {
            self.push_out();
        }
        waiter.map_or(Ran::Done, Ran::Waits)
    }

    /// False when a key it watches has changed: then it is over.
    fn begin_program(
        &mut self,
        program: &Program,
        unit: u64,
        engines: &mut [&mut Engine],
        out: &mut Vec<u8>,
    ) -> bool {
        let node = Arc::clone(&self.node);
        if let Some(client) = program.watcher {
            let mut dirty = false;
            for engine in engines.iter_mut() {
                dirty |= engine.keyspace.is_dirty(client, self.now, &node.placement);
                engine.keyspace.watch.unwatch(client);
            }
            if dirty {
                self.note_depends(engines);
                Reply::new(out, program.proto).null_array();
                return false;
            }
        }
        begin_units(engines, unit);
        if program.exec {
            Reply::new(out, program.proto).array(program.commands.len());
        }
        self.stamp = 0;
        true
    }

    fn note_depends(&mut self, engines: &[&mut Engine]) {
        for engine in engines {
            let depends = &mut self.depends[engine.keyspace.shard as usize];
            *depends = (*depends).max(engine.depends_on());
        }
    }

    /// Runs one command of a program, or of a script in it.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn run_in_program(
        &mut self,
        node: &Node,
        key: usize,
        within: Within,
        id: CommandId,
        args: Args<'_>,
        engines: &mut [&mut Engine],
        out: &mut Vec<u8>,
    ) {
        // Keys are served in the order in which they become ready, wherever they live.
        self.stamp += 1;
        let stamp = self.stamp;
        engines.iter_mut().for_each(|e| e.keyspace.blocked.set_stamp(stamp));
        let spec = node.table.spec(id);
        let in_script = matches!(within, Within::Script(_));
        let session = &mut self.sessions[key];
        let mut view = session.view();
        view.in_transaction = within != Within::Alone;
        view.in_script = in_script;
        // A client that tracks is told of its script's declared keys (`script`).
        view.remembers &= !in_script;
        let own_proto = session.proto;
        if let Within::Script(proto) = within {
            session.proto = proto;
        }
        let (db, proto) = (session.db, session.proto);
        let job = Job { command: id, db, now: self.now, proto, view, random: self.random() };
        let mut ok = true;
        match spec.run {
            Run::Script => unreachable!("a program runs its scripts itself, and none runs in a script"),
            Run::Session | Run::Container => match node.session_run(id) {
                Some(SessionRun::Libraries(change)) => {
                    ok = self.change_libraries(key, change, args, engines, out)
                }
                Some(SessionRun::LoadScript) => ok = self.load_script_now(key, args, out),
                Some(run) if run.whole(node, args).is_some() => {
                    // What was done before is a unit of its own: the journal may begin or end here.
                    end_units(engines);
                    if let Some(handler) = run.whole(node, args) {
                        let (then, done) = self.call(key, id, out, |caller| handler(caller, args, engines));
                        ok = done;
                        self.after(key, then);
                    }
                    begin_units(engines, node.next_unit());
                }
                Some(SessionRun::Home(_) | SessionRun::Whole(..)) => {
                    let (then, done) = self.run_home(key, id, args, within == Within::Exec, out);
                    ok = done;
                    self.stretch(then);
                    self.after(key, then);
                }
                Some(SessionRun::Publish(subject)) => {
                    for engine in engines.iter_mut().filter(|e| e.keyspace.has_news()) {
                        self.take_news(engine);
                    }
                    self.note_depends(engines);
                    // The script's own client may be among the receivers.
                    self.sessions[key].proto = own_proto;
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
                ok = run_over(env!(self), engines, job, args, out);
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
        if in_script {
            self.sessions[key].proto = own_proto;
        }
        if engines.first().is_some_and(|lead| lead.keyspace.blocked.wants()) {
            self.book(id, ok);
        } else {
            self.count(key, id, args, ok);
        }
    }
}

/// Runs one command over all keyspaces that are held; what it leaves for the journal is the first's.
fn run_over(env: Env<'_>, engines: &mut [&mut Engine], job: Job, args: Args<'_>, out: &mut Vec<u8>) -> bool {
    if let [engine] = engines {
        return run_job(env, engine, job, args, out);
    }
    let (lead, rest) = engines.split_first_mut().expect("at least one keyspace is held");
    let Engine { keyspace, effects, journaling } = &mut **lead;
    let mut held: Vec<&mut Keyspace> = vec![keyspace];
    held.extend(rest.iter_mut().map(|e| &mut e.keyspace));
    run_held(env, held, journaling.then_some(effects), job, args, out)
}

/// Commands that may bring what somebody waits for.
const FEEDING: u32 = acl::LIST | acl::SORTEDSET | acl::STREAM | acl::GEO | acl::KEYSPACE;

enum Form {
    Here,
    Units,
    Hold,
}
