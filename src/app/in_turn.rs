//! Timed work on many things, one after another.

use std::future::Future;

use super::Error;

/// Works on each of these in its turn, each in a transaction of its own. One that fails keeps no other from its turn: it is
/// due again in the next round, and the others must not wait for it. Gives what came of those that succeeded, and the first
/// failure; further ones are logged here.
pub(super) async fn each_in_turn<T, O, W>(
    due: impl IntoIterator<Item = T>,
    mut work: impl FnMut(T) -> W,
) -> (Vec<O>, Result<(), Error>)
where
    W: Future<Output = Result<O, Error>>,
{
    let (mut done, mut first) = (Vec::new(), Ok(()));
    for one in due {
        match work(one).await {
            Ok(outcome) => done.push(outcome),
            Err(error) if first.is_ok() => first = Err(error),
            Err(error) => {
                let cause = &error as &dyn std::error::Error;
                tracing::error!(error = cause, "timed work failed at another of many");
            }
        }
    }
    (done, first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_fails_keeps_no_other_from_its_turn_and_the_first_failure_is_reported() {
        let (done, outcome) = each_in_turn(1..=5, async |number: i32| match number {
            2 => Err(Error::Forbidden),
            4 => Err(Error::Unauthenticated),
            number => Ok(number),
        })
        .await;
        assert_eq!(done, [1, 3, 5]);
        assert!(matches!(outcome, Err(Error::Forbidden)), "{outcome:?}");
    }

    #[tokio::test]
    async fn where_none_fails_nothing_is_reported() {
        let (done, outcome) = each_in_turn(["a", "b"], async |word: &str| Ok(word.to_owned())).await;
        assert_eq!(done, ["a", "b"]);
        assert!(outcome.is_ok());
    }
}
