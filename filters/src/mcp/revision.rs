//! MCP revisions and the two eras they fall into.

/// A published revision of MCP. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// A draft that the official SDKs still accept.
    V2024_10_07,
    /// The first, with the HTTP+SSE transport.
    V2024_11_05,
    /// Streamable HTTP, batches.
    V2025_03_26,
    /// The `MCP-Protocol-Version` header; no more batches.
    V2025_06_18,
    /// Tasks, URL elicitation, SSE polling.
    V2025_11_25,
    /// Per-request metadata, no sessions.
    V2026_07_28,
}

/// How a revision carries its context: the wire differs too much for one code path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Era {
    /// Up to 2025-11-25: an `initialize` handshake, sessions.
    Legacy,
    /// From 2026-07-28: every request carries its metadata, no sessions.
    Modern,
}

impl Era {
    /// The era's name in logs and metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

impl Revision {
    /// What a request without a version header speaks (2025-06-18, "Protocol Version Header").
    pub const ASSUMED: Self = Self::V2025_03_26;

    /// The modern revisions Conduit serves, newest first, as JSON for `data.supported`.
    pub const SUPPORTED_MODERN_JSON: &'static str = r#"["2026-07-28"]"#;

    /// All revisions, as a client is told them.
    pub const SUPPORTED: &'static str =
        "2026-07-28, 2025-11-25, 2025-06-18, 2025-03-26 or 2024-11-05";

    /// Reads a version string.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "2024-10-07" => Self::V2024_10_07,
            "2024-11-05" => Self::V2024_11_05,
            "2025-03-26" => Self::V2025_03_26,
            "2025-06-18" => Self::V2025_06_18,
            "2025-11-25" => Self::V2025_11_25,
            "2026-07-28" => Self::V2026_07_28,
            _ => return None,
        })
    }

    /// The version string.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2024_10_07 => "2024-10-07",
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The era it belongs to.
    #[must_use]
    pub fn era(self) -> Era {
        if self >= Self::V2026_07_28 {
            Era::Modern
        } else {
            Era::Legacy
        }
    }

    /// Whether a client of this revision may send JSON-RPC batches: they came with 2025-03-26
    /// (JSON-RPC itself has them earlier) and went with 2025-06-18.
    #[must_use]
    pub fn has_batches(self) -> bool {
        self <= Self::V2025_03_26
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_revision_is_modern() {
        assert_eq!(
            Revision::parse("2026-07-28").map(Revision::era),
            Some(Era::Modern)
        );
        for legacy in [
            "2024-10-07",
            "2024-11-05",
            "2025-03-26",
            "2025-06-18",
            "2025-11-25",
        ] {
            assert_eq!(
                Revision::parse(legacy).map(Revision::era),
                Some(Era::Legacy)
            );
        }
        assert_eq!(Revision::parse("1999-01-01"), None);
    }

    #[test]
    fn batches_ended_with_2025_06_18() {
        assert!(Revision::V2025_03_26.has_batches());
        assert!(!Revision::V2025_06_18.has_batches());
    }
}
