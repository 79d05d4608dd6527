use std::path::Path;
use std::time::{Duration, Instant};

use super::plan::{Kind, Rate, Subject};
use super::*;

fn options(line: &str) -> Options {
    Options::parse(&line.split_ascii_whitespace().collect::<Vec<_>>()).unwrap()
}

fn names(line: &str) -> Vec<&'static str> {
    parts(&options(line)).unwrap().iter().map(|p| p.name).collect()
}

#[test]
fn wrong_words_and_unknown_scenarios_show_the_usage() {
    for line in ["--fast", "media --scenario nonsense", "xmpp --scenario fan-out", "idle --rounds 0"] {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let text = run(&words).unwrap_err().to_string();
        assert!(text.starts_with("bench: ") && text.contains("--with-prosody"), "{line}: {text}");
    }
}

#[test]
fn the_usage_names_every_part_and_every_part_can_be_run() {
    for (bench, known) in [
        ("media", [media::PARTS, media::SCENARIOS].concat()),
        ("xmpp", xmpp::PARTS.to_vec()),
        ("join", join::PARTS.to_vec()),
        ("idle", idle::PARTS.to_vec()),
    ] {
        for name in known {
            assert!(USAGE.split_ascii_whitespace().any(|w| w == name), "{name}");
            assert!(names(&format!("{bench} --scenario {name}")).contains(&name), "{bench} {name}");
        }
    }
}

#[test]
fn what_several_benches_need_is_measured_once() {
    let all = names("");
    let mut once = all.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), all.len(), "{all:?}");
    assert!(all.contains(&"start") && all.contains(&"room10") && all.contains(&"presence"));
}

#[test]
fn ours_the_ceiling_and_the_peer_take_turns() {
    let parts = parts(&options("xmpp --with-prosody --scenario presence --rounds 2")).unwrap();
    let order: Vec<&str> = interleave(&parts).iter().map(|t| t.step.key.as_str()).collect();
    let round = [
        "ours",
        "ours over TLS",
        "ours one at a time",
        "ours over TLS one at a time",
        "ceiling",
        "ceiling one at a time",
        "peer",
    ];
    assert_eq!(order, [round, round].concat());
}

#[test]
fn a_bridge_is_measured_wherever_ours_is_and_only_when_there_is_one() {
    let with = options("media --peer http://127.0.0.1:8080 --rounds 1");
    let without = options("media --rounds 1");
    let peers = |options: &Options| {
        let parts = parts(options).unwrap();
        let of_peer = |k: &Kind| matches!(k, Kind::Media { subject: Subject::Peer, .. });
        parts.iter().filter(|p| p.steps.iter().any(|s| of_peer(&s.kind))).map(|p| p.name).collect::<Vec<_>>()
    };
    assert_eq!(peers(&with), ["capacity", "fan-out", "half-load", "room10"]);
    assert!(peers(&without).is_empty());
}

#[test]
fn rates_that_depend_on_the_capacity_come_after_it() {
    for scenario in ["fan-out", "half-load", "receivers"] {
        let parts = parts(&options(&format!("media --scenario {scenario}"))).unwrap();
        assert_eq!(parts[0].name, "capacity");
        let depends = |k: &Kind| matches!(k, Kind::Media { rate: Rate::OfCapacity(_), .. });
        assert!(parts[0].steps.iter().all(|s| !depends(&s.kind)));
        assert!(parts[1].steps.iter().any(|s| depends(&s.kind)));
    }
}

/// A peer that is not there fails at once, before anything is built: the test would take minutes otherwise.
#[test]
fn an_absent_peer_is_one_clear_line_before_anything_is_started() {
    // A port that was free a moment ago may be another test's by now; this one is nobody's.
    let address = "127.0.0.1:1";
    let from = Instant::now();
    for (bench, url) in
        [("media", format!("http://{address}")), ("xmpp", format!("ws://{address}/xmpp-websocket"))]
    {
        let text = format!("{:#}", run(&[bench, "--peer", &url, "--rounds", "1"]).unwrap_err());
        assert!(text.starts_with(&format!("the peer {url} is not there")) && !text.contains('\n'), "{text}");
    }
    assert!(from.elapsed() < Duration::from_secs(5));
}

/// Needs root, as the command itself does.
#[test]
fn a_load_that_fails_and_a_server_that_dies_leave_nothing_behind() {
    if !setup::is_root() {
        eprintln!("not root: no network namespace, so nothing that could stay behind");
        return;
    }
    let folder = std::env::temp_dir().join(format!("plausch-bench-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let script = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        assert!(std::process::Command::new("chmod").arg("+x").arg(&path).status().unwrap().success());
        path
    };
    // A server that says that it is healthy, for as long as it is asked.
    let healthy = "exec perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(LocalAddr => \"127.0.0.1:8888\", \
                   Listen => 5, ReuseAddr => 1) or die; while (my $c = $s->accept) { print $c \"HTTP/1.1 200 OK\\r\\n\\r\\n\"; \
                   close $c }'";
    let options = options("media --rounds 1");
    let bench = |server: &str, load: &str| {
        let tools = Tools {
            plausch: script("plausch", server),
            loadgen: script("loadgen", load),
            ceiling: PathBuf::new(),
            prosody: PathBuf::new(),
        };
        let namespace = Namespace::new().unwrap();
        let file = namespace.file();
        let bench = Workbench { options: &options, tools, namespace, cores: 1 };
        let step = media::room10(&options).steps.remove(0);
        let done = bench.run(&step, &Measured::default());
        drop(bench);
        assert!(!file.exists(), "the namespace stayed");
        done
    };
    let ok = bench(healthy, "echo '{\"loss\": 0}'").unwrap();
    assert_eq!(ok["loss"], 0);
    let failed =
        format!("{:#}", bench(healthy, "echo 'loadgen: the bridge answers 503' >&2; exit 1").unwrap_err());
    assert!(failed.contains("loadgen: the bridge answers 503") && !failed.contains('\n'), "{failed}");
    let pid = folder.join("pid");
    let died = format!("echo $$ > {}; {healthy}", pid.display());
    let killer = "for last; do :; done; kill -KILL $last; echo 'loadgen: the server is gone' >&2; exit 1";
    let died = format!("{:#}", bench(&died, killer).unwrap_err());
    assert!(died.contains("the server ended") && died.contains("the server is gone"), "{died}");
    let never = format!("{:#}", bench("echo 'plausch: no such option' >&2; exit 2", "exit 0").unwrap_err());
    assert!(never.contains("ended at its start") && never.contains("no such option"), "{never}");
    let pid = std::fs::read_to_string(pid).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists());
    std::fs::remove_dir_all(folder).unwrap();
}
