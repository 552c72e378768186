//! A `spin.toml`, read and checked: what the host runs.

mod document;
mod files;
mod hosts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::answer::ErrorForm;
use crate::template::{Template, is_variable_name};
use crate::toml_document::{DocumentError, TomlDocument};

pub use files::{FileMount, MountedFiles};
pub use hosts::with_hosts;

/// An application.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Where it was read from.
    pub path: PathBuf,
    /// The folder that relative paths start from.
    pub root: PathBuf,
    /// `application.name`.
    pub name: String,
    /// `application.version`.
    pub version: Option<String>,
    /// `[variables]`.
    pub variables: BTreeMap<String, VariableDefinition>,
    /// `[[trigger.http]]`, in file order.
    pub triggers: Vec<HttpTrigger>,
    /// `[component.…]` by id.
    pub components: BTreeMap<String, ComponentDefinition>,
}

/// An application variable.
#[derive(Debug, Clone, Default)]
pub struct VariableDefinition {
    /// What it is unless set; a variable without one must be set.
    pub default: Option<String>,
    /// Whether its value must not be shown.
    pub secret: bool,
}

/// Which component answers which paths.
#[derive(Debug, Clone)]
pub struct HttpTrigger {
    /// Its id in `[component]`.
    pub component: String,
    /// The route as written; a private one is reached by other components only.
    pub route: Option<String>,
}

/// A component.
#[derive(Debug, Clone)]
pub struct ComponentDefinition {
    /// The `.wasm` file.
    pub source: PathBuf,
    /// One line for the start banner.
    pub description: Option<String>,
    /// Its variables, templates over the application's.
    pub variables: BTreeMap<String, Template>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Files it can read.
    pub files: Vec<FileMount>,
    /// Patterns of files it does not get.
    pub exclude_files: Vec<String>,
    /// Where it may send to, templates over the application's variables.
    pub allowed_outbound_hosts: Vec<Template>,
    /// Labels of the key-value stores it may open.
    pub key_value_stores: Vec<String>,
    /// What the host's own errors look like at its routes.
    pub error_form: ErrorForm,
}

impl Manifest {
    /// Whether each component that reads the gateway's configuration gets this variable, too.
    pub fn hands_on(&self, variable: &str) -> bool {
        let reads = |component: &&ComponentDefinition| {
            component
                .variables
                .contains_key(crate::gateway_config::VARIABLE)
        };
        self.variables.contains_key(variable)
            && self
                .components
                .values()
                .filter(reads)
                .all(|component| component.variables.contains_key(variable))
    }

    /// Reads `path`, or the `spin.toml` in it when it is a folder.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something this host does not know or cannot run; the
    /// message names file, line and column.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let path = if path.is_dir() {
            path.join("spin.toml")
        } else {
            path.to_owned()
        };
        let document = TomlDocument::read(&path).context(
            "no application: name its manifest with --from, or start in the folder of a spin.toml",
        )?;
        Ok(Self::from_document(&document)?)
    }

    /// Checks an already read document.
    ///
    /// # Errors
    /// The first mistake, with its position.
    pub fn from_document(document: &TomlDocument) -> Result<Self, DocumentError> {
        let tables: document::Document = document.parse()?;
        if *tables.spin_manifest_version.get_ref() != 2 {
            return Err(document.error(
                Some(tables.spin_manifest_version.span()),
                "only manifest version 2 is known: `spin_manifest_version = 2`",
            ));
        }
        let variables = read_variables(document, tables.variables)?;
        let components = tables
            .component
            .into_iter()
            .map(|(id, table)| {
                let component = read_component(document, &id, table, &variables)?;
                Ok((id.into_inner(), component))
            })
            .collect::<Result<BTreeMap<_, _>, DocumentError>>()?;
        let triggers = tables
            .trigger
            .http
            .into_iter()
            .map(|trigger| read_trigger(document, trigger, &components))
            .collect::<Result<Vec<_>, _>>()?;
        let path = document.path().to_owned();
        let root = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Self {
            path,
            root,
            name: tables.application.name,
            version: tables.application.version,
            variables,
            triggers,
            components,
        })
    }
}

