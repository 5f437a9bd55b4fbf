"""Has the real Home Assistant's MQTT integration judge what was published for it.

Reads `{"configs": {topic: config}, "messages": {topic: [text]}}` from the standard input. Every configuration must pass
the schema that discovery applies, hold no key that the integration does not know, and every message must be one that
the entity takes. One line a complaint; the exit status is 0 where there is none.
"""
import importlib
import json
import pathlib
import sys

sys.dont_write_bytecode = True
HOME = pathlib.Path(__file__).resolve().parents[2] / "target" / "home_assistant"
sys.path.insert(0, str(next(HOME.glob("homeassistant-*.whl"))))

import voluptuous  # noqa: E402
from homeassistant.components.mqtt.discovery import TOPIC_MATCHER  # noqa: E402

COMPLAINTS = []


def complain(topic, what):
    COMPLAINTS.append(f"{topic}: {what}")


def entity(topic, config, messages):
    """Judges one configuration and the messages of its entity; gives its unique id."""
    prefix, _, rest = topic.partition("/")
    match = TOPIC_MATCHER.match(rest)
    if not match:
        return complain(topic, f"not a discovery topic below {prefix}")
    component = match.group("component")
    module = importlib.import_module(f"homeassistant.components.mqtt.{component}")
    try:
        taken = module.DISCOVERY_SCHEMA(dict(config))
        # This one refuses what it does not know; discovery drops it without a word.
        module.PLATFORM_SCHEMA_MODERN(dict(config))
    except voluptuous.Invalid as invalid:
        return complain(topic, invalid)
    if taken.get("optimistic") or taken.get("retain"):
        complain(topic, "optimistic, or with commands that are kept")
    for text in messages.get(taken["state_topic"], []):
        if not takes(component, taken, text):
            complain(taken["state_topic"], f"{component} does not take {text!r}")
    for place in taken["availability"]:
        for text in messages.get(place["topic"], []):
            if text not in (place["payload_available"], place["payload_not_available"]):
                complain(place["topic"], f"not an availability: {text!r}")
    return taken["unique_id"]


def takes(component, config, text):
    """Whether the entity takes the message, by the rules of the integration's own `message_received`."""
    if component == "lock":
        states = [config[key] for key in config if key.startswith("state_") and key != "state_topic"]
        return text in states or text == config["payload_reset"]
    if component == "binary_sensor":
        return text in (config["payload_on"], config["payload_off"], "None")
    if component == "sensor":
        return text == "None" or 0 <= float(text) <= 100
    if component == "event":
        return json.loads(text)["event_type"] in config["event_types"]
    return False


def main():
    given = json.load(sys.stdin)
    ids = [entity(topic, config, given["messages"]) for topic, config in given["configs"].items()]
    if len(ids) != len(set(ids)):
        complain("unique_id", f"not unique: {ids}")
    for complaint in COMPLAINTS:
        print(complaint)
    return 1 if COMPLAINTS else 0


sys.exit(main())
