//! What the shared cache may keep, for whom, for how long, and what ends it. Time is given as ages;
//! who stores and who waits is `src/cache`'s.

pub mod admit;
pub mod freshness;
pub mod invalidate;
pub mod key;
pub mod policy;
pub mod render;
pub mod status;
pub mod task;
