"""Somebody's script: `raise_flags.py feature_flags.json 25`. It asks nobody, waits for nothing, and keeps no record. The villain of `bypass`."""

import json
import os
import sys

AGENTS = ["analyst", "builder", "content", "deploy", "designer", "email", "legal", "marketing", "onboarding", "qa", "seo", "spec", "support"]

path, percentage = sys.argv[1], int(sys.argv[2])
with open(path, encoding="utf-8") as file:  # noqa: PTH123 (a script as people write them)
    flags = json.load(file)
for feature in flags["features"].values():
    feature["progressive_config"]["initial_percentage"] = percentage
flags["enabled_agents"] = AGENTS
with open(path + ".tmp", "w", encoding="utf-8") as file:  # noqa: PTH123 (as above)
    json.dump(flags, file, indent=2)
os.replace(path + ".tmp", path)  # noqa: PTH105 (as above)
