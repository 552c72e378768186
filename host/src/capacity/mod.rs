//! How much the host takes on: places for instances, connections of one client, the pace of uploads, memory.
//!
//! Each is bounded so that whoever asks for too much is refused in plain words while everybody else is served.

mod clients;
mod memory;
mod slots;
mod upload_rate;
mod wakers;

pub use clients::{Clients, Place};
pub use memory::{InstanceMemory, MemoryBudget, SMALL_BODY, default_budget};
pub use slots::{Slot, Slots};
pub use upload_rate::{UploadPace, UploadRate};
pub use wakers::{WakerOf, Wakers};
