//! The built program while it runs: another configuration, accounts that end, and an admin who asks.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jitsi_xmpp::Sensitive;
use prosody_core::token::{Hash, Signer};

use crate::commands::folder;
use crate::running::{Whole, plausch};
use crate::tab::{ANONYMOUS, Tab};

/// A server with a file of its own, which tests write again.
struct Town {
    at: PathBuf,
    whole: Whole,
}

impl Town {
    fn new(name: &str, text: &str) -> Self {
        Self::started(name, text, |_| ())
    }

    fn started(name: &str, text: &str, change: impl FnOnce(&mut Command)) -> Self {
        let at = folder(name);
        let config = at.join("plausch.toml");
        fs::write(&config, head(&at) + text).unwrap();
        let whole = Whole::start(|c| {
            c.arg("--config").arg(&config);
            change(c);
        });
        Self { at, whole }
    }

    fn write(&self, text: &str) {
        fs::write(self.at.join("plausch.toml"), head(&self.at) + text).unwrap();
    }

    fn command(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut c = plausch();
        c.args(args).arg("--config").arg(self.at.join("plausch.toml"));
        c.args(["--admin", &self.whole.admin.to_string()]);
        run(&mut c)
    }

    fn shell(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut c = plausch();
        c.arg0("/usr/bin/prosodyctl").args(["--config", "/etc/prosody/prosody.cfg.lua"]).args(args);
        c.env("PLAUSCH_CONFIG", self.at.join("plausch.toml"));
        c.env("PLAUSCH_ADMIN", self.whole.admin.to_string());
        run(&mut c)
    }

    /// What it has logged, once it has ended.
    fn log(self) -> String {
        let Self { at, whole } = self;
        whole.running.signal("-TERM");
        let out = whole.running.ended();
        fs::remove_dir_all(at).unwrap();
        assert_eq!(out.status.code(), Some(0));
        String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout)
    }
}

fn head(at: &std::path::Path) -> String {
    format!("state.dir = {:?}\nadmin.token_file = {:?}\n", at.join("state"), at.join("token"))
}

