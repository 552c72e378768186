//! The values of an application's variables: given on the command line, in the environment, or the
//! manifest's defaults.

use std::collections::{BTreeMap, HashMap};

use crate::bindings::spin::variables::variables as spin_variables;
use crate::instance::{HasInstance, InstanceState};
use crate::manifest::VariableDefinition;
use crate::template::{Template, UnknownVariable, is_variable_name};
use wasmtime::component::Accessor;

/// Variables of this host's own, which no manifest need declare. This one is `true` while instances hold more memory than they
/// should, and a component should hold nothing large.
const MEMORY_IS_SHORT: &str = "spillway_memory_is_short";

/// What has become of new versions of the configuration, as JSON.
const RELOADS: &str = "spillway_reloads";

/// The values of all variables.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Variables {
    values: BTreeMap<String, String>,
}

/// Variables without a value, or given ones that nobody declared.
#[derive(Debug, thiserror::Error)]
pub enum VariableError {
    /// Required ones that nobody set.
    #[error("no value for {}: set {}, or give --variable {}=…", quoted(.0), environment_names(.0), first(.0))]
    Missing(Vec<String>),
    /// A `--variable` that the manifest does not declare.
    #[error("--variable {0}: the manifest has no such variable in [variables]")]
    Undeclared(String),
}

fn quoted(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn environment_names(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| environment_name(name)).collect();
    names.join(", ")
}

fn first(names: &[String]) -> &str {
    names.first().map_or("", String::as_str)
}

/// The environment variable that sets a variable.
pub fn environment_name(variable: &str) -> String {
    format!("SPIN_VARIABLE_{}", variable.to_ascii_uppercase())
}

impl Variables {
    /// Decides every variable's value: `given` (the command line) before the environment before the
    /// default.
    ///
    /// # Errors
    /// When a variable has no value, or one is given that the manifest does not declare.
    pub fn resolve(
        definitions: &BTreeMap<String, VariableDefinition>,
        given: &BTreeMap<String, String>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, VariableError> {
        if let Some(name) = given.keys().find(|name| !definitions.contains_key(*name)) {
            return Err(VariableError::Undeclared(name.clone()));
        }
        let mut values = BTreeMap::new();
        let mut missing = Vec::new();
        for (name, definition) in definitions {
            let value = given
                .get(name)
                .cloned()
                .or_else(|| environment(&environment_name(name)))
                .or_else(|| definition.default.clone());
            match value {
                Some(value) => {
                    values.insert(name.clone(), value);
                }
                None => missing.push(name.clone()),
            }
        }
        if missing.is_empty() {
            Ok(Self { values })
        } else {
            Err(VariableError::Missing(missing))
        }
    }

    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// A template's text.
    ///
    /// # Errors
    /// When it reads a variable that does not exist.
    pub fn fill(&self, template: &Template) -> Result<String, UnknownVariable> {
        template.resolve(|name| self.get(name))
    }

    /// A component's own variables, with their values.
    ///
    /// # Errors
    /// When a template reads a variable that does not exist.
    pub fn of_component(
        &self,
        templates: &BTreeMap<String, Template>,
    ) -> Result<HashMap<String, String>, UnknownVariable> {
        templates
            .iter()
            .map(|(name, template)| Ok((name.clone(), self.fill(template)?)))
            .collect()
    }
}

impl spin_variables::Host for InstanceState {}

impl<T: Send> spin_variables::HostWithStore<T> for HasInstance {
    async fn get(
        accessor: &Accessor<T, Self>,
        name: String,
    ) -> wasmtime::Result<Result<String, spin_variables::Error>> {
        if !is_variable_name(&name) {
            return Ok(Err(spin_variables::Error::InvalidName(name)));
        }
        Ok(accessor.with(|mut access| {
            let instance = access.get();
            if name == MEMORY_IS_SHORT {
                return Ok(instance.memory_is_short().to_string());
            }
            let component = instance.component();
            if name == RELOADS {
                return Ok(component.reloads.json());
            }
            component.variables.get(&name).cloned().ok_or_else(|| {
                spin_variables::Error::Undefined(format!(
                    "no variable `{name}` in [component.{}.variables]",
                    component.id
                ))
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definitions() -> BTreeMap<String, VariableDefinition> {
        let definition = |default: Option<&str>| VariableDefinition {
            default: default.map(str::to_owned),
            secret: false,
        };
        BTreeMap::from([
            ("key".to_owned(), definition(None)),
            ("mode".to_owned(), definition(Some("slow"))),
            ("place".to_owned(), definition(Some("here"))),
        ])
    }

    #[test]
    fn the_command_line_wins_over_the_environment_over_the_default() {
        let given = BTreeMap::from([("key".to_owned(), "given".to_owned())]);
        let variables = Variables::resolve(&definitions(), &given, |name| match name {
            "SPIN_VARIABLE_KEY" | "SPIN_VARIABLE_MODE" => Some("from environment".to_owned()),
            _ => None,
        })
        .unwrap();
        let template = Template::parse("{{key}}|{{mode}}|{{place}}").unwrap();
        assert_eq!(
            variables.fill(&template).unwrap(),
            "given|from environment|here"
        );
    }

    #[test]
    fn a_missing_value_says_how_to_set_it() {
        let error = Variables::resolve(&definitions(), &BTreeMap::new(), |_| None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no value for `key`: set SPIN_VARIABLE_KEY, or give --variable key=…"
        );
        let given = BTreeMap::from([("colour".to_owned(), "x".to_owned())]);
        let error = Variables::resolve(&definitions(), &given, |_| None).unwrap_err();
        assert!(error.to_string().contains("--variable colour"), "{error}");
    }
}
