//! What CONFIG SET and DEBUG can have done to the process while it serves: listening elsewhere, another
//! working directory, and loading the append only files again.
//!
//! The shard that accepts owns the listening sockets and takes them up in its own time; but when an order
//! is answered, the new sockets listen and nobody is let in by the old ones: that is done here, on
//! duplicates of their descriptors. Called through `session::Host`, by any shard's thread.

use super::driver::{Door, Doors};
use super::{files, recovery, snapshot};
use crate::base::Millis;
use crate::bridge::Places;
use crate::config::{Settings, Text};
use crate::net;
use crate::session::{Host, Node, Reload};
use crate::shard::Engine;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex};

pub struct TheProcess {
    doors: Arc<Doors>,
    listening: Mutex<Listening>,
}

/// The TCP sockets, and what they were made of.
struct Listening {
    port: u16,
    sockets: Vec<OwnedFd>,
}

const PORT_TAKEN: &str = "Unable to listen on this port. Check server logs.";
const NOT_BOUND: &str = "Failed to bind to specified addresses.";

impl TheProcess {
    pub fn new(doors: Arc<Doors>, port: u16, listen: &[Door]) -> std::io::Result<TheProcess> {
        let tcp = listen.iter().filter(|door| !door.unix);
        let sockets = tcp.map(|door| door.fd.try_clone()).collect::<Result<_, _>>()?;
        Ok(TheProcess { doors, listening: Mutex::new(Listening { port, sockets }) })
    }

    /// Listens where the settings say. At another port the new sockets are there before the old ones go; at
    /// the same one the old have to make room, and come back if the new cannot be had.
    fn listen(&self, settings: &Settings, refused: &str) -> Result<(), String> {
        let mut now = self.listening.lock().unwrap_or_else(|e| e.into_inner());
        let stays = now.port == settings.port;
        if stays {
            now.shut();
        }
        let binds: Vec<String> = settings.bind.iter().map(|bind| bind.to_string()).collect();
        let bound = match settings.port {
            0 => Ok(Vec::new()),
            port => net::bind_tcp(&binds, port, settings.tcp_backlog).map(|bound| {
                bound.warnings.iter().for_each(|line| tracing::warn!("{line}"));
                bound.sockets
            }),
        };
        let duplicate = |socket: &net::BoundSocket| socket.fd.try_clone();
        let sockets = bound.map_err(|error| error.to_string()).and_then(|sockets| {
            let own = sockets.iter().map(duplicate).collect::<Result<Vec<_>, _>>();
            own.map(|own| (sockets, own)).map_err(|error| error.to_string())
        });
        let (sockets, own) = match sockets {
            Ok(made) => made,
            Err(why) => {
                tracing::warn!("{why}");
                if stays {
                    now.open_again(settings.tcp_backlog);
                }
                return Err(refused.to_owned());
            }
        };
        now.shut();
        *now = Listening { port: settings.port, sockets: own };
        let new = sockets.into_iter().map(|socket| Door { fd: socket.fd, unix: false }).collect();
        Places::hold(&self.doors.moved, std::iter::once(0)).push(0, new);
        Ok(())
    }
}

impl Listening {
    fn shut(&self) {
        for socket in &self.sockets {
            // One that does not listen any more lets nobody in either.
            let _ = net::stop_listening(socket.as_fd());
        }
    }

    fn open_again(&self, backlog: i32) {
        for socket in &self.sockets {
            if let Err(error) = net::listen_again(socket.as_fd(), backlog) {
                tracing::warn!("Can't listen again: {error}");
            }
        }
    }
}

impl Host for TheProcess {
    fn apply(&self, name: &'static str, settings: &mut Settings) -> Result<(), String> {
        match name {
            "port" => self.listen(settings, PORT_TAKEN),
            "bind" => self.listen(settings, NOT_BOUND),
            "dir" => {
                let dir = files::change_dir(settings.dir.as_path())?;
                settings.dir = Text::new(dir.as_os_str().as_bytes());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn load(&self, node: &Node, engines: &mut [&mut Engine], now: Millis) -> Result<(), String> {
        recovery::load_again(node, engines, now).unwrap_or_else(|error| {
            // What was in memory is gone, and half of the files is no state to go on with.
            tracing::error!("{error}");
            tracing::error!("The append only file could not be loaded again: exiting.");
            std::process::exit(1)
        });
        Ok(())
    }

    fn load_snapshot(
        &self,
        node: &Node,
        engines: &mut [&mut Engine],
        now: Millis,
        reload: Reload,
    ) -> Result<(), String> {
        snapshot::load_again(node, engines, now, reload).map_err(|error| error.to_string())
    }
}
