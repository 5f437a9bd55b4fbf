//! How many may be in the broker, and how many of them without having signed in.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How often those outside ask the dawdlers to go.
const KNOCK: Duration = Duration::from_millis(100);

/// Counts connections. While the hall of those who have not signed in is full, newcomers wait outside, in the kernel,
/// and whoever has taken longer than `dawdle` is put out: silent connections cannot keep real locks away, and thousands
/// of real locks at once queue up instead of timing out together.
pub(super) struct Door {
    seats: Arc<Semaphore>,
    arrivals: Arc<Semaphore>,
    knock: Notify,
    dawdle: Duration,
}

/// The seat that a connection keeps until its end, and the place it gives back when it has signed in.
pub(super) type Places = (OwnedSemaphorePermit, OwnedSemaphorePermit);

impl Door {
    pub(super) fn new(seats: usize, arrivals: usize, dawdle: Duration) -> Self {
        let semaphore = |places: usize| Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Self {
            seats: semaphore(seats),
            arrivals: semaphore(arrivals),
            knock: Notify::new(),
            dawdle,
        }
    }

    /// Waits for a place among those who have not signed in; `None` where every seat is taken.
    pub(super) async fn enter(&self) -> Option<Places> {
        loop {
            let place = Arc::clone(&self.arrivals).acquire_owned();
            match tokio::time::timeout(KNOCK, place).await {
                // The semaphores are never closed.
                Ok(place) => {
                    let place = place.ok()?;
                    let seat = Arc::clone(&self.seats).try_acquire_owned().ok()?;
                    return Some((seat, place));
                }
                Err(_) => self.knock.notify_waiters(),
            }
        }
    }

    /// Returns when a connection that began with this call has dawdled and somebody wants its place.
    pub(super) async fn dawdled(&self) {
        tokio::time::sleep(self.dawdle).await;
        self.knock.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAWDLE: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_full_hall_puts_out_dawdlers_and_nobody_else() {
        let door = Arc::new(Door::new(10, 1, DAWDLE));
        let (_seat, place) = door.enter().await.unwrap();
        let dawdler = tokio::spawn({
            let door = Arc::clone(&door);
            async move {
                door.dawdled().await;
                drop(place);
            }
        });
        let before = tokio::time::Instant::now();
        assert!(door.enter().await.is_some());
        assert!(before.elapsed() >= DAWDLE);
        dawdler.await.unwrap();
    }

    #[tokio::test]
    async fn a_full_house_takes_nobody() {
        let door = Door::new(1, 4, DAWDLE);
        let first = door.enter().await.unwrap();
        assert!(door.enter().await.is_none());
        drop(first);
        assert!(door.enter().await.is_some());
    }
}
