//! Names of members that were changed: no two of an object may become one.

use std::collections::HashSet;
use std::ops::Range;

use crate::guard::reader::unescaped;
use crate::guard::walk::Opaque;

/// The names of one object, as they were written.
#[derive(Default)]
pub(super) struct Written {
    /// Where each stands in what comes out.
    places: Vec<Range<usize>>,
    is_changed: bool,
}

impl Written {
    /// Notes a name that stands at a place by now.
    pub(super) fn note(&mut self, place: Range<usize>, is_changed: bool) {
        self.places.push(place);
        self.is_changed |= is_changed;
    }

    /// # Errors
    /// [`Opaque::Twice`] where a name was changed and two are alike by now: a reader would lose one.
    pub(super) fn check(&self, out: &str) -> Result<(), Opaque> {
        if !self.is_changed {
            return Ok(());
        }
        let mut seen = HashSet::with_capacity(self.places.len());
        for place in &self.places {
            let raw = out.get(place.clone()).unwrap_or_default();
            if !seen.insert(unescaped(raw).ok_or(Opaque::Text)?) {
                return Err(Opaque::Twice);
            }
        }
        Ok(())
    }
}
