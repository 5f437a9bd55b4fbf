//! How many sockets and files this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the system allows: what a shell or a service manager gives at first is often 1024. Says so
/// in the log where it stays below the `connections` that the broker would take.
pub(super) fn raise_limit(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised");
            limit.current
        }
    };
    let needed = u64::try_from(connections).unwrap_or(u64::MAX);
    if let Some(allowed) = allowed.filter(|allowed| *allowed < needed) {
        tracing::warn!(
            allowed,
            connections,
            "the system allows {allowed} open files: fewer locks can connect than mqtt.embedded.max_connections = \
             {connections}; raise LimitNOFILE (systemd) or `ulimit -Hn`"
        );
    }
}
