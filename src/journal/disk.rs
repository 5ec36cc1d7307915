//! In which steps files and manifest get to the disk, so that a crash between any two of them
//! leaves a manifest that names whole files.
//!
//! The rules behind the plans: a file is synced, and its directory after it, before a manifest
//! names it; the manifest is written aside, synced, and renamed into place; a file is removed only
//! when the manifest on the disk no longer needs it; the file written before is synced before the
//! next is named, because only the last file of a manifest may have a torn end.
//!
//! Plans are data: the persistence actor runs them through `Disk`, tests run them through a disk
//! that fails at the n-th call or forgets what was not synced. Paths are relative to the server's
//! `dir`. After a failed step the plan is abandoned and the manifest before it stays the valid one.

use super::manifest::{FileInfo, FileType, Manifest};
use crate::config::{Settings, Text};
use std::io;

/// What the journal asks of a file system. Nothing here is retried.
pub trait Disk {
    /// Succeeds too if the directory exists.
    fn create_dir(&mut self, dir: &str) -> io::Result<()>;
    /// An empty file, also if there was one.
    fn create(&mut self, path: &str) -> io::Result<()>;
    fn append(&mut self, path: &str, bytes: &[u8]) -> io::Result<()>;
    fn truncate(&mut self, path: &str, length: u64) -> io::Result<()>;
    fn sync(&mut self, path: &str) -> io::Result<()>;
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// `""` is `dir` itself.
    fn sync_dir(&mut self, dir: &str) -> io::Result<()>;
    /// Succeeds too if there is no such file.
    fn remove(&mut self, path: &str) -> io::Result<()>;
    fn exists(&mut self, path: &str) -> io::Result<bool>;
    /// The whole file, `None` if there is none. Only for manifests; data is streamed to `Replay`.
    fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    CreateDir(String),
    Create(String),
    Append(String, Vec<u8>),
    Truncate(String, u64),
    Sync(String),
    Rename(String, String),
    SyncDir(String),
    Remove(String),
}

/// The step that failed, and how.
#[derive(Debug)]
pub struct StepFailed {
    pub step: Step,
    pub error: io::Error,
}

impl std::fmt::Display for StepFailed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let error = &self.error;
        match &self.step {
            Step::CreateDir(dir) => write!(f, "Can't open or create append-only dir {dir}: {error}"),
            Step::Create(path) => write!(f, "Can't open the append-only file {path}: {error}"),
            Step::Append(path, _) => write!(f, "Error trying to write {path}: {error}"),
            Step::Truncate(path, _) => write!(f, "Error truncating the AOF file {path}: {error}"),
            Step::Sync(path) => write!(f, "Fail to fsync {path}: {error}"),
            Step::Rename(from, to) => write!(f, "Error trying to rename {from} into {to}: {error}"),
            Step::SyncDir(dir) => write!(f, "Fail to fsync AOF directory {dir}: {error}"),
            Step::Remove(path) => write!(f, "Error removing {path}: {error}"),
        }
    }
}

impl std::error::Error for StepFailed {}

impl Step {
    pub fn run(&self, disk: &mut (impl Disk + ?Sized)) -> io::Result<()> {
        match self {
            Step::CreateDir(dir) => disk.create_dir(dir),
            Step::Create(path) => disk.create(path),
            Step::Append(path, bytes) => disk.append(path, bytes),
            Step::Truncate(path, length) => disk.truncate(path, *length),
            Step::Sync(path) => disk.sync(path),
            Step::Rename(from, to) => disk.rename(from, to),
            Step::SyncDir(dir) => disk.sync_dir(dir),
            Step::Remove(path) => disk.remove(path),
        }
    }
}

/// A manifest to be, and how it becomes the valid one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub manifest: Manifest,
    pub steps: Vec<Step>,
}

