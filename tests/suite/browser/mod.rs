//! The pages, in a real browser.

mod guest;
mod invitation;
mod lockout;
