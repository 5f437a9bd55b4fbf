//! The pages, in a real browser.

mod account;
mod guest;
mod invitation;
mod lockout;
mod passkeys;
