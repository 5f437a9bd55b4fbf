//! The REST surface from outside, on both databases.

mod story;
