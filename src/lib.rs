//! shoal.
