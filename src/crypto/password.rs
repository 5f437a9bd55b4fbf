//! Passwords, hashed with argon2id on one thread with one buffer: however many sign-ins come at once, hashing takes
//! 19 MiB and one core, and never a worker that serves unlocks.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::Arc;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq as _;
use tokio::sync::{mpsc, oneshot};

use crate::crypto::random::Random;
use crate::domain::password::Password;

/// Memory of a new hash in KiB (OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, two passes, one lane).
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes of a new hash.
const PASSES: u32 = 2;
/// Lanes of a new hash.
const LANES: u32 = 1;
/// The most memory that a stored hash may ask for, in KiB: room to raise [`MEMORY_KIB`] in later releases, and a bound
/// on what a doctored row could take.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
/// Bytes of salt in a new hash (RFC 9106, 3.1).
const SALT_BYTES: usize = 16;

/// A text is not an argon2id hash of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an argon2id hash as a PHC string")]
pub struct BadPasswordHash;

/// The hash of a password with everything needed to verify it, as a PHC string (`$argon2id$v=19$m=…,t=…,p=…$…$…`).
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Arc<str>);

impl PasswordHash {
    /// The PHC string, to be stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PasswordHash {
    type Err = BadPasswordHash;

    fn from_str(text: &str) -> Result<Self, BadPasswordHash> {
        let hash = Self(text.into());
        if Recipe::read(&hash).is_some() {
            Ok(hash)
        } else {
            Err(BadPasswordHash)
        }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Hashing has as much to do as it may keep waiting; nothing was hashed. The caller answers 503 with `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are waiting to be checked")]
pub struct Overloaded;

/// The way to the hashing thread; clones lead to the same one, and it ends with the last of them.
#[derive(Debug, Clone)]
pub struct Passwords {
    jobs: mpsc::Sender<Job>,
}

#[derive(Debug)]
enum Job {
    Hash {
        password: Password,
        reply: oneshot::Sender<PasswordHash>,
    },
    Verify {
        password: Password,
        hash: Option<PasswordHash>,
        reply: oneshot::Sender<bool>,
    },
}

impl Passwords {
    /// Starts the hashing thread; at most `queue` passwords (one or more) wait for it, at about 15 to 20 ms each.
    ///
    /// # Errors
    /// Whatever the operating system says when it gives no thread.
    pub fn start(queue: usize, random: Arc<dyn Random>) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(queue.max(1));
        let hasher = Hasher {
            memory: Vec::new(),
            random,
        };
        std::thread::Builder::new()
            .name("passwords".to_owned())
            .spawn(move || hasher.work(waiting))?;
        Ok(Self { jobs })
    }

    /// The hash of a new password, with a new salt and the present parameters.
    ///
    /// # Errors
    /// [`Overloaded`] where the queue is full.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, Overloaded> {
        let (reply, answer) = oneshot::channel();
        self.jobs
            .try_send(Job::Hash { password, reply })
            .map_err(|_| Overloaded)?;
        answer.await.map_err(|_| Overloaded)
    }

    /// Whether `password` is the one that `hash` was made of. Without a hash (nobody has that e-mail) the answer is no,
    /// after the same work: the time tells nothing.
    ///
    /// # Errors
    /// [`Overloaded`] where the queue is full.
    pub async fn verify(&self, password: Password, hash: Option<PasswordHash>) -> Result<bool, Overloaded> {
        let (reply, answer) = oneshot::channel();
        self.jobs
            .try_send(Job::Verify { password, hash, reply })
            .map_err(|_| Overloaded)?;
        answer.await.map_err(|_| Overloaded)
    }

    /// How many passwords wait for the thread now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.jobs.max_capacity() - self.jobs.capacity()
    }
}

/// How a hash was made, read from its PHC string.
struct Recipe {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: phc::Salt,
    output: phc::Output,
}

impl Recipe {
    fn read(hash: &PasswordHash) -> Option<Self> {
        let parsed = phc::PasswordHash::new(&hash.0).ok()?;
        let algorithm = Algorithm::try_from(parsed.algorithm.as_str()).ok()?;
        let version = Version::try_from(parsed.version?).ok()?;
        let params = Params::try_from(&parsed).ok()?;
        let ours = algorithm == Algorithm::Argon2id && params.m_cost() <= MEMORY_KIB_MAX;
        if ours {
            Some(Self {
                algorithm,
                version,
                params,
                salt: parsed.salt?,
                output: parsed.hash?,
            })
        } else {
            None
        }
    }
}

/// The state of the hashing thread.
struct Hasher {
    /// argon2's working memory, grown to the largest hash met and kept.
    memory: Vec<Block>,
    random: Arc<dyn Random>,
}

impl Hasher {
    fn work(mut self, mut waiting: mpsc::Receiver<Job>) {
        while let Some(job) = waiting.blocking_recv() {
            // One job that panics must not end sign-in for everybody: its caller hears `Overloaded`, the next goes on.
            if catch_unwind(AssertUnwindSafe(|| self.carry_out(job))).is_err() {
                tracing::error!("hashing a password panicked");
                self.memory = Vec::new();
            }
        }
    }

    fn carry_out(&mut self, job: Job) {
        match job {
            // A caller who hung up meanwhile costs nothing more.
            Job::Hash { reply, .. } if reply.is_closed() => {}
            Job::Verify { reply, .. } if reply.is_closed() => {}
            Job::Hash { password, reply } => match self.hash(&password) {
                // An error here means that the caller hung up just now.
                Ok(hash) => drop(reply.send(hash)),
                Err(error) => tracing::error!(%error, "a password could not be hashed"),
            },
            Job::Verify { password, hash, reply } => match self.verify(&password, hash.as_ref()) {
                Ok(matches) => drop(reply.send(matches)),
                Err(error) => tracing::error!(%error, "a password could not be verified"),
            },
        }
    }

    fn hash(&mut self, password: &Password) -> Result<PasswordHash, argon2::password_hash::Error> {
        let mut salt = [0; SALT_BYTES];
        self.random.fill(&mut salt);
        let params = present_params()?;
        let output = self.run(password, &salt, Algorithm::Argon2id, Version::V0x13, params.clone())?;
        let hash = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: phc::ParamsString::try_from(&params)?,
            salt: Some(phc::Salt::new(&salt)?),
            hash: Some(phc::Output::new(&output)?),
        };
        Ok(PasswordHash(hash.to_string().into()))
    }

    fn verify(
        &mut self,
        password: &Password,
        hash: Option<&PasswordHash>,
    ) -> Result<bool, argon2::password_hash::Error> {
        let Some(Recipe {
            algorithm,
            version,
            params,
            salt,
            output,
        }) = hash.and_then(Recipe::read)
        else {
            self.run(
                password,
                &[0; SALT_BYTES],
                Algorithm::Argon2id,
                Version::V0x13,
                present_params()?,
            )?;
            return Ok(false);
        };
        let computed = self.run(password, &salt, algorithm, version, params)?;
        Ok(computed.as_slice().ct_eq(output.as_bytes()).into())
    }

    fn run(
        &mut self,
        password: &Password,
        salt: &[u8],
        algorithm: Algorithm,
        version: Version,
        params: Params,
    ) -> Result<Vec<u8>, argon2::Error> {
        let blocks = params.block_count();
        if self.memory.len() < blocks {
            self.memory.resize(blocks, Block::default());
        }
        let mut output = vec![0; params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN)];
        Argon2::new(algorithm, version, params).hash_password_into_with_memory(
            password.expose(),
            salt,
            &mut output,
            &mut self.memory[..blocks],
        )?;
        Ok(output)
    }
}

fn present_params() -> Result<Params, argon2::Error> {
    Params::new(MEMORY_KIB, PASSES, LANES, Some(Params::DEFAULT_OUTPUT_LEN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random::OsRandom;

    fn password(text: &str) -> Password {
        text.parse().unwrap()
    }

    fn started(queue: usize) -> Passwords {
        Passwords::start(queue, Arc::new(OsRandom)).unwrap()
    }

    #[tokio::test]
    async fn only_the_password_itself_verifies() {
        let passwords = started(8);
        let hash = passwords.hash(password("correct horse")).await.unwrap();
        for (typed, matches) in [
            ("correct horse", true),
            ("correct horsf", false),
            ("correct horse ", false),
        ] {
            assert_eq!(
                passwords.verify(password(typed), Some(hash.clone())).await,
                Ok(matches),
                "{typed}"
            );
        }
        assert_eq!(passwords.verify(password("correct horse"), None).await, Ok(false));
    }

    #[tokio::test]
    async fn a_hash_is_a_phc_string_with_its_own_salt() {
        let passwords = started(8);
        let hash = passwords.hash(password("correct horse")).await.unwrap();
        assert!(
            hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            hash.as_str()
        );
        assert_eq!(hash.as_str().parse(), Ok(hash.clone()));
        assert_ne!(passwords.hash(password("correct horse")).await.unwrap(), hash);
    }

    #[tokio::test]
    async fn a_hash_by_older_parameters_still_verifies() {
        let params = Params::new(8, 1, 1, Some(32)).unwrap();
        let mut hasher = Hasher {
            memory: Vec::new(),
            random: Arc::new(OsRandom),
        };
        let output = hasher
            .run(
                &password("older password"),
                &[9; 16],
                Algorithm::Argon2id,
                Version::V0x13,
                params,
            )
            .unwrap();
        let text = phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(19),
            params: "m=8,t=1,p=1".parse().unwrap(),
            salt: Some(phc::Salt::new(&[9; 16]).unwrap()),
            hash: Some(phc::Output::new(&output).unwrap()),
        };
        let hash: PasswordHash = text.to_string().parse().unwrap();
        assert_eq!(
            started(1).verify(password("older password"), Some(hash)).await,
            Ok(true)
        );
    }

    #[test]
    fn other_texts_are_not_hashes() {
        let tail = "$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert!(
            format!("$argon2id$v=19$m=19456,t=2,p=1{tail}")
                .parse::<PasswordHash>()
                .is_ok()
        );
        for text in [
            String::new(),
            "correct horse".to_owned(),
            format!("$argon2i$v=19$m=19456,t=2,p=1{tail}"),
            format!("$argon2id$m=19456,t=2,p=1{tail}"),
            format!("$argon2id$v=19$m=4194304,t=2,p=1{tail}"),
            format!("$scrypt$ln=17,r=8,p=1{tail}"),
            "$argon2id$v=19$m=19456,t=2,p=1".to_owned(),
        ] {
            assert!(text.parse::<PasswordHash>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_full_queue_says_so_at_once() {
        // No thread takes from this queue: one job fills it.
        let (jobs, mut waiting) = mpsc::channel(1);
        let passwords = Passwords { jobs };
        let first = tokio::spawn({
            let passwords = passwords.clone();
            async move { passwords.verify(password("correct horse"), None).await }
        });
        while passwords.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(passwords.verify(password("correct horse"), None).await, Err(Overloaded));
        assert_eq!(passwords.hash(password("correct horse")).await, Err(Overloaded));
        drop(waiting.recv().await);
        assert_eq!(passwords.waiting(), 0);
        assert_eq!(first.await.unwrap(), Err(Overloaded));
    }

    #[tokio::test]
    async fn the_thread_survives_a_panic() {
        struct Broken(std::sync::atomic::AtomicBool);
        impl Random for Broken {
            fn fill(&self, _: &mut [u8]) {
                assert!(
                    self.0.swap(true, std::sync::atomic::Ordering::Relaxed),
                    "no randomness the first time"
                );
            }
        }
        let passwords = Passwords::start(8, Arc::new(Broken(false.into()))).unwrap();
        assert_eq!(passwords.hash(password("correct horse")).await, Err(Overloaded));
        assert!(passwords.hash(password("correct horse")).await.is_ok());
    }
}
