//! Lists in pages: `?limit=&cursor=` in, `{"data": […], "next_cursor": …}` out.

use std::str::FromStr;

use actix_web::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use crate::domain::page::{Page, PageRequest};

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// How many items at most.
    #[serde(default)]
    #[param(value_type = u16, required = false, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    #[param(required = false, nullable = false)]
    cursor: Option<String>,
}

impl Paging {
    /// What the use cases understand.
    ///
    /// # Errors
    /// `invalid-cursor` where the cursor is none of ours.
    pub fn request<K: FromStr>(&self) -> Result<PageRequest<K>, Problem> {
        let after = self.cursor.as_deref().map(read_cursor).transpose()?;
        Ok(PageRequest {
            limit: self.limit.0,
            after,
        })
    }
}

/// How many items a page has at most: 1 to [`PageRequest::MOST`].
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u16")]
pub(super) struct Limit(pub(super) u16);

impl Default for Limit {
    fn default() -> Self {
        Self(PageRequest::<()>::USUAL)
    }
}

impl TryFrom<u16> for Limit {
    type Error = String;

    fn try_from(limit: u16) -> Result<Self, String> {
        let most = PageRequest::<()>::MOST;
        if (1..=most).contains(&limit) {
            Ok(Self(limit))
        } else {
            Err(format!("expected 1 to {most}"))
        }
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// The items, in the list's order.
    data: Vec<T>,
    /// What to ask for next, as `cursor`; `null` on the last page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

impl<T> List<T> {
    /// `page` as it is told.
    pub fn of<I, K: ToString>(page: Page<I, K>, tell: impl FnMut(I) -> T) -> Self {
        Self {
            data: page.items.into_iter().map(tell).collect(),
            next_cursor: page.next.map(|key| URL_SAFE_NO_PAD.encode(key.to_string())),
        }
    }
}

/// The cursor is none that this service handed out.
pub(super) fn bad_cursor() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "invalid-cursor",
        "The cursor is not acceptable",
        "a cursor is the `next_cursor` of a page of this list, unchanged",
    )
}

pub(super) fn read_cursor<K: FromStr>(cursor: &str) -> Result<K, Problem> {
    let key = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad_cursor())?;
    let key = std::str::from_utf8(&key).map_err(|_| bad_cursor())?;
    key.parse().map_err(|_| bad_cursor())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::UnitId;

    #[test]
    fn a_cursor_comes_back_as_the_key_it_was_made_of() {
        let unit = UnitId::from_bits(7);
        let page = Page {
            items: vec![()],
            next: Some(unit.clone()),
        };
        let list = List::of(page, |()| ());
        assert_eq!(read_cursor::<UnitId>(&list.next_cursor.unwrap()).unwrap(), unit);
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["", "AAAA", "dW5pdF8", "not base64!", "%"] {
            assert_eq!(
                read_cursor::<UnitId>(text).unwrap_err().word(),
                "invalid-cursor",
                "{text}"
            );
        }
    }
}
