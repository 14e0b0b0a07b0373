//! Members that do not count, named by paths.

use std::ops::Range;

use crate::json::canonical::text;

/// Compiled paths: `a.b` is the member `b` of the member `a`, `*` any member. A path goes through an
/// array into each of its elements. A name with a dot in it cannot be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    /// A tree of names; the root is first. Empty where there are no paths.
    nodes: Vec<Node>,
}

/// A place in the tree of paths.
pub(super) type State = usize;

/// Where every path begins.
pub(super) const START: State = 0;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    /// What follows, by name in canonical spelling.
    named: Vec<(Box<[u8]>, State)>,
    /// What follows under any name.
    any: Option<State>,
    /// A path ends here: the member is left out.
    is_end: bool,
}

impl Ignored {
    /// Nothing is ignored.
    pub const NONE: &'static Self = &Self { nodes: Vec::new() };

    /// Compiles paths.
    #[must_use]
    pub fn compile<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        let mut tree = Self::default();
        for path in paths {
            let mut at = START;
            if tree.nodes.is_empty() {
                tree.nodes.push(Node::default());
            }
            for segment in path.split('.') {
                at = tree.child(at, segment);
            }
            if let Some(node) = tree.nodes.get_mut(at) {
                node.is_end = true;
            }
        }
        tree
    }

    /// Whether everything counts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The node below `at` for a segment of a path; made where there is none.
    fn child(&mut self, at: State, segment: &str) -> State {
        let new = self.nodes.len();
        let mut name = Vec::with_capacity(segment.len());
        text::escape(segment, &mut name);
        let Some(node) = self.nodes.get_mut(at) else {
            return at;
        };
        let found = if segment == "*" {
            *node.any.get_or_insert(new)
        } else {
            match node.named.iter().find(|(known, _)| **known == *name) {
                Some((_, child)) => *child,
                None => {
                    node.named.push((name.into(), new));
                    new
                }
            }
        };
        if found == new {
            self.nodes.push(Node::default());
        }
        found
    }

    /// Whether a member called `name` is ignored, for a value in the states `at`. Appends the states
    /// that the member's value is in.
    pub(super) fn step(&self, states: &mut Vec<State>, at: Range<usize>, name: &[u8]) -> bool {
        let mut is_ignored = false;
        for index in at {
            let node = states.get(index).and_then(|state| self.nodes.get(*state));
            let Some(node) = node else { continue };
            let named = node.named.iter().find(|(known, _)| **known == *name);
            for next in node.any.into_iter().chain(named.map(|(_, next)| *next)) {
                is_ignored |= self.nodes.get(next).is_some_and(|node| node.is_end);
                states.push(next);
            }
        }
        is_ignored
    }
}
