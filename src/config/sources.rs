//! Where the configuration comes from: the defaults, a TOML file over them, the environment over both.

use std::collections::BTreeMap;
use std::path::Path;

use config::builder::DefaultState;
use config::{ConfigBuilder, File, FileFormat, FileSourceString, ValueKind};
use serde_json::Value;

use super::{Config, ConfigError};

/// What the names of our environment variables begin with.
const PREFIX: &str = "DOORWARD__";

/// What stands between section and key in an environment variable.
const SEPARATOR: &str = "__";

/// What the environment is called in messages.
const ENVIRONMENT: &str = "the environment";

pub(super) fn read(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let defaults = serde_json::to_value(Config::default()).map_err(|error| ConfigError::Unfit {
        place: "the defaults".to_owned(),
        what: error.to_string(),
    })?;
    let known = keys(&defaults);
    let mut builder = config::Config::builder();
    if let Some(path) = file {
        builder = builder.add_source(checked_file(path, &known)?);
    }
    for (name, value) in environment {
        if let Some(key) = name.strip_prefix(PREFIX) {
            let key = key.to_lowercase().replace(SEPARATOR, ".");
            builder = with_variable(builder, &name, &key, value, &known)?;
        }
    }
    // The file alone was fit: what does not fit now came from the environment.
    builder
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|error| unfit(ENVIRONMENT.to_owned(), &error))
}

/// The file, known to hold nothing but keys that exist with values of their kinds.
fn checked_file(
    path: &Path,
    known: &BTreeMap<String, Value>,
) -> Result<File<FileSourceString, FileFormat>, ConfigError> {
    let place = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let file = File::from_str(&text, FileFormat::Toml);
    let content = config::Config::builder().add_source(file.clone()).build();
    let content = content.map_err(|error| unfit(place.clone(), &error))?;
    // Our own look at the keys: serde's message would not say in which section an unknown one stands.
    let found: Value = content
        .clone()
        .try_deserialize()
        .map_err(|error| unfit(place.clone(), &error))?;
    if let Some(key) = keys(&found).into_keys().find(|key| !known.contains_key(key)) {
        return Err(ConfigError::UnknownKey { key, place });
    }
    content
        .try_deserialize::<Config>()
        .map_err(|error| unfit(place, &error))?;
    Ok(file)
}

fn with_variable(
    builder: ConfigBuilder<DefaultState>,
    name: &str,
    key: &str,
    value: String,
    known: &BTreeMap<String, Value>,
) -> Result<ConfigBuilder<DefaultState>, ConfigError> {
    let Some(default) = known.get(key) else {
        return Err(ConfigError::UnknownKey {
            key: name.to_owned(),
            place: ENVIRONMENT.to_owned(),
        });
    };
    // Everything else is read from its text by the type of its key; a list is written with commas.
    let value = if default.is_array() {
        let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
        ValueKind::Array(items.map(config::Value::from).collect())
    } else {
        ValueKind::String(value)
    };
    let value = config::Value::new(Some(&name.to_owned()), value);
    builder
        .set_override(key, value)
        .map_err(|error| unfit(ENVIRONMENT.to_owned(), &error))
}

fn unfit(place: String, error: &config::ConfigError) -> ConfigError {
    ConfigError::Unfit {
        place,
        what: error.to_string(),
    }
}

/// Every key of `content` that is not a section, as `section.key`, with its value. An empty section has no keys.
pub(super) fn keys(content: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut open = vec![(String::new(), content)];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(members) => {
                let prefix = if path.is_empty() { path } else { format!("{path}.") };
                open.extend(members.iter().map(|(name, value)| (format!("{prefix}{name}"), value)));
            }
            value => drop(found.insert(path, value.clone())),
        }
    }
    found
}
