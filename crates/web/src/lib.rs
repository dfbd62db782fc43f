//! HTTP: the API, callbacks, media and pages.
