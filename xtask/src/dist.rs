//! A release: the static binary, tried out, with its checksum and the list of what it is made of.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{Outcome, cargo_program, root, run, say, target};

/// Whom a new server may keep waiting.
const PATIENCE: Duration = Duration::from_secs(20);

/// Builds for musl on this machine's kind of processor, or for the target that is named, and leaves in `target/dist`
/// the binary, its checksum and its components.
pub(crate) fn run_task(arguments: &[OsString]) -> Outcome {
    let named = arguments.first().and_then(|argument| argument.to_str()).map(str::to_owned);
    let triple = named.unwrap_or_else(|| format!("{}-unknown-linux-musl", std::env::consts::ARCH));
    can_build(&triple)?;
    let build = ["build", "--release", "--locked", "--package", "vestibule-server", "--target", &triple];
    run(Command::new(cargo_program()).args(build).current_dir(root()))?;
    let built = target().join(&triple).join("release/vestibule");
    if !is_static(&read(&built)?) {
        return Err(format!("{} needs libraries of the system", built.display()));
    }
    try_out(&built)?;

    let folder = target().join("dist");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("vestibule-{version}-{triple}");
    let binary = folder.join(&name);
    let size = fs::copy(&built, &binary).map_err(|error| format!("{}: {error}", binary.display()))?;
    let sum = output(Command::new("sha256sum").arg(&name).current_dir(&folder))?;
    write(&folder.join(format!("{name}.sha256")), &sum)?;
    let sum = sum.split(' ').next().unwrap_or_default();
    write(&folder.join(format!("{name}.cdx.json")), &components(&triple, version, sum)?)?;
    say(&format!("{}: {size} bytes, static, answers\nsha256 {sum}\n", binary.display()));
    Ok(())
}

/// Says what is not installed, before half of it is compiled.
fn can_build(triple: &str) -> Outcome {
    let library = output(Command::new("rustc").args(["--print", "target-libdir", "--target", triple]))?;
    if !Path::new(library.trim()).is_dir() {
        return Err(format!("there is no standard library for {triple}: rustup target add {triple}"));
    }
    let compiler = Command::new("musl-gcc").arg("--version").output();
    if triple.ends_with("musl") && cfg!(target_env = "gnu") && compiler.is_err() {
        return Err("SQLite and aws-lc need a C compiler for musl: Debian's package musl-tools".to_owned());
    }
    Ok(())
}

/// Whether an executable (ELF, 64 bit, little-endian) is started by the kernel alone: it names no interpreter, which would
/// load libraries.
fn is_static(elf: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let number = |at: usize, length: usize| {
        let bytes = elf.get(at..at + length)?;
        bytes
            .iter()
            .rev()
            .try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))
    };
    let kinds = || {
        let (first, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        (0..count).map(|header| number(first + header * size, 4)).collect::<Option<Vec<_>>>()
    };
    elf.starts_with(b"\x7fELF\x02\x01")
        && kinds().is_some_and(|kinds| !kinds.is_empty() && !kinds.contains(&(INTERPRETER as usize)))
}

/// A server that is ended when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves in an empty folder, without any environment, and asks whether it is well.
fn try_out(program: &Path) -> Outcome {
    let folder = std::env::temp_dir().join(format!("vestibule-dist-{}", std::process::id()));
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let outcome = answers(program, &folder);
    let _ = fs::remove_dir_all(&folder);
    outcome
}

