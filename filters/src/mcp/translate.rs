//! Messages of one era in the words of the other (D2, cells 3 and 4): text in, text out.

use crate::json::object::Object;

pub mod down;
pub mod up;

/// `io.modelcontextprotocol/serverInfo`, on a modern result.
pub(crate) const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// Changes `_meta`, and leaves it out where nothing is in it then.
pub(crate) fn edit_meta(of: &mut Object<'_>, change: impl FnOnce(&mut Object<'_>)) {
    let text = of.get("_meta").unwrap_or_default().to_owned();
    let mut meta = Object::read(&text).unwrap_or_default();
    change(&mut meta);
    if meta.is_empty() {
        of.remove("_meta");
    } else {
        of.set("_meta", meta.write());
    }
}
