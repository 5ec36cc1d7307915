//! A disk in memory for tests: it knows what was synced, fails at the call it is told, and shows every state that
//! a power cut may leave.

use super::Disk;
use std::collections::BTreeMap;
use std::io;

/// A change of a directory that a crash may forget.
#[derive(Clone, Debug)]
enum Entry {
    Link(String, usize),
    Unlink(String),
    /// One atomic change of two names.
    Move(String, String, usize),
}

/// A disk with a memory of what was synced. Files are inodes; names point at them.
#[derive(Clone, Default)]
pub struct SimDisk {
    inodes: Vec<(Vec<u8>, Vec<u8>)>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    pending: Vec<Entry>,
    pub calls: usize,
    /// The call that fails.
    pub fail_at: Option<usize>,
}

fn dir_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

impl Entry {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Entry::Link(name, inode) => drop(names.insert(name.clone(), *inode)),
            Entry::Unlink(name) => drop(names.remove(name)),
            Entry::Move(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }

    /// A move between directories is settled by the sync of either: file systems journal it whole.
    fn in_dir(&self, dir: &str) -> bool {
        match self {
            Entry::Link(name, _) | Entry::Unlink(name) => dir_of(name) == dir,
            Entry::Move(from, to, _) => dir_of(from) == dir || dir_of(to) == dir,
        }
    }
}

impl SimDisk {
    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        if self.fail_at == Some(self.calls) { Err(io::Error::other("planted")) } else { Ok(()) }
    }

    fn change(&mut self, entry: Entry) {
        entry.apply(&mut self.names);
        self.pending.push(entry);
    }

    fn inode(&self, path: &str) -> io::Result<usize> {
        self.names.get(path).copied().ok_or(io::ErrorKind::NotFound.into())
    }

    /// The disk after a power cut that kept of the unsynced directory changes those in `kept`, and
    /// of unsynced contents all or nothing.
    fn crash(&self, kept: u32, contents: bool) -> SimDisk {
        let mut names = self.synced_names.clone();
        for (i, entry) in self.pending.iter().enumerate() {
            if kept >> i & 1 == 1 {
                entry.apply(&mut names);
            }
        }
        let inodes = self.inodes.iter().map(|(new, synced)| {
            let left = if contents { new } else { synced };
            (left.clone(), left.clone())
        });
        SimDisk { inodes: inodes.collect(), synced_names: names.clone(), names, ..SimDisk::default() }
    }

    /// All disks that a power cut now may leave.
    pub fn crashes(&self) -> impl Iterator<Item = SimDisk> + '_ {
        assert!(self.pending.len() < 12);
        (0..1u32 << self.pending.len()).flat_map(|kept| [self.crash(kept, true), self.crash(kept, false)])
    }
}

impl Disk for SimDisk {
    fn create_dir(&mut self, _dir: &str) -> io::Result<()> {
        self.call()
    }
    fn create(&mut self, path: &str) -> io::Result<()> {
        self.call()?;
        if let Some(&inode) = self.names.get(path) {
            self.inodes[inode].0.clear();
        } else {
            self.inodes.push(Default::default());
            self.change(Entry::Link(path.into(), self.inodes.len() - 1));
        }
        Ok(())
    }
    fn append(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.call()?;
        let inode = self.inode(path)?;
        self.inodes[inode].0.extend_from_slice(bytes);
        Ok(())
    }
    fn truncate(&mut self, path: &str, length: u64) -> io::Result<()> {
        self.call()?;
        let inode = self.inode(path)?;
        self.inodes[inode].0.truncate(length as usize);
        Ok(())
    }
    fn sync(&mut self, path: &str) -> io::Result<()> {
        self.call()?;
        let inode = self.inode(path)?;
        self.inodes[inode].1 = self.inodes[inode].0.clone();
        Ok(())
    }
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.call()?;
        let inode = self.inode(from)?;
        self.change(Entry::Move(from.into(), to.into(), inode));
        Ok(())
    }
    fn sync_dir(&mut self, dir: &str) -> io::Result<()> {
        self.call()?;
        let (done, open) = std::mem::take(&mut self.pending).into_iter().partition(|e: &Entry| e.in_dir(dir));
        self.pending = open;
        let done: Vec<Entry> = done;
        done.iter().for_each(|entry| entry.apply(&mut self.synced_names));
        Ok(())
    }
    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.call()?;
        if self.names.contains_key(path) {
            self.change(Entry::Unlink(path.into()));
        }
        Ok(())
    }
    fn exists(&mut self, path: &str) -> io::Result<bool> {
        Ok(self.names.contains_key(path))
    }
    fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.names.get(path).map(|&inode| self.inodes[inode].0.clone()))
    }
}
