//! The real disk behind the journal: paths below the server's `dir`, as it was at start.
//!
//! Keeps the file it appends to open, with `O_APPEND`; every other call opens what it needs. Called by
//! recovery (plans, truncation) and by the journal's writer. Retries nothing but an interrupted call,
//! and reports what the system said.

use crate::journal::Disk;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Forces a file to the disk on another thread than the one that writes to it.
pub type SyncJob = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// What the writer asks of a disk beyond the plans.
pub trait JournalDisk: Disk + Send {
    /// What `sync(path)` does, to be run elsewhere. Errors of the file that come up before it runs
    /// are reported by it.
    fn sync_job(&mut self, path: &str) -> io::Result<SyncJob>;
}

#[derive(Debug)]
pub struct FileDisk {
    dir: PathBuf,
    appending: Option<(String, File)>,
    /// Held as long as this server writes to the directory.
    _lock: Option<File>,
}

impl FileDisk {
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        FileDisk { dir: dir.into(), appending: None, _lock: None }
    }

    /// Keeps a second server from writing to the same directory; the lock goes with the process.
    /// False if another process holds it. A file system without locks is no reason not to start.
    pub fn lock(&mut self, dir: &str) -> io::Result<bool> {
        let handle = File::open(self.full(dir))?;
        match handle.try_lock() {
            Ok(()) => self._lock = Some(handle),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(_)) => {}
        }
        Ok(true)
    }

    pub fn full(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.dir.clone() } else { self.dir.join(path) }
    }

    /// For reading it piece by piece; `None` if there is no such file.
    pub fn open(&self, path: &str) -> io::Result<Option<File>> {
        none_if_missing(File::open(self.full(path)))
    }

    pub fn len(&self, path: &str) -> io::Result<Option<u64>> {
        none_if_missing(fs::metadata(self.full(path)).map(|meta| meta.len()))
    }

    fn appending(&mut self, path: &str) -> io::Result<&mut File> {
        if self.appending.as_ref().is_none_or(|(open, _)| open != path) {
            let file = OpenOptions::new().append(true).open(self.full(path))?;
            self.appending = Some((path.to_owned(), file));
        }
        match &mut self.appending {
            Some((_, file)) => Ok(file),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    /// The open handle if there is one: an error that the kernel noted since it was opened is reported
    /// to it for certain.
    fn handle(&self, path: &str) -> io::Result<File> {
        match &self.appending {
            Some((open, file)) if open == path => file.try_clone(),
            _ => OpenOptions::new().write(true).open(self.full(path)),
        }
    }
}

fn none_if_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Disk for FileDisk {
    fn create_dir(&mut self, dir: &str) -> io::Result<()> {
        match fs::create_dir(self.full(dir)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            result => result,
        }
    }

    fn create(&mut self, path: &str) -> io::Result<()> {
        self.appending.take_if(|(open, _)| open == path);
        File::create(self.full(path)).map(drop)
    }

    fn append(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.appending(path)?.write_all(bytes)
    }

    fn truncate(&mut self, path: &str, length: u64) -> io::Result<()> {
        self.handle(path)?.set_len(length)
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        self.handle(path)?.sync_data()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.appending.take_if(|(open, _)| open == from || open == to);
        fs::rename(self.full(from), self.full(to))
    }

    fn sync_dir(&mut self, dir: &str) -> io::Result<()> {
        File::open(self.full(dir))?.sync_all()
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        none_if_missing(fs::remove_file(self.full(path))).map(drop)
    }

    fn exists(&mut self, path: &str) -> io::Result<bool> {
        fs::exists(self.full(path))
    }

    fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        none_if_missing(fs::read(self.full(path)))
    }
}

impl JournalDisk for FileDisk {
    fn sync_job(&mut self, path: &str) -> io::Result<SyncJob> {
        let file = self.handle(path)?;
        Ok(Box::new(move || file.sync_data()))
    }
}

/// What the system calls an error, without Rust's ` (os error 28)`.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// Replaces a file in one step: whoever reads it sees the old text or the new one, also after a crash.
pub fn replace_file(path: &Path, text: &[u8]) -> io::Result<()> {
    // A link keeps pointing to the file it points to.
    let path = &fs::canonicalize(path)?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temp = dir.join(name);
    let written = File::create(&temp).and_then(|mut file| {
        file.set_permissions(fs::metadata(path)?.permissions())?;
        file.write_all(text)?;
        file.sync_all()
    });
    let replaced = written.and_then(|()| fs::rename(&temp, path)).and_then(|()| File::open(dir)?.sync_all());
    if replaced.is_err() {
        let _ = fs::remove_file(&temp);
    }
    replaced
}
