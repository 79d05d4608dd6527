//! Code: a Rust file in; what breaks a rule about length, heads, purity, unsafety, outbound connections or files, out.

/// Longest file of code that is not a test (CONTRIBUTING.md).
const MAX_LINES: usize = 700;
/// Folders of the crates that must stay pure: no I/O, clock or randomness of their own, nor of what they need.
pub(super) const PURE: &[&str] = &[
    "common/budget",
    "common/jitsi-xmpp",
    "focus/core",
    "prosody-compat/core",
    "prosody-compat/token",
    "videobridge/rtp",
    "videobridge/srtp",
    "videobridge/core",
    "turn/core",
];
/// What a pure crate may not call.
const IMPURE_CALLS: &[&str] =
    &["Instant::now()", "SystemTime::now()", "std::fs::", "std::net::UdpSocket", "std::thread::"];
/// Calls that fail when nobody reads what they write, and that no log level holds back. Texts go out through
/// `service::output`, events through `tracing`.
const PRINTS: &[&str] = &["print!(", "println!(", "eprint!(", "eprintln!(", "dbg!("];
/// What is shipped. The rest are tests and tools.
const PRODUCT: &[&str] = &["common/", "focus/", "prosody-compat/", "videobridge/", "turn/", "plausch/"];
/// Calls that reach out of the machine, each with the files that may: the link of a role to the XMPP server that the admin
/// has named, questions to services, key servers and directories of accounts that the admin has named, commands' questions to the server on the same machine,
/// the look-up of the public name that the admin has named, the directory that certificates are asked of, and services that a focus has
/// a bridge connect with.
const OUTWARD: &[(&str, &[&str])] = &[
    (
        "TcpStream::connect",
        &[
            "common/xmpp-link/src/handshake.rs",
            "prosody-compat/server/src/outside.rs",
            "prosody-compat/server/src/ldap/mod.rs",
            "plausch/src/commands/ask.rs",
            "plausch/src/acme/directory.rs",
            "videobridge/server/src/services/link.rs",
        ],
    ),
    // They listen.
    ("TcpSocket::", &["common/service/src/listen.rs", "videobridge/server/src/streams.rs"]),
    ("lookup_host", &[]),
    ("to_socket_addrs", &["plausch/src/doctor/gather.rs"]),
];
/// Calls that leave something on the disk, each with the files that may: the admin's token, when a file for it is named, what
/// certificates need to be renewed, when they are asked for, the configuration that `plausch setup` writes, and accounts that an admin
/// makes. Nothing of a meeting may: what a focus keeps for its successor is in a folder in memory, and refused elsewhere.
const TO_DISK: &[(&str, &[&str])] = &[
    (
        "OpenOptions",
        &[
            "plausch/src/options/values.rs",
            "plausch/src/acme/store.rs",
            "plausch/src/setup/write.rs",
            "prosody-compat/server/src/accounts.rs",
            "focus/server/src/handover.rs",
        ],
    ),
    ("fs::write", &[]),
    ("File::create", &[]),
    ("create_dir", &[]),
    (
        "DirBuilder",
        &["plausch/src/acme/store.rs", "plausch/src/setup/write.rs", "prosody-compat/server/src/accounts.rs"],
    ),
    (
        "fs::rename",
        &[
            "plausch/src/acme/store.rs",
            "plausch/src/setup/write.rs",
            "prosody-compat/server/src/accounts.rs",
            "focus/server/src/handover.rs",
        ],
    ),
    ("fs::copy", &[]),
];

