//! Where the gateway may go by itself, and how what it sends there is signed.

pub mod guard;
pub mod sign;
