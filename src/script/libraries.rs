//! What FUNCTION keeps: libraries by name, functions by name. A value: changed by FUNCTION's commands on
//! whichever shard runs them, then handed to all shards as an `Arc`, where each `Vm` loads what it
//! calls. Knows no clock: how long a library may take to load is the host's to say (`Host::tick`).

use super::dump;
use super::host::Host;
use super::register::BAD_NAME;
use super::source::{ScriptFlags, line_end, words};
use super::vm::Vm;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A function of a library.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    pub name: Box<[u8]>,
    pub description: Option<Box<[u8]>>,
    pub flags: ScriptFlags,
}

/// A library: its code, and what the code registered.
#[derive(PartialEq, Eq, Debug)]
pub struct Library {
    pub name: Box<[u8]>,
    /// All of it, shebang included.
    pub code: Box<[u8]>,
    /// In the order of registration.
    pub functions: Vec<Function>,
}

impl Library {
    /// What Lua compiles: from the line feed after the shebang, so that line numbers stay.
    pub(super) fn lua(&self) -> &[u8] {
        &self.code[line_end(&self.code).unwrap_or(0)..]
    }

    fn memory(&self) -> usize {
        let function = |function: &Function| {
            size_of::<Function>() + function.name.len() + function.description.as_ref().map_or(0, |d| d.len())
        };
        size_of::<Library>()
            + self.name.len()
            + self.code.len()
            + self.functions.iter().map(function).sum::<usize>()
    }
}

/// FUNCTION RESTORE's last argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RestorePolicy {
    Flush,
    #[default]
    Append,
    Replace,
}

/// All libraries. Cloning copies names and shares the libraries.
#[derive(Clone, Default, Debug)]
pub struct Libraries {
    libraries: BTreeMap<Box<[u8]>, Arc<Library>>,
    /// Names in lower case: where the function is.
    functions: BTreeMap<Box<[u8]>, (Arc<Library>, usize)>,
}

impl Libraries {
    /// FUNCTION LOAD: the library's name, or the text after `-ERR `, when nothing has changed. The
    /// code runs in `vm`, which must not be paused; of the host, `tick` is asked whether it takes too
    /// long (Redis: `Kill("FUNCTION LOAD timeout")` after 500 ms; `Pause` does not pause it) and `log` is
    /// called.
    pub fn load(
        &mut self,
        vm: &mut Vm,
        code: &[u8],
        replace: bool,
        host: &mut dyn Host,
    ) -> Result<Box<[u8]>, Vec<u8>> {
        let name = library_name(code)?;
        if self.libraries.contains_key(&name) && !replace {
            return Err([b"Library '", &name[..], b"' already exists"].concat());
        }
        let code: Box<[u8]> = code.into();
        let mut library = Library { name: name.clone(), code, functions: Vec::new() };
        library.functions = vm.inspect(&library, host)?;
        if library.functions.is_empty() {
            return Err(b"No functions registered".to_vec());
        }
        for function in &library.functions {
            let other = self.functions.get(&lower(&function.name));
            if other.is_some_and(|(other, _)| other.name != name) {
                return Err([b"Function ", &function.name[..], b" already exists"].concat());
            }
        }
        self.delete(&name);
        self.link(Arc::new(library));
        Ok(name)
    }

    /// FUNCTION DELETE: whether there was one.
    pub fn delete(&mut self, name: &[u8]) -> bool {
        let Some(library) = self.libraries.remove(name) else { return false };
        for function in &library.functions {
            self.functions.remove(&lower(&function.name));
        }
        true
    }

    /// FUNCTION FLUSH.
    pub fn flush(&mut self) {
        *self = Libraries::default();
    }

