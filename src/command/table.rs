//! All commands by name. Built once at start (renames applied), then only read: a lookup is a hash
//! of the upper-cased name's bytes and one comparison.

use super::intrinsic::{self, Callee};
use super::spec::{Begin, CommandSpec, Find, Group, KeySpec};
use super::{bitmap, connection, debug, generic, pubsub, scripting, server, string, transaction};
use super::{geo, hash, hyperloglog, list, set, sorted_set, stream};
use crate::resp::Args;

/// Position of a command in the table: small, and the index of its statistics.
pub type CommandId = u16;

/// Longest name that is looked up without a fallback; every built-in name is shorter.
const NAME_MAX: usize = 32;
const SLOTS: usize = 2048;

pub struct CommandTable {
    rows: Vec<Row>,
    slots: Box<[u16; SLOTS]>,
    /// EVAL and EVALSHA. Behind each stand the native forms of scripts. None if a command that one of them
    /// calls has another name here.
    scripted: Option<[CommandId; 2]>,
    /// What native forms call, by the number of the `Callee`.
    callees: Box<[CommandId]>,
}

/// A command as this process serves it.
pub struct Row {
    pub spec: &'static CommandSpec,
    /// The name clients use (`rename-command` may differ from `spec.name`), lower case.
    pub name: String,
    /// For subcommands: `container|subcommand`, as INFO commandstats writes it.
    pub full_name: String,
    /// The container's id and this row's siblings, for subcommands.
    pub parent: Option<CommandId>,
    subcommands: Vec<CommandId>,
    /// What Redis has no row for: a word of a command that it shows without subcommands (DEBUG), found by
    /// `inner`, or a script's native form, found by `native`. Counted as its parent.
    pub is_inner: bool,
    /// The argument that is the command's only key, if its place never varies.
    single_key: Option<u8>,
}

/// What a name led to.
pub enum Looked {
    Found(CommandId),
    Unknown,
    /// The container is known, the subcommand is not.
    UnknownSubcommand(CommandId),
}

impl CommandTable {
    /// `renames` maps a command's name to a new one; an empty new name removes the command.
    pub fn new(renames: &[(String, String)]) -> Result<CommandTable, String> {
        let mut table = CommandTable {
            rows: Vec::new(),
            slots: Box::new([0; SLOTS]),
            scripted: None,
            callees: Box::default(),
        };
        for family in [
            string::COMMANDS,
            generic::COMMANDS,
            list::COMMANDS,
            hash::COMMANDS,
            set::COMMANDS,
            bitmap::COMMANDS,
            hyperloglog::COMMANDS,
            sorted_set::COMMANDS,
            geo::COMMANDS,
            stream::COMMANDS,
            connection::COMMANDS,
            transaction::COMMANDS,
            pubsub::COMMANDS,
            server::COMMANDS,
            scripting::COMMANDS,
        ] {
            for spec in family {
                table.add(spec);
            }
        }
        let find = |name: &str| table.find(name.as_bytes()).expect("a row of this table");
        let callees = Callee::ALL.iter().map(|callee| find(callee.spec().name)).collect();
        (table.scripted, table.callees) = (Some(["eval", "evalsha"].map(find)), callees);
        for (old, new) in renames {
            table.rename(&old.to_ascii_lowercase(), &new.to_ascii_lowercase())?;
        }
        let is_renamed = |id: &CommandId| table.rows[*id as usize].name != table.spec(*id).name;
        if table.callees.iter().any(is_renamed) {
            // Scripts do not find what they call.
            table.scripted = None;
        }
        Ok(table)
    }

