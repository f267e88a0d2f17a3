//! The files in `deploy`: that what they name exists, and that what they tell the program is what it takes. Those who run
//! them (Docker, systemd, Kubernetes) are not needed; systemd's own judgement is asked where it is installed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use vestibule_base::config::Config;

use crate::cli::{Server, complaint, run, vestibule};
use crate::http::ask;

const KEY: &str = "the secret key of this test, long enough for it";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// Every name of a setting's variable in a text, with `_FILE` where it has that.
fn variables(text: &str) -> BTreeSet<String> {
    let part =
        |character: char| character.is_ascii_uppercase() || character == '_' || character.is_ascii_digit();
    let names = text.match_indices("VESTIBULE_").map(|(at, _)| {
        let rest = &text[at..];
        rest[..rest.find(|character| !part(character)).unwrap_or(rest.len())].to_owned()
    });
    names.filter(|name| name.contains("__")).collect()
}

#[test]
fn the_settings_that_deploy_names_exist() {
    let reference = read("docs/settings.md");
    let mut named = 0;
    for name in ["Dockerfile", "vestibule.service", "kubernetes.yaml", "kubernetes-secret.yaml"] {
        for variable in variables(&read(&format!("deploy/{name}"))) {
            let setting = variable.strip_suffix("_FILE").unwrap_or(&variable);
            assert!(reference.contains(&format!("Environment: `{setting}`")), "deploy/{name}: {variable}");
            named += 1;
        }
    }
    assert!(named >= 8, "{named} were looked at");
}

/// The documents of a file, by kind and name.
fn documents(name: &str) -> BTreeMap<(String, String), Value> {
    let text = read(name);
    let documents = text.split("\n---\n").map(|text| yaml_serde::from_str::<Value>(text).unwrap());
    let named = documents.map(|document| {
        let name = |value: &Value| value.as_str().unwrap().to_owned();
        assert!(document["apiVersion"].is_string());
        ((name(&document["kind"]), name(&document["metadata"]["name"])), document)
    });
    named.collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[test]
fn the_kubernetes_example_fits_together() {
    let documents = documents("deploy/kubernetes.yaml");
    let of = |kind: &str| &documents[&(kind.to_owned(), "vestibule".to_owned())];
    for ((kind, _), document) in &documents {
        assert!(kind == "Namespace" || document["metadata"]["namespace"] == "vestibule", "{kind}");
    }
    let deployment = &of("Deployment")["spec"];
    assert!(deployment["replicas"].as_i64() > of("PodDisruptionBudget")["spec"]["minAvailable"].as_i64());
    let pod = &deployment["template"]["spec"];
    let labels = &deployment["template"]["metadata"]["labels"];
    for selector in [
        &deployment["selector"]["matchLabels"],
        &of("Service")["spec"]["selector"],
        &of("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        &pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
    let container = &pod["containers"][0];
    let ports: BTreeMap<&str, i64> = list(&container["ports"])
        .iter()
        .map(|port| (port["name"].as_str().unwrap(), port["containerPort"].as_i64().unwrap()))
        .collect();
    assert!(ports.contains_key(of("Service")["spec"]["ports"][0]["targetPort"].as_str().unwrap()));
    assert!(container["image"].as_str().unwrap().ends_with(concat!(":", env!("CARGO_PKG_VERSION"))));
    // What the standard "restricted" asks for.
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));

    // Secrets and settings are where the program is told to look.
    let secret = &self::documents("deploy/kubernetes-secret.yaml")[&("Secret".into(), "vestibule".into())];
    let keys = secret["stringData"].as_object().unwrap();
    assert!(keys.values().all(|value| value == ""), "no secret that somebody might leave as it is");
    let mounts: BTreeMap<&str, &str> = list(&container["volumeMounts"])
        .iter()
        .map(|mount| (mount["name"].as_str().unwrap(), mount["mountPath"].as_str().unwrap()))
        .collect();
    for volume in list(&pod["volumes"]) {
        assert!(mounts.contains_key(volume["name"].as_str().unwrap()), "{volume}");
    }
    let files: BTreeMap<&str, &str> = list(&container["env"])
        .iter()
        .map(|variable| {
            let path = variable["value"].as_str().unwrap();
            let name = path.strip_prefix(mounts["secrets"]).unwrap().trim_start_matches('/');
            (variable["name"].as_str().unwrap(), name)
        })
        .collect();
    assert!(files.values().all(|name| keys.contains_key(*name)) && files.len() == keys.len(), "{files:?}");

    // With its settings and secrets the configuration is good; without one of them it is refused.
    let folder = TempDir::new().unwrap();
    let settings = of("ConfigMap")["data"]["vestibule.toml"].as_str().unwrap();
    fs::write(folder.path().join("vestibule.toml"), settings).unwrap();
    let arguments: Vec<&str> =
        list(&container["args"]).iter().map(|argument| argument.as_str().unwrap()).collect();
    assert_eq!(arguments, ["serve", "--config", &format!("{}/vestibule.toml", mounts["settings"])]);
    let check = |secret_key: &str| {
        let mut command = vestibule(folder.path(), &["config", "check"]);
        for (variable, file) in &files {
            let value = match *file {
                "secret_key" => secret_key,
                "database_url" => "postgres://vestibule:secret@db.example.org/vestibule",
                _ => "secret",
            };
            fs::write(folder.path().join(file), value).unwrap();
            command.env(variable, folder.path().join(file));
        }
        command.output().unwrap()
    };
    let output = check(KEY);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(complaint(&check("")).contains("VESTIBULE_SERVER__SECRET_KEY_FILE"));

    // P4: nobody who sends wrong passwords brings it to its limit of memory, on nodes of any size.
    let config = Config::from_toml(settings).unwrap();
    let hashing = config.server.hash_workers.unwrap() * config.passwords.argon2.memory_kib / 1024;
    let limit = container["resources"]["limits"]["memory"].as_str().unwrap().strip_suffix("Mi").unwrap();
    assert!(hashing * 4 <= limit.parse::<u32>().unwrap(), "{hashing} MiB");

    // Probes ask for what there is, at the port where it is.
    for (listen, port) in [("listen", "http"), ("metrics_listen", "metrics")] {
        assert!(settings.contains(&format!("{listen} = \"0.0.0.0:{}\"", ports[port])), "{listen}");
    }
    let empty = TempDir::new().unwrap();
    let server = Server::start(empty.path());
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let get = &container[probe]["httpGet"];
        assert_eq!(get["port"], "http", "{probe}");
        let path = get["path"].as_str().unwrap();
        assert_eq!(ask(server.address, "GET", path, &[], "").status, 200, "{probe}");
    }
    let patience = pod["terminationGracePeriodSeconds"].as_i64().unwrap();
    assert!(patience > 30 + container["lifecycle"]["preStop"]["sleep"]["seconds"].as_i64().unwrap());
}

