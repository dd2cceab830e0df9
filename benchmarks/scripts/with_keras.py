"""The task in a folder as a Keras user writes it: a Sequential model, compile, fit, with validation data."""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
from keras import layers
from tables import load, score

keras.utils.set_random_seed(0)
task, ((x, y), valid, (x_test, y_test)) = load(Path(sys.argv[1]))

model = keras.Sequential([keras.Input((x.shape[1],))])
if task["filters"]:
    model.add(layers.Reshape((8, 8, 1)))
    for filters in task["filters"]:
        model.add(layers.Conv2D(filters, 3, padding="same", activation="relu"))
    model.add(layers.MaxPooling2D(2))
    model.add(layers.Flatten())
for units in task["units"]:
    model.add(layers.Dense(units, activation="relu"))
model.add(layers.Dense(task["classes"] or 1))
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True) if task["classes"] else "mse"
model.compile(optimizer="adam", loss=loss)
model.fit(x, y, batch_size=task["batch"], epochs=task["epochs"], validation_data=valid, verbose=0)
print(json.dumps({"score": score(task, model.predict(x_test, verbose=0), y_test)}))
