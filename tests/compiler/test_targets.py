"""What a job makes for this machine, for others, and for GPUs."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from tests.compiler.conftest import SHAPE, Compiled, Compiler, Models, ask, pictures

from windtunnel.compiler import trial
from windtunnel.compiler.errors import CompileError
from windtunnel.compiler.sources import SavedModel
from windtunnel.compiler.targets import parse_target
from windtunnel.core import processor
from windtunnel.serving.engines.engine import Engine, Threads

HERE = parse_target("local", processor.features())


def test_a_job_for_this_machine_takes_a_form_or_says_that_none_is_faster(
    models: Models, compiler: Compiler, tensorflow: Engine
) -> None:
    """Neo completes with the model as it was; here the job says so."""
    said = compiler.job_file(models.masks, target="local", data_input_config=SHAPE)
    refusal = None
    try:
        compiled = compiler.run(said)
    except CompileError as error:
        refusal = str(error)
    if refusal is not None:
        assert "Nothing is faster than TensorFlow" in refusal
        return

    assert compiled.report["chosen"] in {"f32", "bf16"}
    assert compiled.report["measured"] == "on this machine, which is the target"
    assert compiled.manifest.target == "local"
    chosen = compiled.candidate(compiled.report["chosen"])
    assert chosen["is_right"]
    assert chosen["times_baseline"] > 1
    assert compiled.outcome.summary == compiled.report["reason"]
    # The graph that is kept for this CPU is really used.
    assert compiled.manifest.blob == "model.blob"
    engine = compiled.load()
    from windtunnel.serving.engines.openvino import OpenVinoEngine

    assert isinstance(engine, OpenVinoEngine)
    assert engine._import({}) is not None
    inputs = pictures(1, 32, 32, 3)
    got, expected = ask(engine, inputs=inputs), ask(tensorflow, inputs=inputs)
    assert np.abs(got["outputs"] - expected["outputs"]).mean() < 0.02


@pytest.mark.skipif(not HERE.computes_bf16, reason="this machine does not compute in bf16")
def test_bf16_is_tried_where_target_and_machine_compute_in_it(
    models: Models, compiler: Compiler
) -> None:
    """It halves the time of a U-Net, and each form is held to a tolerance of its own."""
    compiled = compiler(models.masks, target="ml_c7i", data_input_config=SHAPE)

    assert compiled.report["measure"] == "mask IoU at 0.4"
    assert compiled.candidate("f32")["score"] >= 0.995
    bf16 = compiled.candidate("bf16")
    assert bf16["tolerance"] == 0.99
    # Computed otherwise, or it would be the same to the last bit.
    assert 0.9 < bf16["score"] < 1
    assert "not measured on the target" in compiled.report["measured"]


def test_what_the_target_cannot_compute_is_not_tried(masks: Compiled) -> None:
    """A c5 has no bf16; and int8 needs samples."""
    assert [each["name"] for each in masks.report["candidates"]] == ["f32"]
    notices = "\n".join(masks.report["notices"])
    assert "bf16 was not tried: ml_c5 does not compute in it" in notices
    assert "int8 was not tried: it needs calibration data" in notices
    assert masks.report["measured"].startswith("not measured on the target")
    # A graph that is compiled for this CPU is nothing for another one.
    assert masks.manifest.blob == ""


def test_the_compiled_archive_has_the_graph_and_no_savedmodel(masks: Compiled) -> None:
    """And the script, and whatever else was there, as it was."""
    assert masks.files() == {
        "README",
        "code/inference.py",
        "export/masks/7/model.bin",
        "export/masks/7/model.xml",
        "export/masks/7/report.html",
        "export/masks/7/report.json",
        "export/masks/7/windtunnel.json",
    }
    assert (masks.directory / "README").read_text() == "kept"
    assert masks.outcome.derived_data_input_config == '{"inputs": [1, 32, 32, 3]}'
    assert masks.outcome.engine == "openvino"


def test_a_signature_that_is_not_compiled_is_said(masks: Compiled) -> None:
    """Whoever calls it by name finds out before the requests do."""
    assert any("the model also has means" in notice for notice in masks.report["notices"])


def test_what_is_left_in_floats_is_told(masks: Compiled) -> None:
    """The report says where the time goes."""
    assert masks.report["profile"]["ms_by_precision"].keys() >= {"f32"}
    assert "Convolution" in masks.report["profile"]["ms_in_floats_by_operation"]


def test_progress_is_told_and_only_grows(masks: Compiled) -> None:
    """A job of a minute without a word is one that hangs."""
    shares = [done for _, done in masks.told]

    assert len({text for text, _ in masks.told}) >= 5
    assert all(0 <= done <= 1 for done in shares)
    assert shares == sorted(shares)


@pytest.mark.parametrize("shape", [(1, 32, 32, 3), (3, 32, 32, 3), (1, 24, 40, 3)])
def test_any_batch_and_size_is_answered_as_tensorflow_does(
    masks: Compiled, tensorflow: Engine, shape: tuple[int, ...]
) -> None:
    """The workshop compiles for 224 and sends 256."""
    inputs = pictures(*shape)

    got, expected = ask(masks.load(), inputs=inputs), ask(tensorflow, inputs=inputs)

    assert got["outputs"].shape == expected["outputs"].shape
    assert got["outputs"].dtype == expected["outputs"].dtype
    assert np.allclose(got["outputs"], expected["outputs"], atol=1e-4)


def test_the_streams_of_most_throughput_are_what_is_served_by(
    models: Models, compiler: Compiler
) -> None:
    """What was measured is what is served."""
    compiled = compiler(models.masks, data_input_config=SHAPE, options={"objective": "throughput"})

    busy = compiled.manifest.busy
    assert compiled.manifest.lone == busy
    rates = {
        (each["streams"], each["threads"]): each["inferences_per_s"]
        for each in compiled.candidate(compiled.report["chosen"])["throughput"]
    }
    assert {*rates} == {*trial.settings_to_try()}
    assert rates[busy.count, busy.threads] == max(rates.values())
    assert "by throughput on this machine, which is not the target" in compiled.report["reason"]


def test_a_gpu_gets_onnx_that_answers_as_tensorflow_does(
    models: Models, compiler: Compiler, tensorflow: Engine
) -> None:
    """Numerics are verified here; speeds are not made up."""
    compiled = compiler(models.masks, target="ml_g4dn", data_input_config=SHAPE)

    assert "export/masks/7/model.onnx" in compiled.files()
    assert not any(name.endswith(("saved_model.pb", ".xml")) for name in compiled.files())
    assert compiled.outcome.engine == "onnxruntime"
    assert compiled.candidate("onnx f32")["is_right"]
    engine = compiled.load()
    from windtunnel.serving.engines.onnx import OnnxEngine

    assert isinstance(engine, OnnxEngine)
    if not engine.uses_gpu:
        assert compiled.report["measured"].startswith("not measured here")
        assert "its speed was not measured" in compiled.report["reason"]
        assert "p50_ms" not in compiled.candidate("onnx f32")
    for shape in ((1, 32, 32, 3), (2, 24, 40, 3)):
        inputs = pictures(*shape)
        got, expected = ask(compiled.load(), inputs=inputs), ask(tensorflow, inputs=inputs)
        assert np.allclose(got["outputs"], expected["outputs"], atol=1e-4)


def test_a_conversion_that_lost_a_shape_is_done_again(
    models: Models, compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tf2onnx does so one time in twenty, and a job that may fail is none to build on."""
    import onnx

    convert, calls = SavedModel.to_onnx, []

    def to_onnx(source: SavedModel, path: Path) -> Mapping[str, str]:
        names = convert(source, path)
        calls.append(path)
        if len(calls) == 1:
            model = onnx.load(path)
            (output,) = model.graph.output
            axes = onnx.helper.make_tensor("axes", onnx.TensorProto.INT64, [1], [0])
            model.graph.initializer.append(axes)
            for node in model.graph.node:
                node.output[:] = ["lost" if each == output.name else each for each in node.output]
            lost = onnx.helper.make_node("Unsqueeze", ["lost", "axes"], [output.name])
            model.graph.node.append(lost)
            output.type.tensor_type.ClearField("shape")
            onnx.save(model, path)
        return names

    monkeypatch.setattr(SavedModel, "to_onnx", to_onnx)
    compiled = compiler(
        models.masks, target="ml_g5", data_input_config=SHAPE, options={"tolerance": {"f32": 0.9}}
    )

    assert len(calls) >= 2
    assert compiled.candidate("onnx f32")["is_right"]


