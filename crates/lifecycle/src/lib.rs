//! The use cases: submit, advance a job, deliver, reconcile.
