//! Lists in pages.

/// Which page of a list is asked for: at most `limit` items, those that come after `after` in the list's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest<K> {
    /// How many items at most, 1 to [`Self::MOST`].
    pub limit: u16,
    /// The key of the last item of the page before.
    pub after: Option<K>,
}

impl<K> PageRequest<K> {
    /// How many items a page has where nobody says.
    pub const USUAL: u16 = 50;
    /// How many items a page has at most.
    pub const MOST: u16 = 200;
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, K> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// What to ask for next; `None` on the last page.
    pub next: Option<K>,
}

impl<T, K> Page<T, K> {
    /// The page made of `items`, which were read with one more than `limit` allows, to see whether there is another.
    #[must_use]
    pub fn cut(mut items: Vec<T>, limit: u16, key: impl Fn(&T) -> K) -> Self {
        let more = items.len() > usize::from(limit);
        items.truncate(usize::from(limit));
        let next = if more { items.last().map(key) } else { None };
        Self { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_page_with_more_behind_it_has_a_next() {
        for (found, limit, next) in [(0, 2, None), (1, 2, None), (2, 2, None), (3, 2, Some(1))] {
            let page = Page::cut((0..found).collect::<Vec<i32>>(), limit, |n| *n);
            assert_eq!((page.items.len(), page.next), (found.min(2).try_into().unwrap(), next));
        }
    }
}