#[test]
fn the_service_of_systemd_starts_what_there_is() {
    let unit = read("deploy/vestibule.service");
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let line = |key: &str| {
        let mut lines = unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        lines.next().unwrap_or_else(|| unreachable!("{key} is not set")).to_owned()
    };
    // As systemd does it, but with the folders of the test.
    fs::write(folder.join("secret_key"), KEY).unwrap();
    fs::write(folder.join("settings.toml"), "[email]\nsubject_prefix = \"\"\n").unwrap();
    let started = line("ExecStart").replace("/etc/vestibule/vestibule.toml", "settings.toml");
    let (program, arguments) = started.split_once(' ').unwrap();
    assert!(program.ends_with("/vestibule"));
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let mut command = vestibule(folder, &arguments);
    for variable in unit.lines().filter_map(|line| line.strip_prefix("Environment=")) {
        let (name, value) = variable.split_once('=').unwrap();
        let value = value.replace("%S", "state").replace("%d", ".");
        command.env(name, value);
    }
    let mut server = Server::start_as(&mut command);
    assert!(folder.join("state/vestibule/vestibule.sqlite3").exists());
    assert!(!folder.join("state/vestibule/secret_key").exists(), "the key is the one that was given");
    assert!(line("TimeoutStopSec").parse::<u32>().unwrap() > 30, "longer than server.shutdown_timeout");
    server.process.kill().unwrap();

    if !there("systemd-analyze") {
        return;
    }
    let copy = folder.join("vestibule.service");
    let user = unit.replace("User=vestibule", "User=root");
    fs::write(&copy, user.replace("/usr/local/bin/vestibule", env!("CARGO_BIN_EXE_vestibule"))).unwrap();
    let analyse = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).arg(&copy).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        said.into_owned()
    };
    let said = analyse(&["verify", "--man=no"]);
    assert!(!said.contains("vestibule.service:"), "{said}");
    // From 0 to 100; most services have more than 90.
    fs::write(&copy, &unit).unwrap();
    analyse(&["security", "--offline=true", "--threshold=15", "--no-pager"]);
}

/// Whether a program is installed; said past the capture of the test runner if not.
fn there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        let _ = writeln!(std::io::stderr(), "SKIPPED: {program} is not installed, so it was not asked");
    }
    found
}

#[test]
fn the_image_is_made_of_what_there_is() {
    let dockerfile = read("deploy/Dockerfile");
    let channel = read("rust-toolchain.toml");
    let version = channel.lines().find_map(|line| line.strip_prefix("channel = \"")).unwrap();
    let minor = version.rsplit_once('.').unwrap().0;
    assert!(
        dockerfile.contains(&format!("FROM rust:{minor}-alpine")),
        "the compiler is that of the repository"
    );

    // What the build needs goes in, and nothing that is secret or large.
    let ignore = read("deploy/Dockerfile.dockerignore");
    let taken: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert_eq!(ignore.lines().find(|line| !line.starts_with('#')), Some("*"));
    for name in &taken {
        assert!(root().join(name).exists(), "{name}");
    }
    let manifest = read("Cargo.toml");
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    for member in members.split('"').skip(1).step_by(2) {
        let folder = member.split('/').next().unwrap();
        assert!(taken.contains(&folder), "{member} is not in the context of the image");
    }

    // Its program answers to what the image calls it with.
    let called = |instruction: &str| -> Vec<String> {
        let (_, rest) = dockerfile.split_once(instruction).unwrap();
        serde_json::from_str(rest.lines().next().unwrap()).unwrap()
    };
    assert_eq!(called("\nENTRYPOINT "), ["vestibule"]);
    let check = called(" CMD ");
    assert_eq!(check[0], "vestibule");
    let folder = TempDir::new().unwrap();
    let serve = called("\nCMD ");
    let serve: Vec<&str> = serve.iter().map(String::as_str).collect();
    let server = Server::start_as(&mut vestibule(folder.path(), &serve));
    let arguments: Vec<&str> = check[1..].iter().map(String::as_str).collect();
    let address = server.address.to_string().replace("127.0.0.1", "0.0.0.0");
    let health = |more: &[&str]| {
        let mut command = vestibule(folder.path(), &[&arguments, more].concat());
        command.env("VESTIBULE_SERVER__LISTEN", &address).output().unwrap()
    };
    assert!(health(&[]).status.success() && health(&["--ready"]).status.success());
    drop(server);
    assert!(complaint(&health(&[])).contains("no answer from 127.0.0.1"));
    assert_eq!(run(folder.path(), &["health", "--help"]).status.code(), Some(0));
}
