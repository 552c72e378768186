//! What panics in a history, with its place: it is told with the history, and not by the panic itself.

use std::cell::{Cell, RefCell};
use std::sync::Once;

thread_local! {
    static IS_NOTED: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// From now on panics of this thread are noted, and those of others told as before.
pub fn note() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if IS_NOTED.get() {
                LAST.replace(Some(panic.to_string()));
            } else {
                before(panic);
            }
        }));
    });
    IS_NOTED.set(true);
}

/// The last one, and from now on they are told again.
pub fn last() -> Option<String> {
    IS_NOTED.set(false);
    LAST.take()
}
