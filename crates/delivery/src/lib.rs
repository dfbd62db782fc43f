//! Telling people: delivery channels.
