//! Ceph's RADOS gateway on the smallest cluster there is: one monitor, and one OSD in memory.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::servers::{Server, Setup, free_port, install};

const PACKAGES: [&str; 3] = ["radosgw", "ceph-mon", "ceph-osd"];
const KEYS: (&str, &str) = ("test", "testsecret");

pub(super) async fn start(mut setup: Setup, port: u16) -> anyhow::Result<Server> {
    install::provide("radosgw", &PACKAGES)?;
    let said = install::output(Command::new("radosgw").arg("--version"))?;
    let version = format!("Ceph RGW {}", said.split_whitespace().nth(2).unwrap_or("of unknown version"));
    let cluster = Cluster::new(setup.directory.path(), port)?;
    cluster.make_monitor()?;
    setup.children.spawn("mon", &mut cluster.command("ceph-mon", &["-f", "-i", "a"]), &cluster.home)?;
    let osd = cluster.make_osd()?;
    setup.children.spawn("osd", &mut cluster.command("ceph-osd", &["-f", "-i", "0"]), &cluster.home)?;
    cluster.run("ceph", &["osd", "crush", "add", &osd, "1", "host=one", "root=default"])?;
    setup.children.spawn("rgw", &mut cluster.command("radosgw", &["-f", "-n", "client.admin"]), &cluster.home)?;
    setup.wait_for(&format!("http://127.0.0.1:{port}")).await?;
    let user = ["user", "create", "--uid=test", "--display-name=test", "--access-key=test", "--secret-key=testsecret"];
    cluster.run("radosgw-admin", &user)?;
    setup.ready(version, port, KEYS).await
}

struct Cluster {
    home: std::path::PathBuf,
    fsid: String,
    monitor: String,
}

impl Cluster {
    fn new(home: &Path, port: u16) -> anyhow::Result<Self> {
        let fsid = uuid();
        let monitor = format!("[v2:127.0.0.1:{},v1:127.0.0.1:{}]", free_port()?, free_port()?);
        for part in ["mon", "osd", "rgw"] {
            fs::create_dir_all(home.join(part)).context("a directory for the cluster cannot be made")?;
        }
        let directory = home.display();
        let config = format!(
            "[global]\nfsid = {fsid}\nmon host = {monitor}\nmon initial members = a\n\
             public network = 127.0.0.0/8\npublic addr = 127.0.0.1\ncluster addr = 127.0.0.1\n\
             auth cluster required = cephx\nauth service required = cephx\nauth client required = cephx\n\
             keyring = {directory}/keyring\nosd pool default size = 1\nosd pool default min size = 1\n\
             osd pool default pg num = 1\nosd pool default pgp num = 1\nosd crush chooseleaf type = 0\n\
             mon allow pool size one = true\nmon data avail crit = 1\nmon data avail warn = 2\nms bind ipv6 = false\n\
             run dir = {directory}\nadmin socket = {directory}/$name.$pid.asok\npid file = {directory}/$name.pid\n\
             log file = {directory}/$name.out\nmon cluster log file = {directory}/cluster.out\n\
             [mon.a]\nmon data = {directory}/mon\n\
             [osd.0]\nosd data = {directory}/osd\nosd objectstore = memstore\nmemstore device bytes = 4294967296\n\
             keyring = {directory}/osd/keyring\n\
             [client.admin]\nrgw frontends = beast endpoint=127.0.0.1:{port}\nrgw dns name = localhost\n\
             rgw data = {directory}/rgw\n"
        );
        fs::write(home.join("ceph.conf"), config).context("the cluster's configuration cannot be written")?;
        Ok(Self { home: home.to_owned(), fsid, monitor })
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("CEPH_CONF", self.home.join("ceph.conf"));
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> anyhow::Result<String> {
        install::output(&mut self.command(program, arguments))
    }

    fn path(&self, name: &str) -> String {
        self.home.join(name).display().to_string()
    }

    fn make_monitor(&self) -> anyhow::Result<()> {
        let (keyring, map) = (self.path("keyring"), self.path("monmap"));
        self.run(
            "ceph-authtool",
            &["--create-keyring", &keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *"],
        )?;
        let admin = ["--gen-key", "-n", "client.admin", "--cap", "mon", "allow *", "--cap", "osd", "allow *"];
        self.run("ceph-authtool", &[&[keyring.as_str()], &admin[..], &["--cap", "mgr", "allow *"]].concat())?;
        self.run("monmaptool", &["--create", "--fsid", &self.fsid, "--addv", "a", &self.monitor, &map])?;
        self.run("ceph-mon", &["-i", "a", "--mkfs", "--monmap", &map, "--keyring", &keyring]).map(drop)
    }

    /// Answers its name.
    fn make_osd(&self) -> anyhow::Result<String> {
        let (keyring, osd) = (self.path("osd/keyring"), uuid());
        self.run("ceph", &["config", "set", "mon", "auth_allow_insecure_global_id_reclaim", "false"])?;
        self.run("ceph", &["osd", "new", &osd])?;
        let caps = ["mon", "allow profile osd", "osd", "allow *", "mgr", "allow *", "-o", &keyring];
        self.run("ceph", &[&["auth", "get-or-create", "osd.0"], &caps[..]].concat())?;
        self.run("ceph-osd", &["-i", "0", "--mkfs", "--osd-uuid", &osd])?;
        Ok("osd.0".to_owned())
    }
}

fn uuid() -> String {
    object_store_public::uuid::Uuid::new_v4().to_string()
}
