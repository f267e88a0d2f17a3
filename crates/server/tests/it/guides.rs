//! The guides in `docs/guides`, done as they say: their commands one after the other in one shell, beside the program and a
//! copy of `examples`, and what each prints compared with what the guide shows.
//!
//! What a guide's blocks mean:
//!
//! - `sh`: commands. None may fail, and they print what a `text` block right after them shows, or nothing. There `…` stands
//!   for anything, over several lines too.
//! - `sh needs`: commands that fail where something is not installed. What follows, up to the next heading, is then skipped,
//!   aloud; before the first heading, all is. The folder `packages` is kept from one run to the next.
//! - any other language: a quotation of a file in `examples`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The ports that guides and examples name; in a test each is another.
const PORTS: [&str; 5] = ["3000", "8000", "8080", "9000", "9001"];
/// In what a guide shows: anything.
const ANYTHING: &str = "…";
/// A guide is done within this time.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn the_guide_for_a_single_page_application_holds() {
    play("single-page-application", include_str!("../../../../docs/guides/single-page-application.md"));
}

#[test]
fn the_guide_for_a_mobile_app_holds() {
    play("mobile-app", include_str!("../../../../docs/guides/mobile-app.md"));
}

#[test]
fn the_guide_for_an_existing_backend_holds() {
    play("existing-backend", include_str!("../../../../docs/guides/existing-backend.md"));
}

/// Does what a guide says.
///
/// # Panics
///
/// If a command fails, or prints something else; if the guide quotes or names what is not there; if something is not installed
/// where `VESTIBULE_TEST_REQUIRE_GUIDES=1` demands it.
fn play(name: &str, guide: &str) {
    let blocks = blocks(guide);
    quotations_are_of_examples(name, &blocks);
    what_is_named_exists(name, guide);
    let place = Place::new();
    let steps = place.possible(name, &blocks);
    // Programs of a guide keep their files here, too.
    let mut script = "export XDG_DATA_HOME=\"$PWD\" XDG_CONFIG_HOME=\"$PWD\"\n".to_owned();
    for step in &steps {
        script += &format!("exec >'{}'\n{}", place.output(step).display(), place.ports.to(&step.text));
    }
    fs::write(place.path("script"), script).unwrap();
    let ended = place.shell("script");
    let done: Vec<&&Block> = steps.iter().filter(|step| place.output(step).exists()).collect();
    for (number, step) in done.iter().enumerate() {
        let printed = fs::read_to_string(place.output(step)).unwrap();
        // Headers end their lines with more than a newline.
        let printed = place.ports.from(&printed.replace('\r', ""));
        let last = number + 1 == done.len();
        let failed = last && !ended.is_some_and(|status| status.success());
        if failed || !agrees(step.shown.trim(), printed.trim()) {
            let error = fs::read_to_string(place.path("stderr")).unwrap_or_default();
            panic!(
                "docs/guides/{name}.md:{}: {}\n{}\n--- is to print\n{}\n--- printed\n{printed}\n--- errors\n{error}",
                step.line,
                if failed { format!("failed ({ended:?})") } else { "printed something else".to_owned() },
                step.text,
                step.shown,
            );
        }
    }
    assert_eq!(done.len(), steps.len(), "docs/guides/{name}.md: the shell ended before the guide");
}

/// A block of code in a guide.
#[derive(Debug)]
struct Block {
    /// Where it begins.
    line: usize,
    /// How many headings go before it.
    section: usize,
    /// What stands behind the fence.
    kind: String,
    text: String,
    /// What a guide says that it prints.
    shown: String,
}

fn blocks(guide: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut section = 0;
    let mut lines = guide.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.starts_with("## ") {
            section += 1;
        }
        let Some(kind) = line.strip_prefix("```") else { continue };
        let text: String = lines
            .by_ref()
            .map(|(_, line)| line)
            .take_while(|line| *line != "```")
            .flat_map(|line| [line, "\n"])
            .collect();
        if kind == "text" {
            let of = blocks.last_mut().filter(|block| block.kind == "sh" && block.shown.is_empty());
            of.unwrap_or_else(|| panic!("line {}: no command prints this", number + 1)).shown = text;
        } else {
            let (kind, shown) = (kind.to_owned(), String::new());
            blocks.push(Block { line: number + 1, section, kind, text, shown });
        }
    }
    blocks
}

fn quotations_are_of_examples(name: &str, blocks: &[Block]) {
    let mut files = Vec::new();
    visit(&examples(), &mut |path| files.extend(fs::read_to_string(path)));
    for block in blocks.iter().filter(|block| !block.kind.starts_with("sh")) {
        let found = files.iter().any(|file| file.contains(&block.text));
        assert!(
            found,
            "docs/guides/{name}.md:{} is no part of a file in examples:\n{}",
            block.line, block.text
        );
    }
}

/// Files behind links, and settings.
fn what_is_named_exists(name: &str, guide: &str) {
    let linked = guide.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    for link in linked.filter(|link| !link.contains("://")) {
        assert!(docs().join("guides").join(link).exists(), "docs/guides/{name}.md: there is no {link}");
    }
    let reference = fs::read_to_string(docs().join("settings.md")).unwrap();
    let section =
        |word: &str| word.split_once('.').is_some_and(|(it, _)| reference.contains(&format!("## [{it}]")));
    for setting in guide.split('`').skip(1).step_by(2).filter_map(|code| code.split(' ').next()) {
        let known = reference.contains(&format!("### {setting}\n")) || setting.ends_with(".toml");
        assert!(known || !section(setting), "docs/guides/{name}.md: there is no setting {setting}");
    }
}

