use std::io::Write;

use super::*;

const TABLE: &[Setting] = &[
    Setting {
        key: "xmpp.domain",
        flag: "domain",
        env: &["XMPP_DOMAIN"],
        default: "meet.jitsi",
        kind: Kind::Text,
        help: "Main domain.",
    },
    Setting {
        key: "http.listen",
        flag: "http",
        env: &["PLAUSCH_HTTP"],
        default: "127.0.0.1:8000",
        kind: Kind::Text,
        help: "Web address.",
    },
    Setting {
        key: "focus.password",
        flag: "",
        env: &["JICOFO_AUTH_PASSWORD"],
        default: "",
        kind: Kind::Secret,
        help: "Password.",
    },
    Setting {
        key: "media.advertise",
        flag: "",
        env: &["JVB_ADVERTISE_IPS"],
        default: "",
        kind: Kind::List,
        help: "Public addresses.",
    },
    Setting {
        key: "media.relay",
        flag: "",
        env: &["ENABLE_OCTO"],
        default: "false",
        kind: Kind::Bool,
        help: "Relays.",
    },
    Setting { key: "media.threads", flag: "", env: &[], default: "0", kind: Kind::Number, help: "Threads." },
];

struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("plausch-options-{}-{name}.toml", std::process::id()));
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn load(
    file: Option<&Path>,
    env: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<Effective, StartError> {
    let env = |n: &str| env.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned());
    let flags = flags.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
    let file = file.map(ConfigFile::read).transpose()?;
    Effective::load(TABLE, &Sources { defaults: None, file: file.as_ref(), env: &env, flags })
}

#[test]
fn later_layers_win_and_say_where_they_came_from() {
    let file = File::new(
        "layers",
        "[xmpp]\ndomain = 'file.example'\n[http]\nlisten = '127.0.0.1:1'\n[media]\nthreads = 3\nrelay = true\n",
    );
    let e = load(
        Some(&file.0),
        &[("XMPP_DOMAIN", "env.example"), ("PLAUSCH_HTTP", "127.0.0.1:2")],
        &[("http.listen", "127.0.0.1:3")],
    )
    .unwrap();
    assert_eq!(e.text("xmpp.domain"), "env.example");
    assert_eq!(e.origin("xmpp.domain"), &Origin::Env("XMPP_DOMAIN".into()));
    assert_eq!(e.parse::<std::net::SocketAddr>("http.listen").unwrap().port(), 3);
    assert_eq!(e.parse::<usize>("media.threads").unwrap(), 3);
    assert!(e.is_on("media.relay"));
}

#[test]
fn an_unknown_key_in_the_file_is_named_with_the_closest_option() {
    let file = File::new("unknown", "[xmpp]\ndomian = 'x'\n");
    let e = load(Some(&file.0), &[], &[]).unwrap_err();
    assert_eq!(e.reason(), "unknown_option");
    assert_eq!(
        e.to_string(),
        "unknown option `xmpp.domian` in the configuration file; did you mean `xmpp.domain`?"
    );
}

#[test]
fn a_missing_file_broken_toml_or_a_wrong_type_is_one_line() {
    let missing = load(Some(Path::new("/nonexistent/plausch.toml")), &[], &[]).unwrap_err();
    assert_eq!(missing.reason(), "unreadable");
    let file = File::new("broken", "[xmpp\ndomain = 1");
    let broken = load(Some(&file.0), &[], &[]).unwrap_err();
    assert_eq!(broken.reason(), "not_toml");
    let file = File::new("type", "[media]\nthreads = 'many'\n");
    let wrong = load(Some(&file.0), &[], &[]).unwrap_err();
    assert_eq!(wrong.reason(), "bad_value");
    for e in [missing, broken, wrong] {
        assert!(!e.to_string().contains('\n') && e.exit_code() == 78, "{e}");
    }
}

#[test]
fn a_file_at_the_limit_is_read_and_one_beyond_is_not() {
    let at = File::new("at", &format!("#{}", "x".repeat(MAX_CONFIG_FILE as usize - 1)));
    assert!(load(Some(&at.0), &[], &[]).is_ok());
    let beyond = File::new("beyond", &format!("#{}", "x".repeat(MAX_CONFIG_FILE as usize)));
    assert_eq!(load(Some(&beyond.0), &[], &[]).unwrap_err().reason(), "unreadable");
}

#[test]
fn what_somebody_set_is_read_the_same_from_the_file_that_is_made_of_it() {
    let set = [
        ("focus.password", "a \"b\" \\ 'c'\nd#"),
        ("xmpp.domain", "meet.town"),
        ("media.threads", "3"),
        ("media.relay", "true"),
    ];
    let e = load(None, &[], &set).unwrap();
    let file = File::new("made", &e.to_toml());
    let again = load(Some(&file.0), &[], &[]).unwrap();
    for s in TABLE {
        assert_eq!((again.one(s.key), again.list(s.key)), (e.one(s.key), e.list(s.key)), "{}", s.key);
    }
    assert_eq!(again.to_toml(), e.to_toml());
    assert_eq!(load(None, &[], &[]).unwrap().to_toml(), "");
}

