"""Calls a model API with the `openai` client; prints what it made of the answers as one line of JSON.

Usage: openai_calls.py BASE_URL KEY, where BASE_URL ends with /v1.
"""

import json
import sys

import openai


def chat(client, model, text, **options):
    messages = [{"role": "user", "content": text}]
    return client.chat.completions.create(model=model, messages=messages, **options)


def streamed(chunks):
    """The text of a stream, its finish reason, and the chunks that have usage or no choices."""
    text, finish_reason, usages, without_choices = "", None, [], 0
    for chunk in chunks:
        without_choices += not chunk.choices
        if chunk.usage is not None:
            usages.append(chunk.usage.model_dump(include={"prompt_tokens", "completion_tokens", "total_tokens"}))
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish_reason = choice.finish_reason or finish_reason
    return {"text": text, "finish_reason": finish_reason, "usages": usages, "without_choices": without_choices}


def error_of(call):
    """The class of the exception that a call raises, and what it holds."""
    try:
        call()
    except openai.APIStatusError as error:
        return {"class": type(error).__name__, "status": error.status_code, "code": error.code,
                "message": error.message}
    except openai.APIError as error:
        return {"class": type(error).__name__, "message": error.message}
    return None


def main(base_url, key):
    client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=60)
    stranger = openai.OpenAI(base_url=base_url, api_key="sk-wrong", max_retries=0, timeout=60)

    whole = chat(client, "gpt-4o", "hello")
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-4o", messages=[{"role": "user", "content": "hello"}])
    vectors = client.embeddings.create(model="embed", input=["one", "two"])
    result = {
        "chat": {"text": whole.choices[0].message.content, "model": whole.model,
                 "total_tokens": whole.usage.total_tokens},
        "provider": raw.headers.get("x-gateway-provider"),
        "stream": streamed(chat(client, "gpt-4o", "hello", stream=True)),
        "stream_with_usage": streamed(
            chat(client, "gpt-4o", "hello", stream=True, stream_options={"include_usage": True})),
        "stream_odd": streamed(chat(client, "gpt-4o", "please be odd", stream=True)),
        "completion": client.completions.create(model="gpt-4o", prompt="hello").choices[0].text,
        "vectors": [item.embedding for item in vectors.data],
        "floats": client.embeddings.create(model="embed", input="one", encoding_format="float").data[0].embedding,
        "models": [model.id for model in client.models.list()],
        "errors": {
            "wrong key": error_of(lambda: chat(stranger, "gpt-4o", "hello")),
            "unknown model": error_of(lambda: chat(client, "gpt-4p", "hello")),
            "bad request": error_of(lambda: chat(client, "gpt-4o", "please fail with 400")),
            "rate limit": error_of(lambda: chat(client, "gpt-4o", "please fail with 429")),
            "overload": error_of(lambda: chat(client, "gpt-4o", "please fail with 503")),
            "overload, streamed": error_of(lambda: chat(client, "gpt-4o", "please fail with 503", stream=True)),
            "broken stream": error_of(
                lambda: streamed(chat(client, "gpt-4o", "please break off", stream=True))),
        },
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
