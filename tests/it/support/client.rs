//! A blocking client that hides nothing: commands, raw bytes, pipelines, RESP2 and RESP3.

use super::{Bytes, Value};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a reply may take before the server counts as stuck.
pub const PATIENCE: Duration = Duration::from_secs(30);

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

pub struct Client {
    stream: Stream,
    /// Bytes received and not yet parsed: `input[at..]`.
    input: Vec<u8>,
    at: usize,
}

impl Client {
    pub fn connect(port: u16) -> io::Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream: Stream::Tcp(stream), input: Vec::new(), at: 0 })
    }

    pub fn connect_unix(path: &Path) -> io::Result<Client> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream: Stream::Unix(stream), input: Vec::new(), at: 0 })
    }

    pub fn set_patience(&mut self, patience: Duration) {
        match &self.stream {
            Stream::Tcp(s) => s.set_read_timeout(Some(patience)).unwrap(),
            Stream::Unix(s) => s.set_read_timeout(Some(patience)).unwrap(),
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(s) => s.write_all(bytes),
            Stream::Unix(s) => s.write_all(bytes),
        }
    }

    /// Says that nothing more will be sent.
    pub fn half_close(&mut self) {
        let _ = match &self.stream {
            Stream::Tcp(s) => s.shutdown(Shutdown::Write),
            Stream::Unix(s) => s.shutdown(Shutdown::Write),
        };
    }

    /// Waits until there is something to read, and reads nothing. TCP only.
    pub fn wait_readable(&self) {
        let Stream::Tcp(stream) = &self.stream else { panic!("not a TCP connection") };
        assert_eq!(stream.peek(&mut [0]).expect("something to read"), 1);
    }

    pub fn send(&mut self, words: &[impl AsRef<[u8]>]) -> io::Result<()> {
        let mut out = Vec::new();
        encode(words, &mut out);
        self.write(&out)
    }

    /// Sends a command and waits for its reply; panics when the connection fails.
    pub fn call(&mut self, words: &[impl AsRef<[u8]>]) -> Value {
        self.try_call(words).unwrap_or_else(|e| {
            let line: Vec<Bytes> = words.iter().map(|w| w.as_ref().to_vec()).collect();
            panic!("no reply to {}: {e}", super::quote::line(&line))
        })
    }

    /// `call` with the words in one text.
    pub fn ask(&mut self, line: &str) -> Value {
        self.call(&super::words(line))
    }

    pub fn try_call(&mut self, words: &[impl AsRef<[u8]>]) -> io::Result<Value> {
        self.send(words)?;
        self.receive()
    }

    /// Sends all commands at once, then reads all replies.
    pub fn pipeline(&mut self, commands: &[Vec<Bytes>]) -> io::Result<Vec<Value>> {
        let mut out = Vec::new();
        commands.iter().for_each(|words| encode(words, &mut out));
        self.write(&out)?;
        commands.iter().map(|_| self.receive()).collect()
    }

    /// MULTI, the commands, EXEC in one pipeline; EXEC's reply. Panics if a command was not queued.
    pub fn transaction(&mut self, commands: &[Vec<Bytes>]) -> io::Result<Value> {
        let mut all = vec![super::words("MULTI")];
        all.extend_from_slice(commands);
        all.push(super::words("EXEC"));
        let mut replies = self.pipeline(&all)?;
        for (reply, words) in replies[1..].iter().zip(commands) {
            assert!(reply.is_queued(), "{} in MULTI: {reply:?}", super::quote::line(words));
        }
        Ok(replies.pop().unwrap())
    }

    /// Reads one reply.
    pub fn receive(&mut self) -> io::Result<Value> {
        let line = self.line()?;
        let (kind, rest) = (line[0], &line[1..]);
        let number = || -> io::Result<i64> {
            let text = std::str::from_utf8(rest).map_err(|_| bad(&line))?;
            text.parse().map_err(|_| bad(&line))
        };
        Ok(match kind {
            b'+' => Value::Simple(rest.to_vec()),
            b'-' => Value::Error(rest.to_vec()),
            b':' => Value::Integer(number()?),
            b',' => Value::Double(rest.to_vec()),
            b'(' => Value::BigNumber(rest.to_vec()),
            b'#' => Value::Boolean(rest == b"t"),
            b'_' => Value::Null,
            b'$' if rest == b"-1" => Value::NullBulk,
            b'*' if rest == b"-1" => Value::NullArray,
            b'$' => Value::Bulk(self.bulk(number()?)?),
            b'=' => Value::Verbatim(self.bulk(number()?)?),
            b'!' => Value::BulkError(self.bulk(number()?)?),
            b'*' => Value::Array(self.elements(number()?)?),
            b'~' => Value::Set(self.elements(number()?)?),
            b'>' => Value::Push(self.elements(number()?)?),
            b'%' => {
                let flat = self.elements(number()? * 2)?;
                let mut pairs = Vec::new();
                let mut flat = flat.into_iter();
                while let (Some(k), Some(v)) = (flat.next(), flat.next()) {
                    pairs.push((k, v));
                }
                Value::Map(pairs)
            }
            _ => return Err(bad(&line)),
        })
    }

    fn elements(&mut self, count: i64) -> io::Result<Vec<Value>> {
        (0..count).map(|_| self.receive()).collect()
    }

    fn bulk(&mut self, length: i64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(length).map_err(|_| bad(b"a negative length"))?;
        let mut bytes = self.take(length + 2)?;
        if bytes.split_off(length) != b"\r\n" {
            return Err(bad(b"a bulk that does not end in CR LF"));
        }
        Ok(bytes)
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut seen = 0;
        loop {
            if let Some(end) = self.input[self.at + seen..].iter().position(|b| *b == b'\n') {
                let mut line = self.take(seen + end + 1)?;
                line.truncate(line.len() - 2);
                return if line.is_empty() { Err(bad(b"an empty line")) } else { Ok(line) };
            }
            seen = self.input.len() - self.at;
            self.fill()?;
        }
    }

    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.input.len() - self.at < count {
            self.fill()?;
        }
        let bytes = self.input[self.at..self.at + count].to_vec();
        self.at += count;
        if self.at == self.input.len() {
            self.input.clear();
            self.at = 0;
        }
        Ok(bytes)
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut chunk = [0; 65536];
        let count = match &mut self.stream {
            Stream::Tcp(s) => s.read(&mut chunk)?,
            Stream::Unix(s) => s.read(&mut chunk)?,
        };
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        self.input.extend_from_slice(&chunk[..count]);
        Ok(())
    }

    /// All bytes until the server closes the connection (or resets it).
    pub fn read_to_end(&mut self) -> Vec<u8> {
        while self.fill().is_ok() {}
        self.input.split_off(std::mem::take(&mut self.at))
    }

    /// Whether the server has closed this connection: waits for it.
    pub fn is_closed(&mut self) -> bool {
        loop {
            match self.fill() {
                Ok(()) => {}
                Err(e) => {
                    return !matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
                }
            }
        }
    }
}

fn bad(what: &[u8]) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not RESP: {}", super::quote::quote(what)))
}

/// A command as clients send it.
pub fn encode(words: &[impl AsRef<[u8]>], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        let word = word.as_ref();
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}
