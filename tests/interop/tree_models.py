# SPDX-License-Identifier: Apache-2.0
"""Random small trees from the real libraries: XGBoost, LightGBM, scikit-learn through ONNX. Beside every model file lies an
.npz with x, the margins (or ONNX outputs) that the library itself gives, and in `options` what weft is to be told.

    python tree_models.py FOLDER [--count N] [--seed N]
"""

import argparse
import json
import pathlib
import warnings

import numpy as np

warnings.filterwarnings("ignore")
ROWS = 200


def data(rng, features, categorical, missing):
    """Numbers on a grid of 1/32, so that an input type holds them; some columns are small categories."""
    x = (rng.integers(-128, 128, (ROWS, features)) / 32).astype(np.float32)
    for column in categorical:
        x[:, column] = rng.integers(0, 6, ROWS)
    x[rng.random(x.shape) < 0.1] = 0
    if missing:
        x[rng.random(x.shape) < 0.15] = np.nan
    return x


def signal(x, rng):
    z = np.nan_to_num(x, nan=0.3)
    return (z @ rng.normal(size=x.shape[1]) + z[:, 0] * z[:, -1] + rng.normal(size=len(x))).astype(np.float64)


def xgboost_model(rng, path):
    import xgboost

    features = int(rng.integers(2, 9))
    categorical = [1] if rng.random() < 0.3 else []
    missing = bool(rng.random() < 0.5)
    x = data(rng, features, categorical, missing)
    y = signal(x, rng)
    objective = str(rng.choice(["reg:squarederror", "binary:logistic", "binary:logitraw", "multi:softprob", "multi:softmax",
                                "count:poisson", "reg:gamma", "reg:tweedie", "rank:pairwise", "reg:logistic",
                                "reg:absoluteerror", "reg:pseudohubererror", "several targets"]))
    params = {"max_depth": int(rng.integers(1, 6)), "eta": float(rng.choice([0.1, 0.3, 1.0])), "seed": int(rng.integers(1 << 30)),
              "tree_method": "hist" if categorical else str(rng.choice(["hist", "exact", "approx"]))}
    if rng.random() < 0.3:
        params["base_score"] = 0.25
    if objective.startswith("multi"):
        params["num_class"] = 3
        y = np.digitize(y, np.quantile(y, [0.3, 0.7]))
    elif objective in ("binary:logistic", "binary:logitraw", "rank:pairwise"):
        y = (y > 0).astype(int)
    elif objective == "reg:logistic":
        y = 1 / (1 + np.exp(-y))
    elif objective in ("count:poisson", "reg:gamma", "reg:tweedie"):
        y = np.abs(y) + 0.1
    if objective == "several targets":
        y = np.stack([y, 1 - y], 1)
        params["objective"] = "reg:squarederror"
        params["multi_strategy"] = str(rng.choice(["one_output_per_tree", "multi_output_tree"]))
        params["tree_method"] = "hist"
        if params["multi_strategy"] == "multi_output_tree":
            categorical = []
    else:
        params["objective"] = objective
    if rng.random() < 0.2 and objective != "several targets":
        params |= {"booster": "dart", "rate_drop": 0.3}
    # Objectives whose leaves are fitted once more (absolute errors, quantiles) refuse forests.
    if rng.random() < 0.2 and objective not in ("several targets", "reg:absoluteerror", "reg:quantileerror"):
        params["num_parallel_tree"] = 2
        params["subsample"] = 0.7
    types = ["c" if i in categorical else "float" for i in range(features)]
    matrix = xgboost.DMatrix(x, y, feature_types=types, enable_categorical=True)
    booster = xgboost.train(params, matrix, int(rng.integers(1, 9)))
    path = path.with_suffix(str(rng.choice([".json", ".ubj"])))
    booster.save_model(path)
    margin = booster.predict(matrix, output_margin=True)
    answer = booster.predict(matrix)
    return path, {"x": x, "margin": margin, "answer": answer, "layer": "trees"}, missing


