//! Acceptance stories: the composed services against the simulator.
