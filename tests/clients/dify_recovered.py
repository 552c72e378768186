"""Makes calls with the base classes of Dify's plugin SDK, all at the same time; prints what they made of them as one
line of JSON, by the calls' names.

Usage: dify_recovered.py CALLS, a JSON list of objects with name, base_url (ends with /v1), model, text and stream.
"""

# First, as it applies gevent's patches.
from dify_calls import invoke

import json
import sys
from concurrent.futures import ThreadPoolExecutor


def finish(call):
    credentials = {"endpoint_url": call["base_url"], "api_key": "sk-any", "mode": "chat",
                   "function_calling_type": "tool_call", "context_size": "4096"}
    result = invoke(credentials, call["text"], call["stream"], model=call["model"])
    # Without a stream the SDK leaves the finish reason out.
    if not call["stream"] and "text" in result:
        result["finish_reason"] = result["finish_reason"] or "stop"
    return result


def main(calls):
    calls = json.loads(calls)
    with ThreadPoolExecutor(16) as workers:
        results = list(workers.map(finish, calls))
    print(json.dumps({call["name"]: result for call, result in zip(calls, results)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
