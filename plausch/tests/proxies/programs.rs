//! A file of ours in, its program with it on ports of this test out.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::client::plain;
use super::read;
use crate::running::free;

/// A web server.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) file: &'static str,
    /// What the file is written into, and how the program is told: `{folder}`, `{http}`, `{https}` stand for the test's own.
    around: &'static str,
    command: &'static [&'static str],
    /// What is the machine's in the file, and becomes the test's. Each has to be there.
    replaced: &'static [(&'static str, &'static str)],
}

/// A running one; ended when the test is.
pub(super) struct InFront {
    pub(super) http: SocketAddr,
    pub(super) https: SocketAddr,
    child: Child,
}

impl Drop for InFront {
    fn drop(&mut self) {
        // Some have children, which end when they are asked.
        if self.child.try_wait().is_ok_and(|s| s.is_none()) {
            let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        }
        let end = Instant::now() + Duration::from_secs(5);
        while self.child.try_wait().is_ok_and(|s| s.is_none()) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    fn path(&self) -> Option<std::path::PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/bin".into()]);
        folders.map(|f| f.join(self.name)).find(|f| f.is_file())
    }

    pub(super) fn is_there(&self) -> bool {
        self.path().is_some()
    }

    /// Writes its files into `folder` and waits until both addresses take connections.
    pub(super) async fn start(&self, folder: &Path, backend: SocketAddr) -> InFront {
        let [http, https, ..] = free();
        let folder_name = folder.display().to_string();
        let ours = |text: &str| {
            text.replace("{folder}", &folder_name)
                .replace("{http}", &http.port().to_string())
                .replace("{https}", &https.port().to_string())
        };
        let mut file = read(self.file);
        for (theirs, test) in COMMON.iter().chain(self.replaced) {
            let own = matches!(*theirs, "/etc/letsencrypt/live/meet.example.org" if self.name == "haproxy");
            assert!(own || file.contains(theirs), "{theirs} is not in {}", self.file);
            file = file.replace(theirs, &ours(test).replace("{backend}", &backend.to_string()));
        }
        let whole = ours(self.around).replace("{file}", &file);
        std::fs::write(folder.join(self.file), whole).unwrap();
        let mut command = Command::new(self.path().unwrap());
        command.args(self.command.iter().map(|a| ours(a))).stdin(Stdio::null()).stdout(Stdio::null());
        let log = std::fs::File::create(folder.join("log")).unwrap();
        command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder).stderr(log);
        let mut it = InFront { http, https, child: command.spawn().unwrap() };
        let end = Instant::now() + Duration::from_secs(60);
        for at in [http, https] {
            while tokio::net::TcpStream::connect(at).await.is_err() {
                let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
                assert!(it.child.try_wait().unwrap().is_none(), "{} ended: {}", self.name, log());
                assert!(Instant::now() < end, "{} does not listen: {}", self.name, log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        // Traefik listens seconds before it has read its file.
        while plain(http, "/").await.status == 404 {
            assert!(Instant::now() < end, "{} knows no page", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        it
    }
}

const COMMON: &[(&str, &str)] =
    &[("127.0.0.1:8000", "{backend}"), ("/etc/letsencrypt/live/meet.example.org", "{folder}")];

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "nginx",
        file: "nginx.conf",
        around: "daemon off;\nuser root;\npid {folder}/pid;\nerror_log stderr;\nworker_processes 1;\nevents {}\nhttp {\n\
            client_body_temp_path {folder}/body;\nproxy_temp_path {folder}/proxy;\nfastcgi_temp_path {folder}/fastcgi;\n\
            uwsgi_temp_path {folder}/uwsgi;\nscgi_temp_path {folder}/scgi;\n{file}\n}\n",
        command: &["-e", "stderr", "-p", "{folder}", "-c", "{folder}/nginx.conf"],
        replaced: &[
            ("    listen [::]:80;\n", ""),
            ("    listen [::]:443 ssl http2;\n", ""),
            ("listen 80;", "listen 127.0.0.1:{http};"),
            ("listen 443 ssl", "listen 127.0.0.1:{https} ssl"),
        ],
    },
    Program {
        name: "apache2",
        file: "apache.conf",
        around: "ServerRoot {folder}\nDefaultRuntimeDir {folder}\nPidFile {folder}/pid\nErrorLog /dev/stderr\nServerName localhost\n\
            LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n\
            LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n\
            LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so\n\
            LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so\n\
            LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so\n\
            LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so\n\
            LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so\n\
            <IfModule unixd_module>\nUser www-data\nGroup www-data\n</IfModule>\n\
            Listen 127.0.0.1:{http}\nListen 127.0.0.1:{https}\n{file}\n",
        command: &["-DFOREGROUND", "-f", "{folder}/apache.conf"],
        replaced: &[
            ("<VirtualHost *:80>", "<VirtualHost *:{http}>"),
            ("<VirtualHost *:443>", "<VirtualHost *:{https}>"),
        ],
    },
    Program {
        name: "caddy",
        file: "Caddyfile",
        around: "{\nadmin off\nhttp_port {http}\nhttps_port {https}\ndefault_bind 127.0.0.1\n}\n{file}",
        command: &["run", "--adapter", "caddyfile", "--config", "{folder}/Caddyfile"],
        replaced: &[],
    },
    Program {
        name: "haproxy",
        file: "haproxy.cfg",
        around: "{file}",
        command: &["-db", "-f", "{folder}/haproxy.cfg"],
        replaced: &[
            ("bind :80\n", "bind 127.0.0.1:{http}\n"),
            ("bind :443 ", "bind 127.0.0.1:{https} "),
            ("/etc/haproxy/meet.example.org.pem", "{folder}/both.pem"),
        ],
    },
    Program {
        name: "traefik",
        file: "traefik-dynamic.toml",
        around: "{file}",
        command: &[
            "--entryPoints.web.address=127.0.0.1:{http}",
            "--entryPoints.websecure.address=127.0.0.1:{https}",
            "--providers.file.filename={folder}/traefik-dynamic.toml",
            "--global.checkNewVersion=false",
            "--global.sendAnonymousUsage=false",
        ],
        replaced: &[],
    },
];
