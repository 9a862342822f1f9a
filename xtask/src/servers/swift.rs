//! Swift, of `OpenStack`, one of each of its servers, each with one worker.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::servers::{Server, Setup, free_port, install};

// Its rings are built with what later versions of setuptools no longer have.
const PACKAGES: [&str; 3] = ["swift==2.38.3", "lxml", "setuptools<80"];

/// What keeps the bytes, the listings and the accounts.
const KINDS: [&str; 3] = ["object", "container", "account"];

pub(super) async fn start(mut setup: Setup, port: u16) -> anyhow::Result<Server> {
    let bin = install::python("swift", &PACKAGES)?;
    let version = format!("Swift {}", install::python_version(&bin, "swift")?);
    let directory = setup.directory.path().to_owned();
    for part in ["devices/one", "cache"] {
        let path = directory.join(part);
        fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
    }
    let user = install::output(Command::new("id").arg("-un"))?;
    write(
        &directory.join("swift.conf"),
        "[swift-hash]\nswift_hash_path_suffix = suffix\nswift_hash_path_prefix = prefix\n\
         [storage-policy:0]\nname = default\ndefault = yes\n",
    )?;
    for kind in KINDS {
        let port = free_port()?;
        write(&directory.join(format!("{kind}.conf")), &backend(kind, port, &directory, &user))?;
        ring(&bin, &directory, kind, port)?;
    }
    write(&directory.join("proxy.conf"), &proxy(port, free_port()?, &directory, &user))?;
    for kind in KINDS.into_iter().chain(["proxy"]) {
        let mut server = Command::new(bin.join(format!("swift-{kind}-server")));
        server.arg(directory.join(format!("{kind}.conf")));
        setup.children.spawn(kind, &mut server, &directory)?;
    }
    setup.ready(version, port, ("test:test", "testsecret")).await
}

fn backend(kind: &str, port: u16, directory: &Path, user: &str) -> String {
    let home = directory.display();
    format!(
        "[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\ndevices = {home}/devices\nmount_check = false\n\
         disable_fallocate = true\nfallocate_reserve = 0\nswift_dir = {home}\nuser = {user}\nworkers = 1\n\
         log_name = {kind}\nlog_address = /dev/null\nrecon_cache_path = {home}/cache\n\
         [pipeline:main]\npipeline = {kind}-server\n[app:{kind}-server]\nuse = egg:swift#{kind}\n"
    )
}

/// `memcached` is where nobody listens: the proxy then keeps nothing.
fn proxy(port: u16, memcached: u16, directory: &Path, user: &str) -> String {
    let home = directory.display();
    let filters = ["catch_errors", "listing_formats", "copy", "dlo", "slo"];
    let filters = filters.map(|filter| format!("[filter:{filter}]\nuse = egg:swift#{filter}\n")).concat();
    format!(
        "[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nswift_dir = {home}\nuser = {user}\nworkers = 1\n\
         [pipeline:main]\npipeline = catch_errors cache listing_formats s3api tempauth copy dlo slo versioned_writes \
         proxy-server\n\
         {filters}\
         [filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = 127.0.0.1:{memcached}\n\
         [filter:s3api]\nuse = egg:swift#s3api\nlocation = us-east-1\ns3_acl = false\nstorage_domain =\n\
         [filter:tempauth]\nuse = egg:swift#tempauth\nuser_test_test = testsecret .admin\n\
         [filter:versioned_writes]\nuse = egg:swift#versioned_writes\nallow_versioned_writes = true\n\
         [app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\nallow_account_management = true\n"
    )
}

/// Says that everything of a kind lies on the one device.
fn ring(bin: &Path, directory: &Path, kind: &str, port: u16) -> anyhow::Result<()> {
    let builder = format!("{kind}.builder");
    let device = format!("r1z1-127.0.0.1:{port}/one");
    for arguments in [&["create", "2", "1", "1"][..], &["add", &device, "1"], &["rebalance"]] {
        let mut command = Command::new(bin.join("swift-ring-builder"));
        install::run(command.current_dir(directory).arg(&builder).args(arguments))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}
