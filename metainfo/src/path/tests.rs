//! Tests of paths: hostile rows 12-15 as far as names go.

use super::clean::{Platform, clean_element, exact_element, numbered};
use super::*;

fn unix(raw: impl AsRef<[u8]>) -> String {
    SafePath::from_safe(&[clean_element(raw.as_ref(), Platform::Unix)]).to_string()
}

fn windows(raw: &str) -> String {
    SafePath::from_safe(&[clean_element(raw.as_bytes(), Platform::Windows)]).to_string()
}

#[test]
fn h12_an_element_is_never_empty_a_way_up_or_two_elements() {
    for platform in [Platform::Unix, Platform::MacOs, Platform::Windows] {
        for raw in [
            "",
            ".",
            "..",
            "/",
            "a/b",
            "../../etc/passwd",
            "/etc/passwd",
            "a\0b",
            "..\\..\\x",
            "C:\\x",
            "...",
            ". ",
        ] {
            let name = clean_element(raw.as_bytes(), platform);
            assert!(!matches!(name.as_slice(), b"" | b"." | b".."), "{raw:?} on {platform:?}");
            assert!(!name.contains(&b'/') && !name.contains(&0), "{raw:?} on {platform:?}");
            let drive = platform == Platform::Windows && (name.contains(&b'\\') || name.contains(&b':'));
            assert!(!drive, "{raw:?}");
        }
    }
    assert_eq!(unix("../../etc/passwd"), ".._.._etc_passwd");
    assert_eq!(unix(".."), "_");
    assert_eq!(unix("a\\b"), "a\\b", "a name like any other here");
    assert_eq!(windows("a\\b"), "a_b");
}

#[test]
fn h13_control_characters_and_direction_overrides_are_replaced_on_disk() {
    assert_eq!(unix("a\nb\u{1b}[31mc\u{9b}d\u{7f}"), "a_b_[31mc_d_");
    assert_eq!(unix("invoice\u{202e}gpj.exe"), "invoice_gpj.exe");
    assert_eq!(unix("\u{2066}a\u{2069}\u{200f}\u{61c}\u{2028}"), "_a____");
    assert_eq!(unix("naïve 日本 👩\u{200d}🚀 -rf"), "naïve 日本 👩\u{200d}🚀 -rf");
}

#[test]
fn h13_bad_utf8_stays_byte_for_byte_on_unix_and_is_escaped_where_it_is_text() {
    assert_eq!(clean_element(b"caf\xe9.txt", Platform::Unix), b"caf\xe9.txt");
    assert_eq!(clean_element(b"caf\xe9\n.txt", Platform::Unix), b"caf\xe9_.txt");
    assert_eq!(clean_element(b"caf\xe9.txt", Platform::Windows), b"caf%E9.txt");
    assert_eq!(clean_element(b"caf\xe9.txt", Platform::MacOs), b"caf%E9.txt");
    let path = SafePath::from_safe(&[b"ok".to_vec(), b"caf\xe9.txt".to_vec()]);
    assert_eq!(path.to_string(), "ok/caf%E9.txt");
    assert_eq!(path.elements().collect::<Vec<_>>(), ["ok", "caf%E9.txt"]);
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        assert_eq!(path.to_path_buf().as_os_str().as_bytes(), b"ok/caf\xe9.txt");
        assert_eq!(path.folder(2).to_path_buf(), path.to_path_buf());
    }
}

#[test]
fn h13_text_of_strangers_is_shown_on_one_line_and_cannot_act_on_a_terminal() {
    assert_eq!(
        display_safe("a\x1b]0;owned\x07\r\n\u{202e}b\u{9b}c"),
        "a\\u{1b}]0;owned\\u{7}\\u{d}\\u{a}\\u{202e}b\\u{9b}c"
    );
    assert_eq!(display_safe("naïve 日本 \\ 👩"), "naïve 日本 \\ 👩");
}

#[test]
fn h14_long_names_are_cut_on_a_character_and_keep_their_extension() {
    let long = "a".repeat(300) + ".tar.gz";
    assert_eq!(unix(&long), "a".repeat(252) + ".gz");
    assert_eq!(unix("é".repeat(127)).len(), 254, "what fits stays");
    let cut = unix("é".repeat(150) + ".mkv");
    assert_eq!(cut, "é".repeat(125) + ".mkv", "251 bytes would end within a character");
    assert_eq!(unix("日".repeat(100)).len(), 255);
    assert_eq!(unix("x.".to_owned() + &"y".repeat(300)).len(), 255, "that is no extension");
    assert_eq!(unix("a".repeat(255)), "a".repeat(255));
    // Bytes that are no UTF-8 cannot make the cut run away.
    assert!(clean_element(&[0x80; 300], Platform::Unix).len() >= 252);
}

