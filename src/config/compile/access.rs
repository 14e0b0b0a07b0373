//! `tenant_isolation`.

use filters::problem::Problems;

use crate::config::model::access::TenantIsolation;
use crate::config::raw::access as raw;

/// `tenant_isolation`, if it is switched on.
pub fn compile_isolation(
    raw: &raw::TenantIsolation,
    problems: &mut Problems,
) -> Option<TenantIsolation> {
    if let Ok(header) = raw.header.parse() {
        return raw.enabled.then_some(TenantIsolation { header });
    }
    problems
        .error("tenant_isolation.header", "is not a header name")
        .found(format!("{:?}", raw.header));
    None
}
