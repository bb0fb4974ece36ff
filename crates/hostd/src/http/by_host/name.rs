//! Which published port a request means, by its host name.

use axum::extract::Request;
use axum::http::header;

/// Stands between the port and the machine.
const SEPARATOR: &str = "--";
/// How names in other scripts begin (RFC 5890); none of them is ours.
const PUNYCODE: &str = "xn--";

/// The first label of the request's host, if it is of the form `<port>--<machine>`.
pub(super) fn label(request: &Request) -> Option<String> {
    // A request line may carry the whole URL; then its host counts (RFC 9112, 3.2.2).
    let host = match request.uri().host() {
        Some(host) => host,
        None => request.headers().get(header::HOST)?.to_str().ok()?,
    };
    label_of(host).map(str::to_owned)
}

fn label_of(host: &str) -> Option<&str> {
    let label = host.split(['.', ':']).next()?;
    let is_punycode =
        label.get(..PUNYCODE.len()).is_some_and(|it| it.eq_ignore_ascii_case(PUNYCODE));
    (label.contains(SEPARATOR) && !is_punycode).then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_label_names_a_port_where_it_has_two_dashes() {
        assert_eq!(label_of("8080--box.computers.example:8443"), Some("8080--box"));
        assert_eq!(label_of("web--A--b"), Some("web--A--b"));
        for host in ["localhost", "a.b--c", "[::1]:80", "127.0.0.1:80", "xn--bcher-kva.example", ""]
        {
            assert_eq!(label_of(host), None, "{host}");
        }
    }
}
