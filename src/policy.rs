//! Asking policy beforehand: what is asked, as people write it, and what is told.
//!
//! `POST /conduit/policy/explain` asks the policies in force, `conduit policy test` those of a file.
//! Both decide by [`filters::policy`], which asks what requests are decided by.

pub mod asked;
pub mod cases;
pub mod told;
