//! The ingress component.
