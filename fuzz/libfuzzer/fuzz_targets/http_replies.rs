//! [`fuzz::http_replies`] under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::http_replies::target(data));
