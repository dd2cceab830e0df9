"""The names of the files in a run folder."""

CONFIG, EVENTS, MODEL, REPORT = "config.yaml", "events.jsonl", "model.safetensors", "report.html"
DIAGNOSIS, REPAIR = "diagnosis.json", "repair.json"
PREDICTIONS, PLANE, ATTENTION, WEIGHTS = "predictions.json", "plane.json", "attention.json", "weights.bin"
CHECKPOINTS, START = "checkpoints", "start.safetensors"  # a folder; and the weights of a warm start
FILES = (MODEL, CONFIG, EVENTS, REPORT, DIAGNOSIS, REPAIR, PREDICTIONS, PLANE, ATTENTION, WEIGHTS, CHECKPOINTS, START)
MADE_AT_THE_END = (REPORT, PREDICTIONS, PLANE, ATTENTION)
STOP = "stop"  # a wish: the process that writes the run ends it where it is looked at
