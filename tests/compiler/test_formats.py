"""Every format that is taken, and what of it is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.compiler.conftest import Compiler, Models, ask, pictures

from windtunnel.compiler.errors import CompileError
from windtunnel.serving.errors import RequestError

PICTURE = pictures(2, 32, 32, 3) / 255


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_keras_files_are_compiled(
    compiler: Compiler, tmp_path: Path, suffix: str, networks: Any
) -> None:
    """Neo takes them, and answers are the network's own."""
    network = networks.keras_model(networks.keras_layers(with_lambda=False))
    network.save(tmp_path / f"net.{suffix}")
    archive = networks.pack(tmp_path / "a.tar.gz", {f"net.{suffix}": tmp_path / f"net.{suffix}"})

    compiled = compiler(archive, framework="KERAS")

    engine = compiled.load()
    (source,) = engine.signatures["serving_default"].inputs
    (answer,) = ask(engine, **{source: PICTURE}).values()
    assert np.allclose(answer, network(PICTURE), atol=1e-4)
    assert "net/1/windtunnel.json" in compiled.files()
    assert not any(name.endswith(suffix) for name in compiled.files())


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_code_in_a_keras_file_is_run_only_when_that_is_allowed(
    compiler: Compiler, tmp_path: Path, suffix: str, networks: Any
) -> None:
    """A Lambda layer is whatever its author wanted to run on this machine."""
    network = networks.keras_model(networks.keras_layers(with_lambda=True))
    network.save(tmp_path / f"net.{suffix}")
    archive = networks.pack(tmp_path / "a.tar.gz", {f"net.{suffix}": tmp_path / f"net.{suffix}"})

    with pytest.raises(CompileError, match='has a Lambda layer.*"safe_mode": false'):
        compiler(archive, framework="KERAS")
    if suffix == "keras":
        allowed = compiler(archive, framework="KERAS", options={"safe_mode": False})
        assert allowed.candidate("f32")["is_right"]


def test_a_file_that_cannot_be_loaded_is_named_as_it_was_brought(
    compiler: Compiler, tmp_path: Path, networks: Any
) -> None:
    """The folder that it was unpacked in is gone when its owner reads of it."""
    archive = networks.pack(tmp_path / "a.tar.gz", {"sub/bad.keras": "no zip"})

    with pytest.raises(
        CompileError, match=r"Keras cannot load bad\.keras.*=sub/bad\.keras"
    ) as failed:
        compiler(archive, framework="KERAS")

    assert "windtunnel-compile-" not in str(failed.value)


def test_a_shape_that_the_model_does_not_take_is_its_own_with_a_notice(
    compiler: Compiler, tmp_path: Path, networks: Any, tf: Any
) -> None:
    """The job ends well, and nobody takes the artefact for one of the other size."""
    saved = networks.of_function(
        tmp_path / "m" / "1", lambda x: {"y": x * 2.0}, x=([None, 4], tf.float32)
    )
    archive = networks.pack(tmp_path / "a.tar.gz", {"m/1": saved})

    compiled = compiler(archive, data_input_config='{"x": [2, 9]}')

    assert compiled.outcome.derived_data_input_config == '{"x": [2, 4]}'
    assert any("asks for x" in notice for notice in compiled.report["notices"])
    with pytest.raises(RequestError, match="which is not the signature's"):
        ask(compiled.load(), x=np.zeros((2, 9), np.float32))


def test_tflite_is_compiled_with_its_own_names(
    models: Models, compiler: Compiler, tmp_path: Path, networks: Any, tf: Any
) -> None:
    """Of two inputs, each finds its own."""
    path = networks.tflite(tmp_path / "pair.tflite", models.pair_saved)
    archive = networks.pack(tmp_path / "a.tar.gz", {"pair.tflite": path})
    interpreter = tf.lite.Interpreter(model_path=str(path))
    runner = interpreter.get_signature_runner()
    inputs = {"zeta": pictures(1, 4), "alpha": pictures(1, 6, seed=2)}

    compiled = compiler(archive, framework="TFLITE")

    assert compiled.candidate("f32")["is_right"]
    assert compiled.report["baseline"]["name"] == "TensorFlow Lite"
    engine = compiled.load()
    named = {
        full: value
        for full in engine.signatures["serving_default"].inputs
        for name, value in inputs.items()
        if name in full
    }
    got = sorted(ask(engine, **named).values(), key=lambda value: float(value[0, 0]))
    expected = sorted(runner(**inputs).values(), key=lambda value: float(value[0, 0]))
    for one, other in zip(got, expected, strict=True):
        assert np.allclose(one, other, rtol=1e-4)
    with pytest.raises(CompileError, match="TFLITE model is compiled for CPUs"):
        compiler(archive, framework="TFLITE", target="ml_g4dn")


