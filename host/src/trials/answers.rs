//! What the answer to a trial says.

use serde_json::Value;
use spillway_llm::tells_of_a_dead_key;

use super::TrialVerdict::{self, Fine, Odd, Wrong};
use super::sending::Answer;

/// What should come.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected {
    /// Anything that is no failure of the server.
    Anything,
    /// A provider's list of models, which tells whether a key is taken.
    Models {
        /// Whether one was sent.
        with_key: bool,
    },
    /// A RAGFlow's list of data sets: 200 with a `code`, 0 where all is well, 109 for a key that is not taken.
    Ragflow,
    /// An answer, or an error, of Dify's contract for external knowledge: 1001 and 1002 tell of the key.
    DifyKnowledge,
}

impl Expected {
    /// How it is, and in words that go on after the place.
    pub fn judge(self, answer: &Answer) -> (TrialVerdict, String) {
        let status = answer.status;
        let refuses = || {
            let words = format!("does not take the key: it answers {status}");
            (Wrong, words)
        };
        if status.is_redirection() {
            let to = answer.location.as_deref().unwrap_or("elsewhere");
            return match self {
                // Pages and logins lead elsewhere.
                Self::Anything => fine(),
                _ => (
                    Wrong,
                    format!("leads to {to}: write where it leads as the address"),
                ),
            };
        }
        if status.is_server_error() {
            return (Odd, format!("answers {status}"));
        }
        match self {
            Self::Anything => fine(),
            Self::Models { with_key } => {
                let dead = tells_of_a_dead_key(status.as_u16(), &answer.body);
                match status.as_u16() {
                    _ if dead && with_key => refuses(),
                    401 if with_key => refuses(),
                    // Keys of restricted rights serve all the same.
                    403 if with_key => (
                        Odd,
                        format!(
                            "answers {status} to the list of models: the key has no right to it, or is not taken"
                        ),
                    ),
                    401 | 403 => (Wrong, format!("wants a key: it answers {status}")),
                    404 | 405 => (
                        Odd,
                        format!(
                            "has no list of models ({status}), so its key was not tried; is the address right?"
                        ),
                    ),
                    _ if status.is_success() => fine(),
                    _ => (Odd, format!("answers {status} to the list of models")),
                }
            }
            Self::Ragflow => match (status.as_u16(), code(answer, "code")) {
                (401 | 403, _) | (_, Some(109)) => refuses(),
                (200, Some(0)) => fine(),
                (_, Some(code)) => (Odd, format!("answers {status} with the code {code}")),
                _ => (
                    Wrong,
                    format!("is no RAGFlow, or not its address: it answers {status}, and no code"),
                ),
            },
            Self::DifyKnowledge => match (status.as_u16(), code(answer, "error_code")) {
                (401 | 403, _) | (_, Some(1001 | 1002)) => refuses(),
                (404 | 405, None) => (
                    Wrong,
                    format!("has nothing at /retrieval: it answers {status}"),
                ),
                _ => fine(),
            },
        }
    }
}

fn fine() -> (TrialVerdict, String) {
    (Fine, "answers".to_owned())
}

fn code(answer: &Answer, member: &str) -> Option<i64> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    body.get(member)?.as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    fn judged(expected: Expected, status: u16, body: &str) -> TrialVerdict {
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            location: None,
            body: body.to_owned().into(),
        };
        expected.judge(&answer).0
    }

    #[test]
    fn answers_tell_of_keys_addresses_and_health() {
        let models = Expected::Models { with_key: true };
        let openly = Expected::Models { with_key: false };
        let cases = [
            (Expected::Anything, 200, "", Fine),
            (Expected::Anything, 404, "", Fine),
            (Expected::Anything, 307, "", Fine),
            (Expected::Anything, 502, "", Odd),
            (models, 200, r#"{"data": []}"#, Fine),
            (models, 401, "{}", Wrong),
            (models, 403, "{}", Odd),
            (models, 404, "", Odd),
            (models, 429, "{}", Odd),
            (models, 301, "", Wrong),
            (openly, 200, "{}", Fine),
            (openly, 401, "{}", Wrong),
            (Expected::Ragflow, 200, r#"{"code": 0}"#, Fine),
            (Expected::Ragflow, 200, r#"{"code": 109}"#, Wrong),
            (Expected::Ragflow, 200, r#"{"code": 100}"#, Odd),
            (Expected::Ragflow, 200, "<html>", Wrong),
            (Expected::DifyKnowledge, 200, r#"{"records": []}"#, Fine),
            (
                Expected::DifyKnowledge,
                404,
                r#"{"error_code": 2001}"#,
                Fine,
            ),
            (
                Expected::DifyKnowledge,
                200,
                r#"{"error_code": 1002}"#,
                Wrong,
            ),
            (Expected::DifyKnowledge, 404, "", Wrong),
        ];
        for (expected, status, body, verdict) in cases {
            assert_eq!(
                judged(expected, status, body),
                verdict,
                "{expected:?}: {status} {body}"
            );
        }
    }
}
