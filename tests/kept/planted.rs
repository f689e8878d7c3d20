//! Deletions that are planted, and caught.
