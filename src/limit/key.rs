//! What buckets are found by: 128 bits of a hash that nobody outside can foresee.
//!
//! **Invariant:** nobody can choose a name so that its bucket is another's, or lies beside it.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::time::Duration;

use filters::rate::rules::Bucket;

/// An odd number without a pattern: windows of one bucket do not meet those of others.
const SPREAD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// What makes a process's hashes its own.
#[derive(Default)]
pub struct Seeds([RandomState; 2]);

/// A bucket, without regard to the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner(u128);

/// A bucket and the window of one of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(u128);

/// Uses a key's own bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsItIs(u64);

impl Seeds {
    /// Whose bucket it is.
    #[must_use]
    pub fn owner(&self, bucket: &Bucket<'_>) -> Owner {
        let rule = bucket.rule;
        let owner = bucket.owner.map(|owner| (&owner.tenant, &owner.client));
        let named = (rule.kind, &rule.server, &rule.tool, owner);
        let [high, low] = self.0.each_ref().map(|seed| seed.hash_one(named));
        Owner(u128::from(high) << u64::BITS | u128::from(low))
    }
}

impl Owner {
    /// Its count over a window.
    #[must_use]
    pub fn key(self, window: Duration) -> Key {
        Key(self.0 ^ window.as_nanos().wrapping_mul(SPREAD))
    }

    /// One of `n` equal parts that it belongs to, with all its windows.
    #[must_use]
    pub fn part(self, n: usize) -> usize {
        let bits = u32::try_from(self.0 >> 96).unwrap_or_default();
        bits as usize % n.max(1)
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(u64::try_from(self.0 & u128::from(u64::MAX)).unwrap_or_default());
    }
}

impl Hasher for AsItIs {
    fn write_u64(&mut self, bits: u64) {
        self.0 = bits;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
