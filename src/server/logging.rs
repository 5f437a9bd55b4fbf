//! The log: one line an event on standard error, for people or as JSON. Standard output belongs to what a command
//! answers.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use tracing::{Subscriber, error};
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::config::{Log, LogFormat};

/// Libraries that write whole packets, with tokens and passwords in them, where they may write more than warnings. To
/// see more of one, its name must stand in the level itself.
const QUIET: &str = "actix_http=warn,hyper=warn,mqtt5=warn,rumqttc=warn,rustls=warn";

/// The log could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is none.
    #[error("log.level cannot be read")]
    BadLevel(#[from] ParseError),
    /// Something else has started a log in this process.
    #[error("there is a log already")]
    Started(#[from] TryInitError),
}

/// Starts the log of this process; from now on panics go there too.
///
/// # Errors
/// [`LogError`] where the level cannot be read, or a log was started before.
pub fn start(log: &Log) -> Result<(), LogError> {
    subscriber(log, std::io::stderr)?.try_init()?;
    std::panic::set_hook(Box::new(report));
    Ok(())
}

fn subscriber<W>(log: &Log, writer: W) -> Result<impl Subscriber + Send + Sync + use<W>, ParseError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(format!("{QUIET},{}", log.level))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match log.format {
        LogFormat::Human => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    Ok(tracing_subscriber::registry().with(filter).with(lines))
}

/// One line for a panic, whoever catches it later.
fn report(panic: &PanicHookInfo<'_>) {
    let what = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        error!(panic.thread = name, panic.place = place, %backtrace, "panicked: {what}");
    } else {
        error!(panic.thread = name, panic.place = place, "panicked: {what}");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing::{debug, info, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is logged while `act` runs.
    fn logged(format: LogFormat, level: &str, act: impl FnOnce()) -> String {
        let paper = Paper::default();
        let writer = paper.clone();
        let log = Log {
            format,
            level: level.to_owned(),
        };
        let subscriber = subscriber(&log, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, act);
        let bytes = paper.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_is_one_json_object_with_its_fields() {
        let text = logged(LogFormat::Json, "info", || {
            info!(wait_ms = 7, "lock {} confirmed", "lock_1")
        });
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&line["message"], &line["wait_ms"]),
            (&"lock lock_1 confirmed".into(), &7.into())
        );
        assert_eq!(line["level"], "INFO");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn a_line_for_people_reads_alone() {
        let text = logged(LogFormat::Human, "info", || info!(wait_ms = 7, "lock lock_1 confirmed"));
        assert!(text.contains("lock lock_1 confirmed wait_ms=7"), "{text}");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn only_what_is_asked_for_is_logged() {
        let text = logged(LogFormat::Human, "warn,doorward::agent=debug", || {
            info!("left out");
            warn!("kept");
            debug!(target: "doorward::agent", "kept too");
        });
        assert!(
            !text.contains("left out") && text.contains("kept") && text.contains("kept too"),
            "{text}"
        );
    }

    #[test]
    fn libraries_that_write_packets_stay_quiet_unless_named() {
        for (level, heard) in [("trace", false), ("trace,mqtt5=trace", true)] {
            let text = logged(
                LogFormat::Human,
                level,
                || debug!(target: "mqtt5::codec", "CONNECT password"),
            );
            assert_eq!(text.contains("CONNECT"), heard, "{level}");
        }
    }

    #[test]
    fn a_panic_is_one_line_of_the_log() {
        // The hook is the process's; only this test's own panics are passed to ours.
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| match panic.payload_as_str() {
            Some("the bolt fell off") => report(panic),
            _ => before(panic),
        }));
        let text = logged(LogFormat::Json, "info", || {
            assert!(std::panic::catch_unwind(|| panic!("the bolt fell off")).is_err());
        });
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "panicked: the bolt fell off");
        assert!(line["panic.place"].as_str().unwrap().contains("logging.rs"), "{text}");
    }
}
