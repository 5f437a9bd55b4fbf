use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt as _;

use doorward_lock::keys::{Keyset, PublicKey as LocksKey};
use doorward_lock::refusal::Refusal;

use super::*;
use crate::crypto::private_folder::PrivateFolder;
use crate::crypto::vault::KeyPlace;

const ISS: &str = "https://door.example";
const NOW: Timestamp = Timestamp::from_millis(1_772_441_999_999);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A state folder with keys in it.
struct House {
    state: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        Self {
            state: tempfile::tempdir().unwrap(),
        }
    }

    fn vault(&self) -> Arc<Vault> {
        let place = KeyPlace::Own(self.state.path().join("kek"));
        Arc::new(Vault::open(&self.state.path().join("keys"), &place).unwrap())
    }

    fn try_open(&self) -> Result<KeyStore, KeyError> {
        KeyStore::open(self.vault(), ISS, Lives::default(), NOW)
    }

    fn open(&self) -> KeyStore {
        self.try_open().unwrap()
    }

    fn file(&self) -> PathBuf {
        self.state.path().join("keys").join(FILE)
    }
}

fn kids(keys: &KeyStore) -> Vec<String> {
    keys.ring().jwks().keys.into_iter().map(|key| key.kid).collect()
}

/// The keyset as a lock that enrolled here reads it.
fn as_a_lock(keys: &KeyStore) -> Keyset {
    let root = LocksKey::from_jwk(&keys.root().jwk()).unwrap();
    Keyset::read(keys.ring().keyset(), &root, ISS).unwrap()
}

fn all() -> Rotation<'static> {
    Rotation {
        purposes: &USES,
        ends_former: false,
        is_restored: false,
        root: None,
    }
}