pub(super) fn check(file: &str, text: &str) -> Vec<String> {
    let mut bad = Vec::new();
    if is_test(file) {
        return bad;
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        bad.push(format!("{file}: {lines} lines, the cap is {MAX_LINES}"));
    }
    if !text.starts_with("//!") {
        bad.push(format!("{file}: the first line must be a `//!` that says what comes in and what goes out"));
    }
    let root = file.ends_with("/src/lib.rs") || file.ends_with("/src/main.rs");
    if root && !file.starts_with("videobridge/udp/") && !text.contains("#![forbid(unsafe_code)]") {
        bad.push(format!("{file}: needs #![forbid(unsafe_code)]"));
    }
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//"));
    let pure = PURE.iter().any(|p| file.starts_with(&format!("{p}/src/")));
    let product = PRODUCT.iter().any(|p| file.starts_with(p));
    for (n, line) in lines {
        let mut found = |call: &str, why: &str| bad.push(format!("{file}:{}: `{call}` {why}", n + 1));
        if pure && let Some(call) = IMPURE_CALLS.iter().find(|c| line.contains(**c)) {
            found(call, "in a pure crate");
        }
        if product
            && let Some((call, _)) = OUTWARD.iter().find(|(c, may)| line.contains(c) && !may.contains(&file))
        {
            found(call, "reaches out: only to what the admin has named, and only there");
        }
        if product && let Some(call) = PRINTS.iter().rev().find(|c| line.contains(**c)) {
            found(call, "prints by itself: `service::output` or a log event");
        }
        if product
            && let Some((call, _)) = TO_DISK.iter().find(|(c, may)| line.contains(c) && !may.contains(&file))
        {
            found(call, "leaves something on the disk");
        }
    }
    bad
}

/// Whether this is shipped, and no test of it.
pub(super) fn is_product(file: &str) -> bool {
    PRODUCT.iter().any(|p| file.starts_with(p)) && !is_test(file)
}

/// What of a file is tests.
pub(super) fn tests_in<'a>(file: &str, text: &'a str) -> &'a str {
    if is_test(file) {
        return text;
    }
    text.split_once("#[cfg(test)]").map_or("", |(_, tests)| tests)
}

fn is_test(file: &str) -> bool {
    file.starts_with("tests/")
        || file.contains("/tests/")
        || file.ends_with("/tests.rs")
        || file.ends_with("_tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "//! Bytes in, bytes out.\n";

    #[test]
    fn a_clock_in_a_pure_crate_is_found_but_not_in_its_tests() {
        let clock = format!("{HEAD}fn f() {{ Instant::now() }}\n");
        assert_eq!(
            check("focus/core/src/a.rs", &clock),
            ["focus/core/src/a.rs:2: `Instant::now()` in a pure crate"]
        );
        assert_eq!(check("focus/server/src/a.rs", &clock), Vec::<String>::new());
        let tested =
            format!("{HEAD}// Instant::now()\n#[cfg(test)]\nmod tests {{ fn f() {{ Instant::now() }} }}\n");
        assert_eq!(check("focus/core/src/a.rs", &tested), Vec::<String>::new());
        assert_eq!(check("focus/core/src/tests.rs", &clock), Vec::<String>::new());
    }

    #[test]
    fn a_connection_outwards_is_found_anywhere_but_in_the_link() {
        let out = format!("{HEAD}TcpStream::connect(a)\n");
        assert_eq!(check("plausch/src/a.rs", &out).len(), 1);
        assert_eq!(check("common/xmpp-link/src/handshake.rs", &out), Vec::<String>::new());
        assert_eq!(check("tools/loadgen/src/a.rs", &out), Vec::<String>::new());
    }

    #[test]
    fn a_line_that_a_measurement_had_left_on_standard_error_was_not_found() {
        for call in ["println", "eprintln", "print", "eprint", "dbg"] {
            let text = format!("{HEAD}{call}!(\"batch\");\n");
            assert_eq!(check("prosody-compat/server/src/a.rs", &text).len(), 1, "{call}");
            assert_eq!(check("tools/loadgen/src/a.rs", &text), Vec::<String>::new());
        }
    }

    #[test]
    fn a_file_that_is_written_is_found() {
        assert_eq!(check("videobridge/server/src/a.rs", &format!("{HEAD}std::fs::write(p, b)\n")).len(), 1);
        assert_eq!(check("xtask/src/a.rs", &format!("{HEAD}std::fs::write(p, b)\n")), Vec::<String>::new());
    }

    #[test]
    fn a_root_without_forbid_and_a_file_without_head_or_too_long_are_found() {
        assert_eq!(check("a/src/main.rs", HEAD).len(), 1);
        assert_eq!(check("a/src/a.rs", "fn f() {}\n").len(), 1);
        assert_eq!(check("a/src/a.rs", &format!("{HEAD}{}", "\n".repeat(MAX_LINES))).len(), 1);
    }
}
