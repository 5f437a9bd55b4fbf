//! Statements that are parsed once a connection.

use diesel::QueryResult;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;

use super::{Conn, MultiBackend};

/// A statement whose prepared form the connection keeps. By itself diesel keeps no `UPDATE` and no `IN` list, because
/// their text may differ from call to call; it has SQLite parse and plan them every time, which costs more than running
/// them. Only for statements of few different texts, for each of which one prepared form is kept.
pub(super) struct Kept<Q>(pub(super) Q);

impl<Q: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for Kept<Q> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, _: &MultiBackend) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<Q> QueryId for Kept<Q> {
    type QueryId = ();

    /// Kept under its text: two texts are never taken for one.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Kept<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> RunQueryDsl<Conn> for Kept<Q> {}
