//! URLs by their syntax (RFC 3986, 6.2.2). International domains are refused, because `xn--` forms need tables, and
//! nothing is looked up.

use crate::Value;

use super::{domain_cure, refuse_value, trimmed_text};

/// The longest URL, in bytes.
const LONGEST_BYTES: usize = 8 * 1024;

/// A URL in the form of RFC 3986, 6.2.2: scheme and host in small letters, `%7e` as `~`, `%2f` as `%2F`, no `.` and `..`.
///
/// For `http` and `https` also what their own standard calls the same: no default port, and `/` for no path. What a
/// URL may not hold as it is, such as a space, is percent-encoded.
///
/// # Errors
///
/// The value is not an absolute URL, or is longer than 8 KiB.
pub fn url(value: &Value) -> Result<Value, String> {
    let text = trimmed_text(value, LONGEST_BYTES);
    let url = text.and_then(normalise_url);
    url.map(Value::from).ok_or_else(|| {
        let authority = text.and_then(|text| text.split('/').nth(2));
        refuse_value("a URL such as `https://example.com/a`", value) + domain_cure(authority)
    })
}

fn normalise_url(text: &str) -> Option<String> {
    let (scheme, rest) = text
        .split_once(':')
        .filter(|(scheme, _)| is_scheme(scheme))?;
    let scheme = scheme.to_ascii_lowercase();
    let (rest, fragment) = split_off(rest, '#');
    let (rest, query) = split_off(rest, '?');
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            (Some(normal_authority(&scheme, authority)?), path)
        }
        None => (None, rest),
    };
    let path = normal_path(&scheme, authority.is_some(), path)?;
    let mut url = scheme + ":";
    for (mark, part) in [
        ("//", authority),
        ("", Some(path)),
        ("?", escape_part(query)?),
        ("#", escape_part(fragment)?),
    ] {
        if let Some(part) = part {
            url.push_str(mark);
            url.push_str(&part);
        }
    }
    Some(url)
}

fn is_scheme(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|letter: char| letter.is_ascii_alphabetic()) && text.bytes().all(inside)
}

fn split_off(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark)
        .map_or((text, None), |(before, after)| (before, Some(after)))
}

/// The port that `http` and `https` mean when none is given.
fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

fn normal_authority(scheme: &str, authority: &str) -> Option<String> {
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (normalise_escapes(user)? + "@", place),
        None => (String::new(), authority),
    };
    let (host, port) = split_port(place)?;
    if host.is_empty() && default_port(scheme).is_some() {
        return None;
    }
    Some([user, normal_host(host)?, normal_port(scheme, port)?].concat())
}

/// Host and port; the colons in an IPv6 address are not the port's.
fn split_port(place: &str) -> Option<(&str, &str)> {
    let host_end = if place.starts_with('[') {
        place.find(']')? + 1
    } else {
        place.find(':').unwrap_or(place.len())
    };
    let (host, port) = place.split_at(host_end);
    if port.is_empty() {
        Some((host, ""))
    } else {
        Some((host, port.strip_prefix(':')?))
    }
}

fn normal_host(host: &str) -> Option<String> {
    let inside = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let allowed: fn(u8) -> bool = match inside {
        Some(_) => |byte| byte.is_ascii_hexdigit() || b":.".contains(&byte),
        None => |byte| is_unreserved(byte) || b"%!$&'()*+,;=".contains(&byte),
    };
    if !inside.unwrap_or(host).bytes().all(allowed) {
        return None;
    }
    // Small letters first: what is percent-encoded after that is written in capitals again.
    normalise_escapes(&normalise_escapes(host)?.to_ascii_lowercase())
}

fn normal_port(scheme: &str, port: &str) -> Option<String> {
    if port.is_empty() {
        return Some(String::new());
    }
    let number: u16 = port
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| port.parse().ok())??;
    Some(if default_port(scheme) == Some(number) {
        String::new()
    } else {
        format!(":{number}")
    })
}

fn normal_path(scheme: &str, has_authority: bool, path: &str) -> Option<String> {
    let path = normalise_escapes(path)?;
    let Some(segments) = path.strip_prefix('/') else {
        let root = path.is_empty() && has_authority && default_port(scheme).is_some();
        return Some(if root { "/".into() } else { path });
    };
    let path = without_dots(segments);
    // Without an authority, what begins with two slashes would be read as one.
    Some(if !has_authority && path.starts_with("//") {
        format!("/.{path}")
    } else {
        path
    })
}

/// The path of these segments, with `.` and `..` worked off (RFC 3986, 5.2.4).
fn without_dots(segments: &str) -> String {
    let mut kept = Vec::new();
    for segment in segments.split('/') {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    // What ends in dots is a folder.
    if matches!(segments.rsplit('/').next(), Some("." | "..")) {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

/// The part with its escapes normalised, if it is there; none at all where an escape is broken.
fn escape_part(part: Option<&str>) -> Option<Option<String>> {
    part.map_or(Some(None), |part| normalise_escapes(part).map(Some))
}

/// Decodes what need not be encoded, encodes what may not stand as it is, and writes escapes in capitals.
fn normalise_escapes(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut normal = String::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let escape = byte == b'%';
        let byte = if escape {
            hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?
        } else {
            byte
        };
        if byte.is_ascii_control() && !escape {
            return None;
        }
        if is_unreserved(byte) || (!escape && is_reserved(byte)) {
            normal.push(char::from(byte));
        } else {
            normal.push_str(&format!("%{byte:02X}"));
        }
    }
    Some(normal)
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Delimiters, but for `#`: inside a part it is no delimiter any more.
fn is_reserved(byte: u8) -> bool {
    b":/?[]@!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use crate::json;

    use super::*;

    #[track_caller]
    fn is(text: &str, same: &str) {
        assert_eq!(url(&json!(text)), Ok(json!(same)));
        assert_eq!(url(&json!(same)), Ok(json!(same)), "again");
    }

    #[test]
    fn case_escapes_and_dots_are_normalised() {
        is(
            "eXAMPLE://a/./b/../b/%63/%7bfoo%7d",
            "example://a/b/c/%7Bfoo%7D",
        );
        is("HTTPS://User@EXAMPLE.com:443", "https://User@example.com/");
        is(
            "http://example.com:/%7Ea/%2e%2e/b/..",
            "http://example.com/",
        );
        is(
            "http://example.com:08080/a//../b?x=%2F&y=[1]#Frag",
            "http://example.com:8080/a/b?x=%2F&y=[1]#Frag",
        );
        is("http://[2001:DB8::1]:80/", "http://[2001:db8::1]/");
        is("http://%45xample.com/%e4", "http://example.com/%E4");
        is(
            "https://example.com/a b/é#x#y",
            "https://example.com/a%20b/%C3%A9#x%23y",
        );
        is("mailto:Ann@Example.com", "mailto:Ann@Example.com");
        is("x:/.//a", "x:/.//a");
        is("file:///a/../b", "file:///b");
    }

    #[test]
    fn what_is_no_absolute_url_is_refused() {
        for odd in [
            "",
            "example.com",
            "/a",
            "//example.com/a",
            "1http://a",
            "http://",
            "http://:80",
            "https:///a%zz",
            "https://a/%4",
            "http://exa mple.com/",
            "http://bücher.example/",
            "http://a:99999/",
            "http://a:x/",
            "http://[::1",
            "http://[::1]x/",
            "http://a/\u{7}",
        ] {
            assert!(url(&json!(odd)).is_err(), "{odd}");
        }
        assert!(url(&json!(format!("http://a/{}", "a/".repeat(10_000)))).is_err());
    }
}
