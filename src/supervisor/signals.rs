//! Signals as inputs: the first asks the loop to stop, the second ends the process.
//!
//! Ctrl-Z needs nothing here: the gap that it leaves is seen by the loop.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;

use super::run::Message;

/// The code of a run that was interrupted and can be resumed.
const INTERRUPTED: i32 = 4;

/// Sends the first INT, TERM, HUP or QUIT as a message; a second one of any exits at once.
///
/// # Errors
/// What the system says.
pub(super) fn listen(messages: UnboundedSender<Message>) -> std::io::Result<()> {
    let mut int = signal(SignalKind::interrupt())?;
    let mut term = signal(SignalKind::terminate())?;
    let mut hup = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    // Held only for its side effect: where our parent ignored SIGCHLD, our children would
    // inherit that, and nobody could see how theirs end.
    let mut chld = signal(SignalKind::child())?;
    tokio::spawn(async move { while chld.recv().await.is_some() {} });
    tokio::spawn(async move {
        let mut signals =
            [(&mut int, "SIGINT"), (&mut term, "SIGTERM"), (&mut hup, "SIGHUP"), (&mut quit, "SIGQUIT")];
        let first = any(&mut signals).await;
        let _ = messages.send(Message::Signal(first));
        any(&mut signals).await;
        // Every fact is journaled before it is acted on, so there is nothing to tidy up;
        // and the loop may be what hangs.
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}

async fn any(signals: &mut [(&mut Signal, &'static str); 4]) -> &'static str {
    let [int, term, hup, quit] = signals;
    tokio::select! {
        _ = int.0.recv() => int.1,
        _ = term.0.recv() => term.1,
        _ = hup.0.recv() => hup.1,
        _ = quit.0.recv() => quit.1,
    }
}