/// Whether a text is what is shown, with anything where that has [`ANYTHING`].
fn agrees(shown: &str, text: &str) -> bool {
    let Some((begin, rest)) = shown.split_once(ANYTHING) else { return shown == text };
    let Some(mut text) = text.strip_prefix(begin) else { return false };
    let mut pieces: Vec<&str> = rest.split(ANYTHING).collect();
    let end = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some((_, after)) = text.split_once(piece) else { return false };
        text = after;
    }
    text.ends_with(end)
}

/// The folder in which a guide is done, and the shell's processes, which end with it.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) ports: Ports,
}

impl Place {
    /// With the examples, at the ports of this place.
    pub(crate) fn new() -> Self {
        let place = Self { folder: TempDir::new().unwrap(), ports: Ports::free() };
        let from = examples();
        visit(&from, &mut |path| {
            let to = place.path("examples").join(path.strip_prefix(&from).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            if let Ok(text) = fs::read_to_string(path) {
                fs::write(to, place.ports.to(&text)).unwrap();
            }
        });
        // Another folder for other packages.
        let packages = fs::read_to_string(from.join("verify-token/requirements.txt")).unwrap();
        let packages = packages.replace(|character: char| !character.is_ascii_alphanumeric(), "-");
        let packages = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("guides-{packages}"));
        fs::create_dir_all(&packages).unwrap();
        symlink(packages, place.path("packages")).unwrap();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn output(&self, step: &Block) -> PathBuf {
        self.path(&format!("output.{}", step.line))
    }

    /// The commands of a guide that can be run here.
    fn possible<'a>(&self, name: &str, blocks: &'a [Block]) -> Vec<&'a Block> {
        let mut without = Vec::new();
        for block in blocks.iter().filter(|block| block.kind == "sh needs") {
            fs::write(self.path("needs"), format!("exec >needs.output\n{}", block.text)).unwrap();
            if !self.shell("needs").is_some_and(|status| status.success()) {
                assert!(
                    variable("VESTIBULE_TEST_REQUIRE_GUIDES") != "1",
                    "VESTIBULE_TEST_REQUIRE_GUIDES=1, but this failed:\n{}{}",
                    block.text,
                    fs::read_to_string(self.path("stderr")).unwrap_or_default()
                );
                // Past the capture of the test runner, which would keep it to itself.
                let _ = writeln!(
                    std::io::stderr(),
                    "SKIPPED: docs/guides/{name}.md:{}: something is not installed, so what follows was not tried",
                    block.line
                );
                without.push((block.section, block.line));
            }
        }
        let skipped = |block: &Block| {
            without
                .iter()
                .any(|(section, line)| *section == 0 || (*section == block.section && *line < block.line))
        };
        blocks.iter().filter(|block| block.kind == "sh" && !skipped(block)).collect()
    }

    /// Runs a script in the folder: how it ended, unless it took too long. Whatever it started ends, too.
    fn shell(&self, script: &str) -> Option<ExitStatus> {
        let program = Path::new(env!("CARGO_BIN_EXE_vestibule")).parent().unwrap();
        let mut command = Command::new("sh");
        command.args(["-eu", script]).current_dir(self.folder.path());
        command.env("PATH", format!("{}:{}", program.display(), variable("PATH")));
        command.env("VESTIBULE_SERVER__LISTEN", self.ports.to("127.0.0.1:8000")).env_remove("RUST_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(self.path("stderr")).unwrap());
        let mut group = Group(command.process_group(0).spawn().unwrap());
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = group.0.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

/// A shell and all that it started.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let all = format!("kill -KILL -{}", self.0.id());
        let _ = Command::new("sh").args(["-c", &all]).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}

/// Which port of this machine stands for which of a guide.
pub(crate) struct Ports(BTreeMap<&'static str, String>);

impl Ports {
    fn free() -> Self {
        // All at once, so that no two are the same.
        let bound = PORTS.map(|port| (port, TcpListener::bind("127.0.0.1:0").unwrap()));
        Self(bound.iter().map(|(port, at)| (*port, at.local_addr().unwrap().port().to_string())).collect())
    }

    /// What a guide or an example says, with the ports of this machine.
    pub(crate) fn to(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (shown, real)| replace_number(&text, shown, real))
    }

    /// What was printed, with the ports of the guide.
    fn from(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (shown, real)| replace_number(&text, real, shown))
    }
}

/// With another number wherever one stands alone, and is no part of a longer one or of a word.
fn replace_number(text: &str, from: &str, to: &str) -> String {
    let part = |character: Option<char>| character.is_some_and(|it| it.is_alphanumeric() || it == '_');
    let mut replaced = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(from) {
        let whole = !part(before.chars().next_back()) && !part(after.chars().next());
        replaced.extend([before, if whole { to } else { from }]);
        rest = after;
    }
    replaced + rest
}

/// Every file that belongs to the examples, without what was installed there.
fn visit(folder: &Path, see: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            see(&path);
        } else if !path.ends_with("venv") && !path.ends_with("node_modules") {
            visit(&path, see);
        }
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

#[expect(clippy::disallowed_methods, reason = "about the test run, no setting of the server")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

#[test]
fn a_guide_that_shows_something_else_does_not_agree() {
    assert!(agrees("a…c\n…", "abbc\nanything\nelse"));
    assert!(agrees("{\"id\":…,\"ok\":true}", "{\"id\":17,\"ok\":true}"));
    for (shown, text) in [("a", "ab"), ("a…c", "abcd"), ("…b…", "acd"), ("", "x"), ("a…", "b")] {
        assert!(!agrees(shown, text), "{shown} is not {text}");
    }
    assert_eq!(replace_number("http://h:3000/ 13000 300_000", "3000", "41"), "http://h:41/ 13000 300_000");
}
