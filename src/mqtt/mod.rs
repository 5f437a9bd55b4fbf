//! The link to the broker and the embedded broker.