fn read_variables(
    document: &TomlDocument,
    tables: BTreeMap<toml::Spanned<String>, document::Variable>,
) -> Result<BTreeMap<String, VariableDefinition>, DocumentError> {
    let mut variables = BTreeMap::new();
    for (name, table) in tables {
        if !is_variable_name(name.get_ref()) {
            return Err(document.error(
                Some(name.span()),
                format!(
                    "`{}` is no variable name: lower-case letters, digits and single `_` between them",
                    name.get_ref()
                ),
            ));
        }
        if table.default.is_none() && !table.required {
            return Err(document.error(
                Some(name.span()),
                format!(
                    "variable `{}` needs `default = \"…\"` or `required = true`",
                    name.get_ref()
                ),
            ));
        }
        let definition = VariableDefinition {
            default: table.default,
            secret: table.secret,
        };
        variables.insert(name.into_inner(), definition);
    }
    Ok(variables)
}

fn read_trigger(
    document: &TomlDocument,
    trigger: document::HttpTrigger,
    components: &BTreeMap<String, ComponentDefinition>,
) -> Result<HttpTrigger, DocumentError> {
    if let Some(executor) = &trigger.executor
        && executor.kind.get_ref() != "http"
    {
        return Err(document.error(
            Some(executor.kind.span()),
            format!(
                "executor `{}` is not known, only \"http\"",
                executor.kind.get_ref()
            ),
        ));
    }
    if !components.contains_key(trigger.component.get_ref()) {
        return Err(document.error(
            Some(trigger.component.span()),
            format!(
                "no component `{}`: add a table [component.{0}]",
                trigger.component.get_ref()
            ),
        ));
    }
    let span = trigger.route.span();
    let route = match trigger.route.into_inner() {
        document::Route::Path(path) => {
            crate::routes::check_route(&path)
                .map_err(|message| document.error(Some(span), message))?;
            Some(path)
        }
        document::Route::Private(private) if private.private => None,
        document::Route::Private(_) => {
            return Err(document.error(
                Some(span),
                "a route is a path such as \"/x/...\", or { private = true }",
            ));
        }
    };
    Ok(HttpTrigger {
        component: trigger.component.into_inner(),
        route,
    })
}

fn read_component(
    document: &TomlDocument,
    id: &toml::Spanned<String>,
    table: document::Component,
    variables: &BTreeMap<String, VariableDefinition>,
) -> Result<ComponentDefinition, DocumentError> {
    if !is_kebab_case(id.get_ref()) {
        return Err(document.error(
            Some(id.span()),
            format!(
                "`{}` is no component id: words of letters and digits, joined by `-`",
                id.get_ref()
            ),
        ));
    }
    let template = |text: &toml::Spanned<String>| {
        let template = Template::parse(text.get_ref())
            .map_err(|message| document.error(Some(text.span()), message))?;
        let unknown = template.names().find(|name| !variables.contains_key(*name));
        if let Some(unknown) = unknown {
            let message = format!("`{unknown}` is not in [variables]");
            return Err(document.error(Some(text.span()), message));
        }
        Ok(template)
    };
    let mut component_variables = BTreeMap::new();
    for (name, text) in &table.variables {
        if !is_variable_name(name.get_ref()) {
            return Err(document.error(
                Some(name.span()),
                format!("`{}` is no variable name", name.get_ref()),
            ));
        }
        component_variables.insert(name.get_ref().clone(), template(text)?);
    }
    let allowed_outbound_hosts = table
        .allowed_outbound_hosts
        .iter()
        .map(template)
        .collect::<Result<Vec<_>, _>>()?;
    let files = table
        .files
        .into_iter()
        .map(|entry| match entry {
            document::Files::Pattern(pattern) => FileMount::Pattern(pattern),
            document::Files::Placed(placed) => FileMount::Placed {
                source: placed.source,
                destination: placed.destination,
            },
        })
        .collect();
    let root = document.path().parent().unwrap_or(Path::new("."));
    let document::Source::File(source) = table.source;
    Ok(ComponentDefinition {
        source: root.join(source),
        description: table.description,
        variables: component_variables,
        environment: table.environment,
        files,
        exclude_files: table.exclude_files,
        allowed_outbound_hosts,
        key_value_stores: table.key_value_stores,
        error_form: table.tool.spillway.errors,
    })
}

fn is_kebab_case(text: &str) -> bool {
    text.split('-').all(|word| {
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(|c| c.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests;
