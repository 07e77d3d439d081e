"""What Python makes of keys, secrets, payloads and signatures: one JSON question a line."""

import base64
import json
import sys

from cryptography.fernet import Fernet
from mlflow.entities.webhook import VALID_ENTITY_ACTIONS, WebhookEvent
from mlflow.webhooks.delivery import _generate_hmac_signature
from mlflow.webhooks.types import get_example_payload_for_event


def answer(question: dict) -> object:  # noqa: PLR0911 -- one for each question
    """Answer one question."""
    match question["ask"]:
        case "encrypt":
            return Fernet(question["key"]).encrypt(question["text"].encode()).decode()
        case "decrypt":
            return Fernet(question["key"]).decrypt(question["text"].encode()).decode()
        case "key":
            try:
                Fernet(question["key"])
            except ValueError as e:
                return str(e)
            return ""
        case "generate":
            return Fernet.generate_key().decode()
        case "sign":
            return _generate_hmac_signature(*question["parts"])
        case "dumps":
            return json.dumps(json.loads(base64.b64decode(question["json"])))
        case "examples":
            return {
                f"{entity}.{action}": json.dumps(get_example_payload_for_event(WebhookEvent(entity, action)))
                for entity, actions in VALID_ENTITY_ACTIONS.items()
                for action in actions
            }


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
