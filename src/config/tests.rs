use std::collections::BTreeSet;

use super::*;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/doorward.example.toml");
const PRODUCTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/doorward.production.toml");

fn load(toml: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("doorward.toml");
    std::fs::write(&file, toml).unwrap();
    Config::load(
        Some(&file),
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    )
}

fn refusal(toml: &str, variables: &[(&str, &str)]) -> String {
    load(toml, variables).unwrap_err().to_string()
}

#[test]
fn the_example_names_every_key_at_its_default() {
    let example = Config::load(Some(Path::new(EXAMPLE)), []).unwrap();
    assert_eq!(example, Config::default());
    let text = std::fs::read_to_string(EXAMPLE).unwrap();
    let written: serde_json::Value = toml::from_str(&text).unwrap();
    let written: BTreeSet<String> = sources::keys(&written).into_keys().collect();
    let known: BTreeSet<String> = sources::keys(&serde_json::to_value(Config::default()).unwrap())
        .into_keys()
        .collect();
    assert_eq!(written, known);
}

#[test]
fn the_production_example_loads() {
    let config = Config::load(Some(Path::new(PRODUCTION)), []).unwrap();
    assert_eq!(config.mqtt.mode, MqttMode::External);
    assert_eq!(config.issuer(), "https://door.example");
}

#[test]
fn nothing_at_all_is_a_configuration() {
    let config = Config::load(None, [("HOME".to_owned(), "/root".to_owned())]).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.public_url(), "http://127.0.0.1:8080");
    assert_eq!(config.issuer(), config.public_url());
    assert_eq!(config.database_url().expose(), "sqlite:state/doorward.db");
    assert_eq!(
        (config.keys_dir(), config.tls_dir()),
        ("state/keys".into(), "state/tls".into())
    );
    assert_eq!(config.mqtt.embedded.advertised_port(), 8883);
}

#[test]
fn the_environment_goes_over_the_file() {
    let toml = "state_dir = 'a'\n[http]\nbind = '127.0.0.1:1'\nworkers = 2\n[metrics]\nbind = '127.0.0.1:3'";
    let config = load(
        toml,
        &[
            ("DOORWARD__STATE_DIR", "b"),
            ("DOORWARD__HTTP__WORKERS", "3"),
            ("DOORWARD__HTTP__TRUSTED_PROXIES", "10.0.0.1, ::1"),
            ("DOORWARD__METRICS__BIND", ""),
            ("DOORWARD__MQTT__EMBEDDED__CERTIFICATE_NAMES", ""),
            ("DOORWARD__MQTT__EXTERNAL__PASSWORD", "0123"),
            ("DOORWARD__LOG__FORMAT", "json"),
            ("DOORWARD_CONFIG", "not ours to read"),
        ],
    )
    .unwrap();
    assert_eq!(config.state_dir, Path::new("b"));
    assert_eq!((config.http.bind.port(), config.http.workers), (1, 3));
    assert_eq!(
        config.http.trusted_proxies,
        ["10.0.0.1", "::1"].map(|text| text.parse::<std::net::IpAddr>().unwrap())
    );
    assert_eq!((config.metrics.bind, config.log.format), (None, LogFormat::Json));
    assert_eq!(config.mqtt.external.password.expose(), "0123");
}

#[test]
fn what_does_not_exist_is_refused_by_its_name() {
    for (toml, variables, named) in [
        ("bind = 1", &[][..], "there is no key `bind`"),
        ("[http]\nbindd = 1", &[], "there is no key `http.bindd`"),
        ("[mqtt.embedded]\nport = 1", &[], "there is no key `mqtt.embedded.port`"),
        ("[https]\nbind = 1", &[], "there is no key `https.bind`"),
        ("[https]", &[], "https"),
        ("http = 1", &[], "there is no key `http`"),
        (
            "",
            &[("DOORWARD__HTTP__BINDD", "1")],
            "the environment: there is no key `DOORWARD__HTTP__BINDD`",
        ),
        ("", &[("DOORWARD__HTTP", "1")], "`DOORWARD__HTTP`"),
        ("", &[("DOORWARD__", "1")], "`DOORWARD__`"),
    ] {
        let message = refusal(toml, variables);
        assert!(message.contains(named), "{toml} {variables:?}: {message}");
    }
}

