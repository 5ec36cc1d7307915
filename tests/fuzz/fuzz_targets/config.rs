//! A configuration file of any bytes loads or is refused, and what loads survives CONFIG REWRITE: the
//! new file gives the same settings and, rewritten again, the same bytes.
#![no_main]

use std::path::{Path, PathBuf};

use libfuzzer_sys::fuzz_target;
use ringdove::config::{Files, Loaded, Settings, Sources, load, rewrite};

/// The one file, and no other.
struct Only<'a>(&'a [u8]);

impl Files for Only<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        if path == Path::new("/fuzz.conf") { Ok(self.0.to_vec()) } else { Err("missing".to_owned()) }
    }

    fn read_stdin(&self) -> Result<Vec<u8>, String> {
        Err("closed".to_owned())
    }

    fn expand(&self, _: &Path) -> Vec<PathBuf> {
        Vec::new()
    }
}

fn load_text(text: &[u8]) -> Option<Loaded> {
    load(&Sources { file: Some("/fuzz.conf".into()), ..Sources::default() }, &Only(text)).ok()
}

/// Without the lines that directives stood on, which a rewrite may move.
fn values(settings: &Settings) -> String {
    let mut settings = settings.clone();
    let renamed = std::mem::take(&mut settings.renamed_commands);
    let users = std::mem::take(&mut settings.users);
    let renamed: Vec<_> = renamed.into_iter().map(|renamed| (renamed.from, renamed.to)).collect();
    let users: Vec<_> = users.into_iter().map(|user| user.words).collect();
    format!("{settings:?} {renamed:?} {users:?}")
}

fuzz_target!(|text: &[u8]| {
    let Some(loaded) = load_text(text) else { return };
    // A relative directory is made absolute before anything is rewritten.
    let mut settings = loaded.settings;
    if !settings.dir.as_bytes().starts_with(b"/") {
        settings.dir = "/data".into();
    }
    for everything in [false, true] {
        let first = rewrite(text, &settings, everything);
        let again = load_text(&first).expect("a rewritten file loads");
        assert_eq!(values(&again.settings), values(&settings));
        assert_eq!(rewrite(&first, &settings, everything), first);
    }
});
