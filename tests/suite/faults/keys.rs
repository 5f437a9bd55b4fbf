//! Key files and `doorward keys` as an operator has them: the real program, beside a running backend.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::installation::Installation;
use crate::fixtures::databases::TestDatabase;
use crate::fixtures::wait::until;

const PASSPHRASE: &str = "correct horse battery staple\n";

/// The names of the public keys that the backend shows.
async fn published(installation: &Installation) -> Vec<String> {
    let keys = installation.http.get("/.well-known/jwks.json").await.expect(200);
    let kids = keys["keys"].as_array().unwrap().iter();
    kids.map(|key: &Value| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until the backend shows so many keys.
async fn until_published(installation: &Installation, count: usize) {
    until("the keys to be taken up", async || {
        published(installation).await.len() == count
    })
    .await;
}

#[tokio::test]
async fn keys_are_shown_and_rotated_beside_the_running_backend() {
    let database = TestDatabase::sqlite();
    let installation = Installation::on(&database);
    let none = installation.refused(&["keys", "show"], "").await;
    assert!(none.contains("there are no signing keys"), "{none}");
    let _backend = installation.serve().await;
    let first = published(&installation).await;
    let shown = installation.said(&["keys", "show"], "").await;
    assert!(shown.starts_with("keyset  1\n"), "{shown}");
    assert!(first.len() > 1, "the root, and what it signs: {first:?}");
    assert!(first.iter().all(|kid| shown.contains(kid)), "{shown}");

    let rotated = installation.said(&["keys", "rotate", "--purpose", "unlock"], "").await;
    assert!(rotated.contains("keyset 2 is signed"), "{rotated}");
    until_published(&installation, 6).await;
    let refused = installation.refused(&["keys", "rotate"], "").await;
    assert!(refused.contains("--end-former"), "{refused}");
    installation.said(&["keys", "rotate", "--end-former"], "").await;
    until_published(&installation, 5).await;
    let last = published(&installation).await;
    assert!(
        first[1..].iter().all(|kid| !last.contains(kid)),
        "all but the root are new"
    );
}

#[tokio::test]
async fn the_root_key_goes_on_a_sheet_and_comes_back() {
    let database = TestDatabase::sqlite();
    let installation = Installation::on(&database);
    let _backend = installation.serve().await;
    let root = published(&installation).await[0].clone();
    let kit = installation.path("kit.txt");
    let kit_name = kit.display().to_string();
    let export = ["keys", "export-root", "--to", &kit_name, "--remove"];
    let short = installation.refused(&export, "short\n").await;
    assert!(short.contains("too short") && !kit.exists(), "{short}");
    installation.said(&export, PASSPHRASE).await;
    assert_eq!(kit.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let sheet = std::fs::read_to_string(&kit).unwrap();
    assert!(sheet.contains(&root));

    let refused = installation.refused(&["keys", "rotate"], "").await;
    assert!(refused.contains("recovery kit"), "{refused}");
    let with_kit = ["keys", "rotate", "--root", &kit_name];
    let wrong = installation.refused(&with_kit, "another passphrase\n").await;
    assert!(wrong.contains("passphrase"), "{wrong}");
    installation.said(&with_kit, PASSPHRASE).await;
    until_published(&installation, 9).await;
    let again = installation.refused(&export, PASSPHRASE).await;
    assert!(again.contains("not on this server"), "{again}");

    // Typed back by somebody: the numbered lines, in small letters.
    let numbered: Vec<String> = sheet
        .lines()
        .filter(|line| line.as_bytes().get(1) == Some(&b':'))
        .map(str::to_lowercase)
        .collect();
    std::fs::write(&kit, numbered.join("\n")).unwrap();
    installation
        .said(&["keys", "import-root", "--from", &kit_name], PASSPHRASE)
        .await;
    let shown = installation.said(&["keys", "show"], "").await;
    assert!(shown.contains(&format!("{root}  on this machine")), "{shown}");
}

#[tokio::test]
async fn lost_keys_are_founded_anew_under_the_same_root() {
    let database = TestDatabase::sqlite();
    let installation = Installation::on(&database);
    let backend = installation.serve().await;
    let root = published(&installation).await[0].clone();
    let kit = installation.path("kit.txt").display().to_string();
    installation
        .said(&["keys", "export-root", "--to", &kit], PASSPHRASE)
        .await;
    backend.kill().await;
    std::fs::remove_dir_all(installation.path("state/keys")).unwrap();
    installation
        .said(&["keys", "import-root", "--from", &kit], PASSPHRASE)
        .await;
    let _backend = installation.serve().await;
    assert_eq!(published(&installation).await[0], root);
    // Doors open; whoever audits the log is told why its key is another.
    assert!(
        installation.log().contains("signed with another key"),
        "{}",
        installation.log()
    );
}

#[tokio::test]
async fn key_files_are_sealed_and_a_missing_or_foreign_key_is_named() {
    let database = TestDatabase::sqlite();
    let mut installation = Installation::on(&database);
    installation.serve().await.kill().await;
    let (signing, pins) = (
        installation.path("state/keys/signing.json"),
        installation.path("state/keys/pin-secret"),
    );
    let own = installation.path("state/key-encryption-key");
    for file in [&signing, &pins, &own] {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
    let sealed = std::fs::read(&signing).unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("unlock"));

    // The key goes to another place, as a credential of systemd does.
    let given = installation.path("credential");
    std::fs::rename(&own, &given).unwrap();
    let complaint = installation.complaint().await;
    assert!(
        complaint.contains("key-encryption-key") && complaint.contains("missing"),
        "{complaint}"
    );
    assert!(!own.exists(), "no other one is made");
    installation.set("KEYS__ENCRYPTION_KEY_FILE", given.to_str().unwrap());
    installation.serve().await.kill().await;

    std::fs::write(&given, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n").unwrap();
    let complaint = installation.complaint().await;
    assert!(complaint.contains("put the right one there"), "{complaint}");
    assert_eq!(std::fs::read(&signing).unwrap(), sealed);
}
