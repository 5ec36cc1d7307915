//! The table and everything that reads it, together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

mod access;
mod command_line;
mod file;
mod rewrite;
mod rows;

use super::parameter::{Arity, Kind, Source, Status};
use super::table;
use super::*;

#[derive(Default)]
struct Memory(HashMap<PathBuf, Vec<u8>>);

impl Memory {
    fn with(files: &[(&str, &str)]) -> Self {
        Memory(files.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect())
    }
}

impl Files for Memory {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.0.get(path).cloned().ok_or_else(|| "No such file or directory".to_owned())
    }

    fn read_stdin(&self) -> Result<Vec<u8>, String> {
        self.read(Path::new("-"))
    }

    /// Enough of a shell: `*` at the end.
    fn expand(&self, pattern: &Path) -> Vec<PathBuf> {
        let start = pattern.to_string_lossy().trim_end_matches('*').to_owned();
        let mut found: Vec<_> =
            self.0.keys().filter(|path| path.to_string_lossy().starts_with(&start)).cloned().collect();
        found.sort();
        found
    }
}

fn load_text(text: &[u8]) -> Result<Loaded, ConfigError> {
    let files = Memory(HashMap::from([(PathBuf::from("/redis.conf"), text.to_vec())]));
    load(&Sources { file: Some("/redis.conf".into()), ..Sources::default() }, &files)
}

fn loaded(text: &str) -> Loaded {
    load_text(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    load_text(text.as_bytes()).expect_err(text).to_string()
}

fn value(settings: &Settings, name: &str) -> String {
    let found = get(settings, &[name]);
    assert_eq!(found.len(), 1, "{name}");
    String::from_utf8(found[0].1.clone()).unwrap()
}

fn run(args: &[&str]) -> Result<Loaded, ConfigError> {
    let files = Memory::with(&[("/redis.conf", include_str!("default.conf")), ("-", "maxclients 77\n")]);
    match parse_command_line(args).unwrap() {
        Invocation::Run(sources) => load(&sources, &files),
        other => panic!("{other:?}"),
    }
}
