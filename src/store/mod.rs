//! The database: diesel lives here and nowhere else.

pub mod schema;
