//! Configuration and composition: builds the services the binaries run.
