//! Use cases: one sentence, one transaction each.
