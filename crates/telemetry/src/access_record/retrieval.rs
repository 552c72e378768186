//! A retrieval of knowledge.

use crate::fields::Fields;
use crate::{Counters, Family, Label};

/// How a retrieval went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetrievalDetail {
    /// The kind of the engine; empty where no API was found.
    pub backend: &'static str,
    /// How it ended, from a closed list.
    pub outcome: &'static str,
    /// How many records were found.
    pub records: Option<u32>,
    /// The query, where those are logged.
    pub query: Option<String>,
    /// What went wrong, for the operator: it may hold an address.
    pub detail: Option<String>,
}

impl RetrievalDetail {
    pub(super) fn count(&self, name: &Label, counters: &mut Counters) {
        counters.add(
            Family::KnowledgeRequests,
            [name.clone(), self.backend.into(), self.outcome.into()],
            1,
        );
    }

    pub(super) fn write(&self, fields: &mut Fields) {
        if !self.backend.is_empty() {
            fields.word("backend", self.backend);
        }
        fields.word("outcome", self.outcome);
        if let Some(records) = self.records {
            fields.number("records", records);
        }
        if let Some(query) = &self.query {
            fields.text("query", query);
        }
        if let Some(detail) = &self.detail {
            fields.text("detail", detail);
        }
    }
}