@pytest.mark.parametrize("target", ["ml_c5", "ml_g5"])
def test_onnx_keeps_its_names(
    compiler: Compiler, tmp_path: Path, target: str, networks: Any
) -> None:
    """A client asks for the tensors that its author named, not for those inside.

    The weights in a file of their own are found, and on a GPU are in the one that is written.
    """
    import onnxruntime

    path = networks.onnx_ending_in_identity(tmp_path / "net.onnx")
    archive = networks.pack(
        tmp_path / "a.tar.gz", {"net.onnx": path, "weights.bin": path.with_name("weights.bin")}
    )
    inputs = pictures(3, 6)

    compiled = compiler(archive, framework="ONNX", target=target)

    assert compiled.report["baseline"]["name"] == "ONNX Runtime"
    got = ask(compiled.load(), x=inputs)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = dict(zip(("z", "score"), session.run(["z", "score"], {"x": inputs}), strict=True))
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert np.allclose(got[name], value, rtol=1e-4)


def test_operations_that_cannot_be_converted_are_named(
    compiler: Compiler, tmp_path: Path, networks: Any, tf: Any
) -> None:
    """Their names are what one searches for, and replaces."""
    saved = networks.of_function(
        tmp_path / "m" / "1",
        lambda x: {"y": tf.linalg.cholesky(x), "z": tf.math.igamma(x, x)},
        x=([None, 3, 3], tf.float32),
    )
    archive = networks.pack(tmp_path / "a.tar.gz", {"m/1": saved})

    with pytest.raises(CompileError, match="cannot convert these operations: Cholesky, Igamma"):
        compiler(archive)


def test_an_input_of_text_is_refused_with_the_signature(
    compiler: Compiler, tmp_path: Path, networks: Any, tf: Any
) -> None:
    """Such a model is served by TensorFlow."""
    saved = networks.of_function(
        tmp_path / "m" / "1",
        lambda text: {"y": tf.strings.length(text)},
        text=([None], tf.string),
    )
    archive = networks.pack(tmp_path / "a.tar.gz", {"m/1": saved})

    with pytest.raises(CompileError, match=r"The model takes text: string \[-1\]"):
        compiler(archive)


@pytest.mark.parametrize(
    ("framework", "name"),
    [("TENSORFLOW", "m/1/saved_model.pb"), ("KERAS", "m.keras"), ("KERAS", "m.h5"),
     ("TFLITE", "m.tflite"), ("ONNX", "m.onnx")],
)  # fmt: skip
def test_a_file_that_is_no_model_is_the_users_to_mend(
    compiler: Compiler, tmp_path: Path, framework: str, name: str, networks: Any
) -> None:
    """A ClientError that names the file, whatever the library below says."""
    archive = networks.pack(tmp_path / "a.tar.gz", {name: "nonsense"})
    said = compiler.job_file(archive, framework=framework)

    with pytest.raises(CompileError) as failed:
        compiler.run(said)

    assert failed.value.kind == "ClientError"
    assert Path(name).name.split(".")[0] in str(failed.value)
    assert not Path(said["output"]).exists()


def test_samples_that_a_model_cannot_take_are_said_to_be_its_own_failure(
    compiler: Compiler, tmp_path: Path, networks: Any, tf: Any
) -> None:
    """A table of five words, asked for the ninth."""

    def look_up(tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.gather(tf.range(5, dtype=tf.float32), tokens)}

    saved = networks.of_function(tmp_path / "m" / "1", look_up, tokens=([None, 7], tf.int32))
    archive = networks.pack(tmp_path / "a.tar.gz", {"m/1": saved})

    with pytest.raises(CompileError, match="(?s)model itself.* fails on a sample.*calibration"):
        compiler(archive)
