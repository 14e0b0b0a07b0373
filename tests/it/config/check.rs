//! The command line, by the built program.

use std::path::Path;
use std::process::Output;

fn conduit(arguments: &[&str], folder: &Path, environment: &[(&str, &str)]) -> Output {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the program under test, not a child of it"
    )]
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_conduit"));
    command.args(arguments).current_dir(folder).env_clear();
    command.envs(environment.iter().copied()).output().unwrap()
}

/// Exit code and standard output of `conduit check …` in a folder with these files.
fn check(
    files: &[(&str, &str)],
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let output = conduit(
        &[&["check"], arguments].concat(),
        folder.path(),
        environment,
    );
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn a_right_file_is_one_line_and_exit_0() {
    let file = ("conduit.config.yml", "servers: [{id: a, url: 'http://h'}]");
    let ok = (0, "conduit.config.yml is OK: 1 server\n".to_owned());
    assert_eq!(check(&[file], &[], &[]), ok);
}

#[test]
fn a_wrong_file_is_told_whole_and_exit_78() {
    let text = "gateway:\n  port: x\nservers:\n  - id: a\n";
    assert_eq!(
        check(&[("f.yml", text)], &["--config", "f.yml"], &[]),
        (
            78,
            "error: gateway.port: must be a whole number (line 2, column 9); found \"x\"; allowed \
             1 to 65535\n\
             error: servers[0].url: is required for transport: http (line 4, column 5)\n\
             the configuration cannot be used: 2 errors\n"
                .to_owned()
        )
    );
}

#[test]
fn an_unknown_key_fails_only_when_strict() {
    let file = ("c.yml", "gateway: {prot: 1}");
    let warning = "warning: gateway.prot: unknown key, it is ignored; did you mean \"port\"? \
                   (line 1, column 11)\n";
    assert_eq!(
        check(&[file], &["-c", "c.yml"], &[]),
        (0, format!("{warning}c.yml is OK: 0 servers\n"))
    );
    assert_eq!(
        check(&[file], &["-c", "c.yml", "--strict"], &[]),
        (
            78,
            format!("{warning}c.yml has 1 warning, which --strict does not accept\n")
        )
    );
}

#[test]
fn a_file_that_was_named_must_exist_and_the_default_one_need_not() {
    let (code, text) = check(&[], &["--config", "none.yml"], &[]);
    assert_eq!(code, 78);
    assert!(
        text.starts_with("error: cannot read the configuration file none.yml: "),
        "{text}"
    );
    let (code, text) = check(&[], &[], &[("CONDUIT_CONFIG", "none.yml")]);
    assert_eq!(code, 78);
    assert!(text.contains("none.yml"), "{text}");
    let (code, text) = check(&[], &[], &[]);
    assert_eq!(code, 0);
    assert!(
        text.starts_with("warning: there is no conduit.config.yml: starting"),
        "{text}"
    );
    assert!(
        text.ends_with("a configuration without a file is OK: 0 servers\n"),
        "{text}"
    );
}

#[test]
fn the_flag_wins_over_the_variable_and_the_variable_over_env_files() {
    let files = [
        ("a.yml", "servers: []"),
        ("b.yml", "servers: []"),
        (".env", "CONDUIT_CONFIG=c.yml"),
    ];
    let environment = [("CONDUIT_CONFIG", "b.yml")];
    assert_eq!(
        check(&files, &["-c", "a.yml"], &environment).1,
        "a.yml is OK: 0 servers\n"
    );
    assert_eq!(
        check(&files, &[], &environment).1,
        "b.yml is OK: 0 servers\n"
    );
    assert!(
        check(&files, &[], &[])
            .1
            .contains("cannot read the configuration file c.yml")
    );
}

#[test]
fn env_files_beside_the_file_and_in_the_working_directory_are_read() {
    let files = [
        (
            "conf/c.yml",
            "gateway: {port: '${A}'}\nmetrics: {port: '${B}'}",
        ),
        ("conf/.env", "A=8081\n"),
        (".env", "A=8082\nB=8081\n"),
    ];
    let (code, text) = check(&files, &["-c", "conf/c.yml"], &[]);
    assert_eq!(code, 78);
    assert!(
        text.contains("metrics.port: must be different from gateway.port"),
        "{text}"
    );
}

#[test]
fn an_env_file_that_cannot_be_read_is_remarked_on_and_one_beside_the_file_is_read_once() {
    let (code, text) = check(&[(".env/x", ""), ("c.yml", "")], &["-c", "./c.yml"], &[]);
    assert_eq!(code, 0);
    assert_eq!(text.matches(".env is not used: ").count(), 1, "{text}");
    let (code, text) = check(
        &[(".env", "bad line\n"), ("c.yml", "")],
        &["-c", "./c.yml"],
        &[],
    );
    assert_eq!(code, 0);
    assert_eq!(
        text.matches("cannot be read as NAME=value").count(),
        1,
        "{text}"
    );
}

#[test]
fn the_running_program_is_a_variable() {
    let text = "servers: [{id: a, transport: stdio, command: '${CONDUIT_EXE}'}]";
    assert_eq!(check(&[("c.yml", text)], &["-c", "c.yml"], &[]).0, 0);
}

#[test]
fn a_folder_or_a_binary_file_is_refused() {
    let (code, text) = check(&[("d/x", "")], &["-c", "d"], &[]);
    assert_eq!(code, 78);
    assert!(
        text.contains("cannot read the configuration file d"),
        "{text}"
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("b.yml"), [0xFF, 0xFE, 0x00]).unwrap();
    let output = conduit(&["check", "-c", "b.yml"], folder.path(), &[]);
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn a_wrong_command_line_exits_2_and_help_and_version_exit_0() {
    let here = Path::new(".");
    let code = |arguments: &[&str]| conduit(arguments, here, &[]).status.code();
    assert_eq!(code(&["--nonsense"]), Some(2));
    assert_eq!(code(&["nonsense"]), Some(2));
    assert_eq!(code(&["demo", "--stdio", "--port", "1"]), Some(2));
    assert_eq!(code(&["--help"]), Some(0));
    let version = conduit(&["--version"], here, &[]);
    assert_eq!(version.status.code(), Some(0));
    let text = String::from_utf8(version.stdout).unwrap();
    assert_eq!(text, format!("conduit {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn run_refuses_a_wrong_file_with_the_same_findings_and_exit_78() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c.yml"), "gateway: {port: 0}").unwrap();
    for arguments in [
        ["--config", "c.yml"].as_slice(),
        &["run", "--config", "c.yml"],
    ] {
        let output = conduit(arguments, folder.path(), &[]);
        assert_eq!(output.status.code(), Some(78));
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            "error: gateway.port: is out of range (line 1, column 17); found 0; allowed 1 to \
             65535\n"
        );
    }
}

#[test]
fn schema_prints_the_committed_files() {
    let schema = conduit(&["schema"], Path::new("."), &[]);
    assert_eq!(schema.stdout, include_bytes!("../../../conf/schema.json"));
    let reference = conduit(&["schema", "--markdown"], Path::new("."), &[]);
    assert_eq!(
        reference.stdout,
        include_bytes!("../../../docs/CONFIGURATION.md")
    );
}
