//! Reads a file record by record from whatever brings its bytes.
//!
//! A file that ends too early, or is damaged anywhere, is an error at the record where that shows; what came
//! before it has been handed out by then. Bytes behind the end are left to who reads on (an append only file
//! that began with a snapshot).

use crate::base::Millis;
use crate::snapshot::kind::opcode;
use crate::snapshot::{Fault, Input, Limits, VERSION_MAX, VERSION_VALKEY, read_value};
use crate::structure::NewValue;
use std::io::Read;

/// Files before this version have no checksum.
const VERSION_WITH_SUM: u16 = 5;

/// What a file is made of.
#[derive(Debug)]
pub enum Record {
    Aux {
        name: Vec<u8>,
        value: Vec<u8>,
    },
    /// A library's code.
    Library(Vec<u8>),
    /// The keys that follow are of this database.
    Database(usize),
    /// How many keys it will have, and how many with deadlines: a hint, and maybe a wrong one.
    Sizes {
        keys: u64,
        with_deadline: u64,
    },
    /// What a module kept beside keys; its name. Left out.
    ModuleAux(String),
    Key(Key),
    End,
}

/// A key with its value.
#[derive(Debug)]
pub struct Key {
    pub key: Vec<u8>,
    pub value: NewValue<'static>,
    pub expire_at: Option<Millis>,
    /// Seconds since it was used.
    pub idle_sec: Option<u64>,
    /// Its counter of uses.
    pub uses: Option<u8>,
}

/// Why a file cannot be read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileError {
    /// It does not begin as such a file does.
    Signature,
    Version(u32),
    /// All was read, and is not what was written.
    Checksum {
        said: u64,
        is: u64,
    },
    /// What is wrong, at which byte about, and in the value of which key.
    Damaged {
        fault: Fault,
        offset: u64,
        key: Option<Vec<u8>>,
    },
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FileError::Signature => f.write_str("it does not begin with the signature of such a file"),
            FileError::Version(version) => write!(f, "version {version} of the format is not known"),
            FileError::Checksum { said, is } => {
                write!(f, "its checksum is {is:016x}, and {said:016x} is what it says")
            }
            FileError::Damaged { fault, offset, key } => {
                write!(f, "{fault}, at byte {offset}")?;
                match key {
                    Some(key) => write!(f, ", in the value of '{}'", key.escape_ascii()),
                    None => Ok(()),
                }
            }
        }
    }
}

/// See the module.
pub struct FileReader<'s> {
    input: Input<'s>,
    version: u16,
    /// Of the key that follows.
    expire_at: Option<Millis>,
    idle_sec: Option<u64>,
    uses: Option<u8>,
    /// Whose value is being read.
    key: Option<Vec<u8>>,
    empty: u64,
}

