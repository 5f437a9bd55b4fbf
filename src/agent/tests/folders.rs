//! A lock's folder: what is in it, who may use it, what a spoilt disk does.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use doorward_lock::shell::{Record, Storage as _};

use super::backend::Backend;
use super::site::{Site, shows};
use crate::agent::controller::End;
use crate::agent::state_folder::{StateFolder, StateFolderError};
use crate::agent::storage::{FileStorage, StorageError};

fn read(storage: &mut FileStorage, record: Record) -> Result<Option<Vec<u8>>, StorageError> {
    let mut room = [0; 64];
    let length = storage.read(record, &mut room)?;
    Ok(length.map(|length| room[..length].to_vec()))
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn records_are_replaced_whole() {
    let place = tempfile::tempdir().unwrap();
    let folder = StateFolder::open(&place.path().join("door")).unwrap();
    let mut storage = folder.storage();
    assert_eq!(read(&mut storage, Record::State).unwrap(), None);
    for content in [b"first".as_slice(), b"", b"second and longer"] {
        for record in [Record::State, Record::Keyset, Record::Revocations, Record::Event(7)] {
            storage.write(record, content).unwrap();
            assert_eq!(read(&mut storage, record).unwrap().as_deref(), Some(content));
        }
    }
    assert_eq!(read(&mut storage, Record::Event(8)).unwrap(), None);
    let written = ["event-0007", "in-use", "keyset", "revocations", "state"];
    assert_eq!(files(&place.path().join("door")), written);
    storage.write(Record::State, &[7; 65]).unwrap();
    assert!(matches!(
        read(&mut storage, Record::State),
        Err(StorageError::TooLong(65))
    ));
}

#[test]
fn what_the_disk_has_spoilt_is_told_from_what_was_written() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("door");
    let folder = StateFolder::open(&path).unwrap();
    let mut storage = folder.storage();
    for (name, record) in [("state", Record::State), ("event-0003", Record::Event(3))] {
        let spoil: [fn(&mut Vec<u8>); 4] = [
            |content| content.truncate(content.len() - 1),
            |content| content[40] ^= 1,
            Vec::clear,
            |content| content.push(0),
        ];
        for spoil in spoil {
            storage.write(record, b"something to remember").unwrap();
            let mut content = std::fs::read(path.join(name)).unwrap();
            spoil(&mut content);
            std::fs::write(path.join(name), content).unwrap();
            match (record, read(&mut storage, record)) {
                (Record::State, Err(StorageError::Damaged(damaged))) => assert_eq!(damaged, path.join(name)),
                (Record::Event(_), Ok(None)) => {}
                (_, other) => panic!("{name}: {other:?}"),
            }
        }
    }
    storage.write(Record::Event(1), b"one").unwrap();
    std::fs::rename(path.join("event-0001"), path.join("event-0002")).unwrap();
    assert_eq!(read(&mut storage, Record::Event(2)).unwrap(), None);
}

#[test]
fn a_write_that_was_cut_short_leaves_the_old_record() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("door");
    let mut storage = StateFolder::open(&path).unwrap().storage();
    storage.write(Record::State, b"old").unwrap();
    std::fs::write(path.join("state.new"), b"ne").unwrap();
    assert_eq!(read(&mut storage, Record::State).unwrap().unwrap(), b"old");
    storage.write(Record::State, b"new").unwrap();
    assert_eq!(read(&mut storage, Record::State).unwrap().unwrap(), b"new");
}

#[test]
fn a_folder_is_one_running_locks_own() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("door");
    let folder = StateFolder::open(&path).unwrap();
    let storage = folder.storage();
    drop(folder);
    assert!(matches!(StateFolder::open(&path), Err(StateFolderError::InUse(_))));
    drop(storage);
    StateFolder::open(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = StateFolder::open(&path).unwrap_err().to_string();
    assert!(error.contains("open to others"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_enrolment_begins_with_nothing_of_the_old_one() {
    let backend = Backend::start().await;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("door");
    let folder = StateFolder::open(&path).unwrap();
    std::fs::write(path.join("notes.txt"), "the operator's own").unwrap();
    let mut storage = folder.storage();
    storage.write(Record::State, b"another lock's").unwrap();
    storage.write(Record::Event(511), b"another lock's").unwrap();
    std::fs::write(path.join("keyset.new"), "another lock's").unwrap();
    folder.keep(&backend.enrol()).unwrap();
    assert_eq!(files(&path), ["in-use", "lock.json", "notes.txt"]);
    let mode = path.join("lock.json").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_lock_forgets_everything() {
    let backend = Backend::start().await;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("door");
    let folder = StateFolder::open(&path).unwrap();
    folder.keep(&backend.enrol()).unwrap();
    let site = Site::with(folder.enrolled().unwrap().unwrap(), folder.storage());
    let mut lock = site.start().await;
    shows(&lock, "the time", |view| {
        view.clock == doorward_lock::wire::ClockState::Fresh
    })
    .await;
    let jti = backend.release(lock.id()).await;
    assert_eq!(lock.ended().await, End::Released);
    assert_eq!(
        backend.story(lock.id(), &jti),
        [("released".to_owned(), "ok".to_owned())]
    );
    assert_eq!(files(&path), ["in-use"]);
    assert!(folder.enrolled().unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_whose_state_is_spoilt_does_not_start() {
    let backend = Backend::start().await;
    let place = tempfile::tempdir().unwrap();
    let folder = StateFolder::open(&place.path().join("door")).unwrap();
    folder.keep(&backend.enrol()).unwrap();
    let site = Site::with(folder.enrolled().unwrap().unwrap(), folder.storage());
    site.start().await.stop().await;
    std::fs::write(place.path().join("door/state"), "spoilt").unwrap();
    let Err(error) = site.try_start().await else {
        panic!("it started")
    };
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("enrol it as another"), "{source}");
}
