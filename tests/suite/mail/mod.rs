//! Letters: what people are told by e-mail, with a real mail server.

mod delivery;
mod links;
mod settings;
