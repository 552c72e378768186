"""Calls a model that speaks Anthropic's API behind a model API with the `openai` client, tools and streams included; prints
what it made of the answers as one line of JSON.

Usage: openai_anthropic.py BASE_URL KEY, where BASE_URL ends with /v1.
"""

import json
import sys

import openai

TOOLS = [{"type": "function", "function": {
    "name": "weather", "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]


def calls_of(message):
    return [{"id": call.id, "name": call.function.name, "arguments": json.loads(call.function.arguments)}
            for call in message.tool_calls or []]


def main(base_url, key):
    client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=60)
    messages = [{"role": "system", "content": "Be terse."}, {"role": "user", "content": "hello"}]
    create = client.chat.completions.create

    whole = create(model="claude", messages=messages, tools=TOOLS, seed=7)
    first = whole.choices[0].message
    told = messages + [first.model_dump(exclude_none=True)] + [
        {"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in first.tool_calls]
    after = create(model="claude", messages=told + [{"role": "user", "content": "so?"}])

    with client.chat.completions.stream(
            model="claude", messages=messages, tools=TOOLS, stream_options={"include_usage": True}) as stream:
        kinds = sorted({event.type for event in stream})
        final = stream.get_final_completion()
    raw = client.chat.completions.with_raw_response.create(model="claude", messages=messages, seed=7, temperature=2)
    try:
        create(model="claude", messages=messages, n=2)
        refused = None
    except openai.BadRequestError as error:
        refused = error.message
    try:
        client.embeddings.create(model="claude", input="x")
        embedded = True
    except openai.NotFoundError:
        embedded = False
    print(json.dumps({
        "text": first.content, "calls": calls_of(first), "finish_reason": whole.choices[0].finish_reason,
        "usage": whole.usage.model_dump(include={"prompt_tokens", "completion_tokens", "total_tokens"}),
        "after": after.choices[0].message.content,
        "streamed": final.choices[0].message.content, "streamed_calls": calls_of(final.choices[0].message),
        "streamed_end": final.choices[0].finish_reason, "streamed_total": final.usage.total_tokens, "kinds": kinds,
        "left_out": raw.headers.get("x-gateway-left-out"), "refused": refused, "embedded": embedded,
    }))


main(*sys.argv[1:])
