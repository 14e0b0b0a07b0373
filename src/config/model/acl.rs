//! `acl`.

use filters::acl::spec::Spec;

/// Who may use what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acl {
    /// Whether policies decide.
    pub enabled: bool,
    /// What they say.
    pub spec: Spec,
}
