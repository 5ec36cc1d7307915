//! Random lives of connections against a naive model: two byte strings per connection, of which
//! each side must see a prefix, and all of it where the end was orderly.

use super::{
    Close, RingOptions, Token,
    ring_tests::{Rig, pattern},
};
use proptest::prelude::*;
use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
};

#[derive(Clone, Copy, Debug)]
enum Step {
    Connect,
    ClientWrites(usize),
    ClientReads(usize),
    ClientShuts,
    ClientLeaves,
    ServerSends(usize),
    ServerPauses,
    ServerResumes,
    ServerCloses(Close),
    ServerReleases,
    Submit,
    Harvest,
}

/// One connection: what was written into either end, and what came out at the client's.
struct Model {
    token: Token,
    client: Option<TcpStream>,
    client_wrote: usize,
    client_shut: bool,
    server_sent: usize,
    client_read: Vec<u8>,
    client_saw_end: bool,
    asked: Option<Close>,
    released: bool,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Connect),
        6 => (1..3000usize).prop_map(Step::ClientWrites),
        4 => (1..5000usize).prop_map(Step::ClientReads),
        1 => Just(Step::ClientShuts),
        1 => Just(Step::ClientLeaves),
        6 => (1..200_000usize).prop_map(Step::ServerSends),
        2 => Just(Step::ServerPauses),
        2 => Just(Step::ServerResumes),
        1 => Just(Step::ServerCloses(Close::Flush)),
        1 => Just(Step::ServerCloses(Close::Now)),
        1 => Just(Step::ServerReleases),
        1 => Just(Step::Submit),
        8 => Just(Step::Harvest),
    ]
}

impl Model {
    fn apply(&mut self, rig: &mut Rig, step: Step) {
        match step {
            Step::Connect | Step::Harvest => {
                rig.harvest();
            }
            Step::Submit => rig.ring.submit().unwrap(),
            Step::ClientWrites(len) if !self.client_shut => {
                let Some(client) = &mut self.client else { return };
                match client.write(&pattern(self.client_wrote, len)) {
                    Ok(len) => self.client_wrote += len,
                    Err(error) => assert!(
                        error.kind() == io::ErrorKind::WouldBlock || self.asked.is_some(),
                        "writing: {error}"
                    ),
                }
            }
            Step::ClientWrites(_) => {}
            Step::ClientReads(len) => self.client_reads(len),
            Step::ClientShuts => {
                if let Some(client) = &self.client {
                    let _ = client.shutdown(Shutdown::Write);
                    self.client_shut = true;
                }
            }
            Step::ClientLeaves => self.client = None,
            Step::ServerSends(len) => {
                let buf = pattern(self.server_sent, len);
                let can = rig.ring.can_send(self.token);
                assert_eq!(rig.ring.send(self.token, buf).is_ok(), can);
                if can {
                    assert!(self.asked.is_none() && !self.released);
                    self.server_sent += len;
                }
            }
            Step::ServerPauses => rig.ring.pause_recv(self.token),
            Step::ServerResumes => rig.ring.resume_recv(self.token),
            Step::ServerCloses(how) => {
                rig.ring.close(self.token, how);
                if self.asked.is_none() || how == Close::Now {
                    self.asked = Some(how);
                }
            }
            Step::ServerReleases => {
                if self.asked.is_none() {
                    rig.ring.release(self.token);
                    self.released = true;
                }
            }
        }
    }

    fn client_reads(&mut self, len: usize) {
        let Some(client) = &mut self.client else { return };
        let mut piece = vec![0; len];
        match client.read(&mut piece) {
            Ok(0) => self.client_saw_end = true,
            Ok(len) => self.client_read.extend_from_slice(&piece[..len]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => {
                assert!(self.asked.is_some(), "a reset without a close");
                self.client_saw_end = true;
            }
        }
    }

    fn check(&self, rig: &Rig) {
        let one = &rig.seen[&self.token];
        assert!(one.data == pattern(0, one.data.len()) && one.data.len() <= self.client_wrote);
        assert!(self.client_read == pattern(0, self.client_read.len()));
        assert!(self.client_read.len() <= self.server_sent);
        assert!(one.eof + one.failed <= 1 && one.send_failed <= 1);
        if one.eof == 1 {
            assert!(self.client_shut || self.client.is_none());
            // A client that leaves what it was sent unread resets, and drops what it had still to send.
            if self.client.is_some() || self.client_read.len() == self.server_sent {
                assert_eq!(one.data.len(), self.client_wrote, "an orderly end comes after all bytes");
            }
        }
    }

    /// Lets both sides finish: the client reads to the end while the server flushes and closes.
    fn finish(&mut self, rig: &mut Rig) {
        rig.ring.close(self.token, Close::Flush);
        self.asked.get_or_insert(Close::Flush);
        let token = self.token;
        let mut rounds = 0;
        loop {
            rig.harvest();
            self.client_reads(1 << 20);
            let over = rig.seen[&token].closed.is_some() || rig.seen[&token].released.is_some();
            // A released descriptor stays open in `Seen`; only a closed one ends the client's stream.
            let heard = self.client.is_none() || self.client_saw_end || rig.seen[&token].released.is_some();
            if over && heard {
                break;
            }
            rounds += 1;
            assert!(rounds < 1_000_000, "the connection does not end");
        }
        self.check(rig);
        let one = &rig.seen[&token];
        let unread_input = one.data.len() < self.client_wrote;
        if one.closed == Some(true) && self.client.is_some() && !unread_input {
            // Nothing unread at close, so no reset: what was flushed must have arrived.
            assert_eq!(self.client_read.len(), self.server_sent, "a flushed send was lost");
        }
    }
}

fn live(steps: Vec<(Step, usize)>, buffers: u16, buffer_bytes: usize) {
    let Some(mut rig) = Rig::new(RingOptions { buffers, buffer_bytes, wake: None }) else { return };
    let (_, address) = rig.listen();
    let mut models: Vec<Model> = vec![];
    for (step, pick) in steps {
        if matches!(step, Step::Connect) || models.is_empty() {
            let client = TcpStream::connect(address).unwrap();
            client.set_nonblocking(true).unwrap();
            rig.until("accepted", |rig| rig.accepted.len() == 1);
            let fd = rig.accepted.pop().unwrap();
            models.push(Model {
                token: rig.adopt(fd),
                client: Some(client),
                client_wrote: 0,
                client_shut: false,
                server_sent: 0,
                client_read: vec![],
                client_saw_end: false,
                asked: None,
                released: false,
            });
        }
        let at = pick % models.len();
        models[at].apply(&mut rig, step);
        models[at].check(&rig);
    }
    // Whoever was left to talk gets everything through before the end.
    for model in &mut models {
        let one = &rig.seen[&model.token];
        let open = model.asked.is_none() && !model.released && one.eof + one.failed == 0;
        if open && model.client.is_some() {
            rig.ring.resume_recv(model.token);
            let (token, wrote) = (model.token, model.client_wrote);
            rig.until("the rest", |rig| rig.seen[&token].data.len() == wrote);
        }
    }
    for model in &mut models {
        model.finish(&mut rig);
    }
    assert_eq!(rig.ring.stats().connections, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_lives_agree_with_the_model(
        steps in prop::collection::vec((step(), any::<usize>()), 1..300),
        (buffers, buffer_bytes) in prop_oneof![Just((4u16, 64usize)), Just((64, 1000)), Just((256, 16384))],
    ) {
        live(steps, buffers, buffer_bytes);
    }
}