#[test]
fn h14_names_that_windows_reserves_are_changed_there_and_nowhere_else() {
    for (raw, safe) in [
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("Aux .tar.gz", "_Aux .tar.gz"),
        ("com1", "_com1"),
        ("LPT9.log", "_LPT9.log"),
        ("COM\u{b9}", "_COM\u{b9}"),
        ("com10", "com10"),
        ("console", "console"),
        ("trailing.", "trailing_"),
        ("trailing ", "trailing_"),
        ("a<b>c:d\"e|f?g*h", "a_b_c_d_e_f_g_h"),
    ] {
        assert_eq!(windows(raw), safe);
        assert_eq!(unix(raw), raw);
    }
}

#[test]
fn h14_a_name_that_the_file_system_holds_has_an_exact_form_however_odd() {
    for odd in [&b"a\nb"[..], b"\x1b[31m", "x\u{202e}y".as_bytes(), b"caf\xe9", b"-rf", b"a\\b"] {
        assert_eq!(exact_element(odd, Platform::Unix).as_deref(), Some(odd));
    }
    for impossible in [&b""[..], b".", b"..", b"a/b", b"a\0", &[b'a'; 256]] {
        assert_eq!(exact_element(impossible, Platform::Unix), None);
    }
    assert_eq!(exact_element(b"a", Platform::Windows), None);
}

fn place(names: &mut Names, path: &str) -> String {
    let elements = path.split('/').map(|element| element.as_bytes().to_vec()).collect();
    SafePath::from_safe(names.place(elements).unwrap()).to_string()
}

#[test]
fn h15_the_later_of_two_files_of_one_path_is_renamed() {
    let mut names = Names::new(Platform::Unix);
    assert_eq!(place(&mut names, "t/a.txt"), "t/a.txt");
    assert_eq!(place(&mut names, "t/a.txt"), "t/a.1.txt");
    assert_eq!(place(&mut names, "t/a.txt"), "t/a.2.txt");
    assert_eq!(place(&mut names, "t/a.1.txt"), "t/a.1.1.txt");
    assert_eq!(place(&mut names, "t/A.txt"), "t/A.txt", "case counts here");
    assert_eq!(place(&mut names, "t/.hidden"), "t/.hidden");
    assert_eq!(place(&mut names, "t/.hidden"), "t/.hidden.1");
}

#[test]
fn h15_a_file_that_is_also_a_folder_is_told_apart_from_it() {
    let mut names = Names::new(Platform::Unix);
    assert_eq!(place(&mut names, "t/a"), "t/a");
    assert_eq!(place(&mut names, "t/a/x"), "t/a.1/x");
    assert_eq!(place(&mut names, "t/a/y"), "t/a.1/y", "the folder keeps its new name");
    assert_eq!(place(&mut names, "t/b/x"), "t/b/x");
    assert_eq!(place(&mut names, "t/b"), "t/b.1");
}

#[test]
fn h15_names_that_differ_only_in_case_are_one_where_the_platform_folds_it() {
    let mut names = Names::new(Platform::MacOs);
    assert_eq!(place(&mut names, "t/Read.me"), "t/Read.me");
    assert_eq!(place(&mut names, "t/READ.ME"), "t/READ.1.ME");
    assert_eq!(place(&mut names, "T/x"), "t/x", "one folder, as it was spelled first");
    assert_eq!(place(&mut names, "t/É"), "t/É");
    assert_eq!(place(&mut names, "t/é"), "t/é.1");
}

#[test]
fn h15_at_most_five_hundred_are_renamed() {
    let mut names = Names::new(Platform::Unix);
    for _ in 0..=500 {
        names.place(vec![b"t".to_vec(), b"a".to_vec()]).unwrap();
    }
    let e = names.place(vec![b"t".to_vec(), b"a".to_vec()]).unwrap_err();
    assert_eq!(e.to_string(), "more than 500 files have the path of another");
    assert!(names.place(vec![b"t".to_vec(), b"b".to_vec()]).is_ok(), "others are not touched");

    let mut names = Names::new(Platform::Unix);
    let mut twice = |n: usize| {
        let path = || vec![b"t".to_vec(), n.to_string().into_bytes()];
        names.place(path()).and_then(|_| names.place(path()))
    };
    assert!((0..500).all(|n| twice(n).is_ok()));
    assert!(twice(500).is_err(), "they count together, whatever their names are");
}

#[test]
fn a_renamed_name_is_no_longer_than_a_name_may_be() {
    let name = ["a".repeat(251), ".txt".to_owned()].concat();
    let renamed = numbered(name.as_bytes(), 500);
    assert_eq!(renamed.len(), 255);
    assert!(renamed.ends_with(b"a.500.txt"));
}
