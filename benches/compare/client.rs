//! A blocking RESP2 client, small and boring. It must cost little: it shares the machine with the server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

#[derive(Debug, PartialEq)]
pub enum Reply {
    Status(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Null,
    Array(Vec<Reply>),
}

pub struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
    at: usize,
}

/// Appends one command.
pub fn encode(out: &mut Vec<u8>, words: &[&str]) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
}

impl Client {
    pub fn try_open(port: u16) -> Option<Client> {
        let socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
        socket.set_nodelay(true).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        Some(Client { socket, buffer: Vec::new(), at: 0 })
    }

    pub fn call(&mut self, words: &[&str]) -> Reply {
        let mut bytes = Vec::new();
        encode(&mut bytes, words);
        self.send(&bytes);
        self.read()
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("the server takes what is sent");
    }

    pub fn read(&mut self) -> Reply {
        loop {
            let mut at = self.at;
            if let Some(reply) = parse(&self.buffer, &mut at) {
                self.at = at;
                if self.at == self.buffer.len() {
                    self.buffer.clear();
                    self.at = 0;
                }
                return reply;
            }
            self.receive();
        }
    }

    fn receive(&mut self) {
        self.buffer.drain(..self.at);
        self.at = 0;
        let mut chunk = [0; 64 * 1024];
        let n = self.socket.read(&mut chunk).expect("the server answers in time");
        assert!(n > 0, "the server closed the connection");
        self.buffer.extend_from_slice(&chunk[..n]);
    }

    /// Reads `n` replies, none of which may be an error.
    pub fn read_ok(&mut self, n: usize) {
        for _ in 0..n {
            if let Reply::Error(error) = self.read() {
                panic!("the server says: {error}");
            }
        }
    }
}

fn parse(bytes: &[u8], at: &mut usize) -> Option<Reply> {
    let end = *at + bytes[*at..].windows(2).position(|pair| pair == b"\r\n")?;
    let line = std::str::from_utf8(&bytes[*at + 1..end]).ok()?;
    let kind = bytes[*at];
    *at = end + 2;
    Some(match kind {
        b'+' => Reply::Status(line.into()),
        b'-' => Reply::Error(line.into()),
        b':' => Reply::Integer(line.parse().ok()?),
        b'$' | b'*' if line == "-1" => Reply::Null,
        b'$' => {
            let len: usize = line.parse().ok()?;
            let value = bytes.get(*at..*at + len + 2)?;
            *at += len + 2;
            Reply::Bulk(value[..len].to_vec())
        }
        b'*' => {
            let mut items = Vec::new();
            for _ in 0..line.parse().ok()? {
                items.push(parse(bytes, at)?);
            }
            Reply::Array(items)
        }
        other => panic!("not a reply: {other}"),
    })
}
