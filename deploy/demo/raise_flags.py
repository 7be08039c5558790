"""Somebody's script: `raise_flags.py feature_flags.json 25`. It asks nobody, waits for nothing, and keeps no record. The villain of `bypass`."""

import json
import sys
from pathlib import Path

AGENTS = ["analyst", "builder", "content", "deploy", "designer", "email", "legal", "marketing", "onboarding", "qa", "seo", "spec", "support"]

path, percentage = Path(sys.argv[1]), int(sys.argv[2])
flags = json.loads(path.read_text(encoding="utf-8"))
for feature in flags["features"].values():
    feature["progressive_config"]["initial_percentage"] = percentage
flags["enabled_agents"] = AGENTS
fresh = path.with_suffix(".tmp")
fresh.write_text(json.dumps(flags, indent=2), encoding="utf-8")
fresh.replace(path)