    /// The libraries in order of their names: FUNCTION LIST.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Library>> {
        self.libraries.values()
    }

    /// Looks a function up, without regard to case.
    pub fn find(&self, function: &[u8]) -> Option<&Function> {
        let (library, at) = self.functions.get(&lower(function))?;
        library.functions.get(*at)
    }

    pub(super) fn library_of(&self, function: &[u8]) -> Option<(&Arc<Library>, usize)> {
        self.functions.get(&lower(function)).map(|(library, at)| (library, *at))
    }

    pub(super) fn has(&self, library: &Arc<Library>) -> bool {
        self.libraries.get(&library.name).is_some_and(|own| Arc::ptr_eq(own, library))
    }

    /// FUNCTION DUMP's payload.
    pub fn dump(&self) -> Vec<u8> {
        dump::write(self.iter().map(|library| &library.code[..]))
    }

    /// FUNCTION RESTORE. The error is the text after `-ERR `; nothing has changed then. As for `load`,
    /// but that Redis sets no limit of time.
    pub fn restore(
        &mut self,
        vm: &mut Vm,
        payload: &[u8],
        policy: RestorePolicy,
        host: &mut dyn Host,
    ) -> Result<(), Vec<u8>> {
        let mut restored = Libraries::default();
        for code in dump::read(payload)? {
            restored.load(vm, &code, false, host)?;
        }
        if policy == RestorePolicy::Flush {
            *self = restored;
            return Ok(());
        }
        let mut joined = self.clone();
        for library in restored.iter() {
            if self.libraries.contains_key(&library.name) {
                if policy != RestorePolicy::Replace {
                    return Err([b"Library ", &library.name[..], b" already exists"].concat());
                }
                joined.delete(&library.name);
            }
        }
        for function in restored.iter().flat_map(|library| &library.functions) {
            if joined.functions.contains_key(&lower(&function.name)) {
                return Err([b"Function ", &function.name[..], b" already exists"].concat());
            }
        }
        restored.libraries.into_values().for_each(|library| joined.link(library));
        *self = joined;
        Ok(())
    }

    /// FUNCTION STATS: libraries and functions.
    pub fn counts(&self) -> (usize, usize) {
        (self.libraries.len(), self.functions.len())
    }

    /// Bytes held, beside what each `Vm` has loaded (INFO's `used_memory_functions`).
    pub fn memory(&self) -> usize {
        let entries = self.functions.len() * size_of::<(Box<[u8]>, Arc<Library>, usize)>();
        self.iter().map(|library| library.memory()).sum::<usize>() + entries
    }

    fn link(&mut self, library: Arc<Library>) {
        for (at, function) in library.functions.iter().enumerate() {
            self.functions.entry(lower(&function.name)).or_insert((library.clone(), at));
        }
        self.libraries.insert(library.name.clone(), library);
    }
}

fn lower(name: &[u8]) -> Box<[u8]> {
    name.to_ascii_lowercase().into()
}

/// Letters, digits and underscores, at least one.
pub(super) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// Reads the shebang of a library; the error is the text after `-ERR `.
fn library_name(code: &[u8]) -> Result<Box<[u8]>, Vec<u8>> {
    if !code.starts_with(b"#!") {
        return Err(b"Missing library metadata".to_vec());
    }
    let parts = line_end(code).and_then(|end| words(&code[..end])).filter(|parts| !parts.is_empty());
    let parts = parts.ok_or("Invalid library metadata")?;
    let mut name: Option<&[u8]> = None;
    for part in &parts[1..] {
        let value = part.split_at_checked(5).filter(|(key, _)| key.eq_ignore_ascii_case(b"name="));
        match value {
            Some(_) if name.is_some() => {
                return Err(b"Invalid metadata value, name argument was given multiple times".to_vec());
            }
            Some((_, value)) => name = Some(value),
            None => return Err([b"Invalid metadata value given: ", &part[..]].concat()),
        }
    }
    let name = name.ok_or("Library name was not given")?;
    if !is_name(name) {
        return Err(BAD_NAME.as_bytes().to_vec());
    }
    let engine = parts[0].get(2..).unwrap_or_default();
    if !engine.eq_ignore_ascii_case(b"lua") {
        return Err([b"Engine '", engine, b"' not found"].concat());
    }
    Ok(name.into())
}
