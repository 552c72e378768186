//! Host bindings for the interfaces in `wit/`, generated.

mod generated {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "spillway:host/host",
        imports: { default: async | trappable },
        with: {
            "spin:redis/redis.connection": crate::redis::Connection,
            "spin:key-value/key-value.store": crate::key_value::Store,
            "wasi:keyvalue/store.bucket": crate::key_value::Store,
            "wasi:keyvalue/atomics.cas": crate::key_value::CompareAndSwap,
        },
    });
}

pub use generated::{spin, wasi};