#[test]
fn secrets_never_reach_the_print_or_an_error() {
    let e = load(None, &[("JICOFO_AUTH_PASSWORD", "geheim")], &[]).unwrap();
    assert_eq!(e.text("focus.password"), "geheim");
    let shown = format!("{}{e:?}{}", e.print(), e.bad("focus.password", "too short"));
    assert!(!shown.contains("geheim"), "{shown}");
    assert!(
        e.print().contains("focus.password")
            && e.print().contains("environment variable JICOFO_AUTH_PASSWORD")
    );
    assert!(!e.print().contains("xmpp.domain"), "nobody set it");
}

#[test]
fn a_file_that_is_no_toml_showed_the_password_that_stood_in_the_line() {
    for text in
        ["[focus]\npassword = \"geheim\n", "[focus]\npassword = geheim\n", "a = 1\npassword \"geheim\"\n"]
    {
        let file = File::new("secret", text);
        let shown = load(Some(&file.0), &[], &[]).unwrap_err().to_string();
        assert!(shown.contains("line 2") && !shown.contains("geheim"), "{shown}");
    }
}

#[test]
fn a_value_that_was_no_text_counted_as_not_set() {
    let e = load(None, &[("ENABLE_OCTO", "\u{fffd}")], &[]).unwrap_err();
    assert!(e.to_string().contains("ENABLE_OCTO"), "{e}");
    let e = load(None, &[("JICOFO_AUTH_PASSWORD", "geh\u{fffd}im")], &[]).unwrap_err();
    assert!(e.to_string().contains("JICOFO_AUTH_PASSWORD"), "{e}");
}

#[test]
fn compat_environment_values_read_as_upstream_reads_them() {
    let on = |v: &str| load(None, &[("ENABLE_OCTO", v)], &[]).unwrap().is_on("media.relay");
    for v in ["1", "true", "T", "\"true\"", "yes", "on"] {
        assert!(on(v), "{v}");
    }
    for v in ["0", "false", "'False'", "F", ""] {
        assert!(!on(v), "{v}");
    }
    // Upstream reads these as yes, which nobody means who writes them.
    for v in ["no", "off", "disabled", "flase", " 0"] {
        let e = load(None, &[("ENABLE_OCTO", v)], &[]).unwrap_err();
        assert!(e.to_string().contains("ENABLE_OCTO"), "{v}: {e}");
    }
    let e = load(None, &[("JVB_ADVERTISE_IPS", "192.0.2.1,,192.0.2.2#10001")], &[]).unwrap();
    assert_eq!(e.list("media.advertise"), ["192.0.2.1", "192.0.2.2#10001"]);
}

#[test]
fn the_sample_file_is_valid_also_with_every_line_uncommented() {
    let text = sample(TABLE);
    let uncommented: String = text
        .lines()
        .map(|l| match l.strip_prefix("# ") {
            Some(rest)
                if TABLE
                    .iter()
                    .any(|s| rest.starts_with(&format!("{} = ", s.key.split_once('.').unwrap().1))) =>
            {
                format!("{rest}\n")
            }
            _ => format!("{l}\n"),
        })
        .collect();
    let file = File::new("sample", &uncommented);
    let e = load(Some(&file.0), &[], &[]).unwrap();
    for s in TABLE {
        assert_eq!(e.origin(s.key), &Origin::File, "{}", s.key);
    }
    assert_eq!(e.text("xmpp.domain"), "meet.jitsi");
}

#[test]
fn defaults_of_a_package_lie_beneath_file_environment_and_flags_and_count_as_defaults() {
    let defaults = ConfigFile {
        path: "defaults.toml".into(),
        text: "[http]\nlisten = \"0.0.0.0:1\"\n[media]\nthreads = 3\n".to_owned(),
    };
    let load = |file: Option<&ConfigFile>, env: &dyn Fn(&str) -> Option<String>, flag: Option<&str>| {
        let flags = flag.map(|f| ("http.listen", f.to_owned())).into_iter().collect();
        let e = Effective::load(TABLE, &Sources { defaults: Some(&defaults), file, env, flags }).unwrap();
        (
            e.text("http.listen").to_owned(),
            e.origin("http.listen").clone(),
            e.text("media.threads").to_owned(),
        )
    };
    let (none, empty) = (|_: &str| None, |_: &str| Some(String::new()));
    assert_eq!(load(None, &none, None), ("0.0.0.0:1".into(), Origin::Default, "3".into()));
    // Compose files list variables that nobody gave a value.
    assert_eq!(load(None, &empty, None).0, "0.0.0.0:1");
    let own = ConfigFile { path: "own.toml".into(), text: "[http]\nlisten = \"[::]:2\"\n".to_owned() };
    assert_eq!(load(Some(&own), &none, None), ("[::]:2".into(), Origin::File, "3".into()));
    let env = |n: &str| (n == "PLAUSCH_HTTP").then(|| "3".to_owned());
    assert_eq!(load(Some(&own), &env, None).0, "3");
    assert_eq!(load(Some(&own), &env, Some("4")).0, "4");
    let wrong = ConfigFile { path: "defaults.toml".into(), text: "[http]\nlissten = \"x\"\n".to_owned() };
    let sources = Sources { defaults: Some(&wrong), file: None, env: &none, flags: BTreeMap::new() };
    assert!(Effective::load(TABLE, &sources).unwrap_err().to_string().contains("http.lissten"));
}

