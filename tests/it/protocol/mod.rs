//! Bytes as no client library sends them, and clients as no author wants them. Where Redis has an
//! answer, ours is the same to the byte.

mod clients;
mod limits;
mod raw;
mod sizes;

use crate::support::{Client, Server};
use std::time::Duration;

/// Sends bytes to both servers, and QUIT behind them, to the second in pieces: everything that came
/// back before they closed the connection. "(open)" is added if one did not, because it waits for
/// more; whoever differs in that is given more time before it counts.
fn converse(oracle: &Server, server: &Server, bytes: &[u8], cuts: &[usize]) -> (Vec<u8>, Vec<u8>) {
    let both = |patience| {
        std::thread::scope(|scope| {
            let right = scope.spawn(|| converse_with(oracle.port, bytes, &[], patience));
            let got = converse_with(server.port, bytes, cuts, patience);
            (right.join().unwrap(), got)
        })
    };
    let (right, got) = both(Duration::from_millis(800));
    let open = |heard: &[u8]| heard.ends_with(OPEN);
    if open(&right) == open(&got) { (right, got) } else { both(Duration::from_secs(20)) }
}

const OPEN: &[u8] = b"(open)";

fn converse_with(port: u16, bytes: &[u8], cuts: &[usize], patience: Duration) -> Vec<u8> {
    let mut client = Client::connect(port).unwrap();
    client.set_patience(patience);
    let mut all = bytes.to_vec();
    crate::support::client::encode(&[b"QUIT"], &mut all);
    let mut at = 0;
    for cut in cuts.iter().copied().filter(|c| *c < all.len()).chain([all.len()]) {
        // A server that closes early makes this fail; what it said before can still be read.
        if cut > at && client.write(&all[at..cut]).is_err() {
            break;
        }
        at = at.max(cut);
    }
    let mut heard = client.read_to_end();
    if !client.is_closed() {
        heard.extend(OPEN);
    }
    heard
}

fn show(bytes: &[u8]) -> String {
    let text = crate::support::quote::quote(bytes);
    if text.len() < 2000 { text } else { format!("{}... ({} bytes)", &text[..300], bytes.len()) }
}