fn answers(program: &Path, folder: &Path) -> Outcome {
    let failed = |error: std::io::Error| format!("{}: {error}", program.display());
    let port =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).map_err(failed)?;
    let command = |argument: &[&str]| {
        let mut command = Command::new(program);
        command.args(argument).current_dir(folder).env_clear();
        command.env("VESTIBULE_SERVER__LISTEN", port.to_string()).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let mut server = Running(command(&["serve"]).spawn().map_err(failed)?);
    let began = Instant::now();
    while !command(&["health", "--ready"]).status().map_err(failed)?.success() {
        if let Some(status) = server.0.try_wait().map_err(failed)? {
            return Err(format!("{} ended with {status}", program.display()));
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("{} serves, but is not well", program.display()));
        }
        sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The list of what is compiled in, in the form of CycloneDX.
fn components(triple: &str, version: &str, sum: &str) -> Result<String, String> {
    let tree = output(
        Command::new(cargo_program())
            .args(["tree", "--locked", "--package", "vestibule-server", "--target", triple])
            .args(["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}|{l}"])
            .current_dir(root()),
    )?;
    let lock =
        fs::read_to_string(root().join("Cargo.lock")).map_err(|error| format!("Cargo.lock: {error}"))?;
    let mut lines: Vec<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    lines.sort_unstable();
    lines.dedup();
    let listed: Vec<String> = lines.iter().filter_map(|line| component(line, &lock)).collect();
    if listed.len() < 50 {
        return Err(format!("only {} components were found", listed.len()));
    }
    Ok(format!(
        "{{\"bomFormat\": \"CycloneDX\", \"specVersion\": \"1.5\", \"version\": 1,\n \"metadata\": {{\"component\": \
         {{\"type\": \"application\", \"name\": \"vestibule\", \"version\": {}, \"hashes\": [{}]}}}},\n \
         \"components\": [\n  {}\n]}}\n",
        quoted(version),
        hash(sum),
        listed.join(",\n  ")
    ))
}

/// A line of `cargo tree` as a component.
fn component(line: &str, lock: &str) -> Option<String> {
    let (package, licence) = line.split_once('|')?;
    let licence = licence.trim_end_matches(" (*)");
    let mut words = package.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    // Before SPDX a slash meant a choice.
    let licence = licence.replace('/', " OR ");
    let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
    let rest = lock.split_once(&entry).and_then(|(_, rest)| rest.split("\n\n").next());
    let checksum = rest.and_then(|rest| rest.split_once("checksum = \"")?.1.split('"').next());
    let hashes = checksum.map(|sum| format!(", \"hashes\": [{}]", hash(sum))).unwrap_or_default();
    Some(format!(
        "{{\"type\": \"library\", \"name\": {}, \"version\": {}, \"purl\": {}, \"licenses\": [{{\"expression\": {}}}]{hashes}}}",
        quoted(name),
        quoted(version),
        quoted(&format!("pkg:cargo/{name}@{version}")),
        quoted(&licence),
    ))
}

fn hash(sum: &str) -> String {
    format!("{{\"alg\": \"SHA-256\", \"content\": {}}}", quoted(sum))
}

/// A text in JSON. What is written here has no control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn read(path: &PathBuf) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Outcome {
    let written = fs::File::create(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| format!("{}: {error}", path.display()))
}

/// What a command prints.
fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{name} printed no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_has_name_licence_and_checksum() {
        let lock = "[[package]]\nname = \"itoa\"\nversion = \"1.0.1\"\nsource = \"x\"\nchecksum = \"abc\"\n\n[[package]]\n";
        assert_eq!(
            component("itoa v1.0.1|MIT/Apache-2.0 (*)", lock).unwrap(),
            "{\"type\": \"library\", \"name\": \"itoa\", \"version\": \"1.0.1\", \"purl\": \"pkg:cargo/itoa@1.0.1\", \
             \"licenses\": [{\"expression\": \"MIT OR Apache-2.0\"}], \"hashes\": [{\"alg\": \"SHA-256\", \"content\": \"abc\"}]}"
        );
        assert!(component("itoa v2.0.0|MIT", lock).is_some_and(|text| !text.contains("hashes")));
        assert_eq!(component("", lock), None);
    }

    #[test]
    fn x8_everything_that_is_compiled_in_is_listed() {
        let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
        let listed = components(&triple, "0.1.0", "abc").unwrap();
        for name in ["vestibule-core", "sqlx-postgres", "libsqlite3-sys", "aws-lc-sys"] {
            assert_eq!(listed.matches(&format!("\"name\": \"{name}\"")).count(), 1, "{name}");
        }
        assert!(!listed.contains("tempfile"), "what only tests use is not in it");
    }

    #[test]
    fn a_program_with_an_interpreter_is_not_static() {
        assert!(!is_static(b"#!/bin/sh"));
        assert!(!is_static(&[]));
        if cfg!(all(
            target_os = "linux",
            target_env = "gnu",
            target_pointer_width = "64",
            target_endian = "little"
        )) {
            let own = std::env::current_exe().unwrap();
            assert!(!is_static(&fs::read(own).unwrap()), "tests are linked to the system's libraries");
        }
    }
}
