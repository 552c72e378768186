//! A request's members, and the body that is made of them.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::ModelRequest;
use crate::dialect::EncodeError;

/// A member of the request, unless it is null.
pub(super) struct Member;

impl Member {
    pub fn of<'a>(request: &'a ModelRequest, name: &str) -> Option<&'a RawValue> {
        let members = request.members().iter();
        let value = members
            .rev()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value)?;
        let value: &RawValue = serde_json::from_slice(value).ok()?;
        (value.get() != "null").then_some(value)
    }
}

/// A JSON object that is being written.
pub(super) struct Body(Vec<u8>);

impl Body {
    pub fn new() -> Self {
        Self(vec![b'{'])
    }

    pub fn member(
        &mut self,
        name: &str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), EncodeError> {
        let written = serde_json::to_vec(value)
            .map_err(|error| EncodeError(format!("The request cannot be translated: {error}.")))?;
        self.raw(name, &written);
        Ok(())
    }

    pub fn raw(&mut self, name: &str, value: &[u8]) {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        self.0
            .extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
        self.0.push(b':');
        self.0.extend_from_slice(value);
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}
