"""What Python makes of addresses and URLs: one JSON question a line, one answer each."""

import ipaddress
import json
import socket
import sys

from mlflow.exceptions import MlflowException
from mlflow.utils.validation import _is_public_ip, _validate_webhook_url


def judge(question: dict) -> object:
    """Answer one question."""
    if "address" in question:
        return _is_public_ip(ipaddress.ip_address(question["address"]))
    if "host" in question:
        try:
            return str(ipaddress.ip_address(socket.getaddrinfo(question["host"], None)[0][4][0]))
        except (OSError, UnicodeError):
            return ""
    try:
        _validate_webhook_url(question["url"])
    except MlflowException as e:
        return e.message
    return ""


for line in sys.stdin:
    print(json.dumps(judge(json.loads(line))), flush=True)
