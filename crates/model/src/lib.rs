//! Model surfaces, requests and usage.
