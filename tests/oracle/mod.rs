//! A real redis-server to compare with, and a client for it that keeps sets, maps and arrays apart.
//! Each test binary uses a part of this.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Any reply; sets and maps are kept apart from arrays, so that shapes are compared as well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Null,
    Integer(i64),
    Simple(String),
    Bulk(String),
    /// As it was written.
    Double(String),
    Error(String),
    Array(Vec<Value>),
    Set(Vec<Value>),
    Map(Vec<(Value, Value)>),
}

impl Value {
    pub fn items(&self) -> &[Value] {
        match self {
            Value::Array(items) | Value::Set(items) => items,
            other => panic!("expected an array, got {other:?}"),
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Value::Simple(s) | Value::Bulk(s) => s,
            other => panic!("expected text, got {other:?}"),
        }
    }

    /// Pairs of a map, or of the flat array that stands for it in RESP2.
    pub fn pairs(&self) -> BTreeMap<String, Value> {
        match self {
            Value::Map(pairs) => pairs.iter().map(|(k, v)| (k.text().into(), v.clone())).collect(),
            other => other.items().chunks(2).map(|p| (p[0].text().into(), p[1].clone())).collect(),
        }
    }
}

pub fn read_value(from: &mut impl BufRead) -> Value {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    let (kind, rest) = line.strip_suffix("\r\n").unwrap().split_at(1);
    let count = || rest.parse::<i64>().unwrap();
    match kind {
        "+" => Value::Simple(rest.into()),
        "-" => Value::Error(rest.into()),
        ":" => Value::Integer(count()),
        "," => Value::Double(rest.into()),
        "_" => Value::Null,
        "$" if count() < 0 => Value::Null,
        "*" if count() < 0 => Value::Null,
        "$" => {
            let mut bytes = vec![0; count() as usize + 2];
            from.read_exact(&mut bytes).unwrap();
            bytes.truncate(bytes.len() - 2);
            Value::Bulk(String::from_utf8(bytes).unwrap())
        }
        "=" => {
            let mut bytes = vec![0; count() as usize + 2];
            from.read_exact(&mut bytes).unwrap();
            Value::Bulk(String::from_utf8(bytes[4..bytes.len() - 2].to_vec()).unwrap())
        }
        "*" => Value::Array((0..count()).map(|_| read_value(from)).collect()),
        "~" => Value::Set((0..count()).map(|_| read_value(from)).collect()),
        "%" => Value::Map((0..count()).map(|_| (read_value(from), read_value(from))).collect()),
        _ => panic!("unexpected reply {line:?}"),
    }
}

/// A port that nobody listens on, below those the kernel gives out, and another one each time: tests of one
/// program run side by side.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id().wrapping_mul(37);
        let port = 24_000 + (step % 7_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A redis-server of our own on a free port, gone when dropped.
pub struct Oracle {
    process: Child,
    dir: std::path::PathBuf,
    connection: BufReader<TcpStream>,
}

impl Oracle {
    pub fn start() -> Option<Oracle> {
        let port = free_port();
        let dir = std::env::temp_dir().join(format!("ringdove-oracle-{port}"));
        std::fs::create_dir_all(&dir).unwrap();
        let process = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--enable-debug-command",
                "local",
                "--dir",
            ])
            .arg(&dir)
            .stdout(Stdio::null())
            .spawn();
        let Ok(mut process) = process else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must have redis-server");
            eprintln!("skipped: there is no redis-server to compare with");
            return None;
        };
        for _ in 0..100 {
            if let Ok(connection) = TcpStream::connect(("127.0.0.1", port)) {
                return Some(Oracle { process, dir, connection: BufReader::new(connection) });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = process.kill();
        panic!("redis-server did not come up");
    }

    pub fn ask(&mut self, args: &[&str]) -> Value {
        let mut request = format!("*{}\r\n", args.len());
        args.iter().for_each(|a| request.push_str(&format!("${}\r\n{a}\r\n", a.len())));
        self.connection.get_mut().write_all(request.as_bytes()).unwrap();
        read_value(&mut self.connection)
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
