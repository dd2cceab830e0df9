"""The task in a folder as a scikit-learn user writes it: one pipeline, one fit, one score."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

folder = Path(sys.argv[1])
task = json.loads((folder / "task.json").read_text())
frame = pd.read_csv(folder / "data.csv")
x, y = frame.drop(columns="target"), frame["target"]
x_rest, x_test, y_rest, y_test = train_test_split(x, y, test_size=0.15, random_state=0)
x_train, _, y_train, _ = train_test_split(x_rest, y_rest, test_size=0.15 / 0.85, random_state=0)
words = x.select_dtypes(exclude="number").columns
prepare = ColumnTransformer([("words", OneHotEncoder(handle_unknown="ignore"), words)], remainder=StandardScaler())
settings = {
    "hidden_layer_sizes": task["units"], "max_iter": task["epochs"], "n_iter_no_change": task["epochs"],
    "batch_size": task["batch"], "alpha": 0.0, "random_state": 0,
}  # fmt: skip
if task["classes"]:
    model = make_pipeline(prepare, MLPClassifier(**settings))
else:
    mean, spread = np.mean(y_train), np.std(y_train)
    y_train, y_test = (y_train - mean) / spread, (y_test - mean) / spread
    model = make_pipeline(prepare, MLPRegressor(**settings))
model.fit(x_train, y_train)
print(json.dumps({"score": model.score(x_test, y_test)}))