    fn add(&mut self, spec: &'static CommandSpec) {
        let id = self.rows.len() as CommandId;
        self.rows.push(Row {
            spec,
            name: spec.name.into(),
            full_name: spec.name.into(),
            parent: None,
            subcommands: Vec::new(),
            is_inner: false,
            single_key: single_key(spec),
        });
        if spec.name == "debug" {
            debug::SUBCOMMANDS.iter().for_each(|word| self.add_inner(id, spec, word));
        }
        if matches!(spec.name, "eval" | "evalsha") {
            intrinsic::ALL.iter().for_each(|native| self.add_inner(id, spec, &native.spec));
        }
        for sub in spec.subcommands {
            let sub_id = self.rows.len() as CommandId;
            self.rows.push(Row {
                spec: sub,
                name: sub.name.into(),
                full_name: format!("{}|{}", spec.name, sub.name),
                parent: Some(id),
                subcommands: Vec::new(),
                is_inner: false,
                single_key: single_key(sub),
            });
            self.rows[id as usize].subcommands.push(sub_id);
        }
        self.file(spec.name.as_bytes(), id);
    }

    fn add_inner(&mut self, parent: CommandId, container: &CommandSpec, word: &'static CommandSpec) {
        self.rows.push(Row {
            spec: word,
            name: word.name.into(),
            full_name: format!("{}|{}", container.name, word.name),
            parent: Some(parent),
            subcommands: Vec::new(),
            is_inner: true,
            single_key: single_key(word),
        });
    }

    /// Serves a command under another name, or, with an empty one, not at all.
    pub fn rename(&mut self, old: &str, new: &str) -> Result<(), String> {
        let Some(id) = self.find(old.as_bytes()) else {
            return Err(format!("No such command in rename-command: '{old}'"));
        };
        if !new.is_empty() && self.find(new.as_bytes()).is_some() {
            return Err(format!("Target command name already exists in rename-command: '{new}'"));
        }
        self.rows[id as usize].name = new.into();
        self.rebuild();
        Ok(())
    }

    fn rebuild(&mut self) {
        *self.slots = [0; SLOTS];
        for id in 0..self.rows.len() {
            if self.rows[id].parent.is_none() && !self.rows[id].name.is_empty() {
                let name = self.rows[id].name.clone();
                self.file(name.as_bytes(), id as CommandId);
            }
        }
    }

    fn file(&mut self, name: &[u8], id: CommandId) {
        let mut at = hash(name) as usize % SLOTS;
        while self.slots[at] != 0 {
            at = (at + 1) % SLOTS;
        }
        self.slots[at] = id + 1;
    }

