//! Who uses a session of a group.
//!
//! **Invariant:** one call alone, or any number that share it.

/// Who uses a session now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// So many calls that share it.
    Shared(usize),
    /// One call alone.
    Own,
}

impl Use {
    /// Nobody.
    pub(super) const FREE: Self = Self::Shared(0);

    /// As it is with one more call that shares it, if it lets itself be shared.
    pub(super) fn shared(self) -> Option<Self> {
        match self {
            Self::Shared(n_calls) => Some(Self::Shared(n_calls + 1)),
            Self::Own => None,
        }
    }

    /// As it is with a call alone, if there is no other.
    pub(super) fn taken(self) -> Option<Self> {
        (self == Self::FREE).then_some(Self::Own)
    }

    /// As it is once a call has left.
    pub(super) fn left(self) -> Self {
        match self {
            Self::Shared(n_calls) => Self::Shared(n_calls.saturating_sub(1)),
            Self::Own => Self::FREE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Use;

    #[test]
    fn a_call_that_needs_a_session_to_itself_waits_for_all_that_share_it() {
        let two = Use::FREE.shared().and_then(Use::shared).unwrap();
        assert_eq!(two.taken(), None);
        assert_eq!(two.left().taken(), None);
        assert_eq!(two.left().left().taken(), Some(Use::Own));
    }

    #[test]
    fn nobody_enters_the_session_of_a_call_that_has_it_to_itself() {
        let own = Use::FREE.taken().unwrap();
        assert_eq!((own.taken(), own.shared()), (None, None));
        assert_eq!(own.left(), Use::FREE);
    }
}
