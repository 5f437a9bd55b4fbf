//! Letters on their way: words in text and HTML (`draft`), and the mail server that takes them (`smtp`). All of lettre.

mod draft;
pub mod smtp;
mod words;
