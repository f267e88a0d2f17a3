//! The example for nginx.

use std::process::Command;

use crate::proxies::{Example, play};

#[test]
fn an_application_behind_nginx_learns_who_is_calling() {
    let example = Example {
        program: "nginx",
        file: "nginx.conf",
        configuration: include_str!("../../../../examples/proxies/nginx.conf"),
        replacements: |places| {
            // As whoever runs the tests, it may write in its own folder only.
            let folder = places.folder.display();
            let http = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|name| format!("{name}_temp_path {folder}/{name};\n"))
                .concat();
            vec![
                ("server 127.0.0.1:8000;", format!("server {};", places.vestibule)),
                ("server 127.0.0.1:3000;", format!("server {};", places.application)),
                ("listen 80;", format!("listen {};", places.public)),
                ("http {", format!("http {{\naccess_log off;\n{http}")),
            ]
        },
        command: |program, configuration, places| {
            let mut command = Command::new(program);
            command.arg("-p").arg(&places.folder).arg("-c").arg(configuration);
            // One process, with its files in the test's folder.
            command.args(["-g", "daemon off; master_process off; pid nginx.pid; error_log stderr;"]);
            command
        },
        without_vestibule: 500,
    };
    play(&example, |nginx| {
        // What nginx asks by itself is not for others to ask.
        assert_eq!(nginx.get("/_forward_auth", &[]).status, 404);
    });
}