#[test]
fn a_secret_comes_from_the_file_that_its_variable_names_and_the_line_s_end_is_none_of_it() {
    for (text, is) in
        [("geheim", "geheim"), ("geheim\n", "geheim"), ("geheim\r\n", "geheim"), (" a b \n", " a b ")]
    {
        let file = File::new("in-file", text);
        let e = load(None, &[("JICOFO_AUTH_PASSWORD_FILE", file.0.to_str().unwrap())], &[]).unwrap();
        assert_eq!(e.text("focus.password"), is);
        assert_eq!(e.origin("focus.password"), &Origin::Env("JICOFO_AUTH_PASSWORD_FILE".into()));
        assert!(!e.print().contains("geheim"));
    }
    let e = load(None, &[("JICOFO_AUTH_PASSWORD_FILE", ""), ("JICOFO_AUTH_PASSWORD", "x")], &[]).unwrap();
    assert_eq!(e.text("focus.password"), "x", "an empty variable counts as unset");
    let e = load(None, &[("XMPP_DOMAIN_FILE", "/etc/hostname")], &[]).unwrap();
    assert_eq!(e.text("xmpp.domain"), "meet.jitsi", "only secrets lie in files");
}

#[test]
fn a_secret_in_two_places_is_refused_with_both_names() {
    let file = File::new("two", "geheim");
    let path = file.0.to_str().unwrap();
    let env = [("JICOFO_AUTH_PASSWORD", "offen"), ("JICOFO_AUTH_PASSWORD_FILE", path)];
    let line = load(None, &env, &[]).unwrap_err().to_string();
    assert!(line.contains("JICOFO_AUTH_PASSWORD:") && line.contains("JICOFO_AUTH_PASSWORD_FILE"), "{line}");
    assert!(!line.contains("offen") && !line.contains("geheim"), "{line}");
}

#[test]
fn a_secret_s_file_at_the_limit_is_read_and_one_beyond_or_no_text_is_refused_with_its_name() {
    let with = |path: &Path| load(None, &[("JICOFO_AUTH_PASSWORD_FILE", path.to_str().unwrap())], &[]);
    let limit = crate::limits::SECRET_FILE as usize;
    let at = File::new("secret-at", &"x".repeat(limit));
    assert_eq!(with(&at.0).unwrap().text("focus.password").len(), limit);
    let beyond = File::new("secret-beyond", &"x".repeat(limit + 1));
    let lines = File::new("secret-lines", "a\nb\n");
    let empty = File::new("secret-empty", "\n");
    let latin = File::new("secret-latin", "");
    std::fs::write(&latin.0, b"geh\xe4im").unwrap();
    let missing = Path::new("/nonexistent/secret");
    for path in [&beyond.0, &lines.0, &empty.0, &latin.0, missing, Path::new("/dev/zero"), Path::new("/")] {
        let e = with(path).unwrap_err();
        let line = e.to_string();
        assert!(
            line.contains(path.to_str().unwrap()) && line.contains("JICOFO_AUTH_PASSWORD_FILE"),
            "{line}"
        );
        assert!(!line.contains('\n') && !line.contains("geh") && e.exit_code() == 78, "{line}");
    }
}

#[test]
fn what_differs_is_named_and_former_values_come_back() {
    let before =
        load(None, &[("JICOFO_AUTH_PASSWORD", "eins"), ("JVB_ADVERTISE_IPS", "192.0.2.1")], &[]).unwrap();
    let after =
        load(None, &[("JICOFO_AUTH_PASSWORD", "zwei"), ("XMPP_DOMAIN", "other.example")], &[]).unwrap();
    assert_eq!(after.changed(&before), ["xmpp.domain", "focus.password", "media.advertise"]);
    assert!(before.changed(&before).is_empty());
    // Where a value comes from makes no difference.
    let same = load(None, &[("PLAUSCH_HTTP", "127.0.0.1:8000")], &[]).unwrap();
    assert!(same.changed(&load(None, &[], &[]).unwrap()).is_empty());
    let mixed = after.with_former(&before, &["xmpp.domain", "media.advertise"]);
    assert_eq!(mixed.text("xmpp.domain"), "meet.jitsi");
    assert_eq!(mixed.list("media.advertise"), ["192.0.2.1"]);
    assert_eq!(mixed.changed(&before), ["focus.password"]);
}
