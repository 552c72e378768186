//! Ports to the outside and, alone here, the Spin adapter.
