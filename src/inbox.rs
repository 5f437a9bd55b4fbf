//! Messages from locks: verified, committed, acknowledged, answered.
