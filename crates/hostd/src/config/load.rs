//! Where the configuration comes from: file, environment, flags; each overrides what came before, key by key.

use camino::Utf8PathBuf;
use toml::{Table, Value};

use super::{Config, ConfigError};

/// Where the file is when nobody says otherwise. It may be absent there.
pub const DEFAULT_PATH: &str = "/etc/computer/computerd.toml";
/// How the names of our variables begin; what follows is the key, with `__` between section and key.
const PREFIX: &str = "COMPUTERD_";
/// Names the file, and is no key of it.
const PATH_VARIABLE: &str = "COMPUTERD_CONFIG";

/// What a configuration is read from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The file that was asked for, which must then be there.
    pub path: Option<Utf8PathBuf>,
    /// Variables of the environment, all of them.
    pub environment: Vec<(String, String)>,
    /// `section.key=value`.
    pub settings: Vec<String>,
}

impl Sources {
    /// Reads, joins and checks.
    ///
    /// # Errors
    /// When a source cannot be read, a key is unknown or a value makes no sense.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let mut table = self.file()?;
        for (name, value) in &self.environment {
            if let Some(key) = name.strip_prefix(PREFIX).filter(|_| name != PATH_VARIABLE) {
                let key = key.to_lowercase();
                insert(&mut table, name, &key.split("__").collect::<Vec<_>>(), read(value))?;
            }
        }
        for setting in &self.settings {
            let (key, value) =
                setting.split_once('=').ok_or_else(|| ConfigError::Key(setting.clone()))?;
            insert(&mut table, setting, &key.split('.').collect::<Vec<_>>(), read(value))?;
        }
        let config: Config =
            table.try_into().map_err(|source| ConfigError::Values(Box::new(source)))?;
        config.check()?;
        Ok(config)
    }

    fn file(&self) -> Result<Table, ConfigError> {
        let named = self.environment.iter().find(|(name, _)| name == PATH_VARIABLE);
        let asked = self.path.clone().or_else(|| named.map(|(_, path)| path.into()));
        let path = asked.clone().unwrap_or_else(|| DEFAULT_PATH.into());
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && asked.is_none() => {
                String::new()
            }
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        text.parse().map_err(|source| ConfigError::Syntax {
            origin: path.into_string(),
            source: Box::new(source),
        })
    }
}

/// A value as TOML writes it; what is none is text.
fn read(value: &str) -> Value {
    let document: Result<Table, _> = format!("value = {value}").parse();
    let value_of = |mut table: Table| (table.len() == 1).then(|| table.remove("value")).flatten();
    document.ok().and_then(value_of).unwrap_or_else(|| Value::String(value.to_owned()))
}

fn insert(table: &mut Table, origin: &str, key: &[&str], value: Value) -> Result<(), ConfigError> {
    let wrong = || ConfigError::Key(origin.to_owned());
    let (last, sections) = key.split_last().ok_or_else(wrong)?;
    let mut section = table;
    for name in sections {
        let entry = section.entry((*name).to_owned()).or_insert_with(|| Value::Table(Table::new()));
        section = entry.as_table_mut().ok_or_else(wrong)?;
    }
    section.insert((*last).to_owned(), value);
    Ok(())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