    /// The top-level command of this name, in any case.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<CommandId> {
        if name.len() > NAME_MAX {
            return self
                .rows
                .iter()
                .position(|r| r.parent.is_none() && r.name.as_bytes().eq_ignore_ascii_case(name))
                .map(|i| i as CommandId);
        }
        let mut at = hash(name) as usize % SLOTS;
        loop {
            let id = self.slots[at].checked_sub(1)?;
            if self.rows[id as usize].name.as_bytes().eq_ignore_ascii_case(name) {
                return Some(id);
            }
            at = (at + 1) % SLOTS;
        }
    }

    /// The command, or for a container the subcommand, that these words name.
    #[inline]
    pub fn look_up(&self, name: &[u8], subcommand: Option<&[u8]>) -> Looked {
        let Some(id) = self.find(name) else { return Looked::Unknown };
        let row = &self.rows[id as usize];
        if row.subcommands.is_empty() {
            return Looked::Found(id);
        }
        match subcommand {
            None => Looked::Found(id),
            Some(sub) => {
                match row
                    .subcommands
                    .iter()
                    .find(|s| self.rows[**s as usize].name.as_bytes().eq_ignore_ascii_case(sub))
                {
                    Some(sub) => Looked::Found(*sub),
                    None => Looked::UnknownSubcommand(id),
                }
            }
        }
    }

    /// The row for a DEBUG subcommand that has shards to go to.
    pub fn inner(&self, id: CommandId, args: Args<'_>) -> Option<CommandId> {
        let spec = (self.spec(id).name == "debug").then(|| debug::subcommand(args))??;
        let at = debug::SUBCOMMANDS.iter().position(|word| word.name == spec.name)?;
        Some(id + 1 + at as CommandId)
    }

    /// The row of a script's native form (its number in `intrinsic::ALL`) behind EVAL or EVALSHA. None for
    /// other commands.
    #[inline]
    pub fn native(&self, id: CommandId, number: usize) -> Option<CommandId> {
        self.scripted?.contains(&id).then_some(id + 1 + number as CommandId)
    }

    /// The rows of a script's native form, behind EVAL and EVALSHA.
    pub fn natives(&self, number: usize) -> Option<[CommandId; 2]> {
        self.scripted.map(|ids| ids.map(|id| id + 1 + number as CommandId))
    }

    /// Whether `id` is EVALSHA.
    pub fn is_by_sha(&self, id: CommandId) -> bool {
        self.scripted.is_some_and(|[_, evalsha]| id == evalsha)
    }

    pub fn callee(&self, callee: Callee) -> CommandId {
        self.callees[callee as usize]
    }

    #[inline]
    pub fn spec(&self, id: CommandId) -> &'static CommandSpec {
        self.rows[id as usize].spec
    }

    /// The argument that is the only key, for commands that have exactly one at a fixed place.
    #[inline]
    pub fn single_key(&self, id: CommandId) -> Option<usize> {
        self.rows[id as usize].single_key.map(usize::from)
    }

    /// The name Redis knows the command by; for a subcommand its container's.
    pub fn original_name(&self, id: CommandId) -> &'static str {
        let row = &self.rows[id as usize];
        self.rows[row.parent.unwrap_or(id) as usize].spec.name
    }

    pub fn row(&self, id: CommandId) -> &Row {
        &self.rows[id as usize]
    }

    /// Every command and subcommand with its id.
    pub fn rows(&self) -> impl Iterator<Item = (CommandId, &Row)> {
        self.rows.iter().enumerate().map(|(i, r)| (i as CommandId, r))
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Row {
    /// Whether it is a script's native form.
    pub fn is_native(&self) -> bool {
        self.is_inner && self.spec.group == Group::Scripting
    }

    pub fn subcommands(&self) -> &[CommandId] {
        &self.subcommands
    }
}

fn single_key(spec: &CommandSpec) -> Option<u8> {
    let [KeySpec { begin: Begin::Index(at), find: Find::Range { last: 0, .. }, .. }] = spec.keys else {
        return None;
    };
    u8::try_from(*at).ok()
}

/// Mixes the name's bytes, case folded by clearing bit 5.
#[inline]
fn hash(name: &[u8]) -> u32 {
    let mut h = name.len() as u32;
    for b in name {
        h = (h ^ (*b & !0x20) as u32).wrapping_mul(0x0100_0193).rotate_left(5);
    }
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_under_its_name_in_any_case() {
        let table = CommandTable::new(&[]).unwrap();
        for (id, row) in table.rows().filter(|(_, r)| r.parent.is_none()) {
            assert_eq!(table.find(row.name.as_bytes()), Some(id));
            assert_eq!(table.find(row.name.to_ascii_uppercase().as_bytes()), Some(id));
        }
        assert_eq!(table.find(b"nosuch"), None);
        assert_eq!(table.find(&[b'x'; 100]), None);
    }

    #[test]
    fn a_renamed_command_answers_to_its_new_name_only() {
        let table = CommandTable::new(&[("GET".into(), "fetch".into()), ("SET".into(), "".into())]).unwrap();
        assert!(table.find(b"get").is_none() && table.find(b"set").is_none());
        assert_eq!(table.spec(table.find(b"FETCH").unwrap()).name, "get");
        assert!(CommandTable::new(&[("nope".into(), "x".into())]).is_err());
        assert!(CommandTable::new(&[("get".into(), "set".into())]).is_err());
    }
}
