"""Makes calls with the `openai` client, its own retries off, all at the same time; prints what it made of them as one
line of JSON, by the calls' names.

Usage: openai_recovered.py CALLS, a JSON list of objects with name, base_url (ends with /v1), model, text and stream.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import openai

from openai_calls import chat, streamed


def finish(call):
    client = openai.OpenAI(base_url=call["base_url"], api_key="sk-any", max_retries=0, timeout=60)
    try:
        if call["stream"]:
            return streamed(chat(client, call["model"], call["text"], stream=True))
        choice = chat(client, call["model"], call["text"]).choices[0]
        return {"text": choice.message.content, "finish_reason": choice.finish_reason}
    except openai.OpenAIError as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main(calls):
    calls = json.loads(calls)
    with ThreadPoolExecutor(16) as workers:
        results = list(workers.map(finish, calls))
    print(json.dumps({call["name"]: result for call, result in zip(calls, results)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