def lightgbm_model(rng, path):
    import lightgbm

    features = int(rng.integers(2, 9))
    categorical = [1] if rng.random() < 0.4 else []
    missing = bool(rng.random() < 0.5)
    x = data(rng, features, categorical, missing)
    y = signal(x, rng)
    objective = str(rng.choice(["regression", "binary", "multiclass", "multiclassova", "poisson", "tweedie", "gamma", "huber",
                                "quantile", "cross_entropy", "lambdarank"]))
    params = {"objective": objective, "num_leaves": int(rng.integers(2, 16)), "min_data_in_leaf": 3, "verbose": -1,
              "learning_rate": float(rng.choice([0.1, 0.5])), "seed": int(rng.integers(1 << 30)), "num_threads": 1,
              "min_data_per_group": 2, "cat_smooth": 1, "max_cat_to_onehot": int(rng.choice([1, 4])),
              "zero_as_missing": bool(rng.random() < 0.3), "use_missing": bool(rng.random() < 0.8)}
    if objective.startswith("multiclass"):
        params["num_class"] = 3
        y = np.digitize(y, np.quantile(y, [0.3, 0.7]))
    elif objective in ("binary", "lambdarank"):
        y = (y > 0).astype(int)
    elif objective == "cross_entropy":
        y = 1 / (1 + np.exp(-y))
    elif objective in ("poisson", "tweedie", "gamma"):
        y = np.abs(y) + 0.1
    if objective in ("binary", "multiclassova") and rng.random() < 0.4:
        params["sigmoid"] = 0.7
    if rng.random() < 0.15 and objective == "regression":
        params |= {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.7}
    group = [ROWS // 4] * 4 if objective == "lambdarank" else None
    train = lightgbm.Dataset(x, y, categorical_feature=categorical, group=group, params=params)
    booster = lightgbm.train(params, train, int(rng.integers(1, 9)))
    path = path.with_suffix(".txt")
    booster.save_model(path)
    # The raw score of a random forest is not yet averaged; the layer's result is.
    margin = booster.predict(x, raw_score=params.get("boosting") != "rf").astype(np.float32)
    return path, {"x": x, "margin": margin, "answer": booster.predict(x), "layer": "trees"}, missing


def sklearn_model(rng, path):
    import onnxruntime
    from skl2onnx import to_onnx
    from sklearn import ensemble, tree

    features = int(rng.integers(2, 9))
    x = data(rng, features, [], False)
    y = signal(x, rng)
    kind = str(rng.choice(["GradientBoosting", "RandomForest", "ExtraTrees", "DecisionTree", "HistGradientBoosting"]))
    classes = int(rng.choice([0, 2, 3]))
    if classes:
        y = np.digitize(y, np.quantile(y, [0.5] if classes == 2 else [0.3, 0.7]))
    room = tree if kind == "DecisionTree" else ensemble
    options = {"random_state": int(rng.integers(1 << 30)), "max_depth": int(rng.integers(1, 6))}
    if kind == "HistGradientBoosting":
        options |= {"max_iter": int(rng.integers(1, 9)), "min_samples_leaf": 5}
    elif kind != "DecisionTree":
        options["n_estimators"] = int(rng.integers(1, 9))
    model = getattr(room, kind + ("Classifier" if classes else "Regressor"))(**options).fit(x, y)
    made = to_onnx(model, x[:1], options={id(model): {"zipmap": False}} if classes else None,
                   target_opset={"": 15, "ai.onnx.ml": int(rng.choice([1, 3]))})
    path = path.with_suffix(".onnx")
    path.write_bytes(made.SerializeToString())
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    # Row by row and all at once may add in other orders; small batches are what everybody runs.
    outputs = session.run(None, {session.get_inputs()[0].name: x})
    out = {"x": x, "layer": ""}
    for port, values in zip(session.get_outputs(), outputs):
        out[f"y:{port.name}"] = np.asarray(values)
    return path, out, False


MAKERS = [xgboost_model, lightgbm_model, sklearn_model]


def make(folder, seed, count):
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        maker = MAKERS[i % len(MAKERS)]
        rng = np.random.default_rng([seed, i])
        path, golden, missing = maker(rng, folder / f"{maker.__name__}_{i}")
        options = ["--input-type", "fixed<18,12>" if missing else "fixed<10,4>"]
        if missing:
            options += ["--set", "trees.missing=-999"]
        np.savez(path.with_suffix(".npz"), **golden)
        path.with_suffix(".options.json").write_text(json.dumps(options))
        yield path


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(f"{sum(1 for _ in make(given.folder, given.seed, given.count))} models")
