//! The platform simulated: time that passes only when everybody waits, peers that do what a script says, state in
//! memory. Must not know what a gateway does.
//!
//! ```
//! use spillway_platform::{Headers, Platform};
//! use spillway_platform_sim::{Sim, SimRequest};
//!
//! let sim = Sim::default();
//! let platform = sim.clone();
//! let answer = sim.run(async move {
//!     let request = SimRequest::get("/");
//!     platform.log(&platform.head(&request).path_and_query);
//!     let headers = Headers::default();
//!     platform.respond(http::StatusCode::OK, headers, "hello".into()).await.unwrap().read().await
//! });
//! assert_eq!(answer.text(), "hello");
//! assert_eq!(sim.log_lines(), ["/"]);
//! ```

mod board;
mod body;
mod executor;
mod instance;
mod peers;
mod pipe;
mod platform;
mod request;
mod response;
mod sim;
mod store;
mod timers;

pub use body::{PeerStep, SimBody};
pub use instance::{SimInstance, Unanswered};
pub use pipe::{SimReader, SimWriter};
pub use request::{ReceivedRequest, SimRequest};
pub use response::{SimAnswer, SimResponse};
pub use sim::{Sim, SimMoment};
pub use store::{
    SimStore, StoreAnswer, StoreClock, StoreConnectionPast, StoreDelivery, StoreEvent, StoreFault,
    StoreOpening, StoreOperation,
};
