"""Trains a classifier of iris flowers; writes model.tar.gz, its server in it, and a payload."""

import json
import tarfile
from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 1
HERE = Path(__file__).parent


def main() -> None:
    """Write both into the current directory."""
    iris = load_iris()
    names = iris.target_names[iris.target]
    train_x, test_x, train_y, test_y = train_test_split(
        iris.data, names, test_size=0.2, random_state=SEED, stratify=names
    )
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(train_x, train_y)
    joblib.dump(model, "model.joblib")
    with tarfile.open("model.tar.gz", "w:gz") as archive:
        archive.add("model.joblib")
        archive.add(HERE / "serve.py", "serve.py")
    # A flower of each kind, by its measures in centimetres.
    flowers = [[5.1, 3.5, 1.4, 0.2], [5.9, 3.0, 4.2, 1.5], [6.7, 3.3, 5.7, 2.5]]
    Path("payload.json").write_text(json.dumps({"instances": flowers}))
    print(f"model.tar.gz, payload.json; right about {model.score(test_x, test_y):.0%} of the rest")


if __name__ == "__main__":
    main()
