//! The example for Caddy.

use std::process::Command;

use crate::proxies::{Example, play};

#[test]
fn an_application_behind_caddy_learns_who_is_calling() {
    let example = Example {
        program: "caddy",
        file: "Caddyfile",
        configuration: include_str!("../../../../examples/proxies/Caddyfile"),
        replacements: |places| {
            vec![
                // Without certificates, and without its own port for orders. These options have to come first.
                ("# Caddy before", "{\n\tadmin off\n\tauto_https off\n}\n# Caddy before".to_owned()),
                ("www.example.org {", format!("http://{} {{\n\tbind {}", places.public, places.public.ip())),
                ("127.0.0.1:8000", places.vestibule.to_string()),
                ("127.0.0.1:3000", places.application.to_string()),
            ]
        },
        command: |program, configuration, places| {
            let mut command = Command::new(program);
            command.args(["run", "--adapter", "caddyfile", "--config"]).arg(configuration);
            command.env("XDG_DATA_HOME", &places.folder).env("XDG_CONFIG_HOME", &places.folder);
            command
        },
        without_vestibule: 502,
    };
    play(&example, |caddy| {
        // Who makes it drop what Vestibule says gets no further, at pages as well.
        let headers = [("Connection", "X-User-Id")];
        assert_eq!(caddy.get("/api/orders", &headers).status, 400);
        assert_eq!(caddy.get("/orders", &headers).status, 400);
    });
}
