//! What the gateway tells about itself: metrics, log lines, and the one record of each request.

pub mod access;
pub mod logging;
pub mod metrics;
pub mod outcome;
