//! Tests of the info dictionary.
