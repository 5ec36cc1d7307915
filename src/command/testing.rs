//! Runs command lines against keyspaces as the engine would, and keeps what a test wants to look at:
//! the reply's bytes, the effects that would be journaled, the number of changes. Test code only.

use super::{ClientView, CommandTable, Error, Exec, Looked, Run};
use crate::base::Millis;
use crate::config::Settings;
use crate::journal::ChunkWriter;
use crate::keyspace::{Keys, Keyspace, Placement, Reach};
use crate::resp::{ArgsBuf, Proto, Reply};

/// One or several shards, all of them in reach of every command, and a clock that stands still.
pub(crate) struct Bench {
    pub keyspaces: Vec<Keyspace>,
    pub placement: Placement,
    pub table: CommandTable,
    pub settings: Settings,
    pub db: usize,
    pub now: Millis,
    pub random: u64,
    pub client: ClientView,
    pub proto: Proto,
    /// Whether the last command ran with a journal effect of its own, and how many changes it made.
    pub own_effect: bool,
    pub changes: u64,
}

pub(crate) const START: Millis = 1_700_000_000_000;

impl Bench {
    pub fn new() -> Bench {
        Bench::with_shards(1)
    }

    pub fn with_shards(shards: u16) -> Bench {
        Bench {
            keyspaces: (0..shards).map(|shard| Keyspace::new(shard, 16)).collect(),
            placement: Placement::new(shards, [1, 2, 3, 4]),
            table: CommandTable::new(&[]).unwrap(),
            settings: Settings::default(),
            db: 0,
            now: START,
            random: 0,
            client: ClientView::default(),
            proto: Proto::Resp2,
            own_effect: false,
            changes: 0,
        }
    }

    /// Runs one command and returns its reply's bytes.
    pub fn run<A: AsRef<[u8]>>(&mut self, args: impl IntoIterator<Item = A>) -> Vec<u8> {
        let args: ArgsBuf = args.into_iter().collect();
        let args = args.as_args();
        let found = match self.table.look_up(args.at(0), args.get(1)) {
            Looked::Found(id) => self.table.spec(id),
            _ => panic!("no command {:?}", String::from_utf8_lossy(args.at(0))),
        };
        let mut out = Vec::new();
        if !found.arity_fits(args.len()) {
            let text = format!("ERR wrong number of arguments for '{}' command", found.name);
            Reply::new(&mut out, self.proto).error(&text);
            return out;
        }
        let (Run::Keys(handler) | Run::Split(handler, _) | Run::Every(handler, _) | Run::Cursor(handler)) =
            found.run
        else {
            panic!("{} does not run on keys", found.name)
        };
        let reach = match &mut self.keyspaces[..] {
            [one] => Reach::One(one),
            several => Reach::Held(several.iter_mut().collect()),
        };
        let mut effects = ChunkWriter::default();
        let mut exec = Exec {
            keys: Keys::new(reach, self.db, self.now, &self.placement, &mut effects),
            reply: Reply::new(&mut out, self.proto),
            settings: &self.settings,
            random: self.random,
            client: self.client,
        };
        exec.keys.set_no_touch(self.client.no_touch);
        let result = handler(&mut exec, args);
        (self.changes, self.own_effect) = exec.keys.outcome();
        if let Err(error) = result {
            assert_eq!(self.changes, 0, "{} failed after it changed something", found.name);
            out.clear();
            Reply::new(&mut out, self.proto).error(Error::line(&error));
        }
        out
    }

    /// Runs a command line whose arguments hold no spaces; `""` stands for an empty argument. The
    /// reply is shown with `\r\n` as a space, so that tests read well.
    pub fn line(&mut self, line: &str) -> String {
        let out = self.run(line.split(' ').map(|a| if a == "\"\"" { "" } else { a }));
        let shown = String::from_utf8_lossy(&out).replace("\r\n", " ");
        shown.trim_end().to_owned()
    }
}

/// Runs lines and compares each reply (`\r\n` shown as a space).
pub(crate) fn expect(bench: &mut Bench, lines: &[(&str, &str)]) {
    for (line, reply) in lines {
        assert_eq!(bench.line(line), *reply, "{line}");
    }
}