impl Plan {
    /// Runs all steps; the manifest is valid from then on.
    pub fn run(self, disk: &mut (impl Disk + ?Sized)) -> Result<Manifest, StepFailed> {
        for step in self.steps {
            if let Err(error) = step.run(disk) {
                return Err(StepFailed { step, error });
            }
        }
        Ok(self.manifest)
    }
}

/// The names Redis 7 gives the files: `appenddirname` and `appendfilename`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AofNames {
    pub dir: String,
    pub file: String,
}

impl Default for AofNames {
    fn default() -> Self {
        AofNames { dir: "appendonlydir".into(), file: "appendonly.aof".into() }
    }
}

impl AofNames {
    pub fn of(settings: &Settings) -> AofNames {
        let text = |name: &Text| name.to_str_lossy().into_owned();
        AofNames { dir: text(&settings.appenddirname), file: text(&settings.appendfilename) }
    }

    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }

    pub fn manifest(&self) -> String {
        self.path(&format!("{}.manifest", self.file))
    }

    fn temp_manifest(&self) -> String {
        self.path(&format!("temp-{}.manifest", self.file))
    }

    /// Where a rewrite writes its base before it is whole.
    pub fn temp_base(&self) -> String {
        self.path(&format!("temp-{}.base", self.file))
    }

    fn base(&self, seq: u64, rdb: bool) -> FileInfo {
        let format = if rdb { "rdb" } else { "aof" };
        FileInfo { name: format!("{}.{seq}.base.{format}", self.file), seq, kind: FileType::Base }
    }

    /// The increment after all that the manifest names.
    fn next_incr(&self, now: &Manifest) -> FileInfo {
        let mut next = self.incr(now.incr_seq() + 1);
        while now.history.iter().any(|old| old.name == next.name) {
            next = self.incr(next.seq + 1);
        }
        next
    }

    fn incr(&self, seq: u64) -> FileInfo {
        FileInfo { name: format!("{}.{seq}.incr.aof", self.file), seq, kind: FileType::Incr }
    }

    fn persist(&self, manifest: &Manifest, steps: &mut Vec<Step>) {
        steps.extend([
            Step::Create(self.temp_manifest()),
            Step::Append(self.temp_manifest(), manifest.to_bytes()),
            Step::Sync(self.temp_manifest()),
            Step::Rename(self.temp_manifest(), self.manifest()),
            Step::SyncDir(self.dir.clone()),
        ]);
    }

    /// Goes on in a new increment that begins with `header` (`BatchWriter::file_header`): at the
    /// first start, after a file that cannot be continued, and when a rewrite begins. Nothing may be
    /// written to the old increment once this has begun.
    pub fn open_incr(&self, now: &Manifest, header: &[u8]) -> Plan {
        let mut manifest = now.clone();
        let mut steps = vec![Step::CreateDir(self.dir.clone()), Step::SyncDir(String::new())];
        steps.extend(now.incr.last().map(|old| Step::Sync(self.path(&old.name))));
        let info = self.next_incr(now);
        let path = self.path(&info.name);
        steps.extend([
            Step::Create(path.clone()),
            Step::Append(path.clone(), header.to_vec()),
            Step::Sync(path),
            Step::SyncDir(self.dir.clone()),
        ]);
        manifest.incr.push(info);
        self.persist(&manifest, &mut steps);
        Plan { manifest, steps }
    }

    /// The rewrite is all in `temp_base`: it becomes the base, and everything before the increment
    /// `first_live` (the one opened when the rewrite began) is history.
    pub fn adopt_base(&self, now: &Manifest, rdb: bool, first_live: u64) -> Plan {
        let mut manifest = now.clone();
        let info = self.base(now.base_seq() + 1, rdb);
        let mut steps = vec![
            Step::Sync(self.temp_base()),
            Step::Rename(self.temp_base(), self.path(&info.name)),
            Step::SyncDir(self.dir.clone()),
        ];
        let (old, live) = manifest.incr.drain(..).partition(|incr: &FileInfo| incr.seq < first_live);
        manifest.incr = live;
        let history = |old: FileInfo| FileInfo { kind: FileType::History, ..old };
        let gone = manifest.base.replace(info).into_iter().chain::<Vec<_>>(old).map(history);
        manifest.history.extend(gone);
        self.persist(&manifest, &mut steps);
        Plan { manifest, steps }
    }

    /// Everything is in `temp_base`, and nothing has changed since: it becomes the base, all before it
    /// history, and what follows goes to a new increment that begins with `header`; without one nothing
    /// follows. In one change of the manifest, so that no crash can leave the base of one time beside
    /// the increments of another.
    pub fn begin_anew(&self, now: &Manifest, header: Option<&[u8]>) -> Plan {
        let base = self.base(now.base_seq() + 1, false);
        let mut steps =
            vec![Step::Sync(self.temp_base()), Step::Rename(self.temp_base(), self.path(&base.name))];
        let incr = header.map(|header| {
            let incr = self.next_incr(now);
            let path = self.path(&incr.name);
            steps.extend([
                Step::Create(path.clone()),
                Step::Append(path.clone(), header.to_vec()),
                Step::Sync(path),
            ]);
            incr
        });
        steps.push(Step::SyncDir(self.dir.clone()));
        let history = |old: &FileInfo| FileInfo { kind: FileType::History, ..old.clone() };
        let mut manifest = Manifest { base: Some(base), ..Manifest::default() };
        let gone = now.history.iter().chain(&now.base).chain(&now.incr);
        manifest.history = gone.map(history).collect();
        manifest.incr.extend(incr);
        self.persist(&manifest, &mut steps);
        Plan { manifest, steps }
    }

    /// Removes the files of the history, then their lines.
    pub fn remove_history(&self, now: &Manifest) -> Plan {
        let mut steps: Vec<Step> = now.history.iter().map(|old| Step::Remove(self.path(&old.name))).collect();
        let manifest = Manifest { history: Vec::new(), ..now.clone() };
        if !steps.is_empty() {
            self.persist(&manifest, &mut steps);
        }
        Plan { manifest, steps }
    }

    /// Cuts the torn end that `Loaded::truncated` reports. Go on with `open_incr`: writing on at
    /// the same place of the same file could make stale blocks look right.
    pub fn truncate(&self, now: &Manifest, name: &str, offset: u64) -> Plan {
        let path = self.path(name);
        Plan { manifest: now.clone(), steps: vec![Step::Truncate(path.clone(), offset), Step::Sync(path)] }
    }

    /// Servers before 7.0 kept one file in `dir`. Like Redis we move it into the directory as the
    /// base, the manifest first; `None` if there is nothing to do. An interrupted move is taken up
    /// again: the manifest then names the old file and nothing else, and it is not there yet.
    pub fn upgrade(
        &self,
        now: Option<&Manifest>,
        disk: &mut (impl Disk + ?Sized),
    ) -> io::Result<Option<Plan>> {
        let due = match now {
            None => true,
            Some(now) if now.is_empty() => true,
            Some(now) => {
                let only_base = now.base.as_ref().filter(|_| now.incr.is_empty());
                only_base.is_some_and(|base| base.name == self.file)
                    && !disk.exists(&self.path(&self.file))?
            }
        };
        if !due || !disk.exists(&self.file)? {
            return Ok(None);
        }
        let base = FileInfo { name: self.file.clone(), seq: 1, kind: FileType::Base };
        let manifest = Manifest { base: Some(base), ..Manifest::default() };
        let mut steps = vec![Step::CreateDir(self.dir.clone()), Step::SyncDir(String::new())];
        self.persist(&manifest, &mut steps);
        steps.extend([
            Step::Rename(self.file.clone(), self.path(&self.file)),
            Step::SyncDir(self.dir.clone()),
            Step::SyncDir(String::new()),
        ]);
        Ok(Some(Plan { manifest, steps }))
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
