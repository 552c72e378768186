//! Runs of applications: their streams of events and their blocking answers.

use serde_json::{Value, json};

use crate::{
    Event, EventStream,
    json::{at, with},
};

pub(super) const TASK_ID: &str = "c3800678-0000-4000-8000-000000000001";
const RUN_ID: &str = "5ad4cb98-0000-4000-8000-000000000002";
const MESSAGE_ID: &str = "5ad498-f0c7-4085-b384-88cbe6290000";
const CONVERSATION_ID: &str = "45701982-8118-4bc5-8e9b-64562b4555f2";
const CREATED: u64 = 1_767_225_600;

/// What kind of application a path runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    Chat,
    Completion,
    Workflow,
}

/// The run that a path starts, below the service API, the web apps' back end or the console.
pub(super) fn run(path: &str) -> Option<Run> {
    let below = ["/v1/", "/api/", "/console/api/"]
        .into_iter()
        .find_map(|prefix| path.strip_prefix(prefix))?;
    match below.split('/').collect::<Vec<_>>().as_slice() {
        ["chat-messages"] => Some(Run::Chat),
        ["completion-messages"] => Some(Run::Completion),
        ["workflows", "run"] | ["workflows", _, "run"] => Some(Run::Workflow),
        _ => None,
    }
}

/// The answer's text, in the pieces in which a stream brings it.
fn pieces(request: &Value, stream: &EventStream) -> Vec<String> {
    if let Some(count) = stream.long {
        return (0..count).map(|number| format!("word{number} ")).collect();
    }
    let query = at(request, "/query").as_str().unwrap_or("nothing");
    let text = format!("You said: {query} – grüße 你好 🌍 !");
    let mut pieces: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
    pieces.extend(stream.huge.map(|size| "x".repeat(size)));
    pieces
}

fn usage(pieces: usize) -> Value {
    json!({"prompt_tokens": 12, "prompt_unit_price": "0.001", "prompt_price_unit": "0.001",
        "prompt_price": "0.0000120", "completion_tokens": pieces, "completion_unit_price": "0.002",
        "completion_price_unit": "0.001", "completion_price": "0.0000200",
        "total_tokens": pieces.saturating_add(12), "total_price": "0.0000320", "currency": "USD",
        "latency": 0.25})
}

/// The events of a streamed run, a ping after the first.
pub(super) fn events(run: Run, request: &Value, stream: &EventStream) -> Vec<Event> {
    let pieces = pieces(request, stream);
    let mut events = match run {
        Run::Chat => message_events(&pieces, true),
        Run::Completion => message_events(&pieces, false),
        Run::Workflow => workflow_events(&pieces),
    };
    events.insert(1.min(events.len()), Event::named("ping"));
    events
}

fn message_events(pieces: &[String], chat: bool) -> Vec<Event> {
    let mut ids = json!({"task_id": TASK_ID, "message_id": MESSAGE_ID, "created_at": CREATED});
    if chat {
        ids = with(&ids, json!({"conversation_id": CONVERSATION_ID}));
    }
    let event = |fields: Value| Event::data(with(&ids, fields).to_string());
    let part = |text: &String| {
        event(
            json!({"event": "message", "id": MESSAGE_ID, "answer": text, "from_variable_selector": null}),
        )
    };
    let end = event(json!({"event": "message_end", "id": MESSAGE_ID,
        "metadata": {"usage": usage(pieces.len()), "retriever_resources": []}, "files": []}));
    pieces.iter().map(part).chain([end]).collect()
}

fn workflow_events(pieces: &[String]) -> Vec<Event> {
    let event = |name: &str, data: Value| {
        let fields =
            json!({"event": name, "task_id": TASK_ID, "workflow_run_id": RUN_ID, "data": data});
        Event::data(fields.to_string())
    };
    let node = json!({"id": "node-run-1", "node_id": "llm", "node_type": "llm", "title": "LLM", "index": 1,
        "predecessor_node_id": null, "inputs": {}, "created_at": CREATED});
    let outcome = json!({"status": "succeeded", "elapsed_time": 0.25,
        "outputs": {"text": pieces.concat(), "usage": usage(pieces.len())},
        "execution_metadata": {"total_tokens": pieces.len().saturating_add(12),
            "total_price": "0.0000320", "currency": "USD"}});
    let finished = with(&node, outcome);
    let started =
        json!({"id": RUN_ID, "workflow_id": "workflow-1", "inputs": {}, "created_at": CREATED});
    let chunk = |text: &String| {
        event(
            "text_chunk",
            json!({"text": text, "from_variable_selector": ["llm", "text"]}),
        )
    };
    let mut events = vec![
        event("workflow_started", started),
        event("node_started", node),
    ];
    events.extend(pieces.iter().map(chunk));
    events.push(event("node_finished", finished));
    events.push(event("workflow_finished", workflow_outcome(pieces)));
    events
}

fn workflow_outcome(pieces: &[String]) -> Value {
    json!({"id": RUN_ID, "workflow_id": "workflow-1", "status": "succeeded",
        "outputs": {"text": pieces.concat()}, "error": null, "elapsed_time": 0.5,
        "total_tokens": pieces.len().saturating_add(12), "total_steps": 3, "exceptions_count": 0,
        "created_at": CREATED, "finished_at": CREATED, "files": []})
}

/// The answer of a blocking run.
pub(super) fn blocking(run: Run, request: &Value) -> Value {
    let pieces = pieces(request, &EventStream::new());
    let message = |mode: &str| {
        json!({"event": "message", "task_id": TASK_ID, "id": MESSAGE_ID, "message_id": MESSAGE_ID,
            "conversation_id": CONVERSATION_ID, "mode": mode, "answer": pieces.concat(),
            "metadata": {"usage": usage(pieces.len()), "retriever_resources": []}, "created_at": CREATED})
    };
    match run {
        Run::Chat => message("chat"),
        Run::Completion => message("completion"),
        Run::Workflow => {
            json!({"task_id": TASK_ID, "workflow_run_id": RUN_ID, "data": workflow_outcome(&pieces)})
        }
    }
}