def test_a_gpu_gets_no_form_that_was_not_asked_for(models: Models, compiler: Compiler) -> None:
    """As a CPU that does not compute in bf16 gets none in f32 for it."""
    for target, reason in (
        ("ml_g4dn", "No form could be made. bf16 was not tried: forms for GPUs are in f32."),
        ("ml_c4", "No form could be made. bf16 was not tried: ml_c4 does not compute in it."),
    ):
        with pytest.raises(CompileError) as refused:
            compiler(
                models.masks,
                target=target,
                data_input_config=SHAPE,
                options={"precisions": ["bf16"]},
            )
        assert str(refused.value) == reason


@pytest.mark.parametrize("target", ["ml_c5", "ml_g4dn"])
def test_several_inputs_and_outputs_keep_their_names(
    models: Models, compiler: Compiler, target: str
) -> None:
    """Two outputs that are swapped are both plausible."""
    from windtunnel.serving.engines.tensorflow import Runtime

    compiled = compiler(models.pair, target=target)
    inputs = {"zeta": pictures(3, 4), "alpha": pictures(3, 6, seed=2)}

    got = ask(compiled.load(), **inputs)

    expected = ask(Runtime(Threads()).load(models.pair_saved), **inputs)
    assert got.keys() == expected.keys() == {"sum", "difference"}
    for name, value in expected.items():
        assert np.allclose(got[name], value, rtol=1e-4)
