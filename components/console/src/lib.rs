//! The console component.
