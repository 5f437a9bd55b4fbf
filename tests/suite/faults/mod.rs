//! Bad days: the process is killed, the database is held, the broker goes, clocks jump. What was promised holds
//! (`invariants`), and everything recovers by itself.

mod hostile;
mod in_and_out;
mod installation;
mod invariants;
mod keys;
mod kill;
pub mod nodes;
pub mod outages;
mod random;
mod restore;
mod restored_house;
mod restored_locks;
mod restored_people;
mod restored_undecided;
mod scene;
mod start;
