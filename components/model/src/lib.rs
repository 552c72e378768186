//! The model component.
