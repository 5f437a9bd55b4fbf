//! Floors on the versions of dependencies (`docs/THREAT-MODEL.md`): the advisory tools miss some of these.

use serde::Deserialize;

#[derive(Deserialize)]
struct LockFile {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

impl Package {
    /// `major.minor.patch` as numbers.
    fn version(&self) -> Vec<u64> {
        let release = self.version.split(['-', '+']).next().unwrap();
        release.split('.').map(|number| number.parse().unwrap()).collect()
    }
}

fn packages(name: &str) -> Vec<Package> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock");
    let lock_file: LockFile = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    lock_file
        .package
        .into_iter()
        .filter(|package| package.name == name)
        .collect()
}

#[test]
fn no_dependency_is_older_than_its_floor() {
    for (name, floor) in [("jsonwebtoken", [10, 3, 0]), ("diesel", [2, 3, 10]), ("h2", [0, 4, 16])] {
        for package in packages(name) {
            assert!(
                package.version() >= floor.to_vec(),
                "{name} {} is older than {floor:?}",
                package.version
            );
        }
    }
}

/// rumqttc brings an old `rustls-webpki` and uses one error type of it; nothing verifies a certificate with that.
#[test]
fn certificates_are_verified_by_a_patched_webpki() {
    let newest = packages("rustls-webpki").iter().map(Package::version).max().unwrap();
    assert!(
        newest >= vec![0, 103, 13],
        "rustls verifies with rustls-webpki {newest:?}"
    );
}

#[test]
fn rsa_is_not_among_the_dependencies() {
    assert!(packages("rsa").is_empty());
}