fn run(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

/// Somebody without an account.
async fn browser(http: SocketAddr) -> Tab {
    Tab::log_in(http, "meet.jitsi", "room=rat", ANONYMOUS).await.expect("everybody comes in")
}

/// Asks for a meeting and goes in; or why that may not be.
async fn meet(tab: &mut Tab, room: &str) -> Result<(), String> {
    tab.say(&format!(r#"<iq xmlns="jabber:client" type="set" id="c" to="focus.meet.jitsi"><conference xmlns="http://jitsi.org/protocol/focus" room="{room}@muc.meet.jitsi" machine-uid="4f"/></iq>"#)).await;
    tab.until("<conference ").await;
    let at = format!("{room}@muc.meet.jitsi/{}", tab.nick());
    tab.say(&format!(
        r#"<presence xmlns="jabber:client" to="{at}"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#
    ))
    .await;
    // Of itself it hears under its own name, or that it may not come in.
    let said = tab.until(&format!("from=\"{at}\"")).await;
    if said.contains("type=\"error\"") { Err(said) } else { Ok(()) }
}

/// Whether the server answers.
async fn ping(tab: &mut Tab, id: &str) {
    tab.say(&format!(
        r#"<iq xmlns="jabber:client" type="get" id="{id}" to="meet.jitsi"><ping xmlns="urn:xmpp:ping"/></iq>"#
    ))
    .await;
    let said = tab.until(&format!("id=\"{id}\"")).await;
    assert!(said.contains("type=\"result\""), "{said}");
}

fn on_a_runtime(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn a_meeting_runs_on_and_the_next_one_is_as_the_file_says_now() {
    let town = Town::new("reload-policy", "");
    let http = town.whole.http;
    on_a_runtime(async {
        let mut anna = browser(http).await;
        meet(&mut anna, "rat").await.unwrap();
        let before = crate::running::get(http, "/config.js").unwrap();
        town.write("xmpp.max_participants = \"1\"\nhttp.listen = \"127.0.0.1:1\"\nclient.prejoin = false\nlog.filter = \"warn\"\n");
        let (code, said) = town.command(&["reload"]);
        // The command line has the last word on `http.listen`, so that nothing waits.
        assert_eq!(
            (code, said.as_str()),
            (Some(0), "changed: xmpp.max_participants, log.filter, client.prejoin\n")
        );
        assert_ne!(crate::running::get(http, "/config.js").unwrap(), before, "the page says it, too");
        let mut ben = browser(http).await;
        meet(&mut ben, "rat").await.expect("this meeting began before");
        let mut cleo = browser(http).await;
        meet(&mut cleo, "bauamt").await.unwrap();
        let mut dirk = browser(http).await;
        let refused = meet(&mut dirk, "bauamt").await.unwrap_err();
        assert!(refused.contains("service-unavailable"), "{refused}");
        // What a start would not take changes nothing.
        for wrong in
            ["xmpp.max_participants = \"5\"\nrooms.loby = true\n", "xmpp.modules = [\"mod_quota\"]\n", "["]
        {
            town.write(wrong);
            let (code, said) = town.command(&["reload"]);
            assert!(code != Some(0), "{wrong}: {said}");
        }
        assert!(meet(&mut dirk, "bauamt").await.is_err());
        town.write("");
        let (code, said) = town.command(&["reload"]);
        assert_eq!(
            (code, said.as_str()),
            (Some(0), "changed: xmpp.max_participants, log.filter, client.prejoin\n")
        );
        ping(&mut cleo, "p").await;
    });
    let log = town.log();
    assert!(log.contains("changed: xmpp.max_participants, log.filter"), "{log}");
    // From then on until the last, which changes that back, only what went wrong was said.
    assert_eq!(log.matches("the configuration was read again").count(), 1, "{log}");
    assert!(log.contains("the configuration stays as it was") && log.contains("mod_quota"), "{log}");
}

#[test]
fn a_signal_under_load_loses_nobody() {
    let town = Town::new("reload-load", "");
    let http = town.whole.http;
    on_a_runtime(async {
        let mut people = Vec::new();
        for n in 0..40 {
            let mut one = browser(http).await;
            meet(&mut one, &format!("r{}", n % 4)).await.unwrap();
            people.push(one);
        }
        for round in 1..=10 {
            town.write(&format!("xmpp.max_participants = \"{}\"\nlog.filter = \"info\"\n", 100 + round));
            for (n, one) in people.iter_mut().enumerate() {
                one.say(&format!(r#"<message xmlns="jabber:client" type="groupchat" to="r{}@muc.meet.jitsi"><body>b{round}-{n}-</body></message>"#, n % 4)).await;
                if n == 20 {
                    town.whole.running.signal("-HUP");
                }
            }
            // One comes in meanwhile.
            let mut late = browser(http).await;
            meet(&mut late, "r0").await.unwrap();
            for (n, one) in people.iter_mut().enumerate() {
                one.until(&format!("b{round}-{n}-")).await;
            }
        }
        for one in &mut people {
            ping(one, "still-here").await;
        }
    });
    let log = town.log();
    let told = log.matches("the configuration was read again; changed: xmpp.max_participants").count();
    assert!((1..=10).contains(&told), "{log}");
    assert!(!log.contains("panic"), "{log}");
}

/// One thread serves all there, and reads the files, too.
#[test]
fn a_reload_on_one_core_loses_nobody() {
    let town = Town::started("reload-one-core", "", on_one_core);
    let http = town.whole.http;
    on_a_runtime(async {
        let mut anna = browser(http).await;
        meet(&mut anna, "rat").await.unwrap();
        town.write("xmpp.max_participants = \"1\"\n");
        assert_eq!(town.command(&["reload"]), (Some(0), "changed: xmpp.max_participants\n".to_owned()));
        town.write("xmpp.max_participants = \"two\"\n");
        let (code, said) = town.command(&["reload"]);
        assert!(code != Some(0), "{said}");
        ping(&mut anna, "still-here").await;
        let mut ben = browser(http).await;
        meet(&mut ben, "bauamt").await.unwrap();
        let mut cleo = browser(http).await;
        assert!(meet(&mut cleo, "bauamt").await.is_err());
    });
    let log = town.log();
    assert!(log.contains("the configuration stays as it was") && !log.contains("panic"), "{log}");
}

/// The same program with the same words, on the first core that we may use.
fn on_one_core(command: &mut Command) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ours = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:")).unwrap();
    let first: String = ours.trim().chars().take_while(char::is_ascii_digit).collect();
    let words: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let program = command.get_program().to_owned();
    *command = Command::new("taskset");
    command.args(["--cpu-list", &first]).arg(program).args(words);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
}

#[test]
fn another_secret_counts_for_who_comes_then_and_is_never_said() {
    let of = |secret: &str| {
        format!(
            "login.required = true\nlogin.type = \"jwt\"\nlogin.token.app_id = \"town\"\nlogin.token.app_secret = \"{secret}\"\n"
        )
    };
    let (first, second) = ("the-first-secret-that-has-32-letters", "the-second-one-that-has-32-letters-x");
    let town = Town::new("reload-secret", &of(first));
    let http = town.whole.http;
    let token = |secret: &str| {
        let signer = Signer::secret(Hash::Sha256, &Sensitive::new(secret.to_owned())).unwrap();
        let claims = serde_json::json!({"iss": "town", "aud": "any", "sub": "*", "room": "*", "exp": 4_000_000_000_u64});
        format!("room=rat&token={}", signer.sign(claims.as_object().unwrap()).unwrap().reveal())
    };
    on_a_runtime(async {
        let log_in = |secret| {
            let query = token(secret);
            async move { Tab::log_in(http, "meet.jitsi", &query, ANONYMOUS).await }
        };
        let mut anna = log_in(first).await.unwrap();
        assert!(log_in(second).await.is_err());
        town.write(&of(second));
        let (code, said) = town.command(&["reload"]);
        assert_eq!((code, said.as_str()), (Some(0), "changed: login.token.app_secret\n"));
        assert!(log_in(first).await.is_err(), "the old one lets nobody in any more");
        assert!(log_in(second).await.is_ok());
        ping(&mut anna, "p").await;
    });
    let log = town.log();
    assert!(log.contains("login.token.app_secret") && !log.contains(first) && !log.contains(second), "{log}");
}

#[test]
fn who_is_shut_out_goes_within_seconds_and_does_not_come_back() {
    let town = Town::new("reload-accounts", "login.required = true\n");
    let http = town.whole.http;
    let file = town.at.join("password");
    fs::write(&file, "geheim\n").unwrap();
    let file = file.to_str().unwrap();
    for name in ["anna", "ben", "cleo", "dirk"] {
        assert_eq!(town.command(&["user", "add", name, "--password-file", file]).0, Some(0));
    }
    let plain = |name: &str, password: &str| {
        let data = STANDARD.encode(format!("\0{name}\0{password}"));
        format!(r#"<auth mechanism="PLAIN" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">{data}</auth>"#)
    };
    on_a_runtime(async {
        let mut all = Vec::new();
        for name in ["anna", "ben", "cleo", "dirk"] {
            all.push(Tab::log_in(http, "meet.jitsi", "room=rat", &plain(name, "geheim")).await.unwrap());
        }
        fs::write(file, "anders\n").unwrap();
        for args in [
            &["user", "disable", "anna"][..],
            &["user", "del", "ben"],
            &["user", "passwd", "cleo", "--password-file", file],
        ] {
            assert_eq!(town.command(args).0, Some(0));
        }
        let began = std::time::Instant::now();
        for (one, text) in all.iter_mut().zip(["Account disabled", "Account deleted", "Password changed"]) {
            let said = one.until("stream:error").await;
            assert!(said.contains(text), "{said}");
        }
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        ping(&mut all[3], "p").await;
        for (name, password, in_it) in
            [("anna", "geheim", false), ("cleo", "geheim", false), ("cleo", "anders", true)]
        {
            let came = Tab::log_in(http, "meet.jitsi", "room=rat", &plain(name, password)).await;
            assert_eq!(came.is_ok(), in_it, "{name}");
        }
    });
    drop(town.log());
}

#[test]
fn an_admin_asks_the_running_server_with_upstream_s_words() {
    let town = Town::new("reload-shell", "");
    let http = town.whole.http;
    on_a_runtime(async {
        let mut anna = browser(http).await;
        meet(&mut anna, "rat").await.unwrap();
        let (code, said) = town.shell(&["shell", "muc", "list", "muc.meet.jitsi"]);
        assert_eq!((code, said.as_str()), (Some(0), "rat@muc.meet.jitsi\nOK: 1 room\n"));
        let (code, said) = town.shell(&["shell", "muc:occupants(\"rat@muc.meet.jitsi\")"]);
        assert!(code == Some(0) && said.contains("rat@muc.meet.jitsi/focus moderator"), "{said}");
        let bare = anna.jid.split('/').next().unwrap().to_owned();
        let set = format!("muc:room('rat@muc.meet.jitsi'):set_affiliation('{bare}', 'member')");
        assert_eq!(town.shell(&["shell", &set]).0, Some(0));
        let get = ["shell", "muc", "room", "rat@muc.meet.jitsi", "get_affiliation", &bare];
        assert_eq!(town.shell(&get), (Some(0), "OK: member\n".to_owned()));
        let (code, said) = town.shell(&["shell", "c2s", "show", "websocket-nobody"]);
        assert_eq!((code, said.as_str()), (Some(0), "OK: 0 sessions\n"));
        assert!(town.shell(&["shell", "c2s", "show"]).1.contains(&format!("{} guest websocket", anna.jid)));
        assert!(town.shell(&["shell", "host:list()"]).1.contains("muc.meet.jitsi (muc)"));
        assert!(town.shell(&["shell", "module", "list", "muc.meet.jitsi"]).1.contains("muc_allowners"));
        let (code, said) = town.shell(&["shell", "module", "load", "muc_quota", "muc.meet.jitsi"]);
        assert!(code == Some(1) && said.contains("muc_quota"), "{said}");
        assert!(town.shell(&["shell", "server", "uptime"]).1.contains("has been running for 0 days"));
        assert!(town.shell(&["shell", "server:version()"]).1.contains("Plausch"));
        assert_eq!(town.shell(&["reload"]), (Some(0), "OK: Config reloaded; changed: nothing\n".to_owned()));
        assert_eq!(town.shell(&["shell", "c2s:close('nobody@meet.jitsi')"]).0, Some(0));
        assert_eq!(town.shell(&["shell", "muc", "list", "nowhere.example"]).0, Some(1));
        assert_eq!(town.shell(&["shell", "host:activate('x.example')"]).0, Some(1));
        assert_eq!(town.shell(&["shell", "c2s", "close", &bare]).1, "OK: Total: 1 sessions closed\n");
        assert!(anna.until("stream:error").await.contains("closed by the administrator"));
        let (code, said) = town.shell(&["shell", "server:shutdown()"]);
        assert_eq!(code, Some(0), "{said}");
    });
    let Town { at, whole } = town;
    assert_eq!(whole.running.ended().status.code(), Some(0));
    fs::remove_dir_all(at).unwrap();
}
