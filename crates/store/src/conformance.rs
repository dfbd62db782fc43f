//! Every promise of the ports as test functions.