impl<'s> FileReader<'s> {
    /// Reads the signature. `verify`: whether the checksum is looked at (`rdbchecksum`).
    pub fn new(source: &'s mut dyn Read, verify: bool) -> Result<FileReader<'s>, FileError> {
        let input = Input::from_source(source, verify);
        let mut reader = FileReader {
            input,
            version: 0,
            expire_at: None,
            idle_sec: None,
            uses: None,
            key: None,
            empty: 0,
        };
        let head = reader.input.array::<9>();
        let head = head.map_err(|fault| match fault {
            Fault::Short => FileError::Signature,
            fault => FileError::Damaged { fault, offset: 0, key: None },
        })?;
        let digits = head.strip_prefix(b"REDIS").or_else(|| head.strip_prefix(b"VALKEY"));
        let version: Option<u32> = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let version = version.ok_or(FileError::Signature)?;
        let known = |version: &u16| (1..=VERSION_MAX).contains(version) || *version == VERSION_VALKEY;
        reader.version = u16::try_from(version).ok().filter(known).ok_or(FileError::Version(version))?;
        Ok(reader)
    }

    /// Version of the format.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// How many bytes were read as part of the file.
    pub fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// Keys that were left out because their collections had no elements.
    pub fn empty_keys(&self) -> u64 {
        self.empty
    }

    /// After the end: bytes that have come from the source and are not the file's.
    pub fn rest(&self) -> &[u8] {
        self.input.rest()
    }

    /// The next record; `End` once, then nothing may be asked any more.
    pub fn next(&mut self, limits: &Limits) -> Result<Record, FileError> {
        loop {
            match self.step(limits) {
                Ok(Some(Record::End)) => return self.end(),
                Ok(Some(record)) => return Ok(record),
                Ok(None) => {}
                Err(Fault::Empty) => {
                    self.empty += 1;
                    self.forget_key();
                }
                Err(fault) => return Err(self.damaged(fault)),
            }
        }
    }

    fn damaged(&mut self, fault: Fault) -> FileError {
        FileError::Damaged { fault, offset: self.input.offset(), key: self.key.take() }
    }

    fn forget_key(&mut self) {
        (self.expire_at, self.idle_sec, self.uses, self.key) = (None, None, None, None);
    }

    /// One opcode with what belongs to it; none if it only says something of the next key.
    fn step(&mut self, limits: &Limits) -> Result<Option<Record>, Fault> {
        let input = &mut self.input;
        let code = input.byte()?;
        Ok(Some(match code {
            opcode::AUX => Record::Aux { name: input.string()?, value: input.string()? },
            opcode::FUNCTION => Record::Library(input.string()?),
            opcode::FUNCTION_EARLY => Record::Library(early_library(input)?),
            opcode::SELECT_DB => Record::Database(input.count()?),
            opcode::RESIZE_DB => Record::Sizes { keys: input.number()?, with_deadline: input.number()? },
            opcode::MODULE_AUX => Record::ModuleAux(skip_module_aux(input)?),
            opcode::EOF => Record::End,
            opcode::SLOT_INFO => {
                for _ in 0..3 {
                    input.number()?;
                }
                return Ok(None);
            }
            opcode::EXPIRE_MS => {
                self.expire_at = Some(deadline(i64::from_le_bytes(input.array()?)));
                return Ok(None);
            }
            opcode::EXPIRE_SEC => {
                self.expire_at = Some(deadline(i64::from(i32::from_le_bytes(input.array()?)) * 1000));
                return Ok(None);
            }
            opcode::IDLE => {
                self.idle_sec = Some(input.number()?);
                return Ok(None);
            }
            opcode::FREQ => {
                self.uses = Some(input.byte()?);
                return Ok(None);
            }
            kind => Record::Key(self.read_key(kind, limits)?),
        }))
    }

    fn read_key(&mut self, kind: u8, limits: &Limits) -> Result<Key, Fault> {
        let key = self.key.insert(self.input.string()?).clone();
        let value = read_value(kind, self.version, &mut self.input, limits)?;
        let (expire_at, idle_sec, uses) = (self.expire_at, self.idle_sec, self.uses);
        self.forget_key();
        Ok(Key { key, value, expire_at, idle_sec, uses })
    }

    fn end(&mut self) -> Result<Record, FileError> {
        if self.version >= VERSION_WITH_SUM {
            let is = self.input.sum();
            let said = self.input.u64_le().map_err(|fault| self.damaged(fault))?;
            // Zero: whoever wrote it wanted none.
            if let Some(is) = is.filter(|is| said != 0 && said != *is) {
                return Err(FileError::Checksum { said, is });
            }
        }
        Ok(Record::End)
    }
}

/// A deadline before all time is one that has passed.
fn deadline(ms: i64) -> Millis {
    ms.max(1) as Millis
}

/// As the release candidates of 7.0 wrote it: name, engine, perhaps a description, code.
fn early_library(input: &mut Input<'_>) -> Result<Vec<u8>, Fault> {
    let (name, engine) = (input.string()?, input.string()?);
    if input.number()? != 0 {
        input.string()?;
    }
    let code = input.string()?;
    Ok([b"#!", &engine[..], b" name=", &name, b"\n", &code].concat())
}

/// Reads over what a module kept: the module's number, then parts that say what they are.
fn skip_module_aux(input: &mut Input<'_>) -> Result<String, Fault> {
    let id = input.number()?;
    // First comes when it is to be loaded.
    loop {
        match input.number()? {
            0 => return Ok(module_name(id)),
            1 | 2 => drop(input.number()?),
            3 => drop(input.array::<4>()?),
            4 => drop(input.array::<8>()?),
            5 => drop(input.string()?),
            _ => return Err(Fault::Corrupt("a part of a module's data that is not known")),
        }
    }
}

/// Nine characters of six bits each, above ten bits of a version.
fn module_name(id: u64) -> String {
    const SET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..9).map(|at| char::from(SET[(id >> (58 - 6 * at)) as usize & 0x3f])).collect()
}