#[test]
fn a_value_of_another_kind_is_refused_with_its_key() {
    for (toml, variables, named) in [
        ("[http]\nworkers = 'many'", &[][..], "http.workers"),
        ("[http]\nbind = 'localhost'", &[], "http.bind"),
        (
            "[http]\nallow_plain_http_on_network = 'perhaps'",
            &[],
            "http.allow_plain_http_on_network",
        ),
        ("[metrics]\nbind = 'nowhere'", &[], "metrics.bind"),
        (
            "[mqtt]\nmode = 'cloud'",
            &[],
            "expected `embedded` or `external` for key `mqtt.mode`",
        ),
        (
            "[log]\nformat = 'xml'",
            &[],
            "expected `human` or `json` for key `log.format`",
        ),
        (
            "[mqtt.external]\ncredentials = 'ldap'",
            &[],
            "expected `dynamic-security` or `manual` for key `mqtt.external.credentials`",
        ),
        ("[unlock]\ntoken_seconds = -1", &[], "unlock.token_seconds"),
        (
            "[unlock]\ntoken_seconds = 31",
            &[],
            "unlock.token_seconds: 31 is not between 2 and 30",
        ),
        ("[unlock]\ntoken_seconds = 1", &[], "unlock.token_seconds"),
        ("[unlock]\nwait_ms_default = 15001", &[], "unlock.wait_ms_default"),
        (
            "[passes]\nguest_hours = 169",
            &[],
            "passes.guest_hours: 169 is not between 0 and 168",
        ),
        ("[passes]\ntenant_days = 3", &[], "passes.tenant_days"),
        ("[sessions]\nrefresh_days = 0", &[], "sessions.refresh_days"),
        ("[mqtt]\ntopic_root = 'a/#'", &[], "mqtt.topic_root"),
        ("[home_assistant]\nbase_topic = 'a.b'", &[], "home_assistant.base_topic"),
        (
            "[home_assistant]\nurl = 'mqtt://127.0.0.1'",
            &[],
            "home_assistant.organizations: is needed",
        ),
        (
            "[home_assistant]\nurl = 'mqtts://home.example'\norganizations = ['org_1']",
            &[],
            "home_assistant.ca_file: is needed",
        ),
        (
            "[home_assistant]\nurl = 'mqtt://127.0.0.1'\nproperties = ['property_1']\ncommands = true",
            &[],
            "home_assistant.service_account: is needed",
        ),
        ("[mqtt]\nnode = 'any'", &[], "mqtt.node"),
        ("[mqtt.embedded]\npublic_host = 'a b'", &[], "`a b`"),
        (
            "[mqtt.embedded]\ncertificate_file = 'a.pem'",
            &[],
            "mqtt.embedded.key_file",
        ),
        ("[http]\npublic_url = 'https://door.example/'", &[], "http.public_url"),
        ("[log]\nlevel = 'inof'", &[], "log.level"),
        ("[log]\nlevel = 'info,mqtt5='", &[], "log.level"),
        ("issuer = 'a\"b'", &[], "issuer"),
        ("[http", &[], "line 1"),
        ("", &[("DOORWARD__HTTP__WORKERS", "many")], "DOORWARD__HTTP__WORKERS"),
    ] {
        let message = refusal(toml, variables);
        assert!(message.contains(named), "{toml} {variables:?}: {message}");
    }
}

#[test]
fn what_would_be_open_to_others_is_refused_with_the_remedy() {
    let external = "[mqtt]\nmode = 'external'\n[mqtt.external]\nusername = 'u'\npassword = 'p'\nca_file = 'ca'\n\
                    lock_port = 8883\n";
    for (toml, allowed_by) in [
        (
            "[http]\nbind = '0.0.0.0:8080'\n".to_owned(),
            "allow_plain_http_on_network = true",
        ),
        (
            "[http]\npublic_url = 'http://door.example'\n".to_owned(),
            "allow_plain_http_on_network = true",
        ),
        ("[metrics]\nbind = '[::]:9464'\n".to_owned(), "allow_on_network = true"),
        (
            format!("{external}url = 'mqtt://mq.example'\n"),
            "allow_plain_on_network = true",
        ),
        (
            "[home_assistant]\norganizations = ['org_1']\nurl = 'mqtt://home.example'\n".to_owned(),
            "allow_plain_on_network = true",
        ),
    ] {
        let message = refusal(&toml, &[]);
        assert!(message.contains(allowed_by), "{message}");
        assert!(load(&format!("{toml}{allowed_by}\n"), &[]).is_ok(), "{toml}");
    }
    assert!(refusal("[mqtt.embedded]\nplain_bind = '0.0.0.0:1883'", &[]).contains("127.0.0.1 only"));
    assert!(load(&format!("{external}url = 'mqtt://127.0.0.1'"), &[]).is_ok());
}

#[test]
fn an_external_broker_needs_an_address_a_name_and_a_password() {
    let whole = [
        ("url", "mqtts://mq.example"),
        ("username", "u"),
        ("password", "p"),
        ("ca_file", "ca.pem"),
    ];
    let external = |without: &str| {
        let keys = whole.iter().filter(|(key, _)| *key != without);
        let keys: String = keys.map(|(key, value)| format!("{key} = '{value}'\n")).collect();
        format!("[mqtt]\nmode = 'external'\n[mqtt.external]\n{keys}")
    };
    assert!(load(&external(""), &[]).is_ok());
    for (key, _) in whole {
        assert!(refusal(&external(key), &[]).contains("mqtt.external."), "{key}");
    }
}

#[test]
fn the_brokers_password_may_stand_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let toml = format!("[mqtt.external]\npassword_file = '{}'\n", file.display());
    assert!(refusal(&toml, &[]).contains("password cannot be read"));
    std::fs::write(&file, "  correct horse \n").unwrap();
    assert_eq!(
        load(&toml, &[]).unwrap().mqtt.external.password.expose(),
        "  correct horse "
    );
    assert!(refusal(&format!("{toml}password = 'x'"), &[]).contains("mqtt.external.password_file"));
}

#[test]
fn no_secret_shows_in_a_log() {
    let variables = [
        ("DOORWARD__DATABASE__URL", "postgres://u:hunter2@db/doorward"),
        ("DOORWARD__MQTT__EXTERNAL__PASSWORD", "hunter2"),
        ("DOORWARD__HOME_ASSISTANT__PASSWORD", "hunter2"),
    ];
    let config = load("", &variables).unwrap();
    assert!(!format!("{config:?}{}", serde_json::to_string(&config).unwrap()).contains("hunter2"));
}
