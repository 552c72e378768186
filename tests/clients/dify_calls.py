"""Calls a model API with the base classes of Dify's plugin SDK; prints what they made of it as one line of JSON.

Usage: dify_calls.py BASE_URL KEY TEXTS, where BASE_URL ends with /v1 and TEXTS is a JSON list of user messages
to be streamed. They are what Dify's plugin for OpenAI-compatible services is made of.
"""

# Applies gevent's patches, and so has to come before whatever they change.
from dify_plugin.interfaces.model.ai_model import AIModel

import json
import sys

from dify_plugin import OAICompatEmbeddingModel, OAICompatLargeLanguageModel
from dify_plugin.entities.model.message import UserPromptMessage

# The real one downloads its table.
AIModel._get_num_tokens_by_gpt2 = lambda self, text: max(1, len(text) // 4)


class Plugin(OAICompatLargeLanguageModel):
    """As Dify's own plugin: asks for usage, behind the SDK's filter of parameters."""

    def _invoke(self, model, credentials, prompt_messages, model_parameters, tools=None, stop=None, stream=True,
                user=None):
        if stream:
            model_parameters["stream_options"] = {"include_usage": True}
        return super()._invoke(model, credentials, prompt_messages, model_parameters, tools, stop, stream, user)


# The SDK makes an error's name out of the module's.
Plugin.__module__ = OAICompatLargeLanguageModel.__module__


def invoke(credentials, text, stream, plugin=Plugin, model="gpt-4o"):
    """One call: its text, its last finish reason and usage, or the error it raised."""
    try:
        chunks = list(plugin([]).invoke(model, credentials, [UserPromptMessage(content=text)], {},
                                   None, None, stream, "user-1"))
    except Exception as error:  # whatever it raises is what a user of Dify would see
        return {"error": f"{type(error).__name__}: {error}"}
    last = chunks[-1].delta
    return {
        "text": "".join(chunk.delta.message.content or "" for chunk in chunks),
        "finish_reason": last.finish_reason,
        # How a stream shows that the SDK could not read.
        "unreadable": any(chunk.delta.finish_reason == "Non-JSON encountered." for chunk in chunks),
        "prompt_tokens": last.usage.prompt_tokens,
        "completion_tokens": last.usage.completion_tokens,
    }


def validate(credentials):
    try:
        OAICompatLargeLanguageModel([]).validate_credentials("gpt-4o", credentials)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "valid"


def main(base_url, key, texts):
    credentials = {"endpoint_url": base_url, "api_key": key, "mode": "chat",
                   "function_calling_type": "tool_call", "context_size": "4096"}
    wrong = dict(credentials, api_key="sk-wrong")
    vectors = OAICompatEmbeddingModel([]).invoke("embed", credentials, ["one", "two"])
    result = {
        "valid": validate(credentials),
        "valid streamed": validate(dict(credentials, stream_mode_auth="use")),
        "valid with a wrong key": validate(wrong),
        "blocking": invoke(credentials, "hello", stream=False),
        "without usage": invoke(credentials, "hello", stream=True, plugin=OAICompatLargeLanguageModel),
        "with a wrong key": invoke(wrong, "hello", stream=True),
        "vectors": vectors.embeddings,
        "embedding_tokens": vectors.usage.total_tokens,
        "streams": {text: invoke(credentials, text, stream=True) for text in json.loads(texts)},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
