//! A terminal as a lock's keypad: digits are typed without being shown, and a line says what became of them.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::runtime::Handle;
use zeroize::Zeroizing;

use super::controller::{Doorway, OutOfOrder, Typed};

/// A terminal that shows nothing of what is typed. Dropped, it shows again.
#[derive(Debug)]
pub struct Keypad {
    before: Option<Termios>,
}

impl Keypad {
    /// Takes PINs from the standard input for this door, until that ends. Whatever writes lines can be a keypad; a terminal
    /// stops showing what is typed.
    ///
    /// # Errors
    /// Where the terminal goes on showing, or the system has no thread left.
    pub fn open(door: Doorway) -> std::io::Result<Self> {
        let input = std::io::stdin();
        let before = if input.is_terminal() {
            let before = tcgetattr(&input)?;
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            tcsetattr(&input, OptionalActions::Flush, &silent)?;
            Some(before)
        } else {
            None
        };
        let keypad = Self { before };
        let runtime = Handle::current();
        // A thread of its own: nothing ends the wait for a line but a line.
        std::thread::Builder::new()
            .name("keypad".to_owned())
            .spawn(move || attend(&door, &runtime))?;
        Ok(keypad)
    }
}

impl Drop for Keypad {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // A terminal that is gone needs no care.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, before);
        }
    }
}

/// Takes line after line.
fn attend(door: &Doorway, runtime: &Handle) {
    let mut input = std::io::stdin().lock();
    loop {
        say("PIN: ");
        let mut line = Zeroizing::new(String::with_capacity(64));
        match input.read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let answer = match Typed::read(line.trim_end()) {
            None => "not a PIN".to_owned(),
            Some(typed) => match runtime.block_on(door.type_in(typed)) {
                Ok(verdict) => verdict.result,
                Err(OutOfOrder) => OutOfOrder.to_string(),
            },
        };
        say(&format!("{answer}\n"));
    }
}

/// Says something to whoever stands there, if anybody still does.
fn say(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}
