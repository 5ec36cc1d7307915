//! The command line, in all the forms that Redis 7 accepts.
//!
//! Flags become lines of a configuration file: `--port 6380` is the line `port "6380"` after the file's own. So a
//! flag means what the same line means. Called once by `main`; reads nothing but its arguments.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::file::Sources;
use super::text::{quote, split};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    Run(Sources),
    /// Load, print what there is to say, and exit.
    CheckConfig(Sources),
    Version,
    Help,
}

/// Something Redis can do and this server cannot. `Display` is for standard error; exit with 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliError(pub String);

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CliError {}

/// The arguments without the program's own name.
pub fn parse_command_line<A: AsRef<[u8]>>(args: &[A]) -> Result<Invocation, CliError> {
    let mut args: Vec<&[u8]> = args.iter().map(AsRef::as_ref).collect();
    let refuse = |what: &str| Err(CliError(format!("{what} is not part of Ringdove")));
    match args.first().copied() {
        Some(b"-v" | b"--version") => return Ok(Invocation::Version),
        Some(b"-h" | b"--help") => return Ok(Invocation::Help),
        Some(b"--test-memory") => return refuse("--test-memory"),
        Some(b"--check-system") => return refuse("--check-system"),
        _ => {}
    }
    if args.iter().any(|arg| arg.eq_ignore_ascii_case(b"--sentinel")) {
        return refuse("Sentinel mode");
    }
    let check = args.first() == Some(&CHECK) || args.last() == Some(&CHECK);
    if check {
        args.remove(if args[0] == CHECK { 0 } else { args.len() - 1 });
    }
    let sources = read_sources(&args);
    Ok(if check { Invocation::CheckConfig(sources) } else { Invocation::Run(sources) })
}

const CHECK: &[u8] = b"--check-config";

fn read_sources(args: &[&[u8]]) -> Sources {
    let mut sources = Sources::default();
    let mut first = 0;
    if let Some(path) = args.first().filter(|arg| arg.first() != Some(&b'-')) {
        sources.file = Some(PathBuf::from(OsStr::from_bytes(path)));
        first = 1;
    }
    let options = &mut sources.options;
    // A word after an option without a value is its value, even if it begins with `--`.
    let mut has_value = true;
    for at in first..args.len() {
        let (arg, next) = (args[at], args.get(at + 1));
        if arg == b"-" && (at == 0 || at == args.len() - 1) {
            sources.stdin = true;
        } else if let Some(option) = arg.strip_prefix(b"--").filter(|_| has_value) {
            if !options.is_empty() {
                options.push(b'\n');
            }
            options.extend([option, b" "].concat());
            // `"--port 6380"` in one word brings its value along.
            has_value = split(arg).is_ok_and(|words| words.len() != 1);
            if !has_value && arg.eq_ignore_ascii_case(b"--save") {
                // No save points, as from a launcher with an empty list of them.
                let another = next.is_some_and(|next| next.starts_with(b"--"));
                if another || next.is_none() {
                    options.extend(b"\"\"");
                    has_value = true;
                }
            }
        } else {
            options.extend(quote(arg));
            options.push(b' ');
            has_value = true;
        }
    }
    sources
}

/// For `-v`. Tools look for ` v=` and the version of Redis whose behaviour this server has.
pub fn version_line() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("Ringdove {version}, like Redis server v=7.0.15 sha=00000000:0 malloc=mimalloc bits=64 build=0")
}

/// For `-h`.
pub const USAGE: &str = "\
Usage: ringdove [/path/to/redis.conf] [options] [-]
       ringdove -                    read the configuration from standard input
       ringdove -v | --version
       ringdove -h | --help
       ringdove --check-config ...   read the configuration, say what is wrong with it, and exit

An option is a parameter of the configuration file with -- before it. It comes after
the file and overrides it.

       ringdove
       ringdove /etc/redis/redis.conf
       ringdove --port 7777 --appendonly yes
       ringdove /etc/redis/redis.conf --loglevel verbose
       echo 'maxmemory 128mb' | ringdove -
";
