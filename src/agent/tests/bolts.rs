//! Bolts that move by programs.

use std::os::unix::fs::PermissionsExt as _;

use doorward_lock::controller::Outcome;
use doorward_lock::wire::Action;

use crate::agent::bolt::{Bolt as _, NoProgram, Program, ProgramBolt};

/// Writes an executable file that notes its arguments, one a line, and ends with `code`.
fn script(folder: &std::path::Path, name: &str, code: u8) -> String {
    let path = folder.join(name);
    let noted = folder.join(format!("{name}.arguments"));
    let text = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" > '{}'\nexit {code}\n",
        noted.display()
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn a_program_gets_its_arguments_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let open = script(folder.path(), "open", 0);
    let close = script(folder.path(), "close", 3);
    let mut bolt = ProgramBolt {
        on_unlock: format!("{open} --pin=17 ; touch $HOME/x && \"a 'b").parse().unwrap(),
        on_lock: close.parse().unwrap(),
    };
    assert_eq!(bolt.begin(Action::Unlock).await, Outcome::Arrived);
    assert_eq!(bolt.begin(Action::Lock).await, Outcome::Jammed);
    let arguments = std::fs::read_to_string(folder.path().join("open.arguments")).unwrap();
    assert_eq!(arguments, "--pin=17\n;\ntouch\n$HOME/x\n&&\n\"a\n'b\n");
}

#[tokio::test]
async fn a_program_that_is_not_there_jams() {
    let nothing: Program = "/nonexistent/program now".parse().unwrap();
    let mut bolt = ProgramBolt {
        on_unlock: nothing.clone(),
        on_lock: nothing,
    };
    assert_eq!(bolt.begin(Action::Unlock).await, Outcome::Jammed);
    assert_eq!("  ".parse::<Program>(), Err(NoProgram));
}
