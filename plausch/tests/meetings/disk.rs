//! A disk that fills up while people meet: state folder, token and log on it. What they hear of it, and what the admin does, out.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::person::Person;
use crate::running::{Running, free, get};
use crate::{UNHEARD, people, silence, wait};

/// A log that filled the disk took the process with it, the supervisor started that again, and it ended again.
#[test]
fn a_disk_that_fills_up_is_not_heard() {
    let folder = std::env::temp_dir().join(format!("plausch-disk-{}", std::process::id()));
    fs::create_dir_all(folder.join("disk")).unwrap();
    let disk = folder.join("disk");
    let [http, admin, xmpp, media] = free();
    let [https, ..] = free();
    // A file system of its own, which only the server and what is started beside it see.
    let root = Command::new("id").arg("-u").output().unwrap().stdout.trim_ascii() == b"0";
    let script =
        format!("mount -t tmpfs -o size=256k tmpfs {0} && exec \"$0\" \"$@\" 2>{0}/log", disk.display());
    let mut c = Command::new("unshare");
    c.args([if root { "-m" } else { "-rm" }, "sh", "-c", &script, env!("CARGO_BIN_EXE_plausch")]);
    c.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).stdin(Stdio::null()).stdout(Stdio::null());
    for (flag, address) in
        [("--http", http), ("--https", https), ("--admin", admin), ("--xmpp", xmpp), ("--media", media)]
    {
        c.args([flag, &address.to_string()]);
    }
    // Nobody issues anything there: the attempts, and their failures, are what is looked for.
    let [nobody, ..] = free();
    c.args(["--web", "none", "--log", "debug", "--acme", "1", "--acme-domains", "meet.example"]);
    c.args(["--acme-directory", &format!("https://{nobody}/dir"), "--state", disk.to_str().unwrap()]);
    c.args(["--admin-token-file", disk.join("token").to_str().unwrap()]).env("ENABLE_HTTP_REDIRECT", "0");
    let mut server = Running::healthy(&mut c, admin);

    let people = people();
    let both = people.block_on(async {
        let both = [("Anna", 1), ("Ben", 2)].map(|(who, n)| Person::join(n, who, http));
        for person in &both {
            person.connected(Duration::from_secs(20)).await.expect("a meeting");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        both
    });
    both.iter().for_each(Person::begin);
    // Seen from here through the server's own root.
    let inside = std::path::PathBuf::from(format!("/proc/{}/root{}", server.0.id(), disk.display()));
    let mut filler = File::create(inside.join("filler")).unwrap();
    while filler.write_all(&[0; 4096]).is_ok() {}
    while filler.write_all(&[0; 1]).is_ok() {}

    // What goes on needs no disk: somebody comes, a code for the helpdesk is handed out, the log is lost and counted.
    let third = people.block_on(async {
        let third = Person::join(3, "Cem", http);
        third.connected(Duration::from_secs(5)).await.expect("people come in");
        third
    });
    let lost = || {
        let text = get(admin, "/metrics").unwrap();
        let line = text.lines().find(|l| l.starts_with("plausch_log_lines_lost_total ")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    // Each of these is a line, until the file's last page is full.
    wait("lines are lost", || {
        let _ = get(https, "/");
        lost() > 0
    });
    let code = support(http);
    assert!(code.starts_with("HTTP/1.1 20") && code.contains("code"), "{code}");
    std::thread::sleep(Duration::from_secs(2));
    let health = get(admin, "/about/health").unwrap();
    assert!(health.starts_with("HTTP/1.1 200"), "no reason to restart: {health}");
    let gap = silence(&both);
    println!("a full disk: {} ms without a sound, {} lines lost", gap.as_millis(), lost());
    assert!(gap < UNHEARD, "heard: {gap:?}");
    assert!(server.0.try_wait().unwrap().is_none(), "it has ended");

    // Room again: the log goes on, without a restart.
    drop(filler);
    fs::remove_file(inside.join("filler")).unwrap();
    let size = || fs::metadata(inside.join("log")).unwrap().len();
    let before = size();
    people.block_on(third.leave());
    wait("the log goes on", || {
        let _ = get(https, "/");
        size() > before
    });
    let log = fs::read_to_string(inside.join("log")).unwrap();
    let about = log.lines().filter(|l| l.contains("WARN") && l.contains("No space left")).count();
    assert!(about <= 1, "one line: {log}");
    fs::remove_dir_all(folder).unwrap();
}

/// As the test-call page asks for a code.
fn support(http: SocketAddr) -> String {
    let report = r#"{"found":["serverReached","udpBlocked"],"rtt":null}"#;
    let mut c = TcpStream::connect(http).unwrap();
    let head = format!("POST /_plausch/support HTTP/1.1\r\nhost: {http}\r\nconnection: close\r\n");
    let kind = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n", report.len());
    c.write_all((head + &kind + report).as_bytes()).unwrap();
    let mut text = String::new();
    c.read_to_string(&mut text).unwrap();
    text
}
