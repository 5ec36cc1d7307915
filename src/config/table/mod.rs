//! The table: one row per parameter, by theme. Everything about a parameter is in its row; the file parser,
//! the flags, CONFIG GET, SET and REWRITE and `docs/configuration.md` read it from there.
//!
//! To add a parameter: a field in `settings.rs`, a row here, `UPDATE_DOCS=1 cargo test config::`.
//! To say that a feature is built: remove `.later(..)` from its rows.

#[macro_use]
mod kinds;

mod append_only;
mod checks;
mod cluster;
mod defrag;
mod encodings;
mod memory;
mod network;
mod observe;
mod process;
mod replication;
mod security;
mod snapshot;
mod tls;

use super::parameter::Parameter;

pub struct Theme {
    pub title: &'static str,
    pub intro: &'static str,
    pub rows: &'static [Parameter],
}

/// In the order of the reference page.
pub const THEMES: &[Theme] = &[
    network::THEME,
    process::SHARDS,
    memory::THEME,
    append_only::THEME,
    snapshot::THEME,
    security::THEME,
    process::THEME,
    observe::THEME,
    encodings::THEME,
    replication::THEME,
    cluster::THEME,
    tls::THEME,
    defrag::THEME,
];

pub fn rows() -> impl Iterator<Item = &'static Parameter> {
    THEMES.iter().flat_map(|theme| theme.rows)
}

/// A parameter by its name or its alias, in any case, with the spelling of the table that matched.
pub fn find(name: &[u8]) -> Option<(&'static Parameter, &'static str)> {
    let same = |known: &&'static str| name.eq_ignore_ascii_case(known.as_bytes());
    rows().find_map(|row| {
        let spelled = Some(row.name).filter(|known| same(known)).or(row.alias.filter(|known| same(known)))?;
        Some((row, spelled))
    })
}

const INT_MAX: i128 = i32::MAX as i128;
const INT_MIN: i128 = i32::MIN as i128;
const UINT_MAX: i128 = u32::MAX as i128;
const LONG_MAX: i128 = i64::MAX as i128;
const ULLONG_MAX: i128 = u64::MAX as i128;
