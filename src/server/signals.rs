//! Signals: SIGTERM and SIGINT ask for an orderly shutdown, SIGHUP and SIGPIPE do nothing.
//!
//! A thread for each waits on a pipe that its handler writes to, so nothing but that happens inside a
//! handler. Started by boot before the data is loaded; until `connect` there is nothing to save and a
//! signal ends the process at once. A second SIGINT always does. Never waits for anybody.

use crate::config::Settings;
use crate::control::{self, Stop, Stopper};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

/// The settings as they are when a signal arrives.
type Current = Box<dyn Fn() -> Arc<Settings> + Send + Sync>;

/// Whom a signal goes to.
#[derive(Clone, Default)]
pub struct Signals(Arc<OnceLock<(Stopper, Current)>>);

impl Signals {
    /// Takes over the process's signals. `before_exit` removes what must not stay behind when a signal
    /// comes before `connect`.
    pub fn start(before_exit: impl FnOnce() + Send + 'static) -> io::Result<Signals> {
        // The standard library ignores SIGPIPE already. A flag nobody reads is as good as ignoring.
        signal_hook::flag::register(SIGHUP, Arc::new(AtomicBool::new(false)))?;
        let signals = Signals::default();
        let (send_term, term) = UnixStream::pair()?;
        let (send_int, int) = UnixStream::pair()?;
        pipe::register(SIGTERM, send_term)?;
        pipe::register(SIGINT, send_int)?;
        let before_exit = Arc::new(std::sync::Mutex::new(Some(before_exit)));
        for (name, pipe) in [("SIGTERM", term), ("SIGINT", int)] {
            let (to, tidy) = (signals.clone(), Arc::clone(&before_exit));
            std::thread::Builder::new().name(name.to_ascii_lowercase()).spawn(move || {
                to.listen(name, pipe, || {
                    if let Some(tidy) = tidy.lock().unwrap_or_else(|e| e.into_inner()).take() {
                        tidy();
                    }
                })
            })?;
        }
        Ok(signals)
    }

    /// From here on the control plane is asked.
    pub fn connect(&self, stopper: Stopper, settings: impl Fn() -> Arc<Settings> + Send + Sync + 'static) {
        let _ = self.0.set((stopper, Box::new(settings)));
    }

    fn listen(&self, signal: &'static str, mut pipe: UnixStream, tidy: impl Fn()) {
        let mut asked = false;
        let mut bytes = [0; 16];
        // The writing end lives as long as the process.
        while let Ok(n) = pipe.read(&mut bytes) {
            if signal == "SIGINT" && (asked || n > 1) {
                tracing::warn!("You insist... exiting now.");
                tidy();
                control::exit_now(1);
            }
            asked = true;
            match self.0.get() {
                Some((stopper, settings)) => stopper.stop(stop_for(signal, &settings())),
                None => {
                    tracing::warn!("Received shutdown signal during loading, scheduling shutdown.");
                    tracing::warn!("User requested shutdown...");
                    tidy();
                    tracing::warn!("Ringdove is now ready to exit, bye bye...");
                    control::exit_now(0);
                }
            }
        }
    }
}

fn stop_for(signal: &'static str, settings: &Settings) -> Stop {
    let flags = match signal {
        "SIGINT" => settings.shutdown_on_sigint,
        _ => settings.shutdown_on_sigterm,
    };
    let save = match (flags.save, flags.nosave) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    Stop { force: flags.force, now: flags.now, save, saved: false, signal: Some(signal) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ShutdownFlags;

    #[test]
    fn each_signal_has_its_own_flags() {
        let flags = ShutdownFlags { now: true, force: true, ..ShutdownFlags::default() };
        let settings = Settings { shutdown_on_sigint: flags, ..Settings::default() };
        let stop = stop_for("SIGINT", &settings);
        assert!(stop.now && stop.force && stop.signal == Some("SIGINT"));
        assert!(!stop_for("SIGTERM", &settings).now);
    }
}
