"""Asks knowledge APIs as Dify asks an external knowledge base; prints what came of it as one line of JSON.

Usage: dify_retrieval.py KEY QUERIES, where QUERIES is a JSON object: by name, the endpoint as typed in Dify's setting
and the query. All are asked at once.

What is simulated: `httpx` with Dify's timeouts of 5 s; on 429, 500, 502, 503, 504 and on every error of the connection
three more tries, after 0.5, 1 and 2 s; then "Reached maximum retries". The result has, by name, every answer's status
(or the name of the exception in its place), and the last answer's status and body, or the error that Dify raises.
"""

import concurrent.futures
import json
import sys
import time

import httpx

TIMEOUT = httpx.Timeout(timeout=5, connect=5, read=5, write=5)
MOST_RETRIES = 3
PAUSE = 0.5
REPEATED = {429, 500, 502, 503, 504}


def ask(client, key, endpoint, query):
    body = {"retrieval_setting": {"top_k": 3, "score_threshold": 0.0}, "query": query, "knowledge_id": "kb1"}
    url = f"{endpoint}/retrieval"
    tries = []
    for number in range(MOST_RETRIES + 1):
        if number:
            time.sleep(PAUSE * 2 ** (number - 1))
        try:
            answer = client.post(url, json=body, headers={"Authorization": f"Bearer {key}"}, follow_redirects=True)
        except httpx.RequestError as error:
            tries.append(type(error).__name__)
            continue
        tries.append(answer.status_code)
        if answer.status_code not in REPEATED:
            return {"tries": tries, "status": answer.status_code, "body": answer.json()}
    return {"tries": tries, "error": f"Reached maximum retries ({MOST_RETRIES}) for URL {url}"}


def main(key, queries):
    queries = json.loads(queries)
    # No proxy of the machine's.
    with httpx.Client(timeout=TIMEOUT, trust_env=False) as client, \
            concurrent.futures.ThreadPoolExecutor(len(queries)) as pool:
        asked = {name: pool.submit(ask, client, key, endpoint, query) for name, (endpoint, query) in queries.items()}
        print(json.dumps({name: result.result() for name, result in asked.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
