//! A passphrase from whoever sits at the terminal, or from the first line of the standard input; never from the command
//! line, which every account of the machine can see.

use std::error::Error;
use std::io::{IsTerminal as _, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// The longest line that is read, in bytes.
const LONGEST: u64 = 4096;

type Passphrase = Result<Zeroizing<String>, Box<dyn Error>>;

/// Asks for a passphrase that is known.
pub fn ask(what: &str) -> Passphrase {
    if std::io::stdin().is_terminal() {
        typed(what)
    } else {
        first_line()
    }
}

/// Asks for a new passphrase, at a terminal twice.
pub fn choose(what: &str) -> Passphrase {
    let first = ask(what)?;
    if std::io::stdin().is_terminal() && *typed("The same again")? != *first {
        return Err("the two are not the same".into());
    }
    Ok(first)
}

fn first_line() -> Passphrase {
    let mut text = Zeroizing::new(String::new());
    std::io::stdin().take(LONGEST).read_to_string(&mut text)?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// A line from the terminal, which does not show it.
fn typed(what: &str) -> Passphrase {
    let mut terminal = std::io::stderr();
    write!(terminal, "{what}: ")?;
    terminal.flush()?;
    let line = {
        let _silent = Silent::new()?;
        let mut line = Zeroizing::new(String::new());
        std::io::stdin().read_line(&mut line)?;
        line
    };
    writeln!(terminal)?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Silent(Termios);

impl Silent {
    fn new() -> std::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // Nothing can be done where the terminal does not take it.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}
