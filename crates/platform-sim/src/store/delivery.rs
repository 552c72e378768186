//! How the store is reached, as fate has it.

use std::time::Duration;

use super::StoreOperation;
use crate::Sim;

/// How one operation goes on its connection. Whatever is sent on one is done, and answered, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreDelivery {
    /// How long it takes there.
    pub there: Duration,
    /// How long the answer takes.
    pub back: Duration,
    /// What comes between.
    pub fault: StoreFault,
}

/// What comes between an operation and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// Nothing: it is done and answered.
    None,
    /// The connection falls silent before it is done, and stays so: nothing on it is done or answered any more.
    SilentBefore,
    /// The same once it is done.
    SilentAfter,
    /// The connection breaks before it is done.
    BreaksBefore,
    /// The same once it is done.
    BreaksAfter,
    /// The store answers with this error, and does nothing.
    Error(&'static str),
}

/// What comes of opening a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOpening {
    /// It stands after this time.
    After(Duration),
    /// Nobody listens.
    Refused,
    /// Nothing, for as long as anybody waits.
    Never,
}

/// What an operation's connection has been through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreConnectionPast {
    /// How long it has stood.
    pub age: Duration,
    /// How many answers have come on it.
    pub answered: u32,
}

type Deliveries = Box<dyn FnMut(&StoreOperation, StoreConnectionPast) -> StoreDelivery>;
type Openings = Box<dyn FnMut() -> StoreOpening>;

/// Who says how things fault; without anybody all is done at once.
pub(crate) struct StoreNetwork {
    pub(super) deliver: Deliveries,
    pub(super) open: Openings,
}

impl Sim {
    /// From now on the store is reached by connections, which are opened and carry operations as this says of each.
    pub fn set_store_network(
        &self,
        open: impl FnMut() -> StoreOpening + 'static,
        deliver: impl FnMut(&StoreOperation, StoreConnectionPast) -> StoreDelivery + 'static,
    ) {
        self.0.store_network.replace(Some(StoreNetwork {
            deliver: Box::new(deliver),
            open: Box::new(open),
        }));
    }

    /// From now on every operation takes so long to the store, and its answer back.
    pub fn set_store_distance(&self, distance: Duration) {
        let deliver = move |_: &StoreOperation, _| StoreDelivery {
            there: distance,
            back: distance,
            fault: StoreFault::None,
        };
        self.set_store_network(move || StoreOpening::After(distance), deliver);
    }

    /// All connections to the store break at once.
    pub fn break_store_connections(&self) {
        let connections = self.0.store_connections.take();
        for connection in connections.iter().filter_map(std::rc::Weak::upgrade) {
            connection.breaks();
        }
    }
}
