//! Forwarding: routing tables, header hygiene, error answers.
