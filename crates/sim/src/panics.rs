//! What panics in a history, with its place: it is told with the history, and not by the panic itself.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static IS_NOTED: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs something, and says why where it panics. Panics of other threads, and later ones, are told as before.
///
/// # Errors
/// The panic's words.
pub fn catch<T>(run: impl FnOnce() -> T) -> Result<T, String> {
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
    let ran = catch_unwind(AssertUnwindSafe(run));
    IS_NOTED.set(false);
    ran.map_err(|_| LAST.take().unwrap_or_default())
}
