//! [`fuzz::http_requests`] under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::http_requests::target(data));
