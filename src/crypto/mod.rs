//! Passwords, signing keys, tokens, certificates and random secrets.
