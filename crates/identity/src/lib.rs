//! Consumers and their credentials.
