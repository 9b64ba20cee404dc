//! Which redirects a client follows on the way to a tracker or a torrent file.

use thiserror::Error;

/// The most redirects followed for one request: enough for http to https to a mirror, too few for a loop to matter.
pub const MAX_REDIRECTS: usize = 5;

/// Why a redirect is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RedirectError {
    /// More than [`MAX_REDIRECTS`].
    #[error("it redirects more than {MAX_REDIRECTS} times")]
    TooMany,
    /// Somewhere that is not http or https.
    #[error("it redirects to something that is neither http nor https")]
    Scheme,
}

/// Whether to follow a redirect to `target` (an absolute URL) after `followed` others.
///
/// Scope is not judged here: from a public host to a private one is for whoever knows where the URL came from.
///
/// # Errors
/// When it is one too many or leads to another scheme.
pub fn check_redirect(followed: usize, target: &str) -> Result<(), RedirectError> {
    if followed >= MAX_REDIRECTS {
        return Err(RedirectError::TooMany);
    }
    let scheme = target.split_once("://").map_or("", |(scheme, _)| scheme);
    if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") {
        Ok(())
    } else {
        Err(RedirectError::Scheme)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h47_a_redirect_loop_ends_and_other_schemes_are_not_followed() {
        let followed = (0..).take_while(|&n| check_redirect(n, "http://a.example/announce").is_ok()).count();
        assert_eq!(followed, MAX_REDIRECTS);
        assert_eq!(check_redirect(0, "HTTPS://b.example/"), Ok(()));
        for target in
            ["file:///etc/passwd", "ftp://a/b", "gopher://a", "/announce", "", "http:/a", "xhttp://a"]
        {
            assert_eq!(check_redirect(0, target), Err(RedirectError::Scheme), "{target}");
        }
        assert_eq!(
            check_redirect(MAX_REDIRECTS, "http://a/").unwrap_err().to_string(),
            "it redirects more than 5 times"
        );
    }
}