#[test]
fn the_keys_are_made_once_and_stay() {
    let house = House::new();
    let first = house.open();
    let again = KeyStore::open(house.vault(), ISS, Lives::default(), NOW + DAY).unwrap();
    assert_eq!(kids(&first), kids(&again));
    assert_eq!(
        kids(&first).iter().collect::<HashSet<_>>().len(),
        5,
        "root and one a purpose"
    );
    assert_eq!(house.file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let keyset = as_a_lock(&first);
    assert_eq!(keyset.version, 1);
    for key in first.ring().keys() {
        assert!(keyset.find(key.kid(), key.purpose(), Some(NOW.as_seconds()), 0).is_ok());
        assert_eq!(key.ends_at(), Timestamp::from_seconds(NOW.as_seconds()) + 365 * DAY);
    }
}

#[test]
fn nodes_that_start_together_get_the_same_keys() {
    let house = House::new();
    house.vault();
    let opened: Vec<Vec<String>> = std::thread::scope(|scope| {
        let nodes: Vec<_> = (0..4).map(|_| scope.spawn(|| kids(&house.open()))).collect();
        nodes.into_iter().map(|node| node.join().unwrap()).collect()
    });
    assert!(opened.iter().all(|kids| *kids == opened[0]));
}

#[test]
fn published_keys_have_no_private_half() {
    let house = House::new();
    let keys = house.open();
    keys.rotate(all(), NOW).unwrap();
    let published = serde_json::to_value(keys.ring().jwks()).unwrap();
    let published = published["keys"].as_array().unwrap();
    assert_eq!(published.len(), 9, "the root, and two a purpose");
    for key in published {
        let members: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    }
}

#[test]
fn a_damaged_or_foreign_file_is_never_replaced() {
    let house = House::new();
    house.open();
    let vault = house.vault();
    let good = vault.read(FILE).unwrap().unwrap().bytes;
    let good = std::str::from_utf8(&good).unwrap();
    for (part, instead) in [
        (good, ""),
        ("\"doc\"", "\"ack\""),
        ("\"private\":\"MI", "\"private\":\"AA"),
        ("\"nbf\"", "\"x\""),
        ("\"version\":1", "\"version\":2"),
        (
            "\"since\":1,\"made\":1772441999,\"nbf\":",
            "\"since\":1,\"made\":1772441999,\"nbf\":1",
        ),
    ] {
        let bad = good.replacen(part, instead, 1);
        assert_ne!(bad, good, "{part}");
        vault.replace(FILE, bad.as_bytes()).unwrap();
        let on_disk = std::fs::read(house.file()).unwrap();
        let message = house.try_open().unwrap_err().to_string();
        assert!(message.contains("restore it from a backup"), "{part}: {message}");
        assert_eq!(std::fs::read(house.file()).unwrap(), on_disk);
    }
    vault.replace(FILE, good.as_bytes()).unwrap();
    let other = KeyStore::open(house.vault(), "https://other.example", Lives::default(), NOW);
    assert!(matches!(other, Err(KeyError::OtherIssuer { .. })));
    house.open();
}

#[test]
fn a_plain_file_of_the_first_version_is_sealed_with_the_same_keys() {
    let house = House::new();
    let folder = PrivateFolder::open(&house.state.path().join("keys")).unwrap();
    let plain = |word: &str| {
        let made = RootKey::make().unwrap();
        let pkcs8 = serde_json::to_value(KeyFile::make(ISS, &made, 1, Lives::default(), NOW).unwrap()).unwrap();
        let pkcs8 = &pkcs8["root"]["private"];
        let key = serde_json::json!({ "use": word, "nbf": 1_772_000_000, "exp": 2_087_000_000, "pkcs8": pkcs8 });
        (made.public().thumbprint(), key)
    };
    let (kids_before, plain): (Vec<_>, Vec<_>) = ["root", "unlock", "doc", "ack"].into_iter().map(plain).unzip();
    let plain = serde_json::to_vec(&serde_json::json!({ "keys": plain })).unwrap();
    folder.write_new(FILE, &plain).unwrap();

    let keys = house.open();
    assert_eq!(&kids(&keys)[..4], kids_before);
    assert_eq!(kids(&keys).len(), 5, "and one for passes");
    assert_eq!(keys.ring().version(), 2);
    assert_eq!(as_a_lock(&keys).version, 2);
    let ends = Timestamp::from_seconds(NOW.as_seconds()) + 365 * DAY;
    assert!(keys.ring().keys().iter().all(|key| key.ends_at() == ends));
    let text = std::fs::read_to_string(house.file()).unwrap();
    assert!(!text.contains("pkcs8") && !text.contains("private"));
    assert_eq!(kids(&house.open()), kids(&keys));
}

#[test]
fn a_rotated_key_overlaps_and_ends() {
    let house = House::new();
    let keys = house.open();
    let old = keys.ring();
    assert_eq!(keys.rotate(all(), NOW + DAY).unwrap(), 2);
    let new = keys.ring();
    let now = (NOW + DAY).as_seconds();
    let keyset = as_a_lock(&keys);
    for purpose in USES {
        let (former, present) = (old.newest(purpose).unwrap(), new.newest(purpose).unwrap());
        assert_ne!(former.kid(), present.kid());
        assert_eq!(
            new.pick(purpose, 1, now).unwrap().kid(),
            former.kid(),
            "the lock holds no other"
        );
        assert_eq!(new.pick(purpose, 2, now).unwrap().kid(), present.kid());
        assert_eq!(
            new.pick(purpose, 0, now).unwrap().kid(),
            present.kid(),
            "after the keyset"
        );
        let end = now + 14 * 24 * 3600;
        let find = |kid: &str, at: u64| keyset.find(kid, purpose, Some(at), 0).map(drop);
        assert_eq!(find(former.kid(), end), Ok(()));
        assert_eq!(find(former.kid(), end + 1), Err(Refusal::KeyNotValid));
        assert_eq!(
            find(present.kid(), now - 3600),
            Ok(()),
            "for a lock whose clock is behind"
        );
        assert_eq!(find(present.kid(), end + 1), Ok(()));
        assert_eq!(
            new.pick(purpose, 1, end + 1).unwrap().kid(),
            present.kid(),
            "the former has ended"
        );
    }
    assert_eq!(keys.signer(1, NOW + DAY).keyset_first(Use::Unlock), None);
    assert_eq!(
        keys.signer(1, NOW + 20 * DAY).keyset_first(Use::Unlock),
        Some(new.keyset())
    );
    assert_eq!(keys.signer(2, NOW + 20 * DAY).keyset_first(Use::Unlock), None);
    assert_eq!(keys.signer(0, NOW + DAY).keyset_first(Use::Unlock), Some(new.keyset()));
    assert!(new.keyset().len() < 3_200, "{} bytes", new.keyset().len());
}

#[test]
fn a_second_rotation_in_the_overlap_is_refused_or_ends_the_former() {
    let house = House::new();
    let keys = house.open();
    let only_unlock = Rotation {
        purposes: &[Use::Unlock],
        ..all()
    };
    keys.rotate(only_unlock, NOW).unwrap();
    let before = kids(&keys);
    for again in [all(), only_unlock] {
        let refused = keys.rotate(again, NOW + 13 * DAY).unwrap_err();
        assert!(
            matches!(
                refused,
                KeyError::Overlapping {
                    purpose: Use::Unlock,
                    ..
                }
            ),
            "{refused}"
        );
    }
    assert_eq!(kids(&keys), before);
    let docs = Rotation {
        purposes: &[Use::Doc],
        ..all()
    };
    assert_eq!(keys.rotate(docs, NOW + DAY).unwrap(), 3);

    let at_once = Rotation {
        ends_former: true,
        ..only_unlock
    };
    assert_eq!(keys.rotate(at_once, NOW + DAY).unwrap(), 4);
    let ring = keys.ring();
    assert_eq!(ring.keys().iter().filter(|key| key.purpose() == Use::Unlock).count(), 1);
    assert_eq!(ring.pick(Use::Unlock, 3, NOW.as_seconds()).unwrap().since(), 4);
    assert_eq!(keys.rotate(only_unlock, NOW + DAY).unwrap(), 5);
    assert_eq!(
        keys.rotate(only_unlock, NOW + 16 * DAY).unwrap(),
        6,
        "the former has ended"
    );
    let ring = keys.ring();
    assert_eq!(ring.keys().iter().filter(|key| key.purpose() == Use::Unlock).count(), 2);
}

#[test]
fn a_clock_that_is_behind_makes_no_keys() {
    let house = House::new();
    let keys = house.open();
    keys.rotate(all(), NOW + 100 * DAY).unwrap();
    let refused = keys.rotate(all(), NOW + 50 * DAY).unwrap_err();
    assert!(matches!(refused, KeyError::ClockBehind(_)), "{refused}");
    assert_eq!(keys.rotate_due(NOW).unwrap(), None);
    assert_eq!(keys.ring().version(), 2);
}

#[test]
fn nodes_that_find_keys_old_at_once_rotate_once() {
    let house = House::new();
    let nodes: Vec<KeyStore> = (0..4).map(|_| house.open()).collect();
    assert_eq!(nodes[0].rotate_due(NOW + 89 * DAY).unwrap(), None);
    let rotated: Vec<Option<u64>> = std::thread::scope(|scope| {
        let rounds: Vec<_> = nodes
            .iter()
            .map(|node| scope.spawn(|| node.rotate_due(NOW + 91 * DAY).unwrap()))
            .collect();
        rounds.into_iter().map(|round| round.join().unwrap()).collect()
    });
    assert_eq!(rotated.iter().flatten().collect::<Vec<_>>(), [&2]);
    for node in &nodes {
        node.refresh().unwrap();
        assert_eq!(kids(node), kids(&nodes[0]));
        assert_eq!(node.ring().version(), 2);
        assert!(!node.refresh().unwrap(), "nothing new");
    }
}

#[test]
fn two_that_rotate_by_command_at_once_rotate_once() {
    let house = House::new();
    let nodes: Vec<KeyStore> = (0..4).map(|_| house.open()).collect();
    let rotated: Vec<bool> = std::thread::scope(|scope| {
        let rounds: Vec<_> = nodes
            .iter()
            .map(|node| scope.spawn(|| node.rotate(all(), NOW).is_ok()))
            .collect();
        rounds.into_iter().map(|round| round.join().unwrap()).collect()
    });
    assert_eq!(rotated.iter().filter(|rotated| **rotated).count(), 1);
    assert_eq!(house.open().ring().version(), 2);
}

#[test]
fn a_node_keeps_its_keys_where_the_file_is_spoilt_or_put_back() {
    let house = House::new();
    let (node, other) = (house.open(), house.open());
    let old = std::fs::read(house.file()).unwrap();
    other.rotate(all(), NOW).unwrap();
    assert!(node.refresh().unwrap());
    let present = kids(&node);
    let folder = PrivateFolder::open(&house.state.path().join("keys")).unwrap();
    folder.replace(FILE, &old).unwrap();
    assert!(matches!(node.refresh(), Err(KeyError::Older { .. })));
    folder.replace(FILE, b"{").unwrap();
    assert!(matches!(node.refresh(), Err(KeyError::Damaged { .. })));
    std::fs::remove_file(house.file()).unwrap();
    assert!(matches!(node.refresh(), Err(KeyError::None(_))));
    assert_eq!(kids(&node), present);
}

#[test]
fn a_rotation_that_is_cut_short_leaves_the_keys_as_they_were() {
    let house = House::new();
    let keys = house.open();
    // The machine stopped after the draft was written, before it got its name; and its lock file is still there.
    std::fs::write(house.state.path().join("keys/.signing.json.0123"), "half a fi").unwrap();
    std::fs::write(house.state.path().join("keys").join(LOCK), "").unwrap();
    assert_eq!(kids(&house.open()), kids(&keys));
    assert_eq!(keys.rotate(all(), NOW).unwrap(), 2);
}

#[test]
fn the_root_key_can_be_elsewhere() {
    let house = House::new();
    let keys = house.open();
    let root = keys.root_key().unwrap();
    keys.remove_root().unwrap();
    assert!(!keys.ring().has_root());
    assert!(matches!(keys.remove_root(), Err(KeyError::NoRoot)));
    assert!(matches!(keys.rotate(all(), NOW), Err(KeyError::NoRoot)));
    assert!(matches!(keys.rotate_due(NOW + 100 * DAY), Err(KeyError::NoRoot)));
    let with = |root| Rotation {
        root: Some(root),
        ..all()
    };
    let stranger = RootKey::make().unwrap();
    assert!(matches!(
        keys.rotate(with(&stranger), NOW),
        Err(KeyError::OtherRoot { .. })
    ));
    assert!(matches!(keys.restore_root(&stranger), Err(KeyError::OtherRoot { .. })));
    assert_eq!(keys.rotate(with(&root), NOW).unwrap(), 2);
    assert!(!house.open().ring().has_root(), "it is used and not kept");
    keys.restore_root(&root).unwrap();
    assert!(house.open().ring().has_root());

    // The folder is lost, the kit is not: locks believe the new keys, whatever version they hold.
    std::fs::remove_file(house.file()).unwrap();
    let found = KeyStore::found(house.vault(), ISS, &root, Lives::default(), NOW).unwrap();
    assert_eq!(found.root(), keys.root());
    assert!(as_a_lock(&found).version > 1_000_000);
    let twice = KeyStore::found(house.vault(), ISS, &root, Lives::default(), NOW);
    assert!(matches!(twice, Err(KeyError::Present(_))));
}

#[test]
fn keys_from_an_old_backup_are_numbered_above_what_locks_hold() {
    let house = House::new();
    let keys = house.open();
    let restored = Rotation {
        is_restored: true,
        ..all()
    };
    let version = keys.rotate(restored, NOW).unwrap();
    assert_eq!(version, NOW.as_seconds());
    let again = Rotation {
        ends_former: true,
        ..all()
    };
    assert_eq!(keys.rotate(again, NOW).unwrap(), version + 1);
}
