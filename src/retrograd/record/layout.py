"""The names of the files in a run folder."""

CONFIG, EVENTS, MODEL, REPORT = "config.yaml", "events.jsonl", "model.safetensors", "report.html"
DIAGNOSIS, REPAIR = "diagnosis.json", "repair.json"
PREDICTIONS, PLANE = "predictions.json", "plane.json"
FILES = (MODEL, CONFIG, EVENTS, REPORT, DIAGNOSIS, REPAIR, PREDICTIONS, PLANE)
