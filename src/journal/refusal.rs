//! Why a file of the journal is not loaded, and what the operator can do about it.
//!
//! Made by `replay`, shown by boot, which then ends the server: a server that starts with less than
//! it had kept, and says so only in a log, has lost data.

/// Why a file is not loaded. `Display` names the file, the offset, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    BadFormat {
        file: String,
        offset: u64,
    },
    /// The line that says the file is ours is damaged.
    Header {
        file: String,
    },
    /// A batch is damaged that had been on the disk whole.
    Damaged {
        file: String,
        offset: u64,
        evidence: u64,
    },
    /// Another server went on in a file whose tail was torn.
    ForeignAfterTorn {
        file: String,
        offset: u64,
        foreign: u64,
    },
    UnknownAnnotation {
        file: String,
        offset: u64,
    },
    Version {
        file: String,
    },
    UnexpectedEnd {
        file: String,
        offset: u64,
    },
    TruncatedNotLast {
        file: String,
        offset: u64,
    },
    Rejected {
        file: String,
        offset: u64,
        why: String,
    },
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::BadFormat { file, offset } => write!(
                f,
                "Bad file format reading the append only file {file} at offset {offset}: make a backup of \
                 your AOF file, then use ./redis-check-aof --fix <filename.manifest>"
            ),
            Refusal::Header { file } => write!(
                f,
                "The first line of the append only file {file} is damaged. Restore the file from a copy, or \
                 load it with Redis, which does not check, and run BGREWRITEAOF there"
            ),
            Refusal::Damaged { file, offset, evidence } => write!(
                f,
                "Bad checksum reading the append only file {file}: the batch at offset {offset} was on the \
                 disk whole and is damaged (the batch at offset {evidence} says so). Make a backup of your \
                 AOF file and restore the file from a copy, or, to lose everything from there on, cut it: \
                 truncate -s {offset} {file}"
            ),
            Refusal::ForeignAfterTorn { file, offset, foreign } => write!(
                f,
                "The append only file {file} was torn at offset {offset} and another server wrote on from \
                 offset {foreign}. Load it with that server and run BGREWRITEAOF there, or, to lose \
                 everything from there on, cut it: truncate -s {offset} {file}"
            ),
            Refusal::UnknownAnnotation { file, offset } => write!(
                f,
                "Unknown annotation reading the append only file {file} at offset {offset}: make a backup \
                 of your AOF file, then remove the line if you wrote it yourself"
            ),
            Refusal::Version { file } => {
                write!(f, "The append only file {file} was written by a newer version of this server")
            }
            Refusal::UnexpectedEnd { file, offset } => write!(
                f,
                "Unexpected end of file reading the append only file {file}: whole up to offset {offset}. \
                 You can: 1) Make a backup of your AOF file, then use ./redis-check-aof --fix \
                 <filename.manifest>. 2) Alternatively you can set the 'aof-load-truncated' configuration \
                 option to yes and restart the server."
            ),
            Refusal::TruncatedNotLast { file, offset } => write!(
                f,
                "Fatal error: the truncated file is not the last file: {file}, whole up to offset {offset}. \
                 Restore it from a copy"
            ),
            Refusal::Rejected { file, offset, why } => {
                write!(f, "{why} reading the append only file {file} at offset {offset}")
            }
        }
    }
}

impl std::error::Error for Refusal {}
