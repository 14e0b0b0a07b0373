//! What the shared cache may keep, for whom, for how long, and what ends it. Time is given as ages;
//! who stores and who waits is `src/cache`'s.

pub mod key;
